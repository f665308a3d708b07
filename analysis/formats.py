"""How numbers are written for people: one rounding for pages, report and messages.

None means "not computed" and is written as a dash, except where a function says otherwise.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from django.utils.formats import date_format

if TYPE_CHECKING:
    from .trend import TimePoint

DASH = "–"
MINUS = "−"
DATE_FORMAT = "j M Y"


def _rounded(value: float, digits: int) -> str:
    """Fixed digits with a true minus sign; a small positive number is never written as zero."""
    smallest = 10**-digits
    if 0 < value < smallest / 2:
        return f"< {smallest:.{digits}f}"
    text = f"{value:.{digits}f}"
    return text.replace("-", MINUS) if float(text) else text.removeprefix("-")


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


def position_text(z_mm: float | None) -> str:
    """A slice's place along the body: ``−192.1 mm``."""
    return DASH if z_mm is None else f"{_rounded(z_mm, 1) if z_mm < 0 else f'{z_mm:.1f}'} mm"


def spacing_text(mm: float | None) -> str:
    """Between slices or pixels: ``2.00 mm``, ``0.68 mm``."""
    return DASH if mm is None else f"{_rounded(mm, 2)} mm"


def relative_words(point: "TimePoint | None", points: Sequence["TimePoint"]) -> str:
    """The Relative Corona score of one time point with its reference date, or why it has none.

    ``points``: all time points of the patient as ``trend.trend`` gives them.
    """
    if point is None:
        return "not part of the trend: another analysis speaks for this time point"
    if point.date is None:
        return "not defined: the study has no date"
    first = next((each for each in points if each.in_trend), None)
    if first is None:
        return "not defined: no time point is analysed yet"
    first_date = date_format(first.date, DATE_FORMAT)
    if first.corona_score_cm3 is None:
        return f"not defined yet: the first time point ({first_date}) is still being analysed"
    if first.corona_score_cm3 == 0:
        return "not defined: the score of the first time point is 0"
    if point.relative_corona_score is None:
        return "not defined yet: this time point is not analysed"
    relative = relative_text(point.relative_corona_score)
    if point.study.pk == first.study.pk:
        return f"{relative} (this is the first time point)"
    return f"{relative} ({change_text(point.relative_corona_score)} since {first_date})"
