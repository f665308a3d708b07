"""Runs of the pipeline, their results, what readers say of these and what changed; sets of networks; live workers."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from patients.models import Job, Series, Study

ACTIVE = ("QUEUED", "RUNNING")

PRIORITY_USER = 0  # a person waits in front of a page
PRIORITY_BATCH = 10  # imports, demo data, re-analyses


class Analysis(Job):
    """One run of the pipeline over one series.

    States and their transitions (each write is a conditional update on the old state):

    ========== ================ =====================================================
    from       to               when
    ========== ================ =====================================================
    QUEUED     RUNNING          a worker claims it (attempt + 1, lease)
    QUEUED     CANCELLED        its series is no longer the chosen one
    RUNNING    DONE             result stored by the attempt that holds the lease
    RUNNING    FAILED           unusable series, unexpected error, or attempts used up
    RUNNING    QUEUED           lease run out (dead worker) or a passing fault
    RUNNING    CANCELLED        the same, but a newer run of the series waits already
    FAILED     QUEUED           a user asks to try again
    ========== ================ =====================================================
    """

    SITE_PATH = "series__study__patient__site"

    class State(models.TextChoices):
        QUEUED = "QUEUED", _("Waiting")
        RUNNING = "RUNNING", _("Running")
        DONE = "DONE", _("Done")
        FAILED = "FAILED", _("Failed")
        CANCELLED = "CANCELLED", _("Cancelled")

    series = models.ForeignKey(Series, on_delete=models.CASCADE, related_name="analyses")
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    priority = models.SmallIntegerField(default=PRIORITY_USER)
    slice_count = models.PositiveIntegerField(default=0, help_text="Stored slices of the series that this run covers")
    stage = models.CharField(max_length=32, blank=True)
    error = models.TextField(blank=True, help_text="A sentence for a clinician")
    superseded = models.BooleanField(default=False, help_text="A newer run of the series was queued")
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    report = models.JSONField(null=True, blank=True, help_text="The pipeline's report, as the contract says")
    corona_score_cm3 = models.FloatField(null=True, blank=True)
    corona_score_paper_cm3 = models.FloatField(null=True, blank=True)
    score_variation = models.FloatField(
        null=True, blank=True, help_text="Coefficient of variation of the Corona score over variants of one scan"
    )
    positive_ratio = models.FloatField(null=True, blank=True)
    threshold = models.FloatField(null=True, blank=True)
    suspected = models.BooleanField(null=True)
    lung_volume_ml = models.FloatField(null=True, blank=True)
    quality = models.JSONField(default=list, blank=True, help_text="[{code, message}], as in the report")
    needs_check = models.BooleanField(default=False, help_text="One of the quality flags is severe")
    model_versions = models.JSONField(default=list, blank=True, help_text="[{name, version, sha256}], as in the report")
    method_version = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="Of the code that measures, as in the report; results of before do not tell"
    )
    opacity_percent = models.FloatField(null=True, blank=True, help_text="Of the lung volume")
    heatmap = models.FileField(blank=True, max_length=255, help_text="gzip, see analysis/storage.py")
    opacity_map = models.FileField(blank=True, max_length=255, help_text="gzip, see analysis/storage.py")
    findings_map = models.FileField(blank=True, max_length=255, help_text="gzip, see analysis/storage.py")
    lungs_map = models.FileField(blank=True, max_length=255, help_text="gzip, see analysis/storage.py")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=["QUEUED", "RUNNING", "DONE", "FAILED", "CANCELLED"]),
                name="analysis_state_known",
            ),
            models.CheckConstraint(
                condition=~models.Q(state="DONE") | models.Q(report__isnull=False), name="analysis_done_has_report"
            ),
            models.UniqueConstraint(
                fields=["series"], condition=models.Q(state="QUEUED"), name="analysis_one_queued_per_series"
            ),
        ]
        indexes = [
            models.Index(fields=["state", "priority", "created_at"], name="analysis_queue"),
            models.Index(fields=["series", "state", "-created_at"], name="analysis_current"),
        ]
        ordering = ["-created_at", "-pk"]
        verbose_name_plural = _("analyses")

    def __str__(self) -> str:
        return f"analysis {self.pk}"

    @property
    def overruled(self) -> bool | None:
        """What a reader last signed of the study, suspected or not, where the networks say otherwise; else None."""
        signed = (
            Reading.objects.filter(study=self.series.study_id, state=Reading.State.SIGNED)
            .select_related("analysis")
            .first()
        )
        return signed.overruling(self) if signed else None

    @property
    def is_active(self) -> bool:
        return self.state in ACTIVE

    @property
    def slice_spacing_mm(self) -> float | None:
        """Between the slices that were analysed: the series may hold others by now."""
        z_mm = [each["z_mm"] for each in self.report["slices"]]
        return (z_mm[0] - z_mm[-1]) / (len(z_mm) - 1) if len(z_mm) > 1 else None

    @property
    def slice_counts(self) -> dict[str, int]:
        """How many slices show lung, and how many of them the networks call abnormal."""
        slices = self.report["slices"]
        return {
            "lung": sum(each["probability"] is not None for each in slices),
            "positive": sum(each["positive"] is True for each in slices),
        }

    @property
    def weights(self) -> frozenset[str]:
        """The sha256 of each network's weights file."""
        return frozenset(model["sha256"] for model in self.model_versions)

    @property
    def made_by(self) -> tuple[frozenset[str], int | None]:
        """What made the numbers: those of two results are of one kind where it is the same."""
        return self.weights, self.method_version

    def newest_corrections(self) -> dict[str, "SliceCorrection"]:
        """What readers last said of each slice, by SOP instance UID."""
        return {each.sop_instance_uid: each for each in reversed(self.corrections.all())}

    @property
    def called_normal(self) -> set[str]:
        """SOP instance UIDs of the slices that readers last called normal."""
        return {uid for uid, each in self.newest_corrections().items() if not each.abnormal}


