"""The course drawn for print."""

import datetime
from itertools import pairwise
from types import SimpleNamespace

from reportlab.graphics.shapes import Circle, PolyLine, String

from analysis.models import Analysis
from analysis.report_course import LABEL_ROOM, trend_drawing
from analysis.report_style import INK, register_fonts
from analysis.trend import TimePoint

START = datetime.date(2020, 3, 3)


def points(*scores: tuple[int, float | None]) -> list[TimePoint]:
    results = [Analysis(pk=number, corona_score_cm3=score) for number, (_, score) in enumerate(scores)]
    return [
        TimePoint(
            study=SimpleNamespace(pk=number, study_date=START + datetime.timedelta(days=day)),
            analysis=results[number],
            pending=None,
            failed=None,
            days_since_first=day,
            first=results[0],
        )
        for number, (day, _) in enumerate(scores)
    ]


def drawn(series: list[TimePoint], marked: TimePoint | None = None):
    register_fonts()
    return trend_drawing(series, marked, width=240, height=118)


def parts(drawing, kind: type) -> list:
    return [part for part in drawing.contents if isinstance(part, kind)]


def test_points_lie_at_their_day_and_score():
    series = points((0, 100.0), (5, 200.0), (20, 50.0))
    first, second, third = parts(drawn(series, series[1]), Circle)
    assert (third.cx - first.cx) == 4 * (second.cx - first.cx)
    assert (second.cy - first.cy) == 2 * (first.cy - third.cy)
    assert [each.fillColor == INK for each in (first, second, third)] == [False, True, False]


def test_one_score_is_no_trend():
    assert drawn(points((0, 100.0))) is None
    assert drawn(points((0, 100.0), (5, None))) is None


def test_the_scores_themselves_are_drawn_where_none_is_relative():
    words = [part.text for part in parts(drawn(points((0, 0.0), (5, 30.0))), String)]
    assert "Corona score, cm³" in words
    assert "30" in words or "40" in words


def test_scores_of_0_only_and_scans_of_one_day_are_drawn():
    assert len(parts(drawn(points((0, 0.0), (5, 0.0))), PolyLine)) == 1
    assert len(parts(drawn(points((0, 10.0), (0, 5.0))), Circle)) == 2


def test_date_labels_do_not_touch():
    labels = [part for part in parts(drawn(points(*((day, 100.0) for day in range(30)))), String) if "day" in part.text]
    across = sorted(label.x for label in labels)
    assert all(right - left >= LABEL_ROOM for left, right in pairwise(across))
    assert len(labels) > 2
