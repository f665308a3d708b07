"""Choose the three thresholds on the folds' training volumes: python -m analysis.training.thresholds

Prints them for protocol.toml, where they are committed before the reported run.
"""

import numpy as np

from analysis.pipeline.score import positive_ratio
from analysis.training import data
from analysis.training.cases import Case, fold_models, opacity_cases
from analysis.training.measures import dice, threshold_for_sensitivity

SENSITIVITY = 0.95
HEAT_THRESHOLDS = np.arange(0.05, 0.95, 0.05)
MIN_OPACITY_PERCENT = 1.0  # volumes with less say little about Dice


def slice_threshold(cases: list[Case]) -> float:
    probability = np.concatenate([case.probability[case.counts] for case in cases])
    positive = np.concatenate([case.truth.label[case.counts] == 1 for case in cases])
    return threshold_for_sensitivity(probability, positive, SENSITIVITY)


def heat_threshold(cases: list[Case]) -> float:
    """The threshold of the best mean Dice on positive slices."""
    clear = [case for case in cases if case.opacity_percent >= MIN_OPACITY_PERCENT]

    def mean_dice(threshold: float) -> float:
        values = []
        for case in clear:
            positive = case.truth.label == 1
            heat = case.analysis.heatmap[positive] >= 255 * threshold
            values.append(dice(heat & case.truth.lung[positive], case.truth.opacity[positive]))
        return float(np.mean(values))

    return float(max(HEAT_THRESHOLDS, key=mean_dice))


def main() -> None:
    for fold in ("A", "B"):
        for seed in data.protocol()["seeds"][fold]:
            cases = opacity_cases(data.trained_volumes(fold), fold_models(fold, seed))
            chosen = slice_threshold(cases)
            print(f"fold {fold} seed {seed}: slice_threshold {chosen:.3f}, heat_threshold {heat_threshold(cases):.2f}")
            for case in cases:
                ratio = positive_ratio(case.probability, chosen)
                print(f"  {case.name}: opacity {case.opacity_percent:.1f} %, positive ratio {ratio:.2f}", flush=True)


if __name__ == "__main__":
    main()
