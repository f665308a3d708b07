"""Choose the three thresholds on the folds' training volumes: python -m analysis.training.thresholds

Prints them for protocol.toml, where they are committed before the reported run. Of the first seed alone.
"""

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from analysis.pipeline.score import positive_ratio
from analysis.training import data
from analysis.training.cases import Case, fold_models, opacity_cases
from analysis.training.measures import dice, threshold_for_sensitivity

SENSITIVITY = 0.98  # of the abnormal slices of training volumes (decision 23)
UNSEEN_SENSITIVITY = 0.92  # of those of held-out volumes, to compare with (decision 23)
HEAT_THRESHOLDS = np.arange(0.05, 0.95, 0.05)
WITHOUT_DISEASE_PERCENT = 0.1  # opacity of the lung; volume 6 alone has less
MIN_OPACITY_PERCENT = 1.0  # volumes with less say little about Dice


One, Chosen = TypeVar("One"), TypeVar("Chosen")


def pooled(cases: list[Case]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Probability of all slices that count, and whether they are abnormal."""
    return (
        np.concatenate([case.probability[case.counts] for case in cases]),
        np.concatenate([case.truth.label[case.counts] == 1 for case in cases]),
    )


def slice_threshold(cases: list[Case], sensitivity: float = SENSITIVITY) -> float:
    """The highest at which so many of the abnormal slices are called abnormal."""
    return threshold_for_sensitivity(*pooled(cases), sensitivity)


def of_others(cases: dict[str, list[One]], choose: Callable[[list[One]], Chosen]) -> dict[str, Chosen]:
    """What is chosen for each fold on the volumes of all others; ``cases``: of each fold those that it left out."""
    return {fold: choose([case for other in cases if other != fold for case in cases[other]]) for fold in cases}


def heat_threshold(cases: list[Case]) -> float:
    """The threshold of the best mean Dice on positive slices."""
    clear = [case for case in cases if case.opacity_percent >= MIN_OPACITY_PERCENT]

    def mean_dice(threshold: float) -> float:
        values = []
        for case in clear:
            positive = case.truth.label == 1
            heat, lung = case.analysis.heatmap[positive] >= 255 * threshold, case.truth.lung[positive]
            values.append(dice(heat & lung, case.truth.opacity[positive] & lung))
        return float(np.mean(values))

    return float(max(HEAT_THRESHOLDS, key=mean_dice))


def case_threshold(cases: list[Case], slice_threshold: float) -> float:
    """The middle between the largest share of positive slices of a volume without disease and the smallest with."""
    ratio = {True: [0.0], False: [1.0]}
    for case in cases:
        ratio[case.opacity_percent < WITHOUT_DISEASE_PERCENT].append(positive_ratio(case.probability, slice_threshold))
    return (max(ratio[True]) + min(ratio[False])) / 2


def main() -> None:
    seed = data.protocol()["seeds"]["slice_classifier"][0]
    cases = {fold: opacity_cases(data.trained_volumes(fold), fold_models(fold, seed)) for fold in data.folds()}
    chosen = {fold: (slice_threshold(own), heat_threshold(own)) for fold, own in cases.items()}
    for fold, (of_slice, of_heat) in chosen.items():
        probability, positive = pooled(cases[fold])
        false = int((probability[~positive] >= of_slice).sum())
        print(f"{fold}: slice_threshold {of_slice:.3f} ({false} false slices), heat_threshold {of_heat:.2f}")
    of_slice, of_heat = np.mean(list(chosen.values()), axis=0)
    with_healthy = [
        own for own in cases.values() if any(case.opacity_percent < WITHOUT_DISEASE_PERCENT for case in own)
    ]
    of_case = np.mean([case_threshold(own, of_slice) for own in with_healthy])
    means = {"slice_threshold": of_slice, "heat_threshold": of_heat, "case_threshold": of_case}
    print("means:", ", ".join(f"{name} {value:.2f}" for name, value in means.items()))
    for sentence in differing(means, data.protocol()["working_point"]):
        print(sentence)


def differing(chosen: dict[str, float], kept: dict[str, float]) -> list[str]:
    """What to do about each number that was chosen otherwise than protocol.toml has it, in hundredths."""
    return [
        f"{name} is {kept[name]:.2f} in protocol.toml: change it to {value:.2f} there, and run "
        "`python -m analysis.training.release working_point` before the networks are measured."
        for name, value in chosen.items()
        if f"{value:.2f}" != f"{kept[name]:.2f}"
    ]


if __name__ == "__main__":
    main()
