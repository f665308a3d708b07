"""Figures of held-out volumes, each by networks that never saw it."""

import itertools
from collections.abc import Sequence

import numpy as np
from scipy import special

from analysis.pipeline.score import GATE_HU
from analysis.training import data
from analysis.training.cases import Case
from analysis.training.measures import agreement, auc, calibration_error, dice, reliability, roc, temperature
from analysis.training.thresholds import (
    HEAT_THRESHOLDS,
    MIN_OPACITY_PERCENT,
    UNSEEN_SENSITIVITY,
    of_others,
    pooled,
    slice_threshold,
)

OPACITY_PIXELS = (data.POSITIVE_PIXELS, 100, 200, 1000)  # of a slice, from which a class of its sensitivity begins


MIN_SLICES_PER_CLASS = 10  # for an AUC of one volume, or a correlation over its positive slices


def lung_volumes(cases: list[Case]) -> dict:
    """Dice per volume, and what of the opacity the lung mask holds, of fold models on held-out volumes."""
    found, truth = [case.analysis.lungs for case in cases], [case.truth for case in cases]
    without_9 = [index for index, case in enumerate(cases) if case.name != "volume 9"]
    empty = [a[~b.lung.any((1, 2))] for a, b in zip(found, truth, strict=True)]

    def opacity_inside(masks: list[np.ndarray], chosen: Sequence[int]) -> float:
        inside = sum(int((masks[i] & truth[i].opacity).sum()) for i in chosen)
        return inside / sum(int(truth[i].opacity.sum()) for i in chosen)

    reference, everything = [one.lung for one in truth], range(len(cases))
    return {
        "dice": {case.name: dice(a, b.lung) for case, a, b in zip(cases, found, truth, strict=True)},
        "opacity_inside": opacity_inside(found, everything),
        "opacity_inside_per_volume": {case.name: opacity_inside(found, [i]) for i, case in enumerate(cases)},
        "opacity_inside_without_volume_9": opacity_inside(found, without_9),
        "opacity_inside_reference": opacity_inside(reference, everything),
        "opacity_inside_reference_without_volume_9": opacity_inside(reference, without_9),
        "slices_without_lung": sum(len(one) for one in empty),
        "lung_pixels_there": int(sum(one.sum() for one in empty)),
    }


def slice_figures(cases: list[Case]) -> dict:
    threshold = data.protocol()["working_point"]["slice_threshold"]
    probability, positive = pooled(cases)
    per_volume = {case.name: pooled([case]) for case in cases}
    alone = np.concatenate([case.analysis.probability_alone[case.counts] for case in cases])
    return {
        "slices": len(positive),
        "positive": int(positive.sum()),
        "auc": auc(probability, positive),
        "auc_alone": auc(alone, positive),
        "calibration_error": calibration_error(probability, positive),
        "auc_per_volume": {
            name: auc(score, label)
            for name, (score, label) in per_volume.items()
            if min(label.sum(), (~label).sum()) >= MIN_SLICES_PER_CLASS
        },
        "slice_threshold": threshold,
        "sensitivity": float((probability[positive] >= threshold).mean()),
        "specificity": float((probability[~positive] < threshold).mean()),
        **blind_decisions(cases),
        "sensitivity_by_pixels": sensitivity_by_pixels(cases, threshold),
    }


def by_fold(cases: list[Case]) -> dict[str, list[Case]]:
    """Of each fold the volumes that it left out."""
    held_out = data.protocol()["held_out"]
    return {fold: [one for one in cases if int(one.name.split()[1]) in held_out[fold]] for fold in data.folds()}


def blind_decisions(cases: list[Case]) -> dict[str, float]:
    """Sensitivity and specificity where each fold's volumes are judged at the threshold that the volumes of the other
    folds, held out from these, choose for UNSEEN_SENSITIVITY."""
    folds = by_fold(cases)
    thresholds = of_others(folds, lambda others: slice_threshold(others, UNSEEN_SENSITIVITY))
    decided, positive = zip(
        *((probability >= thresholds[fold], label) for fold in folds for probability, label in [pooled(folds[fold])]),
        strict=True,
    )
    called, abnormal = np.concatenate(decided), np.concatenate(positive)
    return {
        "blind_sensitivity": float(called[abnormal].mean()),
        "blind_specificity": float((~called[~abnormal]).mean()),
    }


