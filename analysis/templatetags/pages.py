"""``{% load pages %}``: words that only the pages use."""

from datetime import date

from django import template
from django.utils.translation import gettext_lazy as _

from patients.models import name_text

from .. import words
from ..models import Analysis
from ..stored_text import stored_text

register = template.Library()
register.filter(name_text)
register.filter(stored_text)

STAGES = {
    "reading": _("Reading the images"),
    "lungs": _("Finding the lungs"),
    "slices": _("Looking at each slice"),
    "score": _("Computing the score"),
    "findings": _("Looking for nodules"),
}
"""The pipeline's stages in words."""

FINAL_WORDS = {"DONE": _("Analysis done"), "FAILED": _("Analysis failed"), "CANCELLED": _("Analysis cancelled")}


@register.filter
def stage_words(analysis: Analysis) -> str:
    """What a run is doing now."""
    if analysis.state == Analysis.State.RUNNING:
        return str(STAGES.get(analysis.stage, _("Starting")))
    return str(FINAL_WORDS.get(analysis.state, _("Waiting for a free worker")))


@register.filter
def percent(fraction: float) -> int:
    """A fraction as whole per cent."""
    return round(100 * fraction)


@register.filter
def kind_word(kind: str) -> str:
    """Of a finding."""
    return str(words.KINDS[kind])


@register.filter
def sex_letter(sex: str) -> str:
    """Nothing where the sex is not given."""
    return str(words.SEX_LETTERS.get(sex, ""))


@register.filter
def sex_word(sex: str) -> str:
    """Nothing where the sex is not given."""
    return str(words.SEXES.get(sex, ""))


@register.filter
def iso_date(text: str) -> date:
    """A date as JSON holds it."""
    return date.fromisoformat(text)


@register.filter
def direction(relative: float | None) -> str:
    """A Relative Corona score against the first one: ``up``, ``down`` or ``same`` to the per cent."""
    if relative is None:
        return ""
    change = round(100 * (relative - 1))
    return "up" if change > 0 else "down" if change < 0 else "same"
