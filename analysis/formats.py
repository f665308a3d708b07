"""How results are shown to people: one rounding for pages, report and messages, in the reader's language.

None means "not computed" and is written as a dash, except where a function says otherwise.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.utils.formats import date_format, number_format
from django.utils.translation import gettext, pgettext

from . import words

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

    from .models import Analysis, Reading
    from .trend import ScoreChange, TimePoint

DASH = "–"
MINUS = "−"

# How a heat map is first drawn, in the viewer (which has sliders for both) and in the report.
HEAT_OPACITY = 0.45
HEAT_THRESHOLD = 0.2  # activations below are not drawn
UNSURE = 0.5  # confidence of a finding below which the proposed text calls it uncertain
DIFFUSE_FROM_PERCENT = 1.0  # of the lungs, from which the list of findings names opacity


def number_text(value: float, digits: int) -> str:
    """A number with a true minus and its decimals after the language's sign: ``−0.5``, in German ``−0,5``."""
    text = f"{value:.{digits}f}"
    return number_format(text).replace("-", MINUS if float(text) else "")


def amount_text(value: float, digits: int) -> str:
    """For amounts: a small positive one is never written as zero."""
    smallest = 10**-digits
    return f"< {number_text(smallest, digits)}" if 0 < value < smallest / 2 else number_text(value, digits)


def score_text(cm3: float | None) -> str:
    """A Corona score: ``184.2 cm³``."""
    return DASH if cm3 is None else f"{amount_text(cm3, 1)} cm³"


def ratio_text(ratio: float | None, beside: float | None = None) -> str:
    """A ratio or probability of 0 to 1: ``0.62``.

    ``beside``: a number it is compared with (the threshold); digits are added until the two look different.
    """
    if ratio is None:
        return DASH
    digits = 2
    while beside is not None and ratio != beside and digits < 6 and f"{ratio:.{digits}f}" == f"{beside:.{digits}f}":
        digits += 1
    return amount_text(ratio, digits)


def percent_text(share: float, digits: int = 0) -> str:
    """A share of 0 to 1: ``87 %``."""
    return f"{amount_text(100 * share, digits)} %"


def relative_text(relative: float | None) -> str:
    """A Relative Corona score: ``0.54``; None is ``not defined``."""
    return pgettext("relative score", "not defined") if relative is None else amount_text(relative, 2)


def change_text(relative: float | None) -> str:
    """The same as a change since the first time point: ``−46 %``, ``+41 %``, ``±0 %``."""
    if relative is None:
        return DASH
    percent = round((relative - 1) * 100)
    return f"{'+' if percent > 0 else MINUS if percent < 0 else '±'}{abs(percent)} %"


def volume_text(ml: float | None) -> str:
    """A lung volume: ``4213 ml``."""
    return DASH if ml is None else f"{amount_text(ml, 0)} ml"


def length_text(mm: float) -> str:
    """A diameter: ``9.5 mm``."""
    return f"{amount_text(mm, 1)} mm"


def area_text(cm2: float | None) -> str:
    """An area on one slice: ``45.3 cm²``."""
    return DASH if cm2 is None else f"{amount_text(cm2, 1)} cm²"


def opacity_text(percent: float | None) -> str:
    """Opacity as a share of the lung: ``12.4 %``."""
    return DASH if percent is None else f"{amount_text(percent, 1)} %"


def opacity_extent(opacity: dict[str, Any]) -> str:
    """How much, and where most of it is: ``12.4 % of the lungs, most in the left lower third``."""
    share = gettext("%(share)s of the lungs") % {"share": opacity_text(opacity["percent_of_lung"])}
    thirds = [each for each in opacity["regions"] if each["name"] in words.MOST_IN]
    worst = max(thirds, key=lambda each: each["percent"], default=None)
    return f"{share}, {words.MOST_IN[worst['name']]}" if worst and worst["percent"] > 0 else share


def diffuse_opacity(opacity: dict[str, Any] | None) -> str:
    """What the list of findings says of it, empty where there is hardly any."""
    return opacity_extent(opacity) if opacity and opacity["percent_of_lung"] >= DIFFUSE_FROM_PERCENT else ""


