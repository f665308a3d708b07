"""95 % intervals of the figures, by a bootstrap over the groups of volumes that are held out together."""

from collections.abc import Callable

import numpy as np

from analysis.training import data, measures
from analysis.training.cases import Case
from analysis.training.measures import agreement, auc, dice
from analysis.training.thresholds import MIN_OPACITY_PERCENT, pooled

MIN_VOLUMES = 3  # different ones in a draw, for a correlation over volumes
Interval = tuple[float, float]


def intervals(runs: list[list[Case]]) -> dict[str, Interval]:
    """Of means over runs; each run holds all volumes, by the networks that never saw them."""
    threshold = data.protocol()["working_point"]["slice_threshold"]
    heat = 255 * data.protocol()["working_point"]["heat_threshold"]

    def called(case: Case, positive: bool) -> tuple[float, float]:
        """Right decisions and slices."""
        probability, abnormal = pooled([case])
        right = (probability >= threshold) == abnormal
        return float(right[abnormal == positive].sum()), float((abnormal == positive).sum())

    def held(case: Case) -> tuple[float, float]:
        return float((case.analysis.lungs & case.truth.opacity).sum()), float(case.truth.opacity.sum())

    def heat_dice(case: Case) -> float:
        positive = case.truth.label == 1
        lung = case.truth.lung[positive]
        return dice((case.analysis.heatmap[positive] >= heat) & lung, case.truth.opacity[positive] & lung)

    def opacity_dice(case: Case) -> float:
        return dice(case.analysis.opacity > 0, case.truth.opacity)

    clear = [[case for case in run if case.opacity_percent >= MIN_OPACITY_PERCENT] for run in runs]
    without_9 = [[case for case in run if case.name != "volume 9"] for run in runs]
    return {
        "auc": _of_auc(runs),
        "sensitivity": _of_share(runs, lambda case: called(case, True)),
        "specificity": _of_share(runs, lambda case: called(case, False)),
        "lung_dice": _of_mean(runs, lambda case: dice(case.analysis.lungs, case.truth.lung)),
        "opacity_inside": _of_share(runs, held),
        "heat_dice_mean": _of_mean(clear, heat_dice),
        "opacity_dice_mean": _of_mean(clear, opacity_dice),
        "score_r": _of_score(runs, "r"),
        "score_r_without_volume_9": _of_score(without_9, "r"),
        "score_error": _of_score(runs, "mean_absolute_error"),
        "score_error_without_volume_9": _of_score(without_9, "mean_absolute_error"),
    }


def of_median(figures: dict[str, float]) -> Interval:
    """Of the median over volumes. ``figures``: by the volume's name."""
    return _bootstrap(list(figures), lambda drawn: float(np.median([figures[name] for name in drawn])))


def _of_mean(runs: list[list[Case]], figure: Callable[[Case], float]) -> Interval:
    values = {case.name: np.mean([figure(run[k]) for run in runs]) for k, case in enumerate(runs[0])}
    return _bootstrap(list(values), lambda drawn: float(np.mean([values[name] for name in drawn])))


def _of_share(runs: list[list[Case]], parts: Callable[[Case], tuple[float, float]]) -> Interval:
    """Of the sum of the parts over volumes ÷ that of the wholes."""
    values = {case.name: np.mean([parts(run[k]) for run in runs], axis=0) for k, case in enumerate(runs[0])}

    def share(drawn: list[str]) -> float:
        part, whole = np.sum([values[name] for name in drawn], axis=0)
        return float(part / whole) if whole else float("nan")

    return _bootstrap(list(values), share)


def _of_auc(runs: list[list[Case]]) -> Interval:
    slices = [{case.name: pooled([case]) for case in cases} for cases in runs]

    def mean_auc(names: list[str]) -> float:
        values = []
        for by_name in slices:
            score, label = zip(*(by_name[name] for name in names), strict=True)
            values.append(auc(np.concatenate(score), np.concatenate(label)))
        return float(np.mean(values))

    return _bootstrap([case.name for case in runs[0]], mean_auc)


def _of_score(runs: list[list[Case]], name: str) -> Interval:
    """Of the agreement of the headline score with the true opacity."""
    true = {case.name: case.opacity_percent for case in runs[0]}
    scores = [{case.name: case.score_percent() for case in cases} for cases in runs]

    def figure(drawn: list[str]) -> float:
        if len(set(drawn)) < MIN_VOLUMES:
            return float("nan")
        of_runs = [agreement([run[one] for one in drawn], [true[one] for one in drawn])[name] for run in scores]
        return float(np.mean(of_runs))

    return _bootstrap(list(true), figure)


def _bootstrap(volumes: list[str], figure: Callable[[list[str]], float]) -> Interval:
    """``figure``: of the names of volumes, each as often as its group was drawn."""
    held_out = data.protocol()["held_out"]
    names = {fold: [f"volume {number}" for number in held_out[fold]] for fold in data.folds()}
    groups = {fold: [name for name in own if name in volumes] for fold, own in names.items()}
    drawn_from = [fold for fold, own in groups.items() if own]
    return measures.bootstrap(drawn_from, lambda drawn: figure([name for fold in drawn for name in groups[fold]]))
