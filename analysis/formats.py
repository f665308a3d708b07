"""How results are shown to people: one rounding for pages, report and messages.

None means "not computed" and is written as a dash, except where a function says otherwise.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.utils.formats import date_format

if TYPE_CHECKING:
    from .models import Analysis
    from .trend import ScoreChange, TimePoint

DASH = "–"
MINUS = "−"
NO_LESION = "no nodule or focal opacity in either scan"
DATE_FORMAT = "j M Y"

# How a heat map is first drawn, in the viewer (which has sliders for both) and in the report.
HEAT_OPACITY = 0.45
HEAT_THRESHOLD = 0.2  # activations below are not drawn


def _fixed(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    return text.replace("-", MINUS) if float(text) else text.removeprefix("-")


def _rounded(value: float, digits: int) -> str:
    """For amounts: a small positive one is never written as zero."""
    smallest = 10**-digits
    return f"< {_fixed(smallest, digits)}" if 0 < value < smallest / 2 else _fixed(value, digits)


def score_text(cm3: float | None) -> str:
    """A Corona score: ``184.2 cm³``."""
    return DASH if cm3 is None else f"{_rounded(cm3, 1)} cm³"


def ratio_text(ratio: float | None, beside: float | None = None) -> str:
    """A ratio or probability of 0 to 1: ``0.62``.

    ``beside``: a number it is compared with (the threshold); digits are added until the two look different.
    """
    if ratio is None:
        return DASH
    digits = 2
    while beside is not None and ratio != beside and digits < 6 and f"{ratio:.{digits}f}" == f"{beside:.{digits}f}":
        digits += 1
    return _rounded(ratio, digits)


def percent_text(share: float, digits: int = 0) -> str:
    """A share of 0 to 1: ``87 %``."""
    return f"{_rounded(100 * share, digits)} %"


def relative_text(relative: float | None) -> str:
    """A Relative Corona score: ``0.54``; None is ``not defined``."""
    return "not defined" if relative is None else _rounded(relative, 2)


def change_text(relative: float | None) -> str:
    """The same as a change since the first time point: ``−46 %``, ``+41 %``, ``±0 %``."""
    if relative is None:
        return DASH
    percent = round((relative - 1) * 100)
    return f"{'+' if percent > 0 else MINUS if percent < 0 else '±'}{abs(percent)} %"


def volume_text(ml: float | None) -> str:
    """A lung volume: ``4213 ml``."""
    return DASH if ml is None else f"{_rounded(ml, 0)} ml"


def area_text(cm2: float | None) -> str:
    """An area on one slice: ``45.3 cm²``."""
    return DASH if cm2 is None else f"{_rounded(cm2, 1)} cm²"


def opacity_text(percent: float | None) -> str:
    """Opacity as a share of the lung: ``12.4 %``."""
    return DASH if percent is None else f"{_rounded(percent, 1)} %"


def opacity_note(opacity: dict[str, Any]) -> str:
    """What stands beside it: ``4.1 % dense, severity 6 of 24``."""
    severity = opacity["severity"]
    dense = opacity_text(opacity["percent_high"])
    return f"{dense} dense, severity {severity['score']} of {severity['maximum']}"


def opacity_rows(opacity: dict[str, Any] | None) -> list[tuple[str, list[str]]]:
    """A table of the regions: for each third and the whole, the share of the right lung, the left lung and both."""
    if opacity is None:
        return []
    percent = {region["name"]: opacity_text(region["percent"]) for region in opacity["regions"]}
    thirds = [
        (third.capitalize(), [percent[name] for name in (f"right {third}", f"left {third}", f"{third} thirds")])
        for third in ("upper", "middle", "lower")
    ]
    whole = [percent["right lung"], percent["left lung"], opacity_text(opacity["percent_of_lung"])]
    return [*thirds, ("Whole", whole)]


LESION_STATUS = (  # as in pipeline/change.py, what matters most first
    "new", "grown", "shrunk", "resolved", "stable", "part of another", "unclear", "not in the other scan",
)  # fmt: skip


def lesions_by_status(change: dict[str, Any]) -> list[dict[str, Any]]:
    """The lesions of a comparison, those that changed first."""
    return sorted(change["lesions"], key=lambda lesion: LESION_STATUS.index(lesion["status"]))


def lesion_words(lesion: dict[str, Any]) -> str:
    """One lesion of a comparison: ``Finding 2: grown``, ``Resolved: nodule, left lung, upper third``."""
    status, gone = lesion["status"], lesion["number"] is None
    if status == "unclear":
        status = (
            "no longer outlined, but the tissue is dense" if gone else "not outlined then, but the tissue was dense"
        )
    if status == "part of another":
        status = f"now part of finding {lesion['part_of']}" if gone else "part of a larger one then"
    if status == "not in the other scan":
        status = f"its place is not in the lungs {'now' if gone else 'then'}"
    what = f"{lesion['kind']}, {lesion['lung']} lung, {lesion['zone']} third"
    return f"{status.capitalize()}: {what}" if gone else f"Finding {lesion['number']}: {status}"


def lesion_measures(lesion: dict[str, Any]) -> str:
    """Volumes and their change: ``0.5 ml → 1.21 ml, +133 %, volume doubling time 74 days``, ``0.40 ml → –``."""
    before, now = lesion["prior_volume_ml"], lesion["volume_ml"]
    volumes = " → ".join(DASH if ml is None else f"{_rounded(ml, 2)} ml" for ml in (before, now))
    percent, days = lesion["volume_change_percent"], lesion["doubling_time_days"]
    change = "" if percent is None else f", {change_text(1 + percent / 100)}"
    return f"{volumes}{change}" if days is None else f"{volumes}{change}, volume doubling time {days:.0f} days"


def lesion_counts(change: dict[str, Any], without: Collection[int] = ()) -> str:
    """``2 new, 1 grown, 4 stable``; for none ``no nodule or focal opacity in either scan``. ``without``: numbers of
    findings that do not count."""
    counts = Counter(each["status"] for each in change["lesions"] if each.get("number") not in without)
    return ", ".join(f"{counts[status]} {status}" for status in LESION_STATUS if counts[status]) or NO_LESION


def opacity_change_words(change: dict[str, Any]) -> str:
    """``120 ml newly opaque or denser and 35 ml cleared or less dense beyond 3 mm, 80 ml as before``."""
    worse, better, same = (volume_text(change[f"{name}_ml"]) for name in ("worse", "better", "unchanged"))
    return f"{worse} newly opaque or denser and {better} cleared or less dense beyond 3 mm, {same} as before"


def finding_words(finding: dict[str, Any]) -> str:
    """What and where: ``Solid nodule, calcified, right lung, upper third``."""
    calcified = ", calcified" if finding["calcified"] else ""
    what = f"{finding['texture'].capitalize()} {finding['kind']}{calcified}"
    return f"{what}, {finding['lung']} lung, {finding['zone']} third"


def review_words(each: Any) -> str:
    """What a reader says of a finding (``finding_reviews.ReviewedFinding``)."""
    if each.finding is None:
        return "a finding" if each.present else "withdrawn"
    return "agreed" if each.present else "no finding"


def finding_in_short(each: Any) -> str:
    """``Solid nodule, left lung, upper third (14.2 × 11.0 mm)`` of a ``finding_reviews.ReviewedFinding``."""
    if each.finding is None:
        return f"one that a reader marked ({_rounded(each.long_axis_mm, 1)} mm)"
    return f"{finding_words(each.finding)} ({finding_measures(each.finding).split(',')[0]})"


def finding_measures(finding: dict[str, Any]) -> str:
    """How large, how dense and how sure: ``14.2 × 11.0 mm, 1.21 ml, 32 HU, confidence 0.97``."""
    long_axis, short_axis = (_rounded(finding[f"{axis}_axis_mm"], 1) for axis in ("long", "short"))
    volume, density = f"{_rounded(finding['volume_ml'], 2)} ml", hu_text(finding["mean_hu"])
    return f"{long_axis} × {short_axis} mm, {volume}, {density}, confidence {ratio_text(finding['confidence'])}"


def position_text(z_mm: float | None) -> str:
    """A slice's place along the body: ``−192.1 mm``."""
    return DASH if z_mm is None else f"{_fixed(z_mm, 1)} mm"


