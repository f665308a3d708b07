"""A reader's report: its draft, its signature, its addenda."""

from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from patients.models import Study

from .models import Analysis, Reading
from .services import Refusal
from .trend import trend

NOTHING_TO_READ = _("This CT has no result yet, so there is nothing to report.")


def save_draft(
    study: Study, *, user: Any, seen: str, result: int, suspected: bool, reason: str, impression: str
) -> Reading:
    """Save the study's draft; after a signed version it is an addendum.

    ``seen``: the token of the newest reading that the user saw, "" for none; ``result``: the analysis in view. Refusal
    where either is another one by now, or there is no result to read.
    """
    with transaction.atomic():
        newest = _newest_reading(study, seen)
        current_result = next(point.analysis for point in trend(study.patient) if point.study.pk == study.pk)
        if current_result is None or current_result.state != Analysis.State.DONE:
            raise Refusal(NOTHING_TO_READ)
        if current_result.pk != result:
            raise Refusal(_("There is a newer result of this CT: look at its numbers before you report."))
        is_draft = newest is not None and newest.state == Reading.State.DRAFT
        reading = newest if is_draft else Reading(study=study, version=newest.version + 1 if newest else 1)
        reading.analysis, reading.reader, reading.suspected = current_result, user, suspected
        reading.reason = reason.strip() if reading.overrules else ""  # of an agreement there is none to give
        reading.impression, reading.saved_at = impression.strip(), timezone.now()
        reading.save()
        return reading


def _newest_reading(study: Study, seen: str) -> Reading | None:
    """Refusal where it is not the one that the user saw."""
    Study.objects.select_for_update().get(pk=study.pk)  # two readers at a time
    newest = study.readings.first()
    if (newest.token if newest else "") != seen:
        raise Refusal(_("Somebody else wrote on this report meanwhile: look at it before you go on."))
    return newest


def sign(reading: Reading, *, user: Any) -> None:
    """Sign a draft for good. Refusal where something is missing, and where it is signed or changed already."""
    if reading.overrules and not reading.reason:
        raise Refusal(_("Say why you decide otherwise than the networks; the draft is kept."))
    if not reading.impression:
        raise Refusal(_("A report without an impression cannot be signed; the draft is kept."))
    draft = Reading.objects.filter(pk=reading.pk, state=Reading.State.DRAFT, saved_at=reading.saved_at)
    if not draft.update(
        state=Reading.State.SIGNED, signed_at=timezone.now(), signed_by=user.get_username(), reader=user
    ):
        raise Refusal(_("Somebody else changed this report meanwhile: look at it again before you sign."))
    Study.objects.filter(pk=reading.study_id, reader=None).update(reader=user)  # nobody else is to be asked


def is_written(
    study: Study, *, user: Any, result: int, suspected: bool, reason: str, impression: str, sign: bool
) -> bool:
    """Whether the user has just saved the same, or signed it: a button pressed twice."""
    newest = study.readings.first()
    return (
        newest is not None
        and newest.state == (Reading.State.SIGNED if sign else Reading.State.DRAFT)
        and (
            (newest.reader, newest.analysis_id, newest.suspected, newest.reason, newest.impression)
            == (user, result, suspected, reason.strip() if newest.overrules else "", impression.strip())
        )
    )


def discard_draft(study: Study, *, seen: str) -> None:
    """Forget what is not signed. Refusal where it is not what the user saw."""
    with transaction.atomic():
        newest = _newest_reading(study, seen)
        if newest and newest.state == Reading.State.DRAFT:
            newest.delete()