def opacity_note(opacity: dict[str, Any]) -> str:
    """What stands beside it: ``4.1 % dense, severity 6 of 24``."""
    severity = opacity["severity"]
    return gettext("%(dense)s dense, severity %(score)s of %(maximum)s") % {
        "dense": opacity_text(opacity["percent_high"]),
        "score": severity["score"],
        "maximum": severity["maximum"],
    }


def opacity_rows(opacity: dict[str, Any] | None) -> list[tuple[str, list[str]]]:
    """A table of the regions: for each third and the whole, the share of the right lung, the left lung and both."""
    if opacity is None:
        return []
    percent = {region["name"]: opacity_text(region["percent"]) for region in opacity["regions"]}
    thirds = [
        (str(word), [percent[name] for name in (f"right {third}", f"left {third}", f"{third} thirds")])
        for third, word in words.THIRDS.items()
    ]
    whole = [percent["right lung"], percent["left lung"], opacity_text(opacity["percent_of_lung"])]
    return [*thirds, (pgettext("regions of the lungs", "Whole"), whole)]


def finding_words(finding: dict[str, Any]) -> str:
    """What and where: ``Solid nodule, calcified, right lung, upper third``."""
    return f"{finding_kind(finding)}, {finding_place(finding)}"


def finding_kind(finding: dict[str, Any]) -> str:
    """``Solid nodule, calcified``."""
    calcified = [pgettext("finding", "calcified")] if finding["calcified"] else []
    return ", ".join(map(str, (words.FINDINGS[finding["texture"], finding["kind"]], *calcified)))


def finding_place(finding: dict[str, Any]) -> str:
    """``right lung, upper third``."""
    return str(words.PLACES[finding["lung"], finding["zone"]])


def no_findings_words(analysis: "Analysis") -> str:
    """What stands where no finding was outlined: that excludes none where other disease, thick slices or what the scan
    is to be checked for hide it."""
    if not hides_findings(analysis):
        return gettext("The networks list no nodule or focal opacity of 4 mm or more.")
    return gettext(
        "No nodule or focal opacity was outlined by itself, which excludes none: masses and large opacities may be in "
        "the heat map alone, and thick slices hide small nodules."
    )


def hides_findings(analysis: "Analysis") -> bool:
    """Whether a finding may be there though none was outlined: abnormal slices, opacity, thick slices, or a scan that
    is to be checked."""
    opacity, thick = analysis.report["opacity"], any(flag["code"] == "thick_slices" for flag in analysis.quality)
    return bool(analysis.suspected or (opacity and diffuse_opacity(opacity)) or thick or to_check(analysis.quality))


def findings_count(findings: Sequence[Any]) -> str:
    """How many of ``finding_reviews.reviewed`` count, and how many do not: ``2``, ``2, 1 rejected``."""
    counting = sum(each.present for each in findings)
    if counting == len(findings):
        return str(counting)
    return gettext("%(count)s, %(rejected)s rejected") % {"count": counting, "rejected": len(findings) - counting}


def review_words(each: Any) -> str:
    """What a reader says of a finding (``finding_reviews.ReviewedFinding``)."""
    if each.finding is None:
        return pgettext("review", "a finding") if each.present else pgettext("review", "withdrawn")
    return pgettext("review", "agreed") if each.present else pgettext("review", "no finding")


def report_words(state: str) -> str:
    """How far a reader's report is (``worklist.Row.report``)."""
    return str(words.REPORT_STATES[state]) if state else DASH


def finding_in_short(each: Any) -> str:
    """``Solid nodule, left lung, upper third (14.2 × 11.0 mm)`` of a ``finding_reviews.ReviewedFinding``, with a word
    where the networks are not sure and no reader agreed."""
    if each.finding is None:
        return gettext("one that a reader marked (%(mm)s mm)") % {"mm": amount_text(each.long_axis_mm, 1)}
    said = f"{finding_words(each.finding)} ({_axes_text(each.finding)})"
    doubtful = each.finding["confidence"] < UNSURE and not each.review
    return gettext("%(finding)s, uncertain") % {"finding": said} if doubtful else said


