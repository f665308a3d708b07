"""Measure after the protocol and write docs/evaluation: python -m analysis.training.evaluate

Every figure is of scans that the network it belongs to never saw, but for the two series of tumours. Takes about
twenty minutes on two CPU cores.
"""

import csv
import itertools
import json
import time
from collections import defaultdict
from dataclasses import replace

import numpy as np
import torch

from analysis.pipeline.grid import GRID, to_grid
from analysis.pipeline.inference import Network
from analysis.pipeline.lungs import clean, lung_logits, lung_mask
from analysis.pipeline.report import Report
from analysis.pipeline.run import analyse_volume
from analysis.pipeline.weights import Models, released
from analysis.training import data, repeatability
from analysis.training.cases import CT_CASES, ct_volume, fold_lungs, fold_models, opacity_cases, phantom_case
from analysis.training.evaluation_intervals import intervals
from analysis.training.evaluation_page import write_page
from analysis.training.held_out import curves, held_out_figures
from analysis.training.measures import (
    agreement,
    auc,
    dice,
    over_runs,
)
from analysis.training.nodule_figures import nodule_figures

PHANTOM_SPACINGS_MM = ((1.0, 1.4, 1.4), (2.5, 1.4, 1.4), (5.0, 1.4, 1.4), (2.5, 0.9, 0.9))
PHANTOM_SPACING_MM = (5.0, 1.2, 1.2)
PHANTOM_PERCENTS = (0.0, 4.0, 15.0)
HELD_OUT_BY_ALL = ("covid_P001", "normal_001")  # the fold models are asked about these as well
SUMMARIES = {"mean": np.mean, "min": np.min, "max": np.max}  # over the runs


def lung_slices(network: Network) -> dict:
    """Dice per slice on lung_masks, of a network that trained on the other split of it."""
    figures = {}
    for name, splits in (("test", ("test",)), ("val + test", ("val", "test"))):
        slices = data.lung_masks(*splits)
        logits = lung_logits(to_grid(slices.hu), network)
        found = [lung_mask(clean(one_slice[None]), GRID, GRID)[0] for one_slice in logits]
        values = [dice(a, b) for a, b in zip(found, slices.lung, strict=True)]
        figures[name] = {"slices": len(values), "mean": np.mean(values), "min": min(values)}
    return figures


def labelled_auc(name: str, report: Report) -> float | None:
    """AUC against slice_labels.csv (one reader's infection labels, noisy at the borders) where the series has it."""
    path = data.SHARED_DATA / "ct" / name / "slice_labels.csv"
    if not path.exists():
        return None
    with path.open(newline="") as file:
        infected = {row["sop_instance_uid"]: row["infection"] == "1" for row in csv.DictReader(file)}
    scored = [one for one in report.slices if one.probability is not None]
    probability = np.array([one.probability for one in scored], float)
    return auc(probability, np.array([infected[one.sop_instance_uid] for one in scored]))


def ct_figures(models_by_name: dict[str, Models]) -> dict:
    """Decisions on the four real series. The two of tumours gave slices without lung and healthy ones."""
    figures: dict = defaultdict(dict)
    for name in CT_CASES:
        volume = ct_volume(name)
        for which, models in models_by_name.items():
            if name not in HELD_OUT_BY_ALL and which != "released":
                continue
            analysis = analyse_volume(volume, models)
            report, alone = analysis.report, np.nan_to_num(analysis.probability_alone)
            scored = [one_slice for one_slice in report.slices if one_slice.probability is not None]
            figures[name][which] = {
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
    return dict(figures)


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
    started = time.monotonic()
    held_out, seeds = data.protocol()["held_out"], data.protocol()["seeds"]["slice_classifier"]
    release = released(torch.device("cpu"))
    networks = replace(release, nodules=None)  # the detector has figures of its own
    models = {"released": networks}
    runs = []  # one for each seed: all volumes, each by the fold's networks that never saw it
    for seed in seeds:
        cases = []
        for fold in data.folds():
            models[f"{fold} seed {seed}"] = fold_models(fold, seed)
            cases += opacity_cases(held_out[fold], models[f"{fold} seed {seed}"])
        runs.append(sorted(cases, key=lambda case: case.name))
    figures = [held_out_figures(cases) for cases in runs]
    of_lungs = [lung_slices(fold_lungs("release", seed)) for seed in seeds]
    results = {
        "command": "python -m analysis.training.evaluate",
        "commit": data.commit(),
        "weights": {version.name: version.sha256 for version in release.versions},
        "fold_weights": {
            which: {version.name: version.sha256 for version in one.versions} for which, one in models.items()
        },
        "seeds": seeds,
        "case_threshold": data.protocol()["working_point"]["case_threshold"],
        "lung_slices": {name: over_runs(function, of_lungs) for name, function in SUMMARIES.items()},
        "held_out": {name: over_runs(function, figures) for name, function in SUMMARIES.items()},
        "curves": [curves(cases) for cases in runs],
        "intervals": intervals(runs),
        "real_ct": ct_figures(models),
        "repeatability": repeatability.measure(networks),
        "phantoms": phantom_figures(networks),
        "nodules": nodule_figures(release),
    }
    results["minutes"] = (time.monotonic() - started) / 60
    write_page(json.loads(json.dumps(results, default=float)))


if __name__ == "__main__":
    main()