class Finding(models.Model):
    """One of the report's findings, as ``pipeline/report.py`` describes them, so that they can be listed."""

    SITE_PATH = "analysis__series__study__patient__site"

    analysis = models.ForeignKey(Analysis, on_delete=models.CASCADE, related_name="findings")
    number = models.PositiveSmallIntegerField(help_text="Its place in the report and its label in the map, from 1")
    kind = models.CharField(max_length=32)
    texture = models.CharField(max_length=32)
    lung = models.CharField(max_length=8)
    zone = models.CharField(max_length=8)
    centroid_mm = models.JSONField(help_text="[x, y, z] in DICOM patient coordinates")
    volume_ml = models.FloatField()
    long_axis_mm = models.FloatField()
    short_axis_mm = models.FloatField()
    mean_hu = models.FloatField()
    calcified = models.BooleanField()
    confidence = models.FloatField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["analysis", "number"], name="finding_number_once")]
        ordering = ["analysis", "number"]

    def __str__(self) -> str:
        return f"finding {self.number} of {self.analysis}"


class WithUser(models.Manager):
    """Words of readers are never shown without who said them."""

    def get_queryset(self) -> models.QuerySet:
        return super().get_queryset().select_related("user")


class SliceCorrection(models.Model):
    """A reader says of a slice whether it is abnormal, whatever the networks said: their result stays as it is.

    A row is never changed. A reader may say otherwise later: the newest row of a slice counts.
    """

    SITE_PATH = "analysis__series__study__patient__site"

    analysis = models.ForeignKey(Analysis, on_delete=models.CASCADE, related_name="corrections")
    sop_instance_uid = models.CharField(max_length=128, help_text="The slice in the analysis' report")
    abnormal = models.BooleanField(help_text="What the reader says of the slice")
    reason = models.TextField(blank=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    objects = WithUser()

    class Meta:
        ordering = ["-created_at", "-pk"]

    def __str__(self) -> str:
        return f"correction {self.pk}"


class FindingReview(models.Model):
    """A reader says of a finding whether it is one, or marks one that the networks missed: their result stays as it is.

    A row is never changed: the newest of a number counts. Numbers above those of the result are findings of readers.
    """

    SITE_PATH = "analysis__series__study__patient__site"

    analysis = models.ForeignKey(Analysis, on_delete=models.CASCADE, related_name="finding_reviews")
    number = models.PositiveSmallIntegerField(help_text="As in the report, or the next one for a reader's own")
    present = models.BooleanField(help_text="Whether the reader says that it is a finding")
    centroid_mm = models.JSONField(
        null=True, blank=True, help_text="[x, y, z] in DICOM patient coordinates, of a reader's own"
    )
    long_axis_mm = models.FloatField(null=True, blank=True, help_text="As the reader measured their own")
    reason = models.TextField(blank=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    objects = WithUser()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(centroid_mm__isnull=True, long_axis_mm__isnull=True)
                | models.Q(centroid_mm__isnull=False, long_axis_mm__gt=0),
                name="finding_review_own_is_measured",
            )
        ]
        ordering = ["-created_at", "-pk"]

    def __str__(self) -> str:
        return f"review {self.pk} of finding {self.number}"


