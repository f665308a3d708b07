"""What the networks reach that ours are compared with: python -m analysis.training.plain_figures

Of the paper's plain network and of ours from labels alone. Writes docs/evaluation/plain_network.json and
labels_alone.json, which the evaluation prints beside our figures.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from analysis.pipeline.grid import GRID, crop
from analysis.training import data
from analysis.training.all_runs import COMPARED
from analysis.training.evaluation_page import write
from analysis.training.measures import agreement, auc, dice, threshold_for_sensitivity
from analysis.training.plain_network import made_at
from analysis.training.thresholds import HEAT_THRESHOLDS, MIN_OPACITY_PERCENT, SENSITIVITY


class Said:
    """What the fold's network says of one volume, and the truth."""

    def __init__(self, stored: dict[str, np.ndarray], volume: int, truth: data.Slices, own: npt.NDArray[np.bool_]):
        self.name, self.truth = f"volume {volume}", truth
        self.probability = stored["probability"][own].astype(np.float64)
        self.scored = stored["lung_pixels"][own] >= data.MIN_LUNG_PIXELS
        self.counts = self.scored & (truth.label >= 0)
        box = torch.from_numpy(stored["box"][own])
        heat = torch.from_numpy(stored["map"][own].astype(np.float32)).unsqueeze(1)
        back = torch.cat([(GRID / 2 - box[:, :2]) / box[:, 2:] + 0.5, GRID / box[:, 2:]], 1) * heat.shape[-1]
        self.heat = crop(heat, back, GRID)[:, 0].numpy() * truth.lung  # (slice, 256, 256)
        self.opacity_percent = float(100 * truth.opacity.sum() / truth.lung.sum())

    def score_percent(self, threshold: float) -> float:
        """The paper's score as a share of the reference lung."""
        positive = self.scored & (self.probability >= threshold)
        return float(100 * self.heat[positive].sum() / self.truth.lung.sum())


def figures(said_path: Callable[[str], Path], trained_volumes: Callable[[str], list[int]]) -> dict:
    """Of held-out volumes, each by the fold's network; its thresholds are of the volumes that it trained on."""
    volumes = data.trained_volumes("release")
    truth = data.opacity_masks(volumes)
    held_out, chosen = [], []
    for fold in data.folds():
        with np.load(said_path(fold)) as stored:
            said = {v: Said(dict(stored), v, truth.where(own), own) for v in volumes for own in [_of(truth, v)]}
        trained = [said[volume] for volume in trained_volumes(fold)]
        thresholds = _slice_threshold(trained), _heat_threshold(trained)
        for volume in data.protocol()["held_out"][fold]:
            held_out.append(said[volume]), chosen.append(thresholds)
    per_volume = {one.name: _of_volume(one, *own) for one, own in zip(held_out, chosen, strict=True)}
    probability, positive = _pooled(held_out)
    decided = np.concatenate(
        [one.probability[one.counts] >= own for one, (own, _) in zip(held_out, chosen, strict=True)]
    )
    clear = [one for one in per_volume.values() if one["true"] >= MIN_OPACITY_PERCENT]
    pixel_auc = [one["pixel_auc"] for one in clear]
    return {
        "auc": auc(probability, positive),
        "sensitivity": float(decided[positive].mean()),
        "specificity": float((~decided[~positive]).mean()),
        "per_volume": per_volume,
        "pixel_auc_median": float(np.median(pixel_auc)),
        "pixel_auc_worst": min(pixel_auc),
        "dice_median": float(np.median([one["dice"] for one in clear])),
        "dice_mean": float(np.mean([one["dice"] for one in clear])),
        "all": _agreement(list(per_volume.values())),
        "without_volume_9": _agreement([one for name, one in per_volume.items() if name != "volume 9"]),
    }


def _of(slices: data.Slices, volume: int) -> npt.NDArray[np.bool_]:
    return slices.group == str(volume)


def _pooled(volumes: list[Said]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    return (
        np.concatenate([one.probability[one.counts] for one in volumes]),
        np.concatenate([one.truth.label[one.counts] == 1 for one in volumes]),
    )


def _slice_threshold(volumes: list[Said]) -> float:
    return threshold_for_sensitivity(*_pooled(volumes), SENSITIVITY)


def _heat_threshold(volumes: list[Said]) -> float:
    clear = [one for one in volumes if one.opacity_percent >= MIN_OPACITY_PERCENT]
    return float(max(HEAT_THRESHOLDS, key=lambda threshold: np.mean([_dice(one, threshold) for one in clear])))


def _dice(one: Said, threshold: float) -> float:
    positive = one.truth.label == 1
    return dice(one.heat[positive] >= threshold, one.truth.opacity[positive] & one.truth.lung[positive])


def _of_volume(one: Said, slice_threshold: float, heat_threshold: float) -> dict[str, float]:
    said = {"true": one.opacity_percent, "score": one.score_percent(slice_threshold)}
    positive = one.truth.label == 1
    if not positive.any():
        return said
    lung = one.truth.lung[positive]
    pixel_auc = auc(one.heat[positive][lung], one.truth.opacity[positive][lung])
    return said | {"pixel_auc": pixel_auc, "dice": _dice(one, heat_threshold)}


def _agreement(volumes: list[dict[str, float]]) -> dict[str, float]:
    return agreement([one["score"] for one in volumes], [one["true"] for one in volumes])


def main() -> None:
    for network in COMPARED:
        (seed,) = data.protocol()["seeds"][network]
        paths = {fold: data.run_path(network, fold, seed).with_suffix(".npz") for fold in data.folds()}
        missing = [fold for fold, path in paths.items() if not path.exists()]
        if missing:
            sys.exit(f"There are no runs of {network} for {', '.join(missing)}: make train makes them.")
        commit = made_at(paths.values(), data.protocol()[network])
        measured = {"command": f"python -m analysis.training.{network}", "commit": commit, "seed": seed}
        measured |= figures(paths.__getitem__, data.trained_volumes)
        write(network, measured)


if __name__ == "__main__":
    main()
