"""Sites and their users; patients, studies (time points), series, instances; uploads."""

import uuid
from collections.abc import Iterable
from contextlib import suppress
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.files.storage import default_storage
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from .search import searchable


def check_time_zone(name: str) -> None:
    if name not in available_timezones():
        raise ValidationError(_("There is no time zone of this name: enter one such as Europe/Berlin, or UTC."))


class Site(models.Model):
    """A hospital or department. Users see the patients of their own sites only (``access.py``)."""

    SITE_PATH = ""

    code = models.SlugField(max_length=32, unique=True)
    name = models.CharField(max_length=128)
    time_zone = models.CharField(max_length=64, default="UTC", validators=[check_time_zone])
    users = models.ManyToManyField(settings.AUTH_USER_MODEL, through="Membership", related_name="sites")

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def today(self) -> date:
        """In its own time zone."""
        return timezone.localdate(timezone=ZoneInfo(self.time_zone))


class Membership(models.Model):
    """A user belongs to a site."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["site", "user"], name="membership_once")]

    def __str__(self) -> str:
        return f"{self.user} at {self.site}"


def name_text(patient_name: str) -> str:
    """A DICOM name, Family^Given^Middle^Prefix^Suffix (PS3.5 6.2.1), as people write it, or a word for its absence."""
    parts = [part.strip() for part in patient_name.split("=")[0].split("^")]
    family, given, middle, prefix, *suffix = parts + [""] * (4 - len(parts))
    named = " ".join(part for part in (prefix, given, middle, family, *suffix) if part)
    return named or gettext("No name given")


class Patient(models.Model):
    """A patient is (site, PatientID, IssuerOfPatientID)."""

    SITE_PATH = "site"

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="patients")
    patient_id = models.CharField(_("patient ID"), max_length=64)
    issuer_of_patient_id = models.CharField(max_length=64, blank=True)
    patient_name = models.CharField(max_length=324, blank=True, help_text="PatientName as in the file: Family^Given")
    birth_date = models.DateField(null=True, blank=True)
    sex = models.CharField(max_length=1, blank=True)
    symptom_onset = models.DateField(null=True, blank=True, help_text="First day of symptoms, as a user said")
    synthetic = models.BooleanField(default=False, help_text="Made by a generator, not a person")
    search_text = models.TextField(editable=False, help_text="Name and ID as they are searched (search.py)")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["site", "patient_id", "issuer_of_patient_id"], name="patient_once_per_site")
        ]
        ordering = ["patient_name", "patient_id"]

    def __str__(self) -> str:
        return f"patient {self.pk}"  # never the name: this string may reach a log

    def save(self, *args: Any, update_fields: Iterable[str] | None = None, **kwargs: Any) -> None:
        """Also keeps ``search_text`` true to name and ID."""
        self.search_text = searchable(self.patient_name, self.patient_id)
        if update_fields is not None:
            update_fields = {*update_fields, "search_text"}
        super().save(*args, update_fields=update_fields, **kwargs)

    @property
    def display_name(self) -> str:
        return name_text(self.patient_name)

    def age_on(self, day: date | None) -> int | None:
        """Whole years on a day; None where the birth date or the day is not known."""
        born = self.birth_date
        if born is None or day is None:
            return None
        return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


class PatientEvent(models.Model):
    """What happened to a patient on a day, in a few words: admission, a treatment."""

    SITE_PATH = "patient__site"

    patient = models.ForeignKey(Patient, on_delete=models.CASCADE, related_name="events")
    date = models.DateField()
    text = models.CharField(max_length=60)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["date", "pk"]

    def __str__(self) -> str:
        return f"event {self.pk}"


class Study(models.Model):
    """One CT exam: one time point. Undated studies are no point of the trend."""

    SITE_PATH = "patient__site"

    patient = models.ForeignKey(Patient, on_delete=models.CASCADE, related_name="studies")
    study_instance_uid = models.CharField(max_length=128)
    study_date = models.DateField(null=True, blank=True)
    dated_by_hand = models.BooleanField(default=False, help_text="A user said the date, as the files carry none")
    study_time = models.TimeField(null=True, blank=True)
    description = models.CharField(max_length=128, blank=True)
    age_years = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="PatientAge as the files say it, in whole years"
    )
    accepted_mismatch = models.TextField(blank=True, help_text="Who stored files of another name here, and when")
    chosen_series = models.ForeignKey(
        "Series",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        help_text="The one that is analysed",
    )
    chosen_by_hand = models.BooleanField(default=False, help_text="A user chose the series; uploads do not change it")
    reader = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="studies_to_read",
        help_text="Who is to read it",
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["patient", "study_instance_uid"], name="study_once_per_patient")]
        ordering = [models.F("study_date").asc(nulls_last=True), models.F("study_time").asc(nulls_last=True), "pk"]
        verbose_name_plural = _("studies")

    def __str__(self) -> str:
        return f"study {self.pk}"

    @property
    def age(self) -> int | None:
        """The patient's at this CT, in whole years: by the birth date, else as the files say it."""
        by_birth = self.patient.age_on(self.study_date)
        return self.age_years if by_birth is None else by_birth


