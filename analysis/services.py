"""What users and their programs can ask for: the one way in and the one way to queue an analysis.

Page, API and command call these functions; the worker calls
:func:`work_off` and :func:`run`.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.files.base import File
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from patients import ingest
from patients.dicom import EARLIEST_SCAN
from patients.models import Patient, Series, Site, Study, Upload, UploadPart

from . import comparisons, network_sets, queue, series_choice, storage
from .models import ACTIVE, PRIORITY_BATCH, PRIORITY_USER, Analysis, SliceCorrection
from .pipeline.decoder import Decoder
from .pipeline.report import METHOD_VERSION
from .pipeline.series import Geometry, check_series, read_header
from .stored_text import stored_text
from .trend import current, trend

if TYPE_CHECKING:
    from .pipeline.run import Analysis as Result

logger = logging.getLogger(__name__)

PROGRESS_EVERY_SECONDS = 0.5
PLEASE_CHECK = gettext_noop("Please check: {mismatch!s}")
NOTHING_STORED = gettext_noop("No file could be stored: see the reason beside each.")
NO_FILES = gettext_noop(
    "There was no file in what was sent, but for those that computers add (such as .DS_Store): choose the scan."
)
UNREADABLE = gettext_noop("This series could not be read for an unexpected reason, which is logged: tell your IT.")
NO_NETWORKS = gettext_noop(
    "The networks that analyse are missing or damaged on the server: tell your IT, then try again."
)
TOO_EARLY = _("There was no CT before {year}: enter the day on which this one was taken.")
CANNOT_BE_ANALYSED = _("This series cannot be analysed: {reason}")
NO_RESULT = _("This analysis has no result yet, so there is nothing to correct.")
UNKNOWN_SLICE = _("This slice is not part of the result: load the page again and look which one is meant.")
DISCARDED = {  # the state that is left: the one that follows, and why
    Upload.State.NEEDS_CONFIRMATION: (
        Upload.State.DONE,
        gettext_noop("The files that did not fit the patient were discarded."),
    ),
    Upload.State.RECEIVING: (
        Upload.State.FAILED,
        gettext_noop("Cancelled before all files were sent: nothing was stored."),
    ),
}
NEWER_RUN = {  # why an older one is not tried again
    Analysis.State.RUNNING: _("A newer analysis of this series is running already."),
    Analysis.State.DONE: _("A newer analysis of this series is done: its result counts."),
    Analysis.State.FAILED: _("A newer analysis of this series failed too: try that one again."),
}


class Refusal(Exception):
    """The request cannot be done as things stand; the text says why, for the user."""


class NoNetworks(Exception):
    """Those that should analyse are not whole, or this version of the program cannot run them."""


# --- Receiving ----------------------------------------------------------------------------------


def receive(files: Iterable[File], *, site: Site, user: Any = None, patient: Patient | None = None) -> Upload:
    """Keep the files as they came and queue their working off. Refusal where there are none."""
    upload = Upload(site=site, user=user, patient=patient)
    parts: list[UploadPart] = []
    try:
        for number, file in enumerate(files):
            part = UploadPart(upload=upload, number=number, name=safe_name(file.name or f"file {number + 1}"))
            part.file.save(part.name, file, save=False)
            parts.append(part)
        if not parts:
            raise Refusal(_("Nothing was received: choose DICOM files, a folder or a zip."))
        with transaction.atomic():
            upload.save(force_insert=True)
            UploadPart.objects.bulk_create(parts)
            queue.wake()
    except BaseException:  # also Ctrl-C in the midst of an import: no row would ever lead to these files
        for part in parts:
            part.file.delete(save=False)
        raise
    return upload


def safe_name(name: str) -> str:
    """The name as shown to the user, printable and not too long."""
    shown = "".join(c if c.isprintable() else "�" for c in name.replace("\\", "/"))
    return shown[-200:]


def confirm(upload: Upload, *, user: Any) -> None:
    """The user says that the scan is of the named patient all the same: work it off again.

    Refusal where the files name several people: one word cannot mean them all.
    """
    if len(upload.held_for) > 1:
        raise Refusal(_("The files held back name several people: discard them and send those of each one alone."))
    with transaction.atomic():
        held = Upload.objects.filter(pk=upload.pk, state=Upload.State.NEEDS_CONFIRMATION)
        again = {"state": Upload.State.RECEIVED, "attempt": 0, "enqueued_at": timezone.now()}
        if not held.update(**again, confirmed_by=user.get_username()):
            raise Refusal(_("This upload does not wait for a confirmation."))
        queue.wake()


def discard(upload: Upload) -> None:
    """The user says that the held files were sent to the wrong patient, or stops sending: forget them."""
    for state, (end, words) in DISCARDED.items():
        row = Upload.objects.filter(pk=upload.pk, state=state)
        if row.update(state=end, reason=words, held_for=[], announced=[]):
            upload.forget_parts()
            return
    raise Refusal(_("This upload does not wait for a confirmation."))


def work_off(upload: Upload) -> None:
    """Store an upload's files and queue what is to be analysed (the worker's part of receiving)."""
    write_progress = _throttled(lambda fraction: queue.write(upload, progress=fraction))
    with storage.whole_files(upload.parts.all()) as received, Decoder() as decoder:
        ingested = ingest.store(upload, received, write_progress, decoder.why_undecodable)
    for series in ingested.series.values():
        _judge(series, clashes=ingested.collisions[series.pk])
    studies = Study.objects.filter(series__in=ingested.series).distinct()
    runs = [run for study in studies if (run := _run_for(study, priority=_priority(upload)))]
    for patient in Patient.objects.filter(studies__in=studies).distinct():
        comparisons.queue_for(patient)  # the files may say at last when a CT was taken
    stored_some = any(outcome.outcome in ("stored", "already_stored") for outcome in ingested.files)
    waits = bool(ingested.mismatch)
    if waits:
        state, reason = Upload.State.NEEDS_CONFIRMATION, PLEASE_CHECK.format(mismatch=ingested.mismatch)
    elif stored_some:
        state, reason = Upload.State.DONE, ""
    elif ingested.files:
        state, reason = Upload.State.FAILED, NOTHING_STORED
    else:
        state, reason = Upload.State.FAILED, NO_FILES
    queue.write(
        upload,
        state=state,
        reason=reason,
        progress=1,
        lease_until=None,
        files=[asdict(outcome) for outcome in ingested.files],
        held_for=ingested.held_for,
        series=series_choice.outcomes(ingested.series),
        studies=[study.pk for study in studies],
        analyses=[run.pk for run in runs],
    )
    if not waits:
        upload.forget_parts()


def _judge(series: Series, *, clashes: int) -> None:
    """Judge one series; what goes wrong with it is its own reason, and nothing else in the upload is lost."""
    try:
        series_choice.judge(series, clashes=clashes)
    except queue.PASSING_FAULTS:
        raise
    except Exception:
        logger.exception("%s could not be judged", series)
        Series.objects.filter(pk=series.pk).update(
            usable=False, reason=UNREADABLE, slice_count=series.instances.count()
        )


def _priority(upload: Upload) -> int:
    return PRIORITY_USER if upload.user_id else PRIORITY_BATCH


# --- Analyses -----------------------------------------------------------------------------------


def _run_for(study: Study, *, priority: int) -> Analysis | None:
    """The run that speaks for the study, queued now where none covers the slices of its chosen series.

    What waits for its other series is cancelled, and a series that cannot be analysed gets no run.
    """
    with transaction.atomic():
        study = Study.objects.select_for_update().get(pk=study.pk)
        series = series_choice.choose(study)
        promising = series if series and series.usable else None
        Analysis.objects.filter(series__study=study, state=Analysis.State.QUEUED).exclude(series=promising).update(
            state=Analysis.State.CANCELLED, finished_at=timezone.now()
        )
        if series is None:
            return None
        runs = list(Analysis.objects.filter(series=series).exclude(state=Analysis.State.CANCELLED))
        if not series.usable:
            return current(runs)
        Analysis.objects.filter(series=series, state=Analysis.State.QUEUED, priority__gt=priority).update(
            priority=priority  # a person waits now for what batch work queued
        )
        covering = [run for run in runs if run.slice_count == series.slice_count]
        return current(covering) or queue_analysis(series, priority=priority)


def queue_analysis(series: Series, *, priority: int = PRIORITY_USER) -> Analysis:
    """Queue a run over the series as it is stored now; earlier runs are kept and marked superseded."""
    with transaction.atomic():
        runs = Analysis.objects.filter(series=series)
        runs.exclude(state=Analysis.State.QUEUED).update(superseded=True)
        analysis, is_new = Analysis.objects.get_or_create(
            series=series,
            state=Analysis.State.QUEUED,
            defaults={"priority": priority, "slice_count": series.slice_count},
        )
        if not is_new:  # it has not read the files yet, so it covers the new slices too
            runs.filter(pk=analysis.pk).update(
                slice_count=series.slice_count, priority=min(priority, analysis.priority)
            )
        queue.wake()
    return analysis


def retry(analysis: Analysis) -> None:
    """Queue a failed analysis again. Refusal where it did not fail, or a newer run of the series counts."""
    with transaction.atomic():
        Study.objects.select_for_update().get(series=analysis.series_id)  # as where a run is queued
        runs = Analysis.objects.filter(series=analysis.series_id).exclude(state=Analysis.State.CANCELLED)
        if runs.filter(state=Analysis.State.QUEUED).exists():
            raise Refusal(_("An analysis of this series is waiting already."))
        newest = runs.defer("report").first()
        if newest and newest.pk != analysis.pk:
            raise Refusal(NEWER_RUN[newest.state])
        if analysis.series.usable is False:
            raise Refusal(CANNOT_BE_ANALYSED.format(reason=stored_text(analysis.series.reason)))
        failed = Analysis.objects.filter(pk=analysis.pk, state=Analysis.State.FAILED)
        if not failed.update(
            state=Analysis.State.QUEUED,
            attempt=0,
            error="",
            stage="",
            progress=0,
            priority=PRIORITY_USER,
            enqueued_at=timezone.now(),
            finished_at=None,
        ):
            raise Refusal(_("Only a failed analysis can be tried again."))
        queue.wake()


def reanalyse(study: Study, *, priority: int = PRIORITY_USER) -> Analysis:
    """Queue a new run of the study's series; the old result counts until the new one is done, and is kept.

    Refusal where no series is chosen or it cannot be analysed, and where a run of it waits or works.
    """
    with transaction.atomic():
        series = Study.objects.select_for_update().get(pk=study.pk).chosen_series
        if series is None:
            raise Refusal(_("No series of this CT is chosen for the analysis."))
        if not series.usable:
            raise Refusal(CANNOT_BE_ANALYSED.format(reason=stored_text(series.reason)))
        if Analysis.objects.filter(series=series, state__in=ACTIVE).exists():
            raise Refusal(_("An analysis of this CT is waiting or running already."))
        return queue_analysis(series, priority=priority)


def outdated(patients: Iterable[Patient]) -> Iterator[Study]:
    """The studies whose result was made by other networks, or measured in another way, than one made now would be."""
    now = network_sets.weights_of(network_sets.active()), METHOD_VERSION
    for patient in patients:
        for point in trend(patient):
            if point.analysis and point.analysis.state == Analysis.State.DONE and point.analysis.made_by != now:
                yield point.study


def choose_series(study: Study, series: Series) -> None:
    """A user chooses the series of the study. Refusal where it has no result and can have none."""
    if series.study_id != study.pk or not (series.usable or series_choice.counts(series)):
        raise Refusal(CANNOT_BE_ANALYSED.format(reason=stored_text(series.reason) or _("it belongs to another study.")))
    with transaction.atomic():
        Study.objects.filter(pk=study.pk).update(chosen_series=series, chosen_by_hand=True)
        _run_for(study, priority=PRIORITY_USER)
        comparisons.queue_for(study.patient)


def date_study(study: Study, day: date) -> None:
    """A user says when a CT was taken whose files do not. Refusal where they do, or the day makes no sense."""
    if day > study.patient.site.today:
        raise Refusal(_("This day is yet to come: enter the day on which the CT was taken."))
    if day < EARLIEST_SCAN:
        raise Refusal(TOO_EARLY.format(year=EARLIEST_SCAN.year))
    with transaction.atomic():
        open_to_users = Study.objects.filter(Q(study_date=None) | Q(dated_by_hand=True), pk=study.pk)
        if not open_to_users.update(study_date=day, dated_by_hand=True):
            raise Refusal(_("The files of this CT say when it was taken."))
        comparisons.queue_for(study.patient)


def run(analysis: Analysis) -> None:
    """Run the pipeline over the analysis' series and store the result (the worker's part). Raises NoNetworks."""

    def write(stage: str, fraction: float) -> None:
        queue.write(analysis, stage=stage, progress=fraction)

    with storage.local_images(analysis.series.instances.all()) as paths:
        geometry = check_series([read_header(path) for path in paths])
        result = _analysed(geometry, on_progress=_throttled(write))
    patient = analysis.series.study.patient
    storage.save_result(analysis, result, and_then=lambda: comparisons.queue_for(patient))


def _analysed(geometry: Geometry, on_progress: Callable[[str, float], None]) -> "Result":
    """What the networks that an administrator chose, else the released ones, say of a series."""
    network_set = network_sets.active()
    if not network_sets.folder_of(network_set).is_dir():  # not mounted on this machine: another try may find it
        raise FileNotFoundError(f"there is no {network_sets.folder_of(network_set)}")
    if fault := network_sets.fault(network_set):
        logger.error("the networks in %s cannot analyse: %s", network_sets.folder_of(network_set), fault)
        raise NoNetworks(NO_NETWORKS)
    from .pipeline.run import analyse  # imports torch: only a worker comes here
    from .pipeline.weights import WeightsMissing

    folder = network_sets.folder_of(network_set)
    try:
        return analyse(geometry, device=settings.ANALYSIS_DEVICE, weights=folder, on_progress=on_progress)
    except WeightsMissing as misfit:  # whole, but made for another version of the program
        logger.exception("the networks in %s cannot analyse", folder)
        raise NoNetworks(NO_NETWORKS) from misfit


def correct(
    analysis: Analysis, *, user: Any, sop_instance_uid: str, abnormal: bool, reason: str = ""
) -> SliceCorrection:
    """A reader says what a slice shows; what the networks said of it stays. Refusal where there is no such result."""
    if analysis.state != Analysis.State.DONE:
        raise Refusal(NO_RESULT)
    if not any(each["sop_instance_uid"] == sop_instance_uid for each in analysis.report["slices"]):
        raise Refusal(UNKNOWN_SLICE)
    return SliceCorrection.objects.create(
        analysis=analysis, user=user, sop_instance_uid=sop_instance_uid, abnormal=abnormal, reason=reason.strip()
    )


def _throttled(write: Callable[..., None]) -> Callable[..., None]:
    """Calls ``write(fraction)`` or ``write(stage, fraction)`` at most every PROGRESS_EVERY_SECONDS.

    More would only load the database. A new stage is written at once: the next call may be many seconds away.
    """
    last = -PROGRESS_EVERY_SECONDS
    stage_written: tuple[Any, ...] | None = None

    def maybe_write(*values: Any) -> None:
        nonlocal last, stage_written
        *stage, _ = values
        if tuple(stage) != stage_written or time.monotonic() - last >= PROGRESS_EVERY_SECONDS:
            write(*values)
            last, stage_written = time.monotonic(), tuple(stage)

    return maybe_write