def sensitivity_by_pixels(cases: list[Case], threshold: float) -> dict[str, dict[str, float]]:
    """Sensitivity of slices by their pixels of opacity at 256²."""
    probability, _ = pooled(cases)
    pixels = np.concatenate([case.truth.opacity[case.counts].sum((1, 2)) for case in cases])
    figures = {}
    for low, high in itertools.pairwise([*OPACITY_PIXELS, np.inf]):
        own = (pixels >= low) & (pixels < high)
        name = f"{low} to {high - 1}" if np.isfinite(high) else f"from {low}"
        if own.any():
            figures[name] = {"slices": int(own.sum()), "sensitivity": float((probability[own] >= threshold).mean())}
    return figures


def temperature_figures(cases: list[Case]) -> dict[str, float]:
    """Calibration error once the logits of each fold's volumes were divided by the temperature of the other volumes.

    Those were judged by networks that trained on this fold's volumes: blind to the temperature, not to the volumes.
    """
    folds, scaled, labels = by_fold(cases), [], []
    temperatures = of_others(folds, lambda others: temperature(*pooled(others)))
    for fold, own in folds.items():
        probability, positive = pooled(own)
        scaled.append(special.expit(special.logit(probability) / temperatures[fold]))
        labels.append(positive)
    return {
        "temperature": float(np.mean(list(temperatures.values()))),
        "calibration_error": calibration_error(np.concatenate(scaled), np.concatenate(labels)),
    }


def curves(cases: list[Case]) -> dict:
    """ROC and reliability of the pooled slices."""
    probability, positive = pooled(cases)
    false, true = roc(probability, positive)
    return {
        "false_positive_rate": false.round(4).tolist(),
        "true_positive_rate": true.round(4).tolist(),
        "reliability": [
            {"slices": count, "mean_probability": mean, "abnormal": share}
            for count, mean, share in reliability(probability, positive)
        ],
    }


def heat_figures(cases: list[Case]) -> dict:
    """Per-pixel AUC, Dice and the share of the opacity under the map, in the reference lung, on positive slices, of
    each volume, and the medians of its slices."""
    threshold = 255 * data.protocol()["working_point"]["heat_threshold"]
    per_volume = {}
    for case in cases:
        positive = case.truth.label == 1
        if not positive.any():
            continue
        heat, lung = case.analysis.heatmap[positive], case.truth.lung[positive]
        opacity, dense = case.truth.opacity[positive] & lung, case.truth.hu[positive] > GATE_HU
        per_volume[case.name] = {
            "opacity_percent": case.opacity_percent,
            "pixel_auc": auc(heat[lung].astype(np.float32), opacity[lung]),
            "dice": dice((heat >= threshold) & lung, opacity),
            "dice_gated": dice((heat >= threshold) & lung & dense, opacity),
            "dice_at_own_threshold": max(dice((heat >= 255 * own) & lung, opacity) for own in HEAT_THRESHOLDS),
            "opacity_under_map": float((heat >= threshold)[opacity].mean()),
            "of_slices": slice_medians(heat, lung, opacity, threshold),
        }
    clear = [figures for figures in per_volume.values() if figures["opacity_percent"] >= MIN_OPACITY_PERCENT]
    summary = {
        f"{name}_{word}": float(function([figures[name] for figures in clear]))
        for name, (word, function) in itertools.product(
            ("pixel_auc", "dice", "dice_gated"), (("median", np.median), ("mean", np.mean), ("worst", np.min))
        )
    }
    return {"threshold": threshold / 255, "per_volume": per_volume, **summary}


