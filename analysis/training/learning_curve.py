"""What more scans, and more training, would bring: python -m analysis.training.learning_curve

Trains the slice classifier on some of each fold's volumes, with fewer images than the release, and measures it bare
(without neighbours, mirror image and decoder), beside the runs that are released. Writes
docs/evaluation/learning_curve.json; runs/learning_curve-… that are there are not made again: delete them after a change
of the settings.
"""

import functools
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from analysis.pipeline.inference import Network
from analysis.pipeline.networks import SliceClassifier
from analysis.training import data
from analysis.training.evaluation_page import write
from analysis.training.plain_figures import figures
from analysis.training.plain_network import keep_said, made_at, seen_by
from analysis.training.slice_classifier import Sources, fit, from_imagenet, labelled_slices

MIN_SLICES = 10  # abnormal ones of a first volume, normal ones of a second: without either nothing can be learnt


class SomeVolumes(Sources):
    """Sources with some of the volumes."""

    def __init__(self, fold: str, seed: int, chosen: list[int], network: Network | None = None) -> None:
        self.chosen = chosen
        super().__init__(fold, seed, network)

    def volumes(self, fold: str) -> list[int]:
        return self.chosen


def chosen_volumes(count: int, fold: str) -> list[int]:
    """As many of the fold's volumes, or all; fewer are among more."""
    return _in_order(fold)[:count]


@functools.cache
def _in_order(fold: str) -> list[int]:
    """The fold's volumes, shuffled, but one with abnormal slices first, and one with normal ones second."""
    order = np.random.default_rng(data.folds().index(fold)).permutation(data.trained_volumes(fold)).tolist()
    slices = labelled_slices(data.opacity_masks(order))
    labels = {volume: slices.label[slices.group == str(volume)] for volume in order}
    abnormal = next(volume for volume in order if (labels[volume] == 1).sum() >= MIN_SLICES)
    normal = next(volume for volume in order if volume != abnormal and (labels[volume] == 0).sum() >= MIN_SLICES)
    return [abnormal, normal, *(volume for volume in order if volume not in (abnormal, normal))]


def said_path(count: int, images: int, fold: str) -> Path:
    return data.RUNS / f"learning_curve-{fold}-{count}-{images}.npz"


def short_settings() -> dict:
    """Those of the slice classifier, of fewer images."""
    curve = data.protocol()["learning_curve"]
    return data.protocol()["slice_classifier"] | {"images": curve["images"], "ema": curve["ema"]}


def train(count: int, fold: str, seed: int, network: Network | None = None) -> SliceClassifier:
    """``network``: as for Sources."""
    settings = short_settings()
    torch.manual_seed(seed)
    averages: list[SliceClassifier] = []
    fit(from_imagenet(), SomeVolumes(fold, seed, chosen_volumes(count, fold), network), settings, seed, averages.append)
    return averages[-1]


def point(count: int, settings: dict, network_of: Callable[[str], SliceClassifier]) -> dict:
    """Figures of networks of all folds that learnt from ``count`` volumes (or all that a fold has)."""
    images = settings["images"]
    for fold in data.folds():
        path = said_path(count, images, fold)
        if not path.exists():
            network = network_of(fold).eval().to(data.device())
            keep_said(seen_by(network), fold, data.device(), path, settings)
            print(path.name, flush=True)
    return {
        "volumes": float(np.mean([len(chosen_volumes(count, fold)) for fold in data.folds()])),
        "images": images,
        "commit": made_at([said_path(count, images, fold) for fold in data.folds()], settings),
        **figures(partial(said_path, count, images), partial(chosen_volumes, count)),
    }


def main() -> None:
    settings, seed = data.protocol()["learning_curve"], data.protocol()["seeds"]["slice_classifier"][0]
    points = [
        point(count, short_settings(), lambda fold, count=count: train(count, fold, seed))
        for count in settings["volumes"]
    ]

    def released_run(fold: str) -> SliceClassifier:
        network = SliceClassifier()
        data.load_run("slice_classifier", fold, seed, network)
        return network

    points.append(point(settings["volumes"][-1], data.protocol()["slice_classifier"], released_run))
    measured = {"command": "python -m analysis.training.learning_curve", "commit": points[0]["commit"], "seed": seed}
    write("learning_curve", measured | {"points": points})


if __name__ == "__main__":
    main()
