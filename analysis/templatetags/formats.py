"""``{% load formats %}``: the number formats of ``analysis/formats.py`` as template filters."""

from django import template

from .. import formats

register = template.Library()

for written in (
    formats.score_text,
    formats.ratio_text,
    formats.percent_text,
    formats.relative_text,
    formats.change_text,
    formats.volume_text,
    formats.area_text,
    formats.opacity_text,
    formats.opacity_note,
    formats.finding_words,
    formats.finding_measures,
    formats.findings_count,
    formats.review_words,
    formats.lesions_by_status,
    formats.lesion_words,
    formats.status_words,
    formats.instead_words,
    formats.kinds_words,
    formats.places_words,
    formats.report_words,
    formats.lesion_measures,
    formats.lesion_counts,
    formats.is_rejected,
    formats.rejection_words,
    formats.rejected_note,
    formats.opacity_change_words,
    formats.position_text,
    formats.spacing_text,
    formats.date_text,
    formats.moment_text,
    formats.quality_text,
    formats.quality_in_short,
    formats.is_doubtful,
    formats.is_severe,
    formats.decision_words,
    formats.decided_words,
    formats.signer_words,
    formats.relative_words,
    formats.relative_note,
):
    register.filter(written.__name__, written)
