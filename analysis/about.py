"""What the page "About the AI" shows: the figures of docs/evaluation and the model cards of the checkout."""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from django.utils.functional import Promise
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language, gettext, gettext_lazy, pgettext_lazy
from markdown_it import MarkdownIt
from safetensors import safe_open

from . import network_sets
from .charts import TITLE_SIZE, separators
from .checks import EVALUATION, WEIGHTS, WEIGHTS_DIR
from .formats import opacity_text, percent_text, ratio_text, score_text

RELEASED = pgettext_lazy("networks", "as installed here")
NOT_RUNNING = pgettext_lazy("networks", "as released")  # instead, where an administrator chose other networks
SHOWS = {
    "covid_P001": "COVID-19",
    "normal_001": gettext_lazy("healthy lungs"),
    "nodules_LIDC-0003": gettext_lazy("lung nodules"),
    "tumour_A0002": gettext_lazy("lung cancer"),
}
_MARKS = re.compile(r"<!--.*?-->", re.DOTALL)  # between which the evaluation writes
_TITLE = re.compile(r"^# .*\n")  # the page has its own


CHARTS = (  # name of the figure, title, how to read it
    (
        "roc",
        gettext_lazy("Finding abnormal slices"),
        gettext_lazy("One line for each training. The further up and left, the better; chance is the diagonal."),
    ),
    (
        "reliability",
        gettext_lazy("Are the probabilities true?"),
        gettext_lazy("On the dotted line a probability of 0.7 means that 7 of 10 such slices are abnormal."),
    ),
    (
        "score",
        gettext_lazy("Score against true opacity"),
        gettext_lazy("One point for each of nine volumes; on the dotted line the score is right."),
    ),
)


@dataclass(frozen=True)
class Network:
    """A network as it runs here. ``measured``: whether the evaluation's figures are of these weights, or of networks of
    the folds that were trained as these were."""

    name: str
    version: str
    commit: str
    sha256: str
    measured: bool
    card: SafeString


@cache
def results() -> dict[str, Any]:
    """What ``python -m analysis.training.evaluate`` wrote, of volumes held out."""
    return json.loads((EVALUATION / "results.json").read_text())


@cache
def released_results() -> dict[str, Any]:
    """What ``python -m analysis.training.evaluate_released`` wrote."""
    return json.loads((EVALUATION / "released.json").read_text())


@cache
def networks() -> tuple[Network, ...]:
    return tuple(_network(WEIGHTS_DIR / name) for name in WEIGHTS if (WEIGHTS_DIR / name).with_suffix(".md").is_file())


