"""The course drawn for print."""

import datetime
import math
from itertools import pairwise
from types import SimpleNamespace

import pytest
from reportlab.graphics.shapes import Circle, Polygon, PolyLine, String

from analysis.models import Analysis
from analysis.report_course import BOTTOM, LABEL_ROOM, trend_drawing
from analysis.report_style import INK, register_fonts
from analysis.trend import NORMAL_95, TimePoint

START = datetime.date(2020, 3, 3)


def points(*scores: tuple[int, float | None], variation: float | None = None) -> list[TimePoint]:
    results = [
        Analysis(pk=number, corona_score_cm3=score, score_variation=variation)
        for number, (_, score) in enumerate(scores)
    ]
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


def test_first_and_last_day_are_labelled_though_another_lies_beside_them():
    series = points((0, 100.0), (3, 90.0), (40, 80.0))
    labels = {part.text: part for part in parts(drawn(series, series[1]), String) if "day" in part.text}
    assert set(labels) == {"day 0", "day 3", "day 40"}
    assert labels["day 0"].y < labels["day 3"].y == labels["day 40"].y
    assert min(part.y for part in parts(drawn(series, series[1]), String)) > 0


def test_the_measurement_noise_lies_around_the_line_as_on_the_page():
    drawing = drawn(points((0, 0.0), (5, 100.0), (9, 50.0), variation=0.1))  # the scores themselves: the first is 0
    (band,) = parts(drawing, Polygon)
    zero, second, third = parts(drawing, Circle)
    ends = list(zip(band.points[::2], band.points[1::2], strict=True))
    assert [across for across, _ in ends] == [each.cx for each in (zero, second, third, third, second, zero)]
    height = second.cy - zero.cy  # of 100 cm³
    assert ends[1][1] - second.cy == pytest.approx((math.exp(NORMAL_95 * 0.1) - 1) * height)
    assert second.cy - ends[4][1] == pytest.approx((1 - math.exp(-NORMAL_95 * 0.1)) * height)
    assert max(up for _, up in ends) < drawing.height
    assert "measurement noise (95 %)" in [part.text for part in parts(drawing, String)]


def test_a_relative_score_has_the_noise_of_both_and_the_first_none():
    drawing = drawn(points((0, 100.0), (5, 100.0), variation=0.1))
    (band,) = parts(drawing, Polygon)
    first, second, *_ = ups = band.points[1::2]
    one = parts(drawing, Circle)[0].cy
    assert first == one
    assert second - one == pytest.approx((math.exp(2**0.5 * NORMAL_95 * 0.1) - 1) * (one - BOTTOM))
    assert len(ups) == 4


def test_no_noise_is_drawn_where_it_is_not_known_of_all():
    series = points((0, 100.0), (5, 50.0), variation=0.1)
    series[1].analysis.score_variation = None
    assert parts(drawn(series), Polygon) == []
