"""Time points of a patient side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from django.db.models import prefetch_related_objects
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from patients.access import visible_or_404
from patients.models import Patient

from . import comparisons, lesions
from .formats import HEAT_OPACITY, HEAT_THRESHOLD
from .lesions import Became, Lane, Lesion
from .live import STOP_POLLING
from .matching import Match, match
from .models import Analysis, Comparison
from .trend import TimePoint, trend
from .viewer_scan import map_of, scan_of

MOST_PANES = 4


@dataclass(frozen=True)
class Pane:
    """One CT on the page. ``match``: where the newest one's slices lie in it, None for the newest itself;
    ``waiting``: the CTs between are still being compared; ``comparison``: with the pane before."""

    point: TimePoint
    match: Match | None
    waiting: bool
    comparison: Comparison | None

    @property
    def as_json(self) -> dict[str, Any]:
        """For ``static/src/compare/pane.ts``."""
        return {
            "scan": scan_of(self.point.study.chosen_series, self.point.analysis),
            "match": self.match and {"reference_z_mm": self.match.reference_z_mm, "z_mm": self.match.z_mm},
            "change_map": map_of(self.comparison, "change_map"),
        }


@require_safe
@never_cache
@vary_on_headers("HX-Request")
def compare(request: HttpRequest, pk: int) -> HttpResponse:
    """``?study=`` names a study, once for each; without any the last two results.

    An open page where comparisons wait asks whether they still do.
    """
    patient = visible_or_404(Patient.objects.select_related("site"), request.user, pk)
    points = _with_results(patient)
    shown = _shown(request, points)
    named = [each for each in request.GET.getlist("study") if each]
    from_htmx = bool(request.headers.get("HX-Request"))
    found = lesions.comparisons(points, with_change=not from_htmx)
    between = {point.analysis.pk for point in points[points.index(shown[0]) : points.index(shown[-1]) + 1]}
    waiting = " ".join(str(one.pk) for pair, one in found.items() if one.is_active and between.issuperset(pair))
    if from_htmx:
        if request.GET.get("waiting") == waiting:
            return HttpResponse(status=204)
        return HttpResponse(status=STOP_POLLING, headers={"HX-Trigger": "comparison-done"})
    _load(points, shown)
    panes = _panes(points, shown, found)
    rows = _lesions(lesions.followed(_course(points, shown, found), found), shown)
    opened = lesions.open_rows(lane.lesion for lane, _became in rows)
    context = {
        "section": "patients",
        "patient": patient,
        "points": points,
        "panes": panes,
        "newest": panes[-1],
        "choices": _choices(shown, points),
        "named_twice": len(named) != len(set(named)),
        "waiting": waiting,
        "has_change_map": any(pane.comparison and pane.comparison.change_map for pane in panes),
        "pairs": [
            (before.point, pane.point, pane.comparison, points.index(pane.point) - points.index(before.point) == 1)
            for before, pane in pairwise(panes)
        ],
        "mixed_versions": len({pane.point.analysis.made_by for pane in panes}) > 1,
        "lesions": rows[:opened],
        "more_lesions": rows[opened:],
        "has_unclear": any(lane.is_unclear or (became and became.status == lesions.UNCLEAR) for lane, became in rows),
        "heat_opacity": HEAT_OPACITY,
        "heat_threshold": HEAT_THRESHOLD,
        "address": reverse("pages:compare", args=[patient.pk]),
    }
    return render(request, "pages/compare.html", context)


@require_POST
def compare_again(request: HttpRequest, pk: int) -> HttpResponse:
    """Try a failed comparison again; the page that asked hears that it waits."""
    comparisons.again(visible_or_404(Comparison, request.user, pk))
    return HttpResponse(status=204, headers={"HX-Trigger": "comparison-queued"})


@require_POST
def compare_directly(request: HttpRequest, pk: int) -> HttpResponse:
    """Compare two results that do not follow each other, ``then`` and ``now``; the page that asked hears that it
    waits."""
    points = _with_results(visible_or_404(Patient, request.user, pk))
    named = [request.POST.get(name) for name in ("then", "now")]
    two = [point for point in points if str(point.study.pk) in named]
    if len(two) != 2:
        raise Http404(_("One of these studies has no result of this patient."))
    comparisons.queue_directly(*two)
    return HttpResponse(status=204, headers={"HX-Trigger": "comparison-queued"})


def _with_results(patient: Patient) -> list[TimePoint]:
    points = [point for point in trend(patient) if point.in_trend and point.corona_score_cm3 is not None]
    if len(points) < 2:
        raise Http404(_("There are no two results to compare yet."))
    return points


def _course(
    points: list[TimePoint], shown: list[TimePoint], found: dict[tuple[int, int], Comparison]
) -> list[TimePoint]:
    """Along which lesions are followed: the CTs shown alone where these were compared with each other, else all."""
    directly = [found.get((before.analysis.pk, now.analysis.pk)) for before, now in pairwise(shown)]
    return shown if all(comparison and comparison.change for comparison in directly) else points


def _shown(request: HttpRequest, points: list[TimePoint]) -> list[TimePoint]:
    """The studies that the address names, the earliest first; of one alone also the one before it, or after it."""
    wanted = [each for each in request.GET.getlist("study") if each]
    if not wanted:
        return points[-2:]
    shown = [point for point in points if str(point.study.pk) in wanted]
    if len(shown) != len(set(wanted)):
        raise Http404(_("One of these studies has no result of this patient."))
    if len(shown) > MOST_PANES:
        raise Http404(_("At most {most} CTs stand side by side.").format(most=MOST_PANES))
    if len(shown) == 1:
        at = max(points.index(shown[0]), 1)
        return points[at - 1 : at + 1]
    return shown


def _load(points: list[TimePoint], shown: list[TimePoint]) -> None:
    """What panes are made of, by as many queries for many as for two: the reports, which the trend leaves out, up to
    the last result shown, and slices and readers' words of those shown."""
    course = [point.analysis for point in points[points.index(shown[0]) : points.index(shown[-1]) + 1]]
    reports = dict(Analysis.objects.filter(pk__in=[each.pk for each in course]).values_list("pk", "report"))
    for analysis in course:
        analysis.report = reports[analysis.pk]
    prefetch_related_objects([point.analysis for point in shown], "corrections", "finding_reviews")
    prefetch_related_objects([point.study.chosen_series for point in shown], "instances")


