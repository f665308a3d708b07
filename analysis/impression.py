"""The text that is proposed for a report, from the numbers of the result and in the reader's language: the reader
changes what is not so."""

from typing import Any

from django.utils.translation import gettext, gettext_lazy

from . import formats, lesion_words
from .finding_reviews import reviewed, reviewed_change
from .models import Analysis, Comparison
from .stored_text import stored_text
from .trend import ScoreChange, TimePoint

UNMARKED = ("ball_unmarked", "dense_unmarked", "tissue_at_wall")  # flags of what may be a finding that nothing lists
MAX_FINDINGS = 3  # that are named, the largest
OVERRULED = {  # by what the reader decides
    True: gettext_lazy(
        "Suspected, otherwise than the networks, which mark %(positive)s of %(lung)s lung slices as abnormal."
    ),
    False: gettext_lazy(
        "Not suspected, otherwise than the networks, which mark %(positive)s of %(lung)s lung slices as abnormal."
    ),
}
# What stands behind the score, in brackets.
SINCE_LAST = {
    "beyond": gettext_lazy("%(change)s since the last CT"),
    "noise": gettext_lazy("%(change)s since the last CT, which is within the measurement noise"),
    "doubtful": gettext_lazy("%(change)s since the last CT, which is uncertain"),
    "low": gettext_lazy("as low as in healthy lungs, like that of the last CT"),
    "risen": gettext_lazy("that of the last CT was as low as in healthy lungs"),
}
SINCE_FIRST = {
    "beyond": gettext_lazy("%(change)s since the first CT"),
    "noise": gettext_lazy("%(change)s since the first CT, which is within the measurement noise"),
    "doubtful": gettext_lazy("%(change)s since the first CT, which is uncertain"),
    "low": gettext_lazy("as low as in healthy lungs, like that of the first CT"),
    "risen": gettext_lazy("that of the first CT was as low as in healthy lungs"),
}

CAUTIONS = {  # by whether the remark is of what may be a finding
    True: gettext_lazy("To be looked at: %(remarks)s"),
    False: gettext_lazy("Limited by the scan: %(remarks)s"),
}
OTHER_CT = {
    True: gettext_lazy("To be looked at on the CT of %(day)s: %(remarks)s"),
    False: gettext_lazy("Limited by the CT of %(day)s: %(remarks)s"),
}


def proposed(point: TimePoint, comparison: Comparison | None) -> dict[bool, str]:
    """By what the reader decides, suspected or not. ``point``: of a done analysis."""
    analysis = point.analysis
    assert analysis is not None
    sentences = [_score(point), _findings(analysis), _since_last(comparison), *_cautions(point)]
    others = [sentence for sentence in sentences if sentence]
    return {decided: "\n".join([_opacities(analysis, decided), *others]) for decided in (True, False)}


def _opacities(analysis: Analysis, suspected: bool) -> str:
    counted = analysis.slice_counts
    if suspected != analysis.suspected:
        return str(OVERRULED[suspected] % counted)
    if not suspected:
        return (
            gettext("No extensive opacities as in COVID-19 (%(positive)s of %(lung)s lung slices abnormal).") % counted
        )
    opacity = analysis.report["opacity"]
    said = gettext("Opacities as in COVID-19 on %(positive)s of %(lung)s lung slices") % counted
    parts = [said, formats.opacity_extent(opacity)] if opacity else [said]
    caution = gettext("Not specific to COVID-19.")
    return f"{', '.join(parts)}. {caution}"


def _score(point: TimePoint) -> str:
    """The Corona score with its course."""
    compared = ((point.since_prior, SINCE_LAST), (point.since_first, SINCE_FIRST))
    parts = [_change(change, words) for change, words in compared if change and change.is_known]
    once = parts[:1] if point.prior == point.first else parts
    score = gettext("Corona score %(score)s") % {"score": formats.score_text(point.corona_score_cm3)}
    return f"{score} ({'; '.join(once)})." if once else f"{score}."


def _change(change: ScoreChange, words: dict[str, Any]) -> str:
    if not change.counts:
        return str(words["low"])
    if change.starts_low:
        risen = str(words["risen"])
        return gettext("%(said)s, which is uncertain") % {"said": risen} if change.is_doubtful else risen
    kind = "doubtful" if change.is_doubtful else "noise" if change.is_noise else "beyond"
    said = words[kind] % {"change": formats.change_text(change.factor)}
    if kind == "beyond" and change.ends_low:
        return gettext("%(said)s, as low as in healthy lungs now") % {"said": said}
    return str(said)


def _findings(analysis: Analysis) -> str:
    """Those that count: without the rejected ones, with those that readers marked."""
    findings = [each for each in reviewed(analysis) if each.present]
    if not findings:
        if analysis.report["findings"] is None:
            return ""
        if any(flag["code"] in UNMARKED for flag in analysis.quality):
            return gettext(
                "No nodule or focal opacity is listed, but there is dense tissue that nothing marks, see below."
            )
        if formats.hides_findings(analysis):
            return ""
        return gettext("The networks list no nodule or focal opacity of 4 mm or more.")
    largest = sorted(findings, key=lambda each: -each.long_axis_mm)[:MAX_FINDINGS]
    named = "; ".join(formats.finding_in_short(each) for each in largest)
    if len(findings) > MAX_FINDINGS:
        more = len(findings) - MAX_FINDINGS
        return gettext("Focal findings: %(named)s, and %(more)s smaller.") % {"named": named, "more": more}
    return gettext("Focal findings: %(named)s.") % {"named": named}


def _since_last(comparison: Comparison | None) -> str:
    change = reviewed_change(comparison)
    if comparison is None or change is None:
        return ""
    day = formats.date_text(comparison.prior.series.study.study_date)
    lesions = lesion_words.lesion_counts(change)
    said = gettext("Lesions since %(day)s: %(lesions)s.") % {"day": day, "lesions": lesions}
    remarks = [stored_text(flag["message"]) for flag in change["quality"]]
    others = lesion_words.news_in_short(change), lesion_words.rejected_note(change)
    return " ".join(filter(None, [said, *others, *remarks]))


def _cautions(point: TimePoint) -> list[str]:
    """What asks to check this result, and those that it is compared with: what may be disease apart from the rest."""
    said = []
    for one in dict.fromkeys([point.analysis, point.prior, point.first]):
        severe = formats.to_check(one.quality) if one else []
        for unmarked, words in (CAUTIONS if one == point.analysis else OTHER_CT).items():
            of_kind = [flag["message"] for flag in severe if (flag["code"] in UNMARKED) == unmarked]
            if one and of_kind:
                day = formats.date_text(one.series.study.study_date)
                said.append(words % {"day": day, "remarks": " ".join(map(stored_text, of_kind))})
    return said
