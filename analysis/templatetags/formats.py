"""``{% load formats %}``: numbers and words of ``analysis/formats.py`` and ``lesion_words.py`` as template filters."""

import re
from typing import Any

from django import template

from .. import formats, lesion_words

WITHIN_MEASURE = re.compile(r"(?<=[\d×<]) (?=[\d×]|mm|ml|HU|cm|%)")  # the spaces of ``< 12.7 × 9.4 mm``

register = template.Library()

for written in (
    formats.score_text,
    formats.ratio_text,
    formats.percent_text,
    formats.relative_text,
    formats.change_text,
    formats.volume_text,
    formats.length_text,
    formats.opacity_text,
    formats.opacity_note,
    formats.diffuse_opacity,
    formats.finding_kind,
    formats.finding_place,
    formats.finding_measures,
    formats.findings_count,
    formats.no_findings_words,
    formats.review_words,
    lesion_words.lesions_by_status,
    lesion_words.lesion_words,
    lesion_words.status_words,
    lesion_words.instead_words,
    lesion_words.kinds_words,
    lesion_words.places_words,
    formats.report_words,
    lesion_words.lesion_measures,
    lesion_words.volume_course,
    lesion_words.lesion_counts,
    lesion_words.news_words,
    lesion_words.is_rejected,
    lesion_words.rejection_words,
    lesion_words.rejected_note,
    lesion_words.opacity_change_words,
    formats.spacing_text,
    formats.limit_text,
    formats.date_text,
    formats.moment_text,
    formats.quality_text,
    formats.quality_in_short,
    formats.is_doubtful,
    formats.is_severe,
    formats.to_check,
    formats.decision_words,
    formats.decided_words,
    formats.signer_words,
    formats.user_words,
    formats.relative_words,
):
    register.filter(written.__name__, written)


@register.filter
def slice_z(report: dict[str, Any], number: int) -> float:
    """Height in mm of the slice with this number."""
    z_mm: float = report["slices"][number - 1]["z_mm"]
    return z_mm


@register.filter
def unbroken(text: str) -> str:
    """Where lines are short: no line ends between a number and its unit."""
    return WITHIN_MEASURE.sub("\N{NO-BREAK SPACE}", text)