def spacing_text(mm: float | None) -> str:
    """Between slices or pixels: ``2.00 mm``, ``0.68 mm``."""
    return DASH if mm is None else f"{_rounded(mm, 2)} mm"


def date_text(day: date | None) -> str:
    """A study's date: ``12 Mar 2020``."""
    return date_format(day, DATE_FORMAT) if day else "no date"


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


def quality_text(flags: Sequence[dict[str, Any]]) -> str:
    """What stands against a result, in a few words: ``check: lungs cut off; note: thick slices``; "" for nothing."""
    severe, slight = [flag for flag in flags if is_severe(flag)], [flag for flag in flags if not is_severe(flag)]
    parts = (("check", severe), ("note", slight))
    return "; ".join(
        f"{word}: " + ", ".join(each["code"].replace("_", " ") for each in some) for word, some in parts if some
    )


def hu_text(hu: float) -> str:
    """A CT number: ``−750 HU``."""
    return f"{_fixed(hu, 0)} HU"


def decision_words(analysis: "Analysis") -> str:
    """What "suspected" or "not suspected" rests on: ``5 of 18 lung slices abnormal: …``

    Neutral, as the network was trained on COVID-19 but marks other lung disease too.
    """
    slices = analysis.report["slices"]
    lung = sum(each["probability"] is not None for each in slices)
    positive = sum(each["positive"] is True for each in slices)
    ratio = ratio_text(analysis.positive_ratio, analysis.threshold)
    threshold = ratio_text(analysis.threshold, analysis.positive_ratio)
    return (
        f"{positive or 'None'} of {lung} lung slices abnormal: positive ratio {ratio}, "
        f"{'above' if analysis.suspected else 'not above'} the threshold of {threshold}. "
        "Not specific to COVID-19: other lung disease is marked too."
    )


