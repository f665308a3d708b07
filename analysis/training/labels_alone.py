"""Train our classifier on labels of slices alone, to compare with: python -m analysis.training.labels_alone --fold FOLD

On the slices of opacity_masks, of which it is told whether there is opacity but not where: no outline, no synthetic
opacity, no other source. Only the evaluation uses it. Writes runs/labels_alone-FOLD-SEED.npz: what it says of the nine
volumes.
"""

import torch

from analysis.pipeline.networks import SliceClassifier
from analysis.training import data
from analysis.training.plain_network import keep_said, seen_by
from analysis.training.slice_classifier import Sources, fit, from_imagenet


class Volumes(Sources):
    """Those of opacity_masks: the others weigh nothing in these settings."""

    settings_name = "labels_alone"


def train(fold: str, seed: int) -> None:
    settings, averages = data.protocol()["labels_alone"], list[SliceClassifier]()
    torch.manual_seed(seed)
    fit(from_imagenet(), Volumes(fold, seed), settings, seed, averages.append)
    network = averages[-1].eval().to(data.device())
    path = data.run_path("labels_alone", fold, seed).with_suffix(".npz")
    keep_said(seen_by(network), fold, data.device(), path, settings)


if __name__ == "__main__":
    train(*data.asked_run(__doc__))
