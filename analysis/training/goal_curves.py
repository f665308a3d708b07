"""What more patients would bring where a goal is missed: python -m analysis.training.goal_curves

Learning curves of the lung U-Net and the opacity decoder, in short trainings on some of one fold's patients, each
measured on the volume that the fold leaves out, and of the nodules' regression, on scans held out. Writes
docs/evaluation/goal_curves.json. Needs runs/nodules.npz, which ``python -m analysis.training.nodules`` leaves; about
half an hour on two CPU cores.
"""

import argparse
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from analysis.pipeline.grid import GRID, to_grid
from analysis.pipeline.inference import Network, ready
from analysis.pipeline.lungs import clean, lung_logits, lung_mask
from analysis.pipeline.networks import LUNG_INPUT, SLICE_INPUT, LungUNet, OpacityDecoder, SliceClassifier, SliceNetworks
from analysis.pipeline.opacity import THRESHOLD
from analysis.pipeline.slices import classify
from analysis.pipeline.weights import Models, released
from analysis.training import data, lung_unet, nodules, opacity_decoder
from analysis.training.cases import NOMINAL_SPACING_MM
from analysis.training.evaluate import lung_slices
from analysis.training.evaluation_page import stored, write
from analysis.training.learning_curve import chosen_volumes, train
from analysis.training.measures import dice

CPU = torch.device("cpu")
SEED = 0
FALSE_PER_SCAN = 1.0  # of the goal


class SomePatients(lung_unet.Sources):
    """Sources with a share of the patients."""

    def __init__(self, fold: str, seed: int, share: float) -> None:
        self.patients = share
        super().__init__(fold, seed)

    def of_patients(self, fold: str) -> dict[str, data.Slices]:
        slices = data.lung_masks("train")  # each of a patient of its own
        order = np.random.default_rng(SEED).permutation(len(slices))
        chosen = np.isin(np.arange(len(slices)), order[: round(self.patients * len(slices))])
        volumes = chosen_volumes(_count(fold, self.patients), fold)
        return {"lung_masks": slices.where(chosen), "opacity_masks": data.opacity_masks(volumes)}


class SomeVolumes(opacity_decoder.Sources):
    """The decoder's sources with some of the volumes."""

    def __init__(self, fold: str, seed: int, chosen: list[int], network: Network) -> None:
        self.chosen = chosen
        super().__init__(fold, seed, network)

    def volumes(self, fold: str) -> list[int]:
        return self.chosen


def _count(fold: str, share: float) -> int:
    return round(share * len(data.trained_volumes(fold)))


def lung_point(share: float) -> dict:
    """Dice of held-out slices, and how much of the opacity of the fold's own volume is inside the lungs found."""
    curve = data.protocol()["goal_curves"]
    fold = curve["lung_fold"]
    settings = data.protocol()["lung_unet"] | {"images": curve["lung_images"], "ema": curve["lung_ema"]}
    torch.manual_seed(SEED)
    averages: list[nn.Module] = []
    sources = SomePatients(fold, SEED, share)
    lung_unet.fit(LungUNet(), sources, settings, SEED, averages.append)
    network = ready(averages[-1], LUNG_INPUT, CPU)
    truth = data.opacity_masks(data.protocol()["held_out"][fold])
    grid_hu = to_grid(truth.hu)
    lungs = lung_mask(clean(lung_logits(grid_hu, network), grid_hu), GRID, GRID)
    return {
        "share": share,
        "volumes": _count(fold, share),
        **{name: float(value) for name, value in lung_slices(network)["val + test"].items() if name != "slices"},
        "opacity_inside": float((lungs & truth.opacity).sum() / truth.opacity.sum()),
    }


def decoder_points(shares: list[float], models: Models) -> list[dict]:
    """Dice of the opacity found in the fold's own volume, on one classifier that learnt from all others."""
    curve = data.protocol()["goal_curves"]
    fold = curve["decoder_fold"]
    settings = data.protocol()["opacity_decoder"] | {"images": curve["decoder_images"], "ema": curve["decoder_ema"]}
    classifier = train(_count(fold, 1.0), fold, SEED, models.lung_unet).eval()
    truth = data.opacity_masks(data.protocol()["held_out"][fold])
    points = []
    for share in shares:
        torch.manual_seed(SEED)
        averages: list[OpacityDecoder] = []
        sources = SomeVolumes(fold, SEED, chosen_volumes(_count(fold, share), fold), models.lung_unet)
        opacity_decoder.fit(OpacityDecoder(), classifier, sources, settings, SEED, averages.append)
        found = _outlined(classifier, averages[-1].eval(), truth, models)
        points.append({"volumes": _count(fold, share), "dice": dice(found, truth.opacity & truth.lung)})
    return points


def _outlined(classifier: SliceClassifier, decoder: OpacityDecoder, truth: data.Slices, models: Models) -> np.ndarray:
    """Opacity, bool (slice, 256, 256), in the reference lungs of one volume."""
    slices = ready(SliceNetworks(classifier, decoder), SLICE_INPUT, CPU)
    own = replace(models, slices=slices, slice_classifier=classifier)
    scored = truth.lung.sum((1, 2)) >= data.MIN_LUNG_PIXELS
    hu = torch.from_numpy(truth.hu).float().unsqueeze(1)
    spacing_mm = NOMINAL_SPACING_MM[0]
    found = classify(hu, truth.lung, scored, slice_spacing_mm=spacing_mm, models=own, on_batch=lambda done: None)
    return found.opacity > THRESHOLD


def nodule_point(found: nodules.Outlines, scans: int) -> dict:
    """Share of the nodules found at FALSE_PER_SCAN, on scans held out from so many others."""
    confidence = nodules.held_out_confidence(found, data.protocol()["nodules"], scans)
    return {"scans": scans, "sensitivity": nodules.at_false(found, confidence, FALSE_PER_SCAN)[1] / found.nodules}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodules", action="store_true", help="that of nodules alone anew (seconds); keep the others")
    curve, found = data.protocol()["goal_curves"], nodules.read_outlines()
    of_nodules = {
        "nodules": [nodule_point(found, scans) for scans in curve["nodule_scans"]],
        "nodules_commit": data.commit(),
    }
    if parser.parse_args().nodules:
        write("goal_curves", stored("goal_curves")[0] | of_nodules)
        return
    write(
        "goal_curves",
        {
            "command": "python -m analysis.training.goal_curves",
            "commit": data.commit(),
            "seed": SEED,
            "lung_unet": [lung_point(share) for share in curve["shares"]],
            "opacity_decoder": decoder_points(curve["shares"], released(CPU)),
        }
        | of_nodules,
    )


if __name__ == "__main__":
    main()