def relative_words(point: "TimePoint | None", points: Sequence["TimePoint"]) -> str:
    """``0.54 (−46 % since 3 Mar 2020)`` or ``not defined: the score of the first time point is 0``.

    ``point``: None for an analysis that does not speak for its study. ``points``: the patient's, from ``trend.trend``.
    """
    relative = point.relative_corona_score if point else None
    note = relative_note(point, points)
    return f"not defined: {note}" if relative is None else f"{relative_text(relative)} ({note})"


def relative_note(point: "TimePoint | None", points: Sequence["TimePoint"]) -> str:
    """What stands behind a Relative Corona score: since when it changed how much, or why there is none."""
    if point is None:
        return "another analysis speaks for this time point"
    if point.date is None:
        return "the study has no date"
    first = next((each for each in points if each.in_trend), None)
    if first is None or not point.in_trend:
        return "this time point is not analysed"
    first_date = date_text(first.date)
    if first.corona_score_cm3 is None:
        return f"the first time point, {first_date}, is still being analysed"
    if first.corona_score_cm3 == 0:
        return "the score of the first time point is 0"
    if point.relative_corona_score is None:
        return "this time point is still being analysed"
    if point.study.pk == first.study.pk:
        return "this is the first time point"
    return change_words(point.since_first, f" since {first_date}")


def change_words(change: "ScoreChange", since: str = "") -> str:
    """A change of the Corona score, and whether it says anything: ``+3 %; within the measurement noise``."""
    if not change.counts:
        return "both scores are as low as those of healthy lungs"
    noise = "; within the measurement noise" if change.is_noise else ""
    return f"{change_text(change.factor)}{since}{noise}"