def slice_medians(heat: np.ndarray, lung: np.ndarray, opacity: np.ndarray, threshold: float) -> dict[str, float]:
    """Medians over slices; heat uint8, lung and opacity inside it bool, all (slice, row, column)."""
    slices = list(zip(heat, lung, opacity, strict=True))
    return {
        "pixel_auc": float(np.nanmedian([auc(h[inside].astype(np.float32), o[inside]) for h, inside, o in slices])),
        "dice": float(np.median([dice((h >= threshold) & inside, o) for h, inside, o in slices])),
        "opacity_under_map": float(np.median([(h >= threshold)[o].mean() for h, _, o in slices if o.any()])),
    }


def opacity_figures(cases: list[Case]) -> dict:
    """Dice of the opacity network with the reference, and its share of the lung, on held-out volumes."""
    per_volume = {
        case.name: {
            "true": case.opacity_percent,
            "found": case.analysis.report.opacity.percent_of_lung,
            "high": case.analysis.report.opacity.percent_high,
            "severity": case.analysis.report.opacity.severity.score,
            "dice": dice(case.analysis.opacity > 0, case.truth.opacity),
        }
        for case in cases
    }
    clear = [name for name, figures in per_volume.items() if figures["true"] >= MIN_OPACITY_PERCENT]

    def found_and_true(left_out: tuple[str, ...] = ()) -> dict[str, float]:
        kept = [figures for name, figures in per_volume.items() if name not in left_out]
        return agreement([one["found"] for one in kept], [one["true"] for one in kept])

    return {
        "per_volume": per_volume,
        "dice_mean": float(np.mean([per_volume[name]["dice"] for name in clear])),
        "all": found_and_true(),
        "without_volume_9": found_and_true(("volume 9",)),
    }


def density_percent(case: Case) -> float:
    """Opacity by a density threshold without learning: −750…100 HU in the reference lung, eroded by 3 pixels."""
    from scipy.ndimage import binary_erosion

    eroded = np.stack([binary_erosion(lung, iterations=3) for lung in case.truth.lung])
    between = (case.truth.hu > GATE_HU) & (case.truth.hu < 100)
    return float(100 * (eroded & between).sum() / max(1, eroded.sum()))


def slice_correlation(case: Case) -> float:
    """Pearson's r over the slices of a volume between activation and true opacity."""
    activation = [one_slice.activation_cm2 or 0.0 for one_slice in case.analysis.report.slices]
    return agreement(activation, case.truth.opacity.sum((1, 2)))["r"]


def score_figures(cases: list[Case]) -> dict:
    true = [case.opacity_percent for case in cases]
    measured = {
        "headline": [case.score_percent() for case in cases],
        "paper": [case.score_percent(paper=True) for case in cases],
        "density threshold, no network": [density_percent(case) for case in cases],
    }
    keep = [index for index, case in enumerate(cases) if case.name != "volume 9"]
    return {
        "per_slice_r": {
            case.name: slice_correlation(case)
            for case in cases
            if (case.truth.label == 1).sum() >= MIN_SLICES_PER_CLASS
        },
        "percent_of_lung": {
            case.name: {"true": true[i], **{name: values[i] for name, values in measured.items()}}
            for i, case in enumerate(cases)
        },
        "all": {name: agreement(values, true) for name, values in measured.items()},
        "without_volume_9": {
            name: agreement([values[i] for i in keep], [true[i] for i in keep]) for name, values in measured.items()
        },
    }


def case_decisions(cases: list[Case]) -> dict[str, dict[str, float]]:
    """Of each volume, with its share of opacity; ``suspected`` as 0 or 1, for its mean over runs."""
    return {
        case.name: {
            "opacity_percent": case.opacity_percent,
            "positive_ratio": case.analysis.report.positive_ratio,
            "suspected": float(case.analysis.report.suspected),
        }
        for case in cases
    }


def held_out_figures(cases: list[Case]) -> dict:
    return {
        "cases": case_decisions(cases),
        "lung_volumes": lung_volumes(cases),
        "slices": slice_figures(cases),
        "temperature_scaled": temperature_figures(cases),
        "heat_map": heat_figures(cases),
        "score": score_figures(cases),
        "opacity": opacity_figures(cases),
    }
