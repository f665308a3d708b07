"""The trend as Plotly figures: made here, drawn by ``static/src/chart.ts`` in the colours of the page's theme.

Traces carry no colours: the page's Plotly template gives each trace its colour by its place
(measurement noise, line, suspected, not suspected, this time point).
"""

from collections.abc import Callable, Sequence
from typing import Any

import plotly.graph_objects as go
from django.urls import reverse
from django.utils.formats import date_format

from patients.models import Study

from .formats import DATE_FORMAT, change_words, quality_text, relative_text, score_text
from .trend import TimePoint

MARKER_SIZE = 13
TITLE_SIZE = 13
MARGIN_DAYS = 0.09  # room left and right of the points, as a part of the days shown
SHORTEST_DAYS = 7  # a trend of fewer days is drawn on an axis of a week

BAND_OPACITY = 0.5  # of Plotly's fill, which is half transparent itself
HEADROOM = 1.15  # the end of the vertical axis ÷ the highest value

Number = Callable[[TimePoint], float | None]

HOVER = "<b>%{customdata[1]}</b> · day %{x}<br>%{customdata[2]}<br>relative %{customdata[3]}<br>%{customdata[4]}"


def trend_figures(points: Sequence[TimePoint], *, here: Study | None = None) -> dict[str, Any]:
    """``{"relative": figure, "absolute": figure}`` as plain JSON; ``here``: the study to mark as the one on show."""
    relative = _figure(
        points,
        here,
        lambda point: point.relative_corona_score,
        lambda point: point.since_first.noise if point.since_first else None,
        "Relative Corona score",
    )
    relative.add_hline(1, line={"dash": "dot", "width": 1})  # the score of the first time point
    absolute = _figure(
        points, here, lambda point: point.corona_score_cm3, lambda point: point.score_noise, "Corona score, cm³"
    )
    return {"relative": relative.to_plotly_json(), "absolute": absolute.to_plotly_json()}


def _figure(points: Sequence[TimePoint], here: Study | None, value: Number, noise: Number, title: str) -> go.Figure:
    drawn = [point for point in points if point.in_trend and value(point) is not None]
    days = [point.days_since_first for point in drawn]
    shown = [point for point in drawn if here and point.study.pk == here.pk]
    traces = [
        _noise_band(drawn, value, noise),
        go.Scatter(x=days, y=[value(point) for point in drawn], mode="lines", hoverinfo="skip", line_width=2.5),
        _markers([point for point in drawn if point.analysis.suspected], value, "suspected", "triangle-up"),
        _markers([point for point in drawn if not point.analysis.suspected], value, "not suspected", "circle"),
        go.Scatter(
            x=[point.days_since_first for point in shown],
            y=[value(point) for point in shown],
            mode="markers",
            hoverinfo="skip",
            cliponaxis=False,
            marker={"symbol": "circle-open", "size": 2 * MARKER_SIZE, "line": {"width": 2}},
        ),
    ]
    highest = [(value(point) or 0) * (1 + (noise(point) or 0)) for point in drawn]
    return go.Figure(traces, _layout(days, highest, title))


def _noise_band(points: Sequence[TimePoint], value: Number, noise: Number) -> go.Scatter:
    """The 95 % interval of the score around the line; empty where a point's noise is not known."""
    known = [] if any(noise(point) is None for point in points) else points
    days = [point.days_since_first for point in known]
    ends = [[(value(point) or 0) * (1 + sign * (noise(point) or 0)) for point in known] for sign in (1, -1)]
    return go.Scatter(
        x=days + days[::-1],
        y=ends[0] + ends[1][::-1],
        mode="lines",
        line_width=0,
        fill="toself",
        opacity=BAND_OPACITY,
        hoverinfo="skip",
    )


def _layout(days: Sequence[int], values: Sequence[float], title: str) -> dict[str, Any]:
    longest = max([SHORTEST_DAYS, *days])
    return {
        "template": None,
        "margin": {"l": 58, "r": 12, "t": 8, "b": 44},
        "hovermode": "closest",
        "dragmode": False,
        "showlegend": False,  # the page says in words and icons what the marks mean
        "xaxis": {
            "title": {"text": "Days since the first CT", "standoff": 8, "font": {"size": TITLE_SIZE}},
            "range": [-MARGIN_DAYS * longest, (1 + MARGIN_DAYS) * longest],
            "tickformat": "d",
            "ticklabelstandoff": 5,
            "nticks": 8,
            "zeroline": False,
            "fixedrange": True,
        },
        "yaxis": {
            "title": {"text": title, "standoff": 10, "font": {"size": TITLE_SIZE}},
            "range": [0, HEADROOM * max(values, default=0) or 1],
            "nticks": 6,
            "fixedrange": True,
        },
    }


def _markers(points: Sequence[TimePoint], value: Number, decision: str, symbol: str) -> go.Scatter:
    return go.Scatter(
        x=[point.days_since_first for point in points],
        y=[value(point) for point in points],
        mode="markers",
        cliponaxis=False,
        marker={"symbol": symbol, "size": MARKER_SIZE},
        customdata=[_hover(point, decision) for point in points],
        hovertemplate=HOVER + "<extra></extra>",
    )


def _hover(point: TimePoint, decision: str) -> list[str]:
    """What a point says: its address (for the click), date, score, relative score with change, decision and flags."""
    relative = relative_text(point.relative_corona_score)
    if point.relative_corona_score is not None:
        relative += f" ({change_words(point.since_first)})"
    return [
        reverse("pages:study", args=[point.study.pk]),
        date_format(point.date, DATE_FORMAT),
        score_text(point.corona_score_cm3),
        relative,
        " · ".join(filter(None, [decision, quality_text(point.analysis.quality)])),
    ]
