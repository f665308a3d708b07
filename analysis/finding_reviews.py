"""What readers say of findings, and the findings that they mark themselves: the networks' result stays as it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .models import Analysis, FindingReview
from .services import NO_RESULT, Refusal

UNKNOWN_FINDING = gettext_lazy("There is no such finding in this result.")
OUTSIDE = gettext_lazy("This place lies outside the slices of this result.")
MAX_LONG_AXIS_MM = 300.0
HEIGHT_MARGIN_MM = 30.0  # z_mm runs along the slices' normal, which may lean by 10° from the z of a place
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


def reviewed(analysis: Analysis) -> list[ReviewedFinding]:
    """The report's findings in their order, then the readers' own."""
    newest: dict[int, FindingReview] = {}
    own: dict[int, FindingReview] = {}
    for review in reversed(analysis.finding_reviews.all()):
        newest[review.number] = review
        if review.centroid_mm:
            own[review.number] = review
    found = [
        ReviewedFinding(number, finding, newest.get(number), finding["centroid_mm"], finding["long_axis_mm"])
        for number, finding in enumerate(analysis.report["findings"] or [], start=1)
    ]
    return found + [
        ReviewedFinding(number, None, newest[number], mark.centroid_mm or [], mark.long_axis_mm or 0.0)
        for number, mark in sorted(own.items())
    ]


def rejected(analysis: Analysis) -> list[int]:
    """Numbers of the findings that do not count by a reader's word."""
    return [each.number for each in reviewed(analysis) if not each.present]


def marked(analysis: Analysis) -> list[ReviewedFinding]:
    """The findings that readers marked."""
    return [each for each in reviewed(analysis) if each.present and each.finding is None]


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
    heights_mm = [each["z_mm"] for each in analysis.report["slices"]]
    if not all(abs(each) <= FARTHEST_MM for each in centroid_mm):  # NaN is not either
        raise Refusal(OUTSIDE)
    if not min(heights_mm) - HEIGHT_MARGIN_MM <= centroid_mm[2] <= max(heights_mm) + HEIGHT_MARGIN_MM:
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
