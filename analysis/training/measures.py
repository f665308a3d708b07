"""The figures of the evaluation, as plain functions of arrays."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import optimize, special, stats

DRAWS = 2000
BINS = 10


def dice(a: npt.NDArray[np.bool_], b: npt.NDArray[np.bool_]) -> float:
    """2·|a∩b| ÷ (|a| + |b|); 1 where both are empty."""
    both = a.sum() + b.sum()
    return float(2 * (a & b).sum() / both) if both else 1.0


def auc(score: npt.NDArray[np.floating], positive: npt.NDArray[np.bool_]) -> float:
    """Area under the ROC curve (Mann–Whitney, ties count half); NaN without both classes."""
    positives, negatives = int(positive.sum()), int((~positive).sum())
    if not positives or not negatives:
        return float("nan")
    ranks = stats.rankdata(score)
    return float((ranks[positive].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def roc(score: npt.NDArray[np.floating], positive: npt.NDArray[np.bool_]) -> tuple[npt.NDArray, npt.NDArray]:
    """False and true positive rates, from (0, 0) to (1, 1)."""
    order = np.argsort(-score, kind="stable")
    hits = positive[order]
    last_of_tie = np.append(np.diff(score[order]) != 0, True)
    true = np.append(0, np.cumsum(hits)[last_of_tie] / hits.sum())
    false = np.append(0, np.cumsum(~hits)[last_of_tie] / (~hits).sum())
    return false, true


def reliability(
    probability: npt.NDArray[np.floating], positive: npt.NDArray[np.bool_]
) -> list[tuple[int, float, float]]:
    """Of each tenth of [0, 1] that holds probabilities: how many, their mean, and the share of positives."""
    bins = np.minimum((probability * BINS).astype(int), BINS - 1)
    members = [bins == one for one in np.unique(bins)]
    return [(int(own.sum()), float(probability[own].mean()), float(positive[own].mean())) for own in members]


def calibration_error(probability: npt.NDArray[np.floating], positive: npt.NDArray[np.bool_]) -> float:
    """Expected calibration error (Guo et al. 2017, equation 5): mean distance of probability and share of positives."""
    return sum(count * abs(mean - share) for count, mean, share in reliability(probability, positive)) / len(positive)


def temperature(probability: npt.NDArray[np.floating], positive: npt.NDArray[np.bool_]) -> float:
    """What the logits are to be divided by for the least cross-entropy (Guo et al. 2017, section 4.2)."""
    logit = special.logit(probability.clip(1e-6, 1 - 1e-6))

    def cross_entropy(log_temperature: float) -> float:
        scaled = logit / np.exp(log_temperature)
        return float(np.logaddexp(0, np.where(positive, -scaled, scaled)).mean())

    return float(np.exp(optimize.minimize_scalar(cross_entropy, bounds=(-3, 3), method="bounded").x))


def threshold_for_sensitivity(score: npt.NDArray[np.floating], positive: npt.NDArray[np.bool_], wanted: float) -> float:
    """The highest threshold at which at least ``wanted`` of the positives reach it."""
    return float(np.quantile(score[positive], 1 - wanted, method="lower"))


def bootstrap(groups: Sequence[str], figure: Callable[[list[str]], float], seed: int = 0) -> tuple[float, float]:
    """95 % interval of a figure over groups (volumes) drawn with replacement; draws without a value are left out."""
    random = np.random.default_rng(seed)
    values = [figure(list(random.choice(groups, len(groups)))) for _ in range(DRAWS)]
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)


def over_runs(figure: Callable[[list[float]], float], runs: list) -> Any:
    """Combine the same nested figures of several runs, number by number (``figure``: their mean, say)."""
    first = runs[0]
    if isinstance(first, dict):
        return {name: over_runs(figure, [run[name] for run in runs if name in run]) for name in first}
    return float(figure(runs))


def agreement(measured: Sequence[float], true: Sequence[float]) -> dict[str, float]:
    """Pearson's r, Spearman's rho and the mean absolute error."""
    return {
        "r": float(stats.pearsonr(measured, true).statistic),
        "rho": float(stats.spearmanr(measured, true).statistic),
        "mean_absolute_error": float(np.abs(np.subtract(measured, true)).mean()),
    }
