"""Two time points of a patient side by side."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from patients.access import visible_or_404
from patients.models import Patient

from . import lesions, services
from .formats import HEAT_OPACITY, HEAT_THRESHOLD
from .models import Comparison
from .trend import TimePoint, trend
from .viewer_scan import map_of, scan_of


@require_safe
@never_cache
def compare(request: HttpRequest, pk: int) -> HttpResponse:
    """``?then=`` and ``?now=`` name studies; without them the last two results."""
    patient = visible_or_404(Patient.objects.select_related("site"), request.user, pk)
    points = [point for point in trend(patient) if point.in_trend and point.corona_score_cm3 is not None]
    if len(points) < 2:
        raise Http404("There are no two results to compare yet.")
    then, now = _pair(request, points)
    found = lesions.comparisons(points)
    comparison = found.get((then.analysis.pk, now.analysis.pk))
    both = [
        (lesion, lesion.along([then, now]), lesion.between(then, now)) for lesion in lesions.followed(points, found)
    ]
    context = {
        "section": "patients",
        "patient": patient,
        "points": points,
        "then": then,
        "now": now,
        "panes": [("then", then, _scan(then)), ("now", now, _scan(now))],
        "change": comparison.change if comparison else None,
        "change_map": map_of(comparison, "change_map"),
        "prior_z_mm": _prior_z_mm(comparison),
        "waiting": bool(comparison and comparison.is_active),
        "failed": comparison.error if comparison and not comparison.is_active else "",
        "adjacent": points.index(now) - points.index(then) == 1,
        "lesions": [row for row in both if row[-1]],
        "heat_opacity": HEAT_OPACITY,
        "heat_threshold": HEAT_THRESHOLD,
        "address": reverse("pages:compare", args=[patient.pk]),
    }
    return render(request, "pages/compare.html", context)


@require_POST
def compare_again(request: HttpRequest, pk: int) -> HttpResponse:
    """Try a failed comparison again; the page that asked hears that it waits."""
    services.compare_again(visible_or_404(Comparison, request.user, pk))
    return HttpResponse(status=204, headers={"HX-Trigger": "comparison-queued"})


def _pair(request: HttpRequest, points: list[TimePoint]) -> tuple[TimePoint, TimePoint]:
    """The earlier and the later of the studies that the address names."""
    named = []
    for name, otherwise in (("then", points[-2]), ("now", points[-1])):
        wanted = request.GET.get(name)
        named.append(next((point for point in points if str(point.study.pk) == wanted), None) if wanted else otherwise)
    if None in named:
        raise Http404
    first, second = sorted(named, key=points.index)
    if first == second:  # the one before it, or after it
        at = points.index(first)
        return (points[at - 1], first) if at else (first, points[1])
    return first, second


def _scan(point: TimePoint) -> dict[str, Any]:
    """The scan for the viewer; the report is deferred in the trend, so this reads it."""
    return scan_of(point.study.chosen_series, point.analysis)


def _prior_z_mm(comparison: Comparison | None) -> list[float | None] | None:
    """None where the two are not registered, or were by an earlier version that did not keep it."""
    return comparison.change.get("prior_z_mm") if comparison and comparison.change else None