def finding_measures(finding: dict[str, Any]) -> str:
    """How large, how dense and how sure: ``14.2 × 11.0 mm, 1.21 ml, 32 HU, confidence 0.97``."""
    volume, density = f"{amount_text(finding['volume_ml'], 2)} ml", hu_text(finding["mean_hu"])
    confidence = gettext("confidence %(confidence)s") % {"confidence": ratio_text(finding["confidence"])}
    return f"{_axes_text(finding)}, {volume}, {density}, {confidence}"


def _axes_text(finding: dict[str, Any]) -> str:
    long_axis, short_axis = (amount_text(finding[f"{axis}_axis_mm"], 1) for axis in ("long", "short"))
    return f"{long_axis} × {short_axis} mm"


def position_text(z_mm: float | None) -> str:
    """A slice's place along the body: ``−192.1 mm``."""
    return DASH if z_mm is None else f"{number_text(z_mm, 1)} mm"


def spacing_text(mm: float | None) -> str:
    """Between slices or pixels: ``2.00 mm``, ``0.68 mm``."""
    return DASH if mm is None else f"{amount_text(mm, 2)} mm"


def apart_text(mm: float | None) -> str:
    """Of slices: ``2.00 mm apart``."""
    return gettext("%(spacing)s apart") % {"spacing": spacing_text(mm)}


def date_text(day: date | None) -> str:
    """A study's date: ``12 Mar 2020``."""
    return date_format(day) if day else gettext("no date")


def moment_text(moment: datetime | None, time_zone: str) -> str:
    """``12 Mar 2020, 09:41 CET``: in a site's own time, UTC where its time zone is unknown."""
    if moment is None:
        return DASH
    try:
        zone = ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        zone = ZoneInfo("UTC")
    local = moment.astimezone(zone)
    return f"{date_text(local.date())}, {local:%H:%M} {local.tzname()}"


SEVERE_BEFORE = ("lungs_cut_off", "lungs_unequal", "lung_volume_unusual")


def is_severe(flag: dict[str, Any]) -> bool:
    """Whether a flag asks to check the result; results of earlier versions did not tell."""
    return bool(flag.get("severe", flag["code"] in SEVERE_BEFORE))