def _panes(points: list[TimePoint], shown: list[TimePoint], found: dict[tuple[int, int], Comparison]) -> list[Pane]:
    """A pane for each, matched to the newest of them."""
    last = points.index(shown[-1])
    panes = []
    for before, point in zip([None, *shown], shown, strict=False):
        course = points[points.index(point) : last + 1]
        between = [found.get((one.analysis.pk, next_one.analysis.pk)) for one, next_one in pairwise(course)]
        panes.append(
            Pane(
                point=point,
                match=match(course, found) if len(course) > 1 else None,
                waiting=any(comparison and comparison.is_active for comparison in between),
                comparison=found.get((before.analysis.pk, point.analysis.pk)) if before else None,
            )
        )
    return panes


def _choices(shown: list[TimePoint], points: list[TimePoint]) -> list[TimePoint | None]:
    """What stands in the fields of the form: None in the one that can add another."""
    more = len(shown) < min(MOST_PANES, len(points))
    return [*shown, None] if more else [*shown]


def _lesions(followed: Sequence[Lesion], shown: list[TimePoint]) -> list[tuple[Lane, Became | None]]:
    """Those that are a finding on one of the CTs: on each of them, and what became of them up to the last."""
    rows = []
    for lesion in followed:
        lane = lesion.along(shown)
        seen = [point for point, one, _ in lane.cells if one and one.finding]
        if seen:
            since = shown[0] if seen == [shown[-1]] else seen[0]
            rows.append((lane, lesion.between(since, shown[-1])))
    return rows
