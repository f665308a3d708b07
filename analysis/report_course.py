"""The patient's course for print: a small vector chart of the score over days and the table of the time points."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from reportlab.graphics.shapes import Circle, Drawing, Line, PolyLine, String
from reportlab.lib.colors import HexColor
from reportlab.platypus import Flowable, Table

from .formats import DASH, date_text, relative_text, score_text
from .models import Analysis
from .report_style import FAINT, FONT, GAP, INK, PALE, RULE, heading, paragraph, table
from .trend import TimePoint

MAX_ROWS = 8  # time points in the table; the chart shows all
CHART_HEIGHT = 118.0  # points, as all sizes here
LINE = HexColor("#1f5f8b")
LABEL_SIZE = 6.5
LEFT, RIGHT, BOTTOM, TOP = 24.0, 16.0, 27.0, 14.0
"""Room around the plot for its labels, in points."""
LABEL_ROOM = 44.0
"""Date labels closer than this would touch, in points."""
GRID_LINES = 4


def course_section(marked: TimePoint | None, points: Sequence[TimePoint], width: float) -> list[Flowable]:
    """Heading, chart and table, ``width`` points wide; ``marked``: the time point of this report."""
    chart_width = width * 0.47
    drawing = trend_drawing(points, marked, width=chart_width, height=CHART_HEIGHT)
    chart = drawing or paragraph("A trend is drawn from the second analysed time point on.", 8, FAINT)
    body = table([[chart, _points_table(marked, points, width - chart_width - 2 * GAP)]], [chart_width + 2 * GAP, None])
    return [*heading("Course"), body]


def _points_table(marked: TimePoint | None, points: Sequence[TimePoint], width: float) -> Table:
    shown = _rows_shown(marked, points)
    rows = [[paragraph(text, 7, FAINT) for text in ("CT of", "Day", "Corona score", "Relative", "Decision")]]
    for point in shown:
        day = DASH if point.days_since_first is None else str(point.days_since_first)
        defined = point.relative_corona_score is not None
        relative = relative_text(point.relative_corona_score) if defined else DASH
        texts = (date_text(point.date), day, score_text(point.corona_score_cm3), relative, _point_words(point))
        rows.append([paragraph(text, 7.5, bold=_is_same(point, marked)) for text in texts])
    if len(shown) < len(points):
        rows.append([paragraph(f"{len(points) - len(shown)} more in CoronaTrend", 7, FAINT), "", "", "", ""])
    highlights = [
        ("BACKGROUND", (0, row), (-1, row), PALE) for row, point in enumerate(shown, start=1) if _is_same(point, marked)
    ]
    return table(
        rows,
        [width * part for part in (0.24, 0.1, 0.22, 0.17, 0.27)],
        ("LINEBELOW", (0, 0), (-1, -1), 0.4, RULE),
        *highlights,
        *([("SPAN", (0, -1), (-1, -1))] if len(shown) < len(points) else []),
        pad=3,
    )


def _rows_shown(marked: TimePoint | None, points: Sequence[TimePoint]) -> list[TimePoint]:
    """All, or where they are many the first, this one and the latest."""
    if len(points) <= MAX_ROWS:
        return list(points)
    latest = points[-(MAX_ROWS - 2) :]
    return [point for point in points if point is points[0] or _is_same(point, marked) or point in latest]


def _is_same(point: TimePoint, marked: TimePoint | None) -> bool:
    return marked is not None and point.study.pk == marked.study.pk


def _point_words(point: TimePoint) -> str:
    if point.analysis is None:
        return "not analysed"
    if point.analysis.state == Analysis.State.DONE:
        return "suspected" if point.analysis.suspected else "not suspected"
    return "in work" if point.analysis.is_active else "not analysed"


@dataclass(frozen=True)
class _Scale:
    """From a number to a place on the paper."""

    start: float
    end: float
    low: float
    high: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def trend_drawing(
    points: Sequence[TimePoint], marked: TimePoint | None, *, width: float, height: float
) -> Drawing | None:
    """``points``: the patient's time points; ``marked``: the one of this report. Sizes in points.

    Relative scores where they are defined, else the scores themselves. None with fewer than two: no trend yet.
    """
    relative = any(point.relative_corona_score is not None for point in points)
    scores = [point.relative_corona_score if relative else point.corona_score_cm3 for point in points]
    known = [
        (point, score) for point, score in zip(points, scores, strict=True) if point.in_trend and score is not None
    ]
    if len(known) < 2:
        return None
    shown, values = zip(*known, strict=True)
    days = [point.days_since_first or 0 for point in shown]
    step = _step(max(values))
    x = _Scale(LEFT, width - RIGHT, min(days), max(days) if max(days) > min(days) else min(days) + 1)
    y = _Scale(BOTTOM, height - TOP, 0.0, max(step * math.ceil(max(values) / step * 1.05), step))

    drawing = Drawing(width, height)
    _grid(drawing, y, step, width)
    title = "Relative Corona score" if relative else "Corona score, cm³"
    drawing.add(String(0, height - LABEL_SIZE, title, fontName=FONT, fontSize=LABEL_SIZE + 0.5, fillColor=INK))
    places = [(x(day), y(value)) for day, value in zip(days, values, strict=True)]
    drawing.add(PolyLine([each for place in places for each in place], strokeColor=LINE, strokeWidth=1.3))
    is_marked = [_is_same(point, marked) for point in shown]
    labelled = _with_room([across for across, _ in places], first=is_marked.index(True) if any(is_marked) else 0)
    for index, (across, up) in enumerate(places):
        radius, colour = (4.0, INK) if is_marked[index] else (2.4, LINE)
        drawing.add(Circle(across, up, radius, fillColor=colour, strokeColor=None))
        if index in labelled:
            _day_label(drawing, shown[index], across, strong=is_marked[index])
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


def _grid(drawing: Drawing, y: _Scale, step: float, width: float) -> None:
    digits = max(0, -math.floor(math.log10(step)))
    for number in range(round(y.high / step) + 1):
        up = y(number * step)
        drawing.add(Line(LEFT, up, width - RIGHT / 2, up, strokeColor=RULE, strokeWidth=0.5))
        label = String(LEFT - 4, up - LABEL_SIZE / 3, f"{number * step:.{digits}f}", fontName=FONT, fontSize=LABEL_SIZE)
        label.textAnchor, label.fillColor = "end", FAINT
        drawing.add(label)


def _day_label(drawing: Drawing, point: TimePoint, across: float, *, strong: bool) -> None:
    lines = (f"day {point.days_since_first}", date_text(point.date))
    for number, text in enumerate(lines):
        label = String(across, BOTTOM - 10 - number * (LABEL_SIZE + 1.5), text, fontName=FONT, fontSize=LABEL_SIZE)
        label.textAnchor, label.fillColor = "middle", INK if strong else FAINT
        drawing.add(label)
