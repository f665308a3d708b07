"""Measure after the protocol: python -m analysis.training.evaluate

Every figure is of scans that the network it belongs to never saw. Needs the networks of all folds and seeds, which
``make train`` leaves in runs/. Writes docs/evaluation/results.json; evaluation_page.py makes the page of it. About ten
minutes on two CPU cores.
"""

import numpy as np
import torch

from analysis.pipeline.inference import Network
from analysis.pipeline.report import METHOD_VERSION
from analysis.pipeline.weights import released
from analysis.training import data
from analysis.training.cases import ct_volume, fold_lungs, fold_models, opacity_cases
from analysis.training.evaluate_released import ct_figures
from analysis.training.evaluation_intervals import intervals
from analysis.training.evaluation_page import write
from analysis.training.held_out import curves, held_out_figures
from analysis.training.measures import dice, over_runs
from analysis.training.slice_classifier import with_lungs

NETWORKS = ("lung_unet", "slice_classifier", "opacity_decoder")  # that the folds have too
HELD_OUT_BY_ALL = ("covid_P001", "normal_001")
SUMMARIES = {"mean": np.mean, "min": np.min, "max": np.max}  # over the runs


def lung_slices(network: Network) -> dict:
    """Dice per slice on lung_masks, of a network that trained on the other split of it."""
    figures = {}
    for name, splits in (("test", ("test",)), ("val + test", ("val", "test"))):
        slices = data.lung_masks(*splits)
        found = with_lungs(slices, network, each_alone=True)
        values = [dice(a, b) for a, b in zip(found.lung, slices.lung, strict=True)]
        figures[name] = {"slices": len(values), "mean": np.mean(values), "min": min(values)}
    return figures


def main() -> None:
    held_out, seeds = data.protocol()["held_out"], data.protocol()["seeds"]["slice_classifier"]
    models = {}
    runs = []  # one for each seed: all volumes, each by the fold's networks that never saw it
    for seed in seeds:
        cases = []
        for fold in data.folds():
            models[f"{fold} seed {seed}"] = fold_models(fold, seed)
            cases += opacity_cases(held_out[fold], models[f"{fold} seed {seed}"])
        runs.append(sorted(cases, key=lambda case: case.name))
    figures = [held_out_figures(cases) for cases in runs]
    of_lungs = [lung_slices(fold_lungs("release", seed)) for seed in seeds]
    real = {name: ct_volume(name) for name in HELD_OUT_BY_ALL}
    write(
        "results",
        {
            "command": "python -m analysis.training.evaluate",
            "commit": data.commit(),
            "method": METHOD_VERSION,
            "weights": {
                version.name: version.sha256
                for version in released(torch.device("cpu")).versions
                if version.name in NETWORKS
            },
            "fold_weights": {
                which: {version.name: version.sha256 for version in one.versions} for which, one in models.items()
            },
            "seeds": seeds,
            "case_threshold": data.protocol()["working_point"]["case_threshold"],
            "lung_slices": {name: over_runs(function, of_lungs) for name, function in SUMMARIES.items()},
            "held_out": {name: over_runs(function, figures) for name, function in SUMMARIES.items()},
            "curves": [curves(cases) for cases in runs],
            "intervals": intervals(runs),
            "real_ct": {
                name: {which: ct_figures(name, volume, one) for which, one in models.items()}
                for name, volume in real.items()
            },
        },
    )


if __name__ == "__main__":
    main()