class Series(models.Model):
    """A series as stored; ``usable`` is None until its geometry was looked at."""

    SITE_PATH = "study__patient__site"

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="series")
    series_instance_uid = models.CharField(max_length=128)
    series_number = models.IntegerField(null=True, blank=True)
    description = models.CharField(max_length=128, blank=True)
    convolution_kernel = models.CharField(max_length=64, blank=True)
    slice_count = models.PositiveIntegerField(default=0)
    slice_spacing_mm = models.FloatField(null=True, blank=True)
    usable = models.BooleanField(null=True)
    reason = models.TextField(blank=True, help_text="Why it is not usable, for a clinician")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["study", "series_instance_uid"], name="series_once_per_study")]
        ordering = ["series_number", "pk"]
        verbose_name_plural = _("series")

    def __str__(self) -> str:
        return f"series {self.pk}"


def instance_path(instance: "Instance", _filename: str) -> str:
    return f"instances/{instance.sha256[:2]}/{instance.sha256}.dcm"


class Instance(models.Model):
    """One stored DICOM file. One SOP Instance UID is stored once per site, with one content."""

    SITE_PATH = "series__study__patient__site"

    series = models.ForeignKey(Series, on_delete=models.CASCADE, related_name="instances")
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    sop_instance_uid = models.CharField(max_length=128)
    sha256 = models.CharField(max_length=64)
    file = models.FileField(upload_to=instance_path, max_length=255)
    instance_number = models.IntegerField(null=True, blank=True)
    z_mm = models.FloatField(null=True, blank=True, help_text="Position along the slice normal, set with the geometry")
    upload = models.ForeignKey(
        "Upload", on_delete=models.SET_NULL, null=True, related_name="+", help_text="The upload that brought it"
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["site", "sop_instance_uid"], name="instance_once_per_site")]
        ordering = [models.F("z_mm").desc(nulls_last=True), "instance_number", "pk"]

    def __str__(self) -> str:
        return f"instance {self.pk}"


class Job(models.Model):
    """Background work that survives the death of any process.

    The database row is the truth, a broker message only wakes a worker. A worker claims the row
    for ``lease_until`` and renews that while it lives (``analysis/queue.py``).
    """

    attempt = models.PositiveSmallIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    enqueued_at = models.DateTimeField(default=timezone.now, help_text="When a worker was last woken for it")
    created_at = models.DateTimeField(default=timezone.now)
    progress = models.FloatField(default=0, help_text="0 to 1")

    class Meta:
        abstract = True


class Upload(Job):
    """Files as received, worked off in the background; the outcome of each file and series."""

    SITE_PATH = "site"

    class State(models.TextChoices):
        RECEIVING = "receiving", _("Being sent")
        RECEIVED = "received", _("Received")
        WORKING = "working", _("Reading the files")
        DONE = "done", _("Done")
        NEEDS_CONFIRMATION = "needs_confirmation", _("Please confirm the patient")
        FAILED = "failed", _("Failed")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="uploads")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    patient = models.ForeignKey(
        Patient,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        help_text="The patient it was sent to",
    )
    confirmed_by = models.CharField(
        max_length=150, blank=True, help_text="Which user confirmed that the scan is of this patient"
    )
    held_for = models.JSONField(
        default=list,
        help_text="Whom files that wait for a confirmation name, and the patient (pk) they would go to: "
        "[{patient, patient_id, patient_name, birth_date, sex}]",
    )
    state = models.CharField(max_length=24, choices=State, default=State.RECEIVED)
    announced = models.JSONField(
        default=list,
        help_text="Of files that come piece by piece (analysis/piecewise.py), until all are here: [{name, size, mark}]",
    )
    heard_at = models.DateTimeField(default=timezone.now, help_text="When a piece came last")
    reason = models.TextField(blank=True)
    files = models.JSONField(default=list, help_text="[{name, outcome, reason}]")
    series = models.JSONField(default=list, help_text="[{id, series_instance_uid, used, reason}]")
    studies = models.JSONField(default=list, help_text="Ids of the studies the files belong to")
    analyses = models.JSONField(default=list, help_text="Ids of the analyses that cover the files")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(
                    state__in=["receiving", "received", "working", "done", "needs_confirmation", "failed"]
                ),
                name="upload_state_known",
            )
        ]
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"upload {self.pk}"

    def concerns(self, patient: Patient) -> bool:
        """Whether it was sent to the patient, or holds files that would go there."""
        return self.patient_id == patient.pk or any(each["patient"] == patient.pk for each in self.held_for)

    def forget_parts(self) -> None:
        """Delete the files as received, also those of requests that died before they had a row."""
        folder = parts_folder(self.pk)
        with suppress(FileNotFoundError):
            for name in default_storage.listdir(folder)[1]:
                default_storage.delete(f"{folder}/{name}")
        self.parts.all().delete()


def parts_folder(upload_id: uuid.UUID) -> str:
    return f"uploads/{upload_id}"


def part_path(part: "UploadPart", _filename: str) -> str:
    return f"{parts_folder(part.upload_id)}/{part.number:05d}.{part.piece:05d}"


class UploadPart(models.Model):
    """One file of an upload as received, or a piece of it; deleted with its file once the upload is worked off."""

    upload = models.ForeignKey(Upload, on_delete=models.CASCADE, related_name="parts")
    number = models.PositiveIntegerField()
    piece = models.PositiveIntegerField(default=0)
    name = models.CharField(max_length=512)
    file = models.FileField(upload_to=part_path, max_length=255)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["upload", "number", "piece"], name="upload_part_once")]
        ordering = ["number", "piece"]

    def __str__(self) -> str:
        return f"part {self.number} of upload {self.upload_id}"