def _network(path: Path) -> Network:
    header = json.loads(path.read_text()) if path.suffix == ".json" else _header(path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return Network(
        name=path.stem.replace("_", " "),
        version=header["version"],
        commit=header["commit"],
        sha256=sha256,
        measured=all(one["weights"].get(path.stem, sha256) == sha256 for one in (results(), released_results())),
        card=rendered(path.with_suffix(".md").read_text()),
    )


def rendered(card: str) -> SafeString:
    """A model card in Markdown as HTML, without its title."""
    text = _TITLE.sub("", _MARKS.sub("", card))
    html = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    return mark_safe(html)  # the renderer lets no HTML of the card through


def _header(path: Path) -> dict[str, str]:
    with safe_open(path, framework="np") as file:
        return file.metadata()


@dataclass(frozen=True)
class Case:
    """A real series and what networks said about it: the released ones, or those of all folds together."""

    series: str
    shows: str
    networks: str
    suspected: str
    ratio: str
    score: str
    opacity: str


def cases(released: str | Promise = RELEASED) -> list[Case]:
    """``released``: what the released networks are called."""
    return _cases_in(get_language(), released)


@cache
def _cases_in(_language: str | None, released: str | Promise) -> list[Case]:
    found = []
    for series, said in released_results()["real_ct"].items():
        folds = [*results()["real_ct"].get(series, {}).values()]
        found.append(_case(series, released, [said]))
        if folds:
            of_folds = gettext("%(count)s trained without some volumes") % {"count": len(folds)}
            found.append(_case(series, of_folds, folds))
    return found


def _case(series: str, networks: str | Promise, said: list[dict[str, Any]]) -> Case:
    suspected = sum(one["suspected"] for one in said)
    if len(said) > 1:
        decided = gettext("%(some)s of %(all)s") % {"some": suspected, "all": len(said)}
    else:
        decided = gettext("yes") if suspected else gettext("no")
    return Case(
        series=series.replace("_", " "),
        shows=str(SHOWS[series]),
        networks=str(networks),
        suspected=decided,
        ratio=_span([one["positive_ratio"] for one in said], ratio_text),
        score=_span([one["corona_score_cm3"] for one in said], score_text),
        opacity=_span([one["opacity_percent"] for one in said], opacity_text),
    )


def _span(values: list[float], text: Callable[[float], str]) -> str:
    """From the lowest to the highest, or the one number that both are when rounded."""
    lowest, highest = (text(end(values)) for end in (min, max))
    if lowest == highest:
        return lowest
    return gettext("%(lowest)s to %(highest)s") % {"lowest": lowest, "highest": highest}


def _pixels_words(group: str) -> str:
    """Of a group of slices that the evaluation calls ``20 to 99`` or ``from 1000``."""
    lowest, _, highest = group.removeprefix("from ").partition(" to ")
    if not highest:
        return gettext("from %(lowest)s") % {"lowest": lowest}
    return gettext("%(lowest)s to %(highest)s") % {"lowest": lowest, "highest": highest}


def figures() -> dict[str, dict[str, Any]]:
    """Plotly figures as plain JSON; ``static/src/about.ts`` gives them their colours."""
    return _figures_in(get_language())


@cache
def _figures_in(_language: str | None) -> dict[str, dict[str, Any]]:
    return {name: figure.to_plotly_json() for name, figure in (("roc", _roc()), ("reliability", _reliability()))} | {
        "score": _score().to_plotly_json()
    }


def _roc() -> go.Figure:
    mean = results()["held_out"]["mean"]["slices"]
    traces = [
        go.Scatter(
            x=one["false_positive_rate"], y=one["true_positive_rate"], mode="lines", line_width=1.5,
            hovertemplate=_hover(gettext("1 − specificity %(x)s<br>sensitivity %(y)s"), x=".2f", y=".2f"),
        )
        for one in results()["curves"]
    ]  # fmt: skip
    working_point = go.Scatter(
        x=[1 - mean["specificity"]], y=[mean["sensitivity"]], mode="markers+text", text=[gettext("working point")],
        textposition="bottom right", marker={"size": 12, "symbol": "diamond"},
        hovertemplate=_hover(gettext("working point<br>1 − specificity %(x)s<br>sensitivity %(y)s"), x=".3f", y=".3f"),
    )  # fmt: skip
    return _with_diagonal(
        go.Figure([*traces, working_point], _square(gettext("1 − specificity"), gettext("Sensitivity"), 1)), 1
    )


def _reliability() -> go.Figure:
    traces = [
        go.Scatter(
            x=[tenth["mean_probability"] for tenth in one["reliability"]],
            y=[tenth["abnormal"] for tenth in one["reliability"]],
            text=[tenth["slices"] for tenth in one["reliability"]], mode="lines+markers", line_width=1.5,
            hovertemplate=_hover(
                gettext("%(text)s slices<br>probability %(x)s<br>abnormal %(y)s"), text="", x=".2f", y=".0%",
            ),
        )
        for one in results()["curves"]
    ]  # fmt: skip
    layout = _square(gettext("Probability of the network"), gettext("Share that is abnormal"), 1)
    return _with_diagonal(go.Figure(traces, layout), 1)


def _score() -> go.Figure:
    volumes = results()["held_out"]["mean"]["score"]["percent_of_lung"]
    true, scored = ([one[name] for one in volumes.values()] for name in ("true", "headline"))
    highest = 1.08 * max(true + scored)
    points = go.Scatter(
        x=true, y=scored, text=list(volumes), mode="markers", marker={"size": 10}, cliponaxis=False,
        hovertemplate=_hover(
            gettext("%(text)s<br>opacity %(x)s %%<br>Corona score %(y)s %%"), text="", x=".1f", y=".1f",
        ),
    )  # fmt: skip
    true_title = gettext("True opacity of the lung, %")
    score_title = gettext("Corona score of the lung, %")
    layout = _square(true_title, score_title, highest)
    return _with_diagonal(go.Figure([points], layout), highest)


def _hover(words: str, **formats: str) -> str:
    """Plotly's template: ``words`` with its values, each in a d3 format."""
    values = {name: f"%{{{name}:{written}}}" if written else f"%{{{name}}}" for name, written in formats.items()}
    return f"{words % values}<extra></extra>"


def _with_diagonal(figure: go.Figure, end: float) -> go.Figure:
    return figure.add_shape(type="line", x0=0, y0=0, x1=end, y1=end, line={"dash": "dot", "width": 1})


def _square(across: str, up: str, end: float) -> dict[str, Any]:
    axis = {"range": [0, 1.02 * end], "fixedrange": True, "zeroline": False, "nticks": 6}
    return {
        "template": None,
        "margin": {"l": 58, "r": 12, "t": 8, "b": 48},
        "hovermode": "closest",
        "dragmode": False,
        "showlegend": False,
        "separators": separators(),
        "xaxis": axis | {"title": {"text": across, "standoff": 8, "font": {"size": TITLE_SIZE}}},
        "yaxis": axis | {"title": {"text": up, "standoff": 8, "font": {"size": TITLE_SIZE}}},
    }


def _by_probability() -> dict[str, Any]:
    """Slices below 0.1 (``lowest``) and in the middle in the first of the trainings, and the share of those from 0.1 to
    0.2 that are abnormal over all."""
    first, *_ = by_tenths = [
        {int(10 * tenth["mean_probability"]): tenth for tenth in one["reliability"]} for one in results()["curves"]
    ]
    return {
        "slices": sum(tenth["slices"] for tenth in first.values()),
        "lowest": first[0],
        "middle": sum(tenth["slices"] for number, tenth in first.items() if 0 < number < 9),
        "second": _span([tenths[1]["abnormal"] for tenths in by_tenths if 1 in tenths], percent_text),
    }


def _beside_disease(change: dict[str, Any]) -> dict[str, float]:
    """Of nodules that both scans of synthetic follow-ups show, how many are not found on both."""
    nodules = sum(sum(change["status"][lasting].values()) for lasting in ("grown", "stable", "shrunk"))
    slice_mm = max(mm for pair in change["slice_mm"] for mm in pair)
    return {"nodules": nodules, "missed": nodules - change["found_twice"], "slice_mm": slice_mm}


def page() -> dict[str, Any]:
    """The template's context. Whatever networks run, its figures are of the released ones."""
    written = results()
    network_set = network_sets.active()
    change = json.loads((EVALUATION / "change.json").read_text())
    mean, lowest, highest = (written["held_out"][name] for name in ("mean", "min", "max"))
    nodules = released_results()["nodules"]["phantoms"]  # by the distances of slices and pixels
    return {
        "results": written,
        "variation": released_results()["repeatability"]["variation"],
        "fold_count": len(written["fold_weights"]),
        "by_probability": _by_probability(),
        "lung": written["lung_slices"]["mean"]["val + test"],
        "volumes": mean["lung_volumes"],
        "slices": mean["slices"],
        "sensitivities": [
            (_pixels_words(group), one["sensitivity"]) for group, one in mean["slices"]["sensitivity_by_pixels"].items()
        ],
        "lowest": lowest,
        "highest": highest,
        "heat": mean["heat_map"],
        "score": mean["score"],
        "severe": mean["score"]["percent_of_lung"]["volume 9"],
        "opacity": mean["opacity"],
        "healthy_outlined": mean["opacity"]["per_volume"]["volume 6"]["found"],
        "nodules": nodules["1.5 × 0.8 mm"],
        "nodules_thick": nodules["5 × 0.8 mm"],
        "change": change,
        "beside_disease": _beside_disease(change),
        "cases": cases(NOT_RUNNING) if network_set else cases(),
        "charts": CHARTS,
        "figures": figures(),
        "networks": networks(),
        "network_set": network_set,
        "network_set_card": rendered(network_set.card) if network_set else None,
    }