class Reading(models.Model):
    """What a reader says of a study, with one result in view. DRAFT → SIGNED, and what is signed never changes: an
    addendum is the next version. A study has one draft at most."""

    SITE_PATH = "study__patient__site"

    class State(models.TextChoices):
        DRAFT = "DRAFT", _("Draft")
        SIGNED = "SIGNED", _("Signed")

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="readings")
    version = models.PositiveSmallIntegerField(help_text="1 is the report, later ones are addenda")
    state = models.CharField(max_length=6, choices=State, default=State.DRAFT)
    analysis = models.ForeignKey(
        Analysis,
        on_delete=models.RESTRICT,
        related_name="readings",
        help_text="The result in view, which stays with it",
    )
    reader = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+", help_text="Who saved it last"
    )
    suspected = models.BooleanField(help_text="What the reader decides, whatever the networks say")
    reason = models.TextField(blank=True, help_text="Why the reader decides otherwise than the networks")
    impression = models.TextField(blank=True)
    saved_at = models.DateTimeField(default=timezone.now)
    signed_at = models.DateTimeField(null=True, blank=True)
    signed_by = models.CharField(
        max_length=150, blank=True, help_text="Whose signature it is; stays where the user is renamed or deleted"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["study", "version"], name="reading_version_once"),
            models.UniqueConstraint(fields=["study"], condition=models.Q(state="DRAFT"), name="reading_one_draft"),
            models.CheckConstraint(
                condition=models.Q(state="DRAFT", signed_at=None) | models.Q(state="SIGNED", signed_at__isnull=False),
                name="reading_signed_when",
            ),
        ]
        ordering = ["study", "-version"]

    def __str__(self) -> str:
        return f"reading {self.pk}"

    def save(self, **how: Any) -> None:
        """ValueError where it is signed already."""
        if self.pk and Reading.objects.filter(pk=self.pk, state=self.State.SIGNED).exists():
            raise ValueError(f"reading {self.pk} is signed: it never changes")
        super().save(**how)

    @property
    def overrules(self) -> bool:
        """Whether the reader decides otherwise than the result in view."""
        return self.overruling(self.analysis) is not None

    def overruling(self, result: Analysis) -> bool | None:
        """What the reader decides, suspected or not, where it is not what a result says; else None. Nobody who did not
        see what a result suspects has said that it is nothing."""
        if self.suspected == result.suspected or (not self.suspected and self.is_superseded_by(result)):
            return None
        return self.suspected

    def is_superseded_by(self, result: Analysis) -> bool:
        """Whether a result says what the reader has not seen: made of other slices than the one in view, or with
        another decision of the networks."""
        here, seen = ((each.suspected, each.series_id, each.slice_count) for each in (result, self.analysis))
        return here != seen

    @property
    def token(self) -> str:
        """Changes with every save: who writes on says which one they saw."""
        return f"{self.pk}-{self.saved_at.isoformat()}"


