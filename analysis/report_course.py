"""The patient's course for print: a small vector chart of the score over days and the table of the time points."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext, gettext_lazy, pgettext, pgettext_lazy
from reportlab.graphics.shapes import Circle, Drawing, Line, Polygon, PolyLine, Rect, String
from reportlab.lib.colors import HexColor
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.platypus import Flowable, KeepTogether, Spacer, Table

from patients.models import Patient

from .formats import (
    DASH,
    date_text,
    decision_text,
    number_text,
    opacity_text,
    quality_text,
    ratio_text,
    relative_text,
    score_text,
    volume_text,
)
from .models import Analysis
from .report_style import FAINT, FONT, GAP, INK, PALE, RULE, WIDTH, heading, paragraph, table
from .trend import TimePoint, noise_band

MAX_ROWS = 8  # time points in the table; the chart shows all
MAX_NOTES = 3  # of what happened to the patient, on the ward's page
CHART_HEIGHT, WIDE_CHART_HEIGHT = 118.0, 170.0  # points, as all sizes here
LINE, BAND = HexColor("#1f5f8b"), HexColor("#dbe7f0")
LABEL_SIZE = 6.5
LEFT, RIGHT, BOTTOM, TOP = 24.0, 16.0, 27.0, 14.0
"""Room around the plot for its labels, in points."""
LABEL_ROOM = 44.0
"""Date labels closer than this would touch, in points."""
LABEL_HEIGHT = 18.0
"""Of one row of them."""
GRID_LINES = 4
NO_TREND = gettext_lazy("A trend is drawn from the second analysed time point on.")
BAND_WORDS = gettext_lazy("measurement noise (95 %)")
VERSIONS_DIFFER = gettext_lazy(
    "The time points were made by different versions of the networks or of the measuring, so a part of a change may "
    "come from the version."
)
HEAD = (
    pgettext_lazy("date", "CT of"),
    pgettext_lazy("since the first CT", "Day"),
    gettext_lazy("Corona score"),
    pgettext_lazy("score", "Relative"),
    pgettext_lazy("of a CT", "Decision"),
)
WHOLE_HEAD = (
    *HEAD[:4],
    gettext_lazy("Opacity"),
    gettext_lazy("Lungs"),
    gettext_lazy("Positive ratio"),
    gettext_lazy("Networks"),
    gettext_lazy("Reader"),
    gettext_lazy("Quality"),
)
WHOLE_SHARES = (0.115, 0.05, 0.11, 0.085, 0.1, 0.09, 0.085, 0.115, 0.11, 0.14)


def course_section(marked: TimePoint | None, points: Sequence[TimePoint], patient: Patient) -> list[Flowable]:
    """Heading, chart and table side by side, and what happened, the newest first.

    ``marked``: the time point of this report.
    """
    chart_width = WIDTH * 0.47
    chart = trend_drawing(points, marked, width=chart_width, height=CHART_HEIGHT) or paragraph(NO_TREND, 8, FAINT)
    body = table([[chart, _points_table(marked, points, WIDTH - chart_width - 2 * GAP)]], [chart_width + 2 * GAP, None])
    happened = _happened(patient)[::-1]
    if len(happened) > MAX_NOTES:
        more = gettext("%(count)s more in CoronaTrend") % {"count": len(happened) - MAX_NOTES}
        happened = [*happened[:MAX_NOTES], more]
    notes = [Spacer(0, 3), paragraph("; ".join(happened), 7.5)] if happened else []
    return [*heading(gettext("Course")), body, *notes]


def _happened(patient: Patient) -> list[str]:
    """The first symptoms and what is noted, the oldest first."""
    notes = [(event.date, f"{date_text(event.date)}: {event.text}") for event in patient.events.all()]
    if patient.symptom_onset:
        notes.append(
            (patient.symptom_onset, gettext("%(day)s: first symptoms") % {"day": date_text(patient.symptom_onset)})
        )
    return [words for _, words in sorted(notes, key=lambda note: note[0])]


def whole_course_section(marked: TimePoint | None, points: Sequence[TimePoint], patient: Patient) -> list[Flowable]:
    """The chart over the whole width, every time point with its measures, and what happened to the patient."""
    chart = trend_drawing(points, marked, width=WIDTH, height=WIDE_CHART_HEIGHT) or paragraph(NO_TREND, 8, FAINT)
    rows = [[paragraph(text, 7, FAINT) for text in WHOLE_HEAD]]
    rows += [[paragraph(text, 7, bold=_is_same(point, marked)) for text in _measures(point)] for point in points]
    highlights = [
        ("BACKGROUND", (0, row), (-1, row), PALE)
        for row, point in enumerate(points, start=1)
        if _is_same(point, marked)
    ]
    grid = table(
        rows,
        [WIDTH * share for share in WHOLE_SHARES],
        ("LINEBELOW", (0, 0), (-1, -1), 0.4, RULE),
        *highlights,
        pad=3,
        repeat_head=True,
    )
    makers = {point.analysis.made_by for point in points if point.in_trend and point.corona_score_cm3 is not None}
    notes = [VERSIONS_DIFFER] if len(makers) > 1 else []
    notes += _happened(patient)
    charted = KeepTogether([*heading(gettext("All time points")), chart])
    return [charted, grid, Spacer(0, 3), *(paragraph(note, 7.5) for note in notes)]


def _measures(point: TimePoint) -> list[str]:
    """As WHOLE_HEAD."""
    done = point.analysis if point.analysis and point.analysis.state == Analysis.State.DONE else None
    return [
        date_text(point.date),
        DASH if point.days_since_first is None else str(point.days_since_first),
        score_text(point.corona_score_cm3),
        DASH if point.relative_corona_score is None else relative_text(point.relative_corona_score),
        opacity_text(done and done.opacity_percent),
        volume_text(done and done.lung_volume_ml),
        ratio_text(done and done.positive_ratio),
        _point_words(point),
        decision_text(point.signed.suspected) if point.signed else DASH,
        quality_text(done.quality) if done else "",
    ]


def _points_table(marked: TimePoint | None, points: Sequence[TimePoint], width: float) -> Table:
    shown = _rows_shown(marked, points)
    rows = [[paragraph(text, 7, FAINT) for text in HEAD]]
    for point in shown:
        day = DASH if point.days_since_first is None else str(point.days_since_first)
        defined = point.relative_corona_score is not None
        relative = relative_text(point.relative_corona_score) if defined else DASH
        texts = (date_text(point.date), day, score_text(point.corona_score_cm3), relative, _decision(point))
        rows.append([paragraph(text, 7.5, bold=_is_same(point, marked)) for text in texts])
    if len(shown) < len(points):
        more = gettext("%(count)s more in CoronaTrend") % {"count": len(points) - len(shown)}
        rows.append([paragraph(more, 7, FAINT), "", "", "", ""])
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
    if point.analysis and point.analysis.state == Analysis.State.DONE:
        return decision_text(point.analysis.suspected)
    if point.analysis and point.analysis.is_active:
        return pgettext("analysis", "in work")
    return pgettext("time point", "not analysed")


def _decision(point: TimePoint) -> str:
    """The one that counts, and whose it is where it is not that of the networks."""
    if point.overruled is None:
        return _point_words(point)
    return gettext("%(decision)s (reader)") % {"decision": decision_text(point.overruled)}


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

    Relative scores where they are defined, else the scores themselves, with the band of their measurement noise where
    it is known of all. None with fewer than two: no trend yet.
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
    noise = [_noise(point, relative=relative) for point in shown]
    highest = max(noise_band(value, part or 0)[1] for value, part in zip(values, noise, strict=True))
    step = _step(highest)
    x = _Scale(LEFT, width - RIGHT, min(days), max(days) if max(days) > min(days) else min(days) + 1)
    is_marked = [_is_same(point, marked) for point in shown]
    label_rows = _label_rows([x(day) for day in days], first=is_marked.index(True) if any(is_marked) else 0)
    y = _Scale(
        BOTTOM + LABEL_HEIGHT * max(label_rows.values()),
        height - TOP,
        0.0,
        max(step * math.ceil(highest / step * 1.05), step),
    )

    drawing = Drawing(width, height)
    _grid(drawing, y, step, width)
    title = gettext("Relative Corona score") if relative else gettext("Corona score, cm³")
    drawing.add(String(0, height - LABEL_SIZE, title, fontName=FONT, fontSize=LABEL_SIZE + 0.5, fillColor=INK))
    places = [(x(day), y(value)) for day, value in zip(days, values, strict=True)]
    if None not in noise:
        ends = [noise_band(value, part) for value, part in zip(values, noise, strict=True)]
        lower, upper = (
            [(x(day), y(end)) for day, end in zip(days, side, strict=True)] for side in zip(*ends, strict=True)
        )
        _band(drawing, upper + lower[::-1])
    drawing.add(PolyLine([each for place in places for each in place], strokeColor=LINE, strokeWidth=1.3))
    for index, (across, up) in enumerate(places):
        radius, colour = (4.0, INK) if is_marked[index] else (2.4, LINE)
        drawing.add(Circle(across, up, radius, fillColor=colour, strokeColor=None))
        if index in label_rows:
            top = y.start - 10 - LABEL_HEIGHT * label_rows[index]
            _day_label(drawing, shown[index], (across, top), strong=is_marked[index])
    return drawing


def _noise(point: TimePoint, *, relative: bool) -> float | None:
    """Half of the 95 % interval of the logarithm of the value drawn."""
    if relative:
        return point.since_first.noise if point.since_first else None
    return point.score_noise


def _band(drawing: Drawing, corners: Sequence[tuple[float, float]]) -> None:
    """The band with its word at the top right."""
    drawing.add(Polygon([each for corner in corners for each in corner], fillColor=BAND, strokeColor=None))
    top, right = drawing.height - LABEL_SIZE, drawing.width - RIGHT / 2
    words = str(BAND_WORDS)
    label = String(right, top, words, fontName=FONT, fontSize=LABEL_SIZE)
    label.textAnchor, label.fillColor = "end", FAINT
    left = right - stringWidth(words, FONT, LABEL_SIZE) - 12
    drawing.add(Rect(left, top - 0.5, 9, LABEL_SIZE - 0.5, fillColor=BAND, strokeColor=None))
    drawing.add(label)


def _label_rows(places: Sequence[float], *, first: int) -> dict[int, int]:
    """The row of each label that is drawn, by index, so that none touch: ``first`` and both ends always, the ends in a
    second row where they must, then what fits between."""

    def fits(index: int, row: int) -> bool:
        others = (places[other] for other, its_row in rows.items() if its_row == row)
        return all(abs(places[index] - other) >= LABEL_ROOM for other in others)

    rows = {first: 0}
    ends = (0, len(places) - 1)
    for index in (*ends, *range(len(places))):
        for row in (0, 1) if index in ends else (0,):
            if index not in rows and fits(index, row):
                rows[index] = row
    return rows


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
        label = String(
            LEFT - 4, up - LABEL_SIZE / 3, number_text(number * step, digits), fontName=FONT, fontSize=LABEL_SIZE
        )
        label.textAnchor, label.fillColor = "end", FAINT
        drawing.add(label)


def _day_label(drawing: Drawing, point: TimePoint, place: tuple[float, float], *, strong: bool) -> None:
    day = gettext("day %(day)s") % {"day": point.days_since_first}
    lines = (day, date_text(point.date))
    for number, text in enumerate(lines):
        label = String(place[0], place[1] - number * (LABEL_SIZE + 1.5), text, fontName=FONT, fontSize=LABEL_SIZE)
        label.textAnchor, label.fillColor = "middle", INK if strong else FAINT
        drawing.add(label)