def to_check(flags: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that ask to check the result."""
    return [flag for flag in flags if is_severe(flag)]


def quality_text(flags: Sequence[dict[str, Any]]) -> str:
    """What stands against a result, in a few words: ``check: lungs cut off; note: thick slices``; "" for nothing."""
    severe, slight = to_check(flags), [flag for flag in flags if not is_severe(flag)]
    said = []
    if severe:
        said.append(gettext("check: %(remarks)s") % {"remarks": _remarks(severe)})
    if slight:
        said.append(gettext("note: %(remarks)s") % {"remarks": _remarks(slight)})
    return "; ".join(said)


def quality_in_short(flags: Sequence[dict[str, Any]]) -> str:
    """The gravest flag, and how many more there are: ``lungs cut off +2``."""
    first = next((flag for flag in flags if is_severe(flag)), flags[0])
    return _remarks([first]) + (f" +{len(flags) - 1}" if len(flags) > 1 else "")


def is_doubtful(flags: Sequence[dict[str, Any]]) -> bool:
    """Whether any flag asks to check the result."""
    return any(map(is_severe, flags))


def _remarks(flags: Sequence[dict[str, Any]]) -> str:
    return ", ".join(str(words.QUALITY.get(each["code"], each["code"].replace("_", " "))) for each in flags)


def hu_text(hu: float) -> str:
    """A CT number: ``−750 HU``."""
    return f"{number_text(hu, 0)} HU"


def limit_text(report: dict[str, Any], name: str) -> str:
    """A CT number that the result was measured by: ``gate_hu`` or ``high_hu`` of ``pipeline/report.py``'s Method."""
    method = report.get("method")
    return hu_text(method[name]) if method else gettext("a limit that was not kept")


def decision_text(suspected: bool | None) -> str:
    """``suspected`` or ``not suspected``."""
    return pgettext("decision", "suspected") if suspected else pgettext("decision", "not suspected")


def decided_words(signed: "Reading", result: "Analysis | None") -> str:
    """What a reader decided; ``result``: the one that it is shown beside, which may say otherwise."""
    if result is None or signed.overruling(result) is None:
        words = gettext("The reader decides: %(decision)s.")
    else:
        words = gettext("The reader decides: %(decision)s, otherwise than the networks.")
    return words % {"decision": decision_text(signed.suspected)}


def overruled_text(point: "TimePoint") -> str:
    """Whose decision a time point shows where it is not that of the networks; else ""."""
    if point.overruled is None:
        return ""
    return gettext("reader; networks: not suspected") if point.overruled else gettext("reader; networks: suspected")


def user_words(user: "AbstractBaseUser | None") -> str:
    """Who says something, before a colon or in a list."""
    return user.get_username() if user else pgettext("who says", "a user who was deleted")


def signer_words(signed: "Reading") -> str:
    """Who signed: what stands behind ``signed by``. Not known where the user was deleted before names were kept."""
    return signed.signed_by or pgettext("signed by", "a user who was deleted")


def decision_words(analysis: "Analysis") -> str:
    """What "suspected" or "not suspected" rests on: ``5 of 18 lung slices abnormal: …``

    Neutral, as the network was trained on COVID-19 but marks other lung disease too.
    """
    counts = analysis.slice_counts
    if analysis.suspected:
        sentence = gettext(
            "%(positive)s of %(lung)s lung slices abnormal: positive ratio %(ratio)s, above the threshold of "
            "%(threshold)s."
        )
    else:
        sentence = gettext(
            "%(positive)s of %(lung)s lung slices abnormal: positive ratio %(ratio)s, not above the threshold of "
            "%(threshold)s."
        )
    said = sentence % {
        "positive": counts["positive"] or pgettext("of the lung slices", "None"),
        "lung": counts["lung"],
        "ratio": ratio_text(analysis.positive_ratio, analysis.threshold),
        "threshold": ratio_text(analysis.threshold, analysis.positive_ratio),
    }
    caution = gettext("Not specific to COVID-19: other lung disease is marked too.")
    return f"{said} {caution}"


def relative_words(point: "TimePoint | None", points: Sequence["TimePoint"]) -> str:
    """``0.54 (−46 % since 3 Mar 2020)`` or ``not defined: the score of the first time point is 0``.

    ``point``: None for an analysis that does not speak for its study. ``points``: the patient's, from ``trend.trend``.
    """
    relative = point.relative_corona_score if point else None
    note = relative_note(point, points)
    if relative is None:
        return gettext("not defined: %(why)s") % {"why": note}
    return f"{relative_text(relative)} ({note})"


def relative_note(point: "TimePoint | None", points: Sequence["TimePoint"]) -> str:
    """What stands behind a Relative Corona score: since when it changed how much, or why there is none."""
    if point is None:
        return gettext("another analysis speaks for this time point")
    if point.date is None:
        return gettext("the study has no date")
    first = next((each for each in points if each.in_trend), None)
    if first is None or not point.in_trend:
        return gettext("this time point is not analysed")
    first_date = date_text(first.date)
    if first.corona_score_cm3 is None:
        return gettext("the first time point, %(day)s, is still being analysed") % {"day": first_date}
    if first.corona_score_cm3 == 0:
        return gettext("the score of the first time point is 0")
    if point.relative_corona_score is None:
        return gettext("this time point is still being analysed")
    if point.study.pk == first.study.pk:
        return gettext("this is the first time point")
    return change_words(point.since_first, first_date)


def change_words(change: "ScoreChange", since: str = "") -> str:
    """A change of the Corona score, and whether it says anything: ``+3 %; within the measurement noise``."""
    if not change.counts:
        return gettext("both scores are as low as those of healthy lungs")
    said = gettext("risen from as low as in healthy lungs") if change.starts_low else change_text(change.factor)
    if since:
        said = gettext("%(change)s since %(day)s") % {"change": said, "day": since}
    if change.is_doubtful:
        return gettext("%(change)s; uncertain, as one of the two CTs is to be checked") % {"change": said}
    if change.is_noise:
        return gettext("%(change)s; within the measurement noise") % {"change": said}
    return gettext("%(change)s; as low as in healthy lungs now") % {"change": said} if change.ends_low else said