class Comparison(Job):
    """What changed from one result of a patient to the next: QUEUED → RUNNING → DONE or FAILED, as for analyses.

    One for each two results that follow each other, and for others where a user asks; those of results that newer ones
    replaced stay.
    """

    SITE_PATH = "analysis__series__study__patient__site"

    class State(models.TextChoices):
        QUEUED = "QUEUED", _("Waiting")
        RUNNING = "RUNNING", _("Running")
        DONE = "DONE", _("Done")
        FAILED = "FAILED", _("Failed")

    analysis = models.ForeignKey(Analysis, on_delete=models.CASCADE, related_name="comparisons")
    prior = models.ForeignKey(Analysis, on_delete=models.CASCADE, related_name="later_comparisons")
    days = models.PositiveIntegerField(help_text="Between the two studies")
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    priority = models.SmallIntegerField(default=PRIORITY_USER)
    error = models.TextField(blank=True, help_text="A sentence for a clinician")
    finished_at = models.DateTimeField(null=True, blank=True)
    change = models.JSONField(null=True, blank=True, help_text="As analysis/pipeline/change.py describes it")
    change_map = models.FileField(blank=True, max_length=255, help_text="gzip, see analysis/storage.py")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["analysis", "prior"], name="comparison_once"),
            models.CheckConstraint(
                condition=models.Q(state__in=["QUEUED", "RUNNING", "DONE", "FAILED"]), name="comparison_state_known"
            ),
            models.CheckConstraint(
                condition=~models.Q(state="DONE") | models.Q(change__isnull=False), name="comparison_done_has_change"
            ),
        ]
        indexes = [models.Index(fields=["state", "priority", "created_at"], name="comparison_queue")]
        ordering = ["-created_at", "-pk"]

    def __str__(self) -> str:
        return f"comparison {self.pk}"

    @property
    def is_active(self) -> bool:
        return self.state in ACTIVE


class NetworkSet(models.Model):
    """Networks that an administrator added (``manage.py add_networks``) and may let analyse in place of the released.

    Without an active row those in ``analysis/weights`` analyse. A row stays, so a name never stands for other files.
    """

    name = models.SlugField(max_length=64, unique=True, help_text="Also the name of its folder in MODELS_ROOT")
    card = models.TextField(
        help_text="Markdown: what it was trained on, and how it compares with the released networks"
    )
    versions = models.JSONField(help_text="[{name, version, sha256}], as in the report of its analyses")
    added_at = models.DateTimeField(default=timezone.now)
    active = models.BooleanField(default=False, help_text="Analyses are made by it now")
    activated_at = models.DateTimeField(null=True, blank=True, help_text="The last time")
    activated_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["active"], condition=models.Q(active=True), name="network_set_one_active")
        ]
        ordering = ["-added_at", "-pk"]

    def __str__(self) -> str:
        return self.name

    @property
    def folder(self) -> Path:
        return settings.MODELS_ROOT / self.name

    @property
    def weights(self) -> frozenset[str]:
        """The sha256 of each file, as ``Analysis.weights`` has them."""
        return frozenset(model["sha256"] for model in self.versions)


class SavedFilter(models.Model):
    """A user's filter of the worklist under a name."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="saved_filters")
    name = models.CharField(max_length=40)
    address = models.TextField(help_text="As worklist.Filter writes it: show=suspected&site=main")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "name"], name="saved_filter_name_once")]
        ordering = ["name"]

    def __str__(self) -> str:
        return f"filter {self.pk}"


class WorkerSeen(models.Model):
    """The last sign of life of a worker; ``/readyz`` asks for a recent one."""

    hostname = models.CharField(max_length=255, primary_key=True)
    seen_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name_plural = _("workers seen")

    def __str__(self) -> str:
        return self.hostname
