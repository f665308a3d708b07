"""The trend as Plotly figures: made here, drawn by ``static/src/chart.ts`` in the colours of the page's theme.

Traces carry no colours: the page's Plotly template gives each trace its colour by its place
(measurement noise, line, suspected, not suspected, this time point).
"""

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import groupby
from typing import Any

import plotly.graph_objects as go
from django.urls import reverse
from django.utils.formats import get_format
from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_lazy, pgettext

from patients.models import PatientEvent, Study

from .formats import (
    change_words,
    date_text,
    decision_text,
    opacity_text,
    overruled_text,
    quality_text,
    relative_text,
    score_text,
)
from .trend import TimePoint, noise_band

MARKER_SIZE = 13
TITLE_SIZE = 13
MARGIN_DAYS = 0.09  # room left and right of the points, as a part of the days shown
SHORTEST_DAYS = 7  # a trend of fewer days is drawn on an axis of a week

BAND_OPACITY = 0.5  # of Plotly's fill, which is half transparent itself
HEADROOM = 1.15  # the end of the vertical axis ÷ the highest value

NUMBER_ROOM = 0.08  # of the days shown: numbers of noted days closer than this would touch on a phone
NUMBER_HEIGHT = 16  # pixels above the plot, for numbers of noted days

Number = Callable[[TimePoint], float | None]
Events = Sequence[PatientEvent]


@dataclass(frozen=True)
class Axis:
    """What the horizontal axis says of a day. ``origin``: day 0, None where the axis shows dates."""

    title: str
    origin: date | None

    def at(self, day: date) -> int | str:
        return (day - self.origin).days if self.origin else day.isoformat()


@dataclass(frozen=True)
class Measure:
    """What the vertical axis shows. ``noise``: half of the 95 % interval of its logarithm."""

    title: Promise
    value: Number
    noise: Number = lambda point: None


MEASURES = {
    "relative": Measure(
        gettext_lazy("Relative Corona score"),
        lambda point: point.relative_corona_score,
        lambda point: point.since_first.noise if point.since_first else None,
    ),
    "absolute": Measure(
        gettext_lazy("Corona score, cm³"), lambda point: point.corona_score_cm3, lambda point: point.score_noise
    ),
    "opacity": Measure(
        gettext_lazy("Opacity of the lungs, %"),
        lambda point: point.analysis and point.analysis.opacity_percent,
    ),
}


def trend_figures(
    points: Sequence[TimePoint], *, here: Study | None = None, onset: date | None = None, events: Events = ()
) -> dict[str, dict[str, Any]]:
    """Figures as plain JSON by axis (days, date and, where the ``onset`` of symptoms is known, onset) and measure
    (``MEASURES``). ``here``: the study to mark as the one on show; ``events``: what happened to the patient."""
    first = next((point.date for point in points if point.in_trend), None)
    axes = {"days": Axis(gettext("Days since the first CT"), first), "date": Axis(pgettext("of a CT", "Date"), None)}
    if onset:
        axes["onset"] = Axis(gettext("Days since the first symptoms"), onset)
    return {
        name: {which: _figure(points, here, axis, measure, events) for which, measure in MEASURES.items()}
        for name, axis in axes.items()
    }


def _figure(
    points: Sequence[TimePoint], here: Study | None, axis: Axis, measure: Measure, events: Events
) -> dict[str, Any]:
    value, noise = measure.value, measure.noise
    drawn = [point for point in points if point.in_trend and value(point) is not None]
    x = [axis.at(point.date) for point in drawn]
    shown = [point for point in drawn if here and point.study.pk == here.pk]
    traces = [
        _noise_band(drawn, axis, measure),
        go.Scatter(x=x, y=[value(point) for point in drawn], mode="lines", hoverinfo="skip", line_width=2.5),
        _markers([point for point in drawn if point.suspected], axis, value, decision_text(True), "triangle-up"),
        _markers([point for point in drawn if not point.suspected], axis, value, decision_text(False), "circle"),
        go.Scatter(
            x=[axis.at(point.date) for point in shown],
            y=[value(point) for point in shown],
            mode="markers",
            hoverinfo="skip",
            cliponaxis=False,
            marker={"symbol": "circle-open", "size": 2 * MARKER_SIZE, "line": {"width": 2}},
        ),
    ]
    top = HEADROOM * max((noise_band(value(point) or 0, noise(point) or 0)[1] for point in drawn), default=0) or 1
    noted = noted_days(points, events)
    days = _days(drawn, axis, [day for day, _ in noted])
    figure = go.Figure(traces, _layout(axis, days, top, measure.title))
    if measure is MEASURES["relative"]:
        figure.add_hline(1, line={"dash": "dot", "width": 1})  # the score of the first time point
    if drawn:
        _add_numbers(figure, axis, noted, NUMBER_ROOM * (max(days) - min(days)))
    if noted:
        figure.update_layout(margin_t=NUMBER_HEIGHT)
    return figure.to_plotly_json()


def _days(drawn: Sequence[TimePoint], axis: Axis, noted: Sequence[date]) -> list[date]:
    """The days that the axis must hold: of the points, of what happened, and day 0 where it is near."""
    days = [point.date for point in drawn]
    if not days:
        return []
    return days + [*noted] + [day for day in (axis.origin,) if day and _is_near(day, days)]


def _is_near(day: date, days: Sequence[date]) -> bool:
    """Whether a day lies no further from others than these lie apart."""
    span = max(timedelta(days=SHORTEST_DAYS), max(days) - min(days))
    return min(days) - span <= day <= max(days) + span


