"""The trend as Plotly figures: made here, drawn by ``static/src/chart.ts`` in the colours of the page's theme.

Traces carry no colours: the page's Plotly template gives each trace its colour by its place
(line, suspected, not suspected, this time point).
"""

from collections.abc import Callable, Sequence
from typing import Any

import plotly.graph_objects as go
from django.urls import reverse
from django.utils.formats import date_format

from patients.models import Study

from .formats import DATE_FORMAT, change_text, relative_text, score_text
from .trend import TimePoint

MARKER_SIZE = 13
TITLE_SIZE, LEGEND_SIZE = 13, 12
MARGIN_DAYS = 0.09  # room left and right of the points, as a part of the days shown
SHORTEST_DAYS = 7  # a trend of fewer days is drawn on an axis of a week

HOVER = "<b>%{customdata[1]}</b> · day %{x}<br>%{customdata[2]}<br>relative %{customdata[3]}<br>%{customdata[4]}"


def trend_figures(points: Sequence[TimePoint], *, here: Study | None = None) -> dict[str, Any]:
    """``{"relative": figure, "absolute": figure}`` as plain JSON; ``here``: the study to mark as the one on show."""
    return {
        "relative": _figure(points, here, lambda point: point.relative_corona_score, "Relative Corona score"),
        "absolute": _figure(points, here, lambda point: point.corona_score_cm3, "Corona score, cm³"),
    }


def _figure(
    points: Sequence[TimePoint], here: Study | None, value: Callable[[TimePoint], float | None], title: str
) -> dict[str, Any]:
    drawn = [point for point in points if point.in_trend and value(point) is not None]
    days = [point.days_since_first for point in drawn]
    figure = go.Figure(
        [
            go.Scatter(x=days, y=[value(point) for point in drawn], mode="lines", hoverinfo="skip", line_width=2.5),
            _markers([point for point in drawn if point.analysis.suspected], value, "suspected", "triangle-up"),
            _markers([point for point in drawn if not point.analysis.suspected], value, "not suspected", "circle"),
            go.Scatter(
                x=[point.days_since_first for point in drawn if here and point.study.pk == here.pk],
                y=[value(point) for point in drawn if here and point.study.pk == here.pk],
                mode="markers",
                hoverinfo="skip",
                cliponaxis=False,
                name="this CT",
                showlegend=here is not None,
                marker={"symbol": "circle-open", "size": 2 * MARKER_SIZE, "line": {"width": 2}},
            ),
        ]
    )
    figure.data[0].showlegend = False
    longest = max(SHORTEST_DAYS, *days) if days else SHORTEST_DAYS
    figure.update_layout(
        template=None,
        margin={"l": 58, "r": 12, "t": 8, "b": 44},
        hovermode="closest",
        dragmode=False,
        legend={
            "orientation": "h",
            "y": 1.02,
            "yanchor": "bottom",
            "x": 0,
            "itemclick": False,
            "itemdoubleclick": False,
            "font": {"size": LEGEND_SIZE},
        },
        xaxis={
            "title": {"text": "Days since the first CT", "standoff": 8, "font": {"size": TITLE_SIZE}},
            "range": [-MARGIN_DAYS * longest, (1 + MARGIN_DAYS) * longest],
            "tickformat": "d",
            "ticklabelstandoff": 5,
            "nticks": 8,
            "zeroline": False,
            "fixedrange": True,
        },
        yaxis={
            "title": {"text": title, "standoff": 10, "font": {"size": TITLE_SIZE}},
            "range": [0, _top([value(point) or 0 for point in drawn])],
            "nticks": 6,
            "fixedrange": True,
        },
    )
    return figure.to_plotly_json()


def _top(values: Sequence[float]) -> float:
    """The end of the vertical axis: a little above the highest point, 1 where all are 0."""
    return 1.15 * max(values, default=0) or 1.0


def _markers(
    points: Sequence[TimePoint], value: Callable[[TimePoint], float | None], name: str, symbol: str
) -> go.Scatter:
    return go.Scatter(
        x=[point.days_since_first for point in points],
        y=[value(point) for point in points],
        mode="markers",
        cliponaxis=False,
        name=name,
        showlegend=True,
        marker={"symbol": symbol, "size": MARKER_SIZE},
        customdata=[_hover(point, name) for point in points],
        hovertemplate=HOVER + "<extra></extra>",
    )


def _hover(point: TimePoint, decision: str) -> list[str]:
    """What a point says: its address (for the click), date, score, relative score with change, decision."""
    relative = relative_text(point.relative_corona_score)
    if point.relative_corona_score is not None:
        relative += f" ({change_text(point.relative_corona_score)})"
    return [
        reverse("pages:study", args=[point.study.pk]),
        date_format(point.date, DATE_FORMAT),
        score_text(point.corona_score_cm3),
        relative,
        decision,
    ]
