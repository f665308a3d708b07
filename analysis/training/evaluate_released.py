"""Measure the released networks: python -m analysis.training.evaluate_released

On whole real series, on variants of one of them, on synthetic patients, nodules and masses. None of these trained a
network, but for LIDC-0003 and for healthy slices of both series of tumours. Needs the data, but no training. Writes
docs/evaluation/released.json; evaluation_page.py makes the page of it. Half an hour or more on two CPU cores.
"""

import itertools

import numpy as np
import torch

from analysis.pipeline.run import analyse_volume
from analysis.pipeline.volume import Volume
from analysis.pipeline.weights import Models, released
from analysis.training import data, repeatability
from analysis.training.cases import CT_CASES, ct_volume, labelled_auc, phantom_case
from analysis.training.evaluation_page import write
from analysis.training.mass_figures import mass_figures
from analysis.training.measures import agreement, dice
from analysis.training.nodule_figures import nodule_figures

PHANTOM_SPACINGS_MM = ((1.0, 1.4, 1.4), (2.5, 1.4, 1.4), (5.0, 1.4, 1.4), (2.5, 0.9, 0.9))
PHANTOM_SPACING_MM = (5.0, 1.2, 1.2)
PHANTOM_PERCENTS = (0.0, 4.0, 15.0)


def ct_figures(name: str, volume: Volume, models: Models) -> dict:
    """What one of the four real series is said to be."""
    analysis = analyse_volume(volume, models)
    report, alone = analysis.report, np.nan_to_num(analysis.probability_alone)
    scored = [one_slice for one_slice in report.slices if one_slice.probability is not None]
    return {
        "suspected": report.suspected,
        "positive_ratio": report.positive_ratio,
        "auc_of_labels": labelled_auc(name, report),
        "positive_slices": sum(bool(one_slice.positive) for one_slice in scored),
        "positive_alone": int((alone >= report.slice_threshold).sum()),
        "lung_slices": len(scored),
        "lung_volume_ml": report.lung_volume_ml,
        "corona_score_cm3": report.corona_score_cm3,
        "corona_score_paper_cm3": report.corona_score_paper_cm3,
        "opacity_percent": report.opacity.percent_of_lung,
        "opacity_high_percent": report.opacity.percent_high,
        "severity": report.opacity.severity.score,
    }


def phantom_figures(models: Models) -> dict:
    seeds = data.protocol()["phantoms"]["test"]
    cases = {}
    for seed, percent in itertools.product(seeds, PHANTOM_PERCENTS):
        case, opacity_cm3 = phantom_case(seed, percent, PHANTOM_SPACING_MM, models)
        report = case.analysis.report
        cases[case.name] = {
            "opacity_cm3": opacity_cm3,
            "corona_score_cm3": report.corona_score_cm3,
            "positive_ratio": report.positive_ratio,
            "suspected": report.suspected,
            "lung_dice": dice(case.analysis.lungs, case.truth.lung),
        }
    scores = {}
    for spacing_mm in PHANTOM_SPACINGS_MM:
        case, _ = phantom_case(seeds[0], PHANTOM_PERCENTS[-1], spacing_mm, models)
        scores[f"{spacing_mm[0]} × {spacing_mm[1]} mm"] = case.analysis.report.corona_score_cm3
    values = list(scores.values())
    return {
        "cases": cases,
        "agreement": agreement(*zip(*((o["corona_score_cm3"], o["opacity_cm3"]) for o in cases.values()), strict=True)),
        "spacing": scores,
        "spacing_variation": float(np.std(values) / np.mean(values)),
    }


def main() -> None:
    models = released(torch.device("cpu"))
    write(
        "released",
        {
            "command": "python -m analysis.training.evaluate_released",
            "commit": data.commit(),
            "weights": {version.name: version.sha256 for version in models.versions},
            "real_ct": {name: ct_figures(name, ct_volume(name), models) for name in CT_CASES},
            "repeatability": repeatability.measure(models),
            "phantoms": phantom_figures(models),
            "nodules": nodule_figures(models),
            "masses": mass_figures(models),
        },
    )


if __name__ == "__main__":
    main()
