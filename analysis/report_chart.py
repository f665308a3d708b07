"""The trend of a report as a small vector drawing: score over days, this time point marked."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.formats import date_format
from reportlab.graphics.shapes import Circle, Drawing, Line, PolyLine, String
from reportlab.lib.colors import Color, HexColor

from .formats import DATE_FORMAT
from .trend import TimePoint

INK, FAINT, GRID, LINE = HexColor("#1d2733"), HexColor("#5b6775"), HexColor("#d9dee4"), HexColor("#1f5f8b")
LABEL_SIZE = 6.5
LEFT, RIGHT, BOTTOM, TOP = 24.0, 16.0, 27.0, 14.0
"""Room around the plot for its labels, in points."""
LABEL_ROOM = 44.0
"""Date labels closer than this would touch, in points."""
GRID_LINES = 4


@dataclass(frozen=True)
class _Scale:
    """From a number to a place on the paper."""

    start: float
    end: float
    low: float
    high: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def shows_relative(points: Sequence[TimePoint]) -> bool:
    """Relative scores where they are defined, else the scores themselves."""
    return any(point.relative_corona_score is not None for point in points)


def _value(point: TimePoint, relative: bool) -> float | None:
    return point.relative_corona_score if relative else point.corona_score_cm3


def trend_drawing(
    points: Sequence[TimePoint], marked: TimePoint | None, *, width: float, height: float, font: str, accent: Color
) -> Drawing | None:
    """``points``: the patient's time points; ``marked``: the one of this report. Sizes in points.

    None with fewer than two scores: there is no trend yet.
    """
    relative = shows_relative(points)
    shown = [point for point in points if point.in_trend and _value(point, relative) is not None]
    if len(shown) < 2:
        return None
    values = [_value(point, relative) or 0.0 for point in shown]
    days = [point.days_since_first or 0 for point in shown]
    step = _step(max(values))
    x = _Scale(LEFT, width - RIGHT, min(days), max(days) if max(days) > min(days) else min(days) + 1)
    y = _Scale(BOTTOM, height - TOP, 0.0, max(step * math.ceil(max(values) / step * 1.05), step))

    drawing = Drawing(width, height)
    _grid(drawing, y, step, width, font)
    title = "Relative Corona score" if relative else "Corona score, cm³"
    drawing.add(String(0, height - LABEL_SIZE, title, fontName=font, fontSize=LABEL_SIZE + 0.5, fillColor=INK))
    places = [(x(day), y(value)) for day, value in zip(days, values, strict=True)]
    drawing.add(PolyLine([each for place in places for each in place], strokeColor=LINE, strokeWidth=1.3))
    is_marked = [marked is not None and point.study.pk == marked.study.pk for point in shown]
    labelled = _with_room([across for across, _ in places], first=is_marked.index(True) if any(is_marked) else 0)
    for index, (across, up) in enumerate(places):
        radius, colour = (4.0, accent) if is_marked[index] else (2.4, LINE)
        drawing.add(Circle(across, up, radius, fillColor=colour, strokeColor=None))
        if index in labelled:
            _day_label(drawing, shown[index], across, font, strong=is_marked[index])
    return drawing


def _with_room(places: Sequence[float], *, first: int) -> set[int]:
    """The indices whose labels do not touch: ``first``, then both ends, then what fits between."""
    kept: set[int] = set()
    for index in (first, 0, len(places) - 1, *range(len(places))):
        if all(abs(places[index] - places[other]) >= LABEL_ROOM for other in kept):
            kept.add(index)
    return kept


def _step(highest: float) -> float:
    """A round distance (1, 2 or 5 × a power of ten) that gives about GRID_LINES grid lines."""
    rough = highest / GRID_LINES if highest > 0 else 0.25
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)


def _grid(drawing: Drawing, y: _Scale, step: float, width: float, font: str) -> None:
    digits = max(0, -math.floor(math.log10(step)))
    for number in range(round(y.high / step) + 1):
        up = y(number * step)
        drawing.add(Line(LEFT, up, width - RIGHT / 2, up, strokeColor=GRID, strokeWidth=0.5))
        label = String(LEFT - 4, up - LABEL_SIZE / 3, f"{number * step:.{digits}f}", fontName=font, fontSize=LABEL_SIZE)
        label.textAnchor, label.fillColor = "end", FAINT
        drawing.add(label)


def _day_label(drawing: Drawing, point: TimePoint, across: float, font: str, *, strong: bool) -> None:
    lines = (f"day {point.days_since_first}", date_format(point.date, DATE_FORMAT))
    for number, text in enumerate(lines):
        label = String(across, BOTTOM - 10 - number * (LABEL_SIZE + 1.5), text, fontName=font, fontSize=LABEL_SIZE)
        label.textAnchor, label.fillColor = "middle", INK if strong else FAINT
        drawing.add(label)