def noted_days(points: Sequence[TimePoint], events: Events) -> list[tuple[date, list[str]]]:
    """What happened on each day near the CTs, the earliest first: the chart has a number for each, from 1 on."""
    days = [point.date for point in points if point.in_trend]
    near = [event for event in events if days and _is_near(event.date, days)]
    ordered = sorted(near, key=lambda event: event.date)
    return [(day, [event.text for event in happened]) for day, happened in groupby(ordered, lambda event: event.date)]


def _add_numbers(figure: go.Figure, axis: Axis, noted: list[tuple[date, list[str]]], room: timedelta) -> None:
    """A line at each noted day, and its number above the plot: that of a day too close to the one before beside it."""
    last: date | None = None
    for number, (day, texts) in enumerate(noted, start=1):
        x, words = axis.at(day), html.escape("; ".join(texts), quote=False)
        figure.add_shape(type="line", x0=x, x1=x, y0=0, y1=1, yref="paper", line={"dash": "dash", "width": 1})
        if last is None or day - last >= room:
            last = day
            above = {"y": 1, "yref": "paper", "yanchor": "bottom", "showarrow": False, "font": {"size": 11}}
            figure.add_annotation(x=x, text=str(number), hovertext=words, **above)
        else:
            before = figure.layout.annotations[-1]
            before.update(text=f"{before.text}, {number}", hovertext=f"{before.hovertext}; {words}")


def _noise_band(points: Sequence[TimePoint], axis: Axis, measure: Measure) -> go.Scatter:
    """The 95 % interval of the score around the line; empty where a point's noise is not known."""
    value, noise = measure.value, measure.noise
    known = [] if any(noise(point) is None for point in points) else points
    x = [axis.at(point.date) for point in known]
    ends = [noise_band(value(point) or 0, noise(point) or 0) for point in known]
    lower, upper = [low for low, _ in ends], [high for _, high in ends]
    return go.Scatter(
        x=x + x[::-1],
        y=upper + lower[::-1],
        mode="lines",
        line_width=0,
        fill="toself",
        opacity=BAND_OPACITY,
        hoverinfo="skip",
    )


def separators() -> str:
    """Plotly's: before the decimals, then between thousands."""
    return get_format("DECIMAL_SEPARATOR") + get_format("THOUSAND_SEPARATOR")


def _date_ticks() -> str:
    # Plotly's basic bundle knows English months alone: let other languages write numbers. xgettext:no-python-format
    return pgettext("dates on the chart's axis, as d3-time-format has it", "%-d %b %Y")


def _layout(axis: Axis, dates: Sequence[date], top: float, title: str) -> dict[str, Any]:
    return {
        "template": None,
        "margin": {"l": 58, "r": 12, "t": 8, "b": 44},
        "hovermode": "closest",
        "dragmode": False,
        "showlegend": False,  # the page says in words and icons what the marks mean
        "separators": separators(),
        "xaxis": {
            "title": {"text": axis.title, "standoff": 8, "font": {"size": TITLE_SIZE}},
            "range": _range(axis, dates),
            "tickformat": "d" if axis.origin else _date_ticks(),
            "ticklabelstandoff": 5,
            "nticks": 8 if axis.origin else 5,
            "zeroline": False,
            "fixedrange": True,
        },
        "yaxis": {
            "title": {"text": str(title), "standoff": 10, "font": {"size": TITLE_SIZE}},
            "range": [0, top],
            "nticks": 6,
            "fixedrange": True,
        },
    }


def _range(axis: Axis, dates: Sequence[date]) -> list[Any] | None:
    """From before the first day to after the last, a week at least; None (Plotly's choice) without days."""
    if not dates:
        return None
    first, last = min(dates), max(dates)
    margin = timedelta(days=MARGIN_DAYS * max(SHORTEST_DAYS, (last - first).days))
    last = max(last, first + timedelta(days=SHORTEST_DAYS))
    ends = [datetime.combine(day, time()) + sign * margin for day, sign in ((first, -1), (last, 1))]
    if axis.origin is None:
        return [end.isoformat() for end in ends]
    return [(end - datetime.combine(axis.origin, time())) / timedelta(days=1) for end in ends]


def _markers(points: Sequence[TimePoint], axis: Axis, value: Number, decision: str, symbol: str) -> go.Scatter:
    return go.Scatter(
        x=[axis.at(point.date) for point in points],
        y=[value(point) for point in points],
        mode="markers",
        cliponaxis=False,
        marker={"symbol": symbol, "size": MARKER_SIZE},
        customdata=[_hover(point, decision) for point in points],
        hovertemplate=_hover_template(),
    )


def _hover_template() -> str:
    relative = gettext("relative %(score)s") % {"score": "%{customdata[3]}"}
    lines = ["<b>%{customdata[1]}</b>", "%{customdata[2]}", relative, "%{customdata[5]}", "%{customdata[4]}"]
    return "<br>".join(lines) + "<extra></extra>"


def _hover(point: TimePoint, decision: str) -> list[str]:
    """What a point says: its address (for the click), date, score, relative score with change, decision and flags,
    opacity."""
    relative = relative_text(point.relative_corona_score)
    if point.relative_corona_score is not None:
        relative += f" ({change_words(point.since_first)})"
    return [
        reverse("pages:study", args=[point.study.pk]),
        gettext("%(date)s · day %(day)s") % {"date": date_text(point.date), "day": point.days_since_first},
        score_text(point.corona_score_cm3),
        relative,
        " · ".join(filter(None, [decision, overruled_text(point), quality_text(point.analysis.quality)])),
        gettext("opacity %(share)s") % {"share": opacity_text(point.analysis.opacity_percent)},
    ]
