"""The reader's report: what is saved, signed and shown."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from patients.access import visible_or_404
from patients.models import Study

from . import services
from .impression import proposed
from .models import Comparison, Reading
from .trend import TimePoint


def reading_context(point: TimePoint, points: list[TimePoint], comparison: Comparison | None) -> dict[str, Any]:
    """What the report's part of the study page shows; ``point``: of a done analysis."""
    readings = list(point.study.readings.select_related("reader", "analysis"))
    signed = [each for each in readings if each.state == Reading.State.SIGNED]
    draft = next((each for each in readings if each.state == Reading.State.DRAFT), None)
    return {
        "draft": draft,
        "signed": signed,
        "begun": draft or (signed[0] if signed else None),
        "proposed": proposed(point, points, comparison),
    }


@require_POST
def save_reading(request: HttpRequest, pk: int) -> HttpResponse:
    """Save the draft, sign it or forget it, as ``action`` says."""
    study = visible_or_404(Study.objects.select_related("patient"), request.user, pk)
    action = request.POST.get("action")
    if action == "discard":
        services.discard_draft(study)
    elif action in ("save", "sign"):
        _save(request, study, sign=action == "sign")
    else:
        raise Http404
    return redirect(f"{reverse('pages:study', args=[study.pk])}#reading")


def _save(request: HttpRequest, study: Study, *, sign: bool) -> None:
    """What cannot be signed is kept as a draft, so that no typing is lost."""
    try:
        draft = services.save_draft(
            study,
            user=request.user,
            suspected=request.POST.get("suspected") == "yes",
            reason=request.POST.get("reason", ""),
            impression=request.POST.get("impression", ""),
        )
        if sign:
            services.sign(draft, user=request.user)
    except services.Refusal as refusal:
        messages.error(request, str(refusal))
        return
    messages.success(request, f"Version {draft.version} is signed." if sign else "The draft is saved.")
