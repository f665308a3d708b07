"""Train the opacity decoder on a slice classifier that stays as it is:
python -m analysis.training.opacity_decoder --fold FOLD [--seed N]

Writes runs/opacity_decoder-FOLD-SEED.pt, for runs/slice_classifier-FOLD-SEED.pt.
"""

import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - as everywhere in torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from analysis.pipeline.networks import OpacityDecoder, SliceClassifier, half_precision
from analysis.training import data, slice_classifier

OUTSIDE_WEIGHT = 0.1  # of a pixel outside the lung in the cross-entropy: the pipeline masks it anyway
SMOOTHING_PIXELS = 20.0  # of the Dice loss: slices with less opacity hardly count


class Sources(slice_classifier.Sources):
    """The classifier's slices, more of them with haze."""

    settings_name = "opacity_decoder"
    haze_share = 0.35


def loss(logits: Tensor, lung: Tensor, opacity: Tensor) -> Tensor:
    """Cross-entropy plus soft Dice of each slice; all (N, 1, 224, 224)."""
    inside = (lung > 0.5).float()
    weight = OUTSIDE_WEIGHT + (1 - OUTSIDE_WEIGHT) * inside
    per_pixel = F.binary_cross_entropy_with_logits(logits, opacity, reduction="none")
    found, true = logits.sigmoid() * inside, opacity * inside
    both = (found * true).sum((1, 2, 3))
    dice = (2 * both + SMOOTHING_PIXELS) / (found.sum((1, 2, 3)) + true.sum((1, 2, 3)) + SMOOTHING_PIXELS)
    return (per_pixel * weight).sum() / weight.sum() + (1 - dice).mean()


def train(fold: str, seed: int) -> None:
    settings = data.protocol()["opacity_decoder"]
    torch.manual_seed(seed)
    sources = Sources(fold, seed)
    classifier, decoder = data.load_run("slice_classifier", fold, seed, SliceClassifier()), OpacityDecoder()
    keep = partial(data.save_run, "opacity_decoder", fold, seed, settings=settings)
    fit(decoder, classifier, sources, settings, seed, keep)


def fit(
    decoder: OpacityDecoder,
    classifier: SliceClassifier,
    sources: Sources,
    settings: dict,
    seed: int,
    keep: Callable[[nn.Module], None],
) -> None:
    """Train the decoder from where it stands, as ``slice_classifier.fit`` does the classifier."""
    random, device = torch.Generator().manual_seed(seed), data.device()
    classifier = classifier.requires_grad_(False).to(device, memory_format=torch.channels_last)
    decoder = decoder.to(device, memory_format=torch.channels_last).train()
    average = AveragedModel(decoder, multi_avg_fn=get_ema_multi_avg_fn(settings["ema"]), use_buffers=True)
    optimiser = torch.optim.AdamW(
        decoder.parameters(), lr=settings["learning_rate"], weight_decay=settings["weight_decay"]
    )
    steps = settings["images"] // settings["batch"]
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    started, losses = time.monotonic(), []
    for step in range(1, steps + 1):
        *batch, _ = sources.batch(settings["batch"])  # all outlined
        image, lung, opacity, _ = (one.to(device) for one in slice_classifier.sampled(*batch, random))
        image = image.contiguous(memory_format=torch.channels_last)
        with half_precision(image.device):
            logits = decoder(image, classifier.features(image))
        value = loss(logits.float(), lung, opacity)
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        schedule.step()
        average.update_parameters(decoder)
        losses.append(value.item())
        if step % 10 == 0 or step == steps:
            keep(average.module)
            seconds = time.monotonic() - started
            print(f"step {step}/{steps} loss {np.mean(losses[-10:]):.3f} {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    train(*data.asked_run(__doc__))
