"""What readers say of findings, and the findings that they mark themselves: the networks' result stays as it is."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .formats import to_check
from .models import Analysis, Comparison, Finding, FindingReview
from .services import NO_RESULT, Refusal
from .slice_images import heights_mm

UNKNOWN_FINDING = gettext_lazy("There is no such finding in this result.")
OUTSIDE = gettext_lazy("This place lies outside the slices of this result.")
MAX_LONG_AXIS_MM = 300.0
HEIGHT_MARGIN_MM = 10.0  # beyond the first slice and the last
FARTHEST_MM = 2000.0  # from the scanner's origin


@dataclass(frozen=True)
class ReviewedFinding:
    """A finding of the report with the newest review, or a reader's own (``finding`` is None)."""

    number: int
    finding: dict[str, Any] | None
    review: FindingReview | None
    centroid_mm: Sequence[float]
    long_axis_mm: float

    @property
    def present(self) -> bool:
        """Whether it counts: the networks' until a reader rejects it, a reader's own until it is withdrawn."""
        return self.review is None or self.review.present


@dataclass(frozen=True)
class FindingsInShort:
    """How many findings of a result count, and of the largest the long axis, and the kind where the networks say it."""

    count: int = 0
    largest_mm: float | None = None
    kind: str = ""


def reviewed(analysis: Analysis) -> list[ReviewedFinding]:
    """The report's findings in their order, then the readers' own."""
    reviews = analysis.finding_reviews.all()
    newest = {number: review for (_, number), review in _newest(reviews).items()}
    own = {review.number: review for review in reversed(reviews) if review.centroid_mm}
    found = [
        ReviewedFinding(number, finding, newest.get(number), finding["centroid_mm"], finding["long_axis_mm"])
        for number, finding in enumerate(analysis.report["findings"] or [], start=1)
    ]
    return found + [
        ReviewedFinding(number, None, newest[number], mark.centroid_mm or [], mark.long_axis_mm or 0.0)
        for number, mark in sorted(own.items())
    ]


def _newest(reviews: Sequence[FindingReview]) -> dict[tuple[int, int], FindingReview]:
    """What counts of them, by analysis and number; ``reviews``: the newest first."""
    return {(review.analysis_id, review.number): review for review in reversed(reviews)}


def rejected_among(analyses: Collection[int]) -> set[tuple[int, int]]:
    """Analysis and number of the findings of these analyses that do not count by a reader's word."""
    newest = _newest(FindingReview.objects.filter(analysis__in=analyses))
    return {key for key, review in newest.items() if not review.present}


def in_short(analyses: Sequence[int]) -> dict[int, FindingsInShort]:
    """The findings that count, of each of these analyses that has or had some: the networks' that no reader rejected,
    and readers' own."""
    counting: dict[int, dict[int, tuple[float, str]]] = defaultdict(dict)  # by analysis and number
    of_networks = Finding.objects.filter(analysis__in=analyses)
    for analysis, number, long_axis_mm, kind in of_networks.values_list("analysis", "number", "long_axis_mm", "kind"):
        counting[analysis][number] = (long_axis_mm, kind)
    reviews = FindingReview.objects.filter(analysis__in=analyses)
    marks = {(each.analysis_id, each.number): each.long_axis_mm or 0.0 for each in reviews if each.centroid_mm}
    for (analysis, number), review in _newest(reviews).items():
        if not review.present:
            counting[analysis].pop(number, None)
        elif (analysis, number) in marks:
            counting[analysis][number] = (marks[analysis, number], "")
    return {
        analysis: FindingsInShort(len(each), *max(each.values(), default=(None, "")))
        for analysis, each in counting.items()
    }


def reviewed_change(comparison: Comparison | None) -> dict[str, Any] | None:
    """What changed, and of each lesion whether a reader rejected the finding that it is on the later CT (``rejected``)
    or on the earlier one (``rejected_then``)."""
    if comparison is None or comparison.change is None:
        return None
    now, then = comparison.analysis_id, comparison.prior_id
    rejected = rejected_among([now, then])
    lesions = [
        each
        | {
            "rejected": (now, each["number"]) in rejected,
            "rejected_then": (then, each["prior_number"]) in rejected,
        }
        for each in comparison.change["lesions"]
    ]
    return comparison.change | {"lesions": lesions}


def instead_mm(analysis: Analysis, findings: Sequence[ReviewedFinding]) -> float | None:
    """Where no slice is positive, the height, as the slices' z_mm, of what to show instead: the longest finding that
    counts, else the first slice that is to be checked. None where there is nothing of it."""
    if analysis.slice_counts["positive"]:
        return None
    if counting := [each for each in findings if each.present]:
        return heights_mm(analysis, [max(counting, key=lambda each: each.long_axis_mm).centroid_mm])[0]
    named = [flag["slice_number"] for flag in to_check(analysis.quality) if flag.get("slice_number")]
    return float(analysis.report["slices"][named[0] - 1]["z_mm"]) if named else None


def say_of(analysis: Analysis, *, user: Any, number: int, present: bool, reason: str = "") -> FindingReview:
    """Accept or reject a finding; withdraw or restore one's own. Refusal where there is none of this number."""
    if analysis.state != Analysis.State.DONE:
        raise Refusal(NO_RESULT)
    if all(each.number != number for each in reviewed(analysis)):
        raise Refusal(UNKNOWN_FINDING)
    return FindingReview.objects.create(
        analysis=analysis, user=user, number=number, present=present, reason=reason.strip()
    )


def unmeasured() -> str:
    """Why a finding without a sensible size is not taken."""
    sentence = _("Measure the finding first: its long axis is between 1 and {most} mm.")
    return sentence.format(most=round(MAX_LONG_AXIS_MM))


def mark(
    analysis: Analysis,
    *,
    user: Any,
    centroid_mm: Sequence[float],
    long_axis_mm: float,
    reason: str = "",
) -> FindingReview:
    """Add a finding that the networks missed. Refusal where its place or size makes no sense."""
    if analysis.state != Analysis.State.DONE:
        raise Refusal(NO_RESULT)
    z_mm = [each["z_mm"] for each in analysis.report["slices"]]
    if not all(abs(each) <= FARTHEST_MM for each in centroid_mm):  # NaN is not either
        raise Refusal(OUTSIDE)
    (height_mm,) = heights_mm(analysis, [centroid_mm])
    if not min(z_mm) - HEIGHT_MARGIN_MM <= height_mm <= max(z_mm) + HEIGHT_MARGIN_MM:
        raise Refusal(OUTSIDE)
    if not 1 <= long_axis_mm <= MAX_LONG_AXIS_MM:
        raise Refusal(unmeasured())
    with transaction.atomic():
        Analysis.objects.select_for_update().get(pk=analysis.pk)  # two readers at a time would take one number
        number = max((each.number for each in reviewed(analysis)), default=0) + 1
        return FindingReview.objects.create(
            analysis=analysis,
            user=user,
            number=number,
            present=True,
            centroid_mm=[round(each, 1) for each in centroid_mm],
            long_axis_mm=round(long_axis_mm, 1),
            reason=reason.strip(),
        )
