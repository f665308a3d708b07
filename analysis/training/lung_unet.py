"""Train the lung U-Net: python -m analysis.training.lung_unet --fold FOLD [--seed N]

Writes runs/lung_unet-FOLD-SEED.pt. About eight minutes on one CPU core.
"""

import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - as everywhere in torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from analysis.pipeline.grid import crop
from analysis.pipeline.networks import LUNG_INPUT, LUNG_WINDOW_HU, LungUNet, half_precision, window
from analysis.training import data
from analysis.training.lesions import paste_gas, paste_opacities

# Augmentation
SIDE = (0.75, 1.3)  # side of the crop ÷ side of the slice: patients and fields of view differ
SHIFT = 0.12  # of the slice's side
ANGLE = 0.2  # radians
AIR_HU = -1000.0  # outside the slice
# Opacities are pasted denser than for the classifier. Those as dense as the chest wall, whose outline must then be
# guessed, lie at the posterior wall: anywhere in the lung they taught the network to take the liver's dome for lung.
PASTED_RADIUS, PASTED_HU = (4.0, 40.0), (-400.0, -50.0)  # pixels at 256²
DEPENDENT_SHARE = 0.5  # of the slices with synthetic opacities
DEPENDENT_RADIUS, DEPENDENT_HU = (6.0, 44.0), (-150.0, 70.0)

GAS_SHARE = 0.25  # of all slices: with pockets of gas in soft tissue, which are no lung

OPACITY_WEIGHT = 2.0  # what the cross-entropy of an opaque pixel weighs more: where a lung mask fails is there


def augmented(hu: Tensor, lung: Tensor, opacity: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Image scaled to [0, 1], lung share and opaque share, all (N, 1, 192, 192)."""
    n, _, _, size = hu.shape
    side = SIDE[0] + (SIDE[1] - SIDE[0]) * torch.rand(n, generator=random)
    centre = 0.5 + SHIFT * (2 * torch.rand(n, 2, generator=random) - 1)
    sampled = crop(
        torch.cat([hu - AIR_HU, lung, opacity], 1),
        torch.cat([centre, side[:, None]], 1) * size,
        LUNG_INPUT,
        angle=ANGLE * torch.randn(n, generator=random),
        flip=torch.where(torch.rand(n, generator=random) < 0.5, -1.0, 1.0),
    )
    hu, lung, opacity = sampled.split(1, 1)
    return window(data.jitter_hu(hu + AIR_HU, random), LUNG_WINDOW_HU), lung, opacity


def loss(logits: Tensor, lung: Tensor, opacity: Tensor) -> Tensor:
    """Cross-entropy, heavier on opacities, plus soft Dice over the batch (some slices have no lung to have one of)."""
    probability = logits.sigmoid()
    dice = (2 * (probability * lung).sum() + 1) / (probability.sum() + lung.sum() + 1)
    return F.binary_cross_entropy_with_logits(logits, lung, weight=1 + OPACITY_WEIGHT * opacity) + 1 - dice


class Sources:
    """All training slices in one table, drawn by source."""

    def __init__(self, fold: str, seed: int) -> None:
        settings = data.protocol()["lung_unet"]
        self.random = np.random.default_rng(seed)
        sources = {**self.of_patients(fold), "without_lung": data.without_lung(), "phantoms": data.phantoms()}
        self.slices = data.join(list(sources.values()))
        source = np.repeat(list(sources), [len(one) for one in sources.values()])
        self.members = {name: np.flatnonzero(source == name) for name in sources}
        real = np.isin(source, ("lung_masks", "opacity_masks"))
        self.members["pasted"] = np.flatnonzero(real & (self.slices.lung.sum((1, 2)) >= data.MIN_LUNG_PIXELS))
        self.share = {name: settings[name] for name in self.members}

    def of_patients(self, fold: str) -> dict[str, data.Slices]:
        return {
            "lung_masks": data.lung_masks("train"),
            "opacity_masks": data.opacity_masks(data.trained_volumes(fold)),
        }

    def batch(self, size: int) -> tuple[Tensor, Tensor, Tensor]:
        """HU, lung and opacity, each (N, 1, 256, 256)."""
        drawn = []
        for part in self.random.choice(list(self.share), size, p=list(self.share.values())):
            chosen = self.random.choice(self.members[part])
            hu, lung = self.slices.hu[chosen], self.slices.lung[chosen]
            opacity = self.slices.opacity[chosen] & lung
            if part == "pasted":
                hu, pasted = self.pasted_into(hu, lung)
                opacity = opacity | pasted
            if self.random.random() < GAS_SHARE:
                hu = paste_gas(hu, lung, self.random)
            drawn.append((hu, lung, opacity))
        hu, lung, opacity = (
            torch.from_numpy(np.stack(arrays)).float().unsqueeze(1) for arrays in zip(*drawn, strict=True)
        )
        return hu.clamp(-1024, 1000), lung, opacity

    def pasted_into(self, hu: np.ndarray, lung: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        dependent = self.random.random() < DEPENDENT_SHARE
        radius, target = (DEPENDENT_RADIUS, DEPENDENT_HU) if dependent else (PASTED_RADIUS, PASTED_HU)
        return paste_opacities(hu, lung, self.random, radius_pixels=radius, target_hu=target, dependent=dependent)


def train(fold: str, seed: int) -> None:
    settings = data.protocol()["lung_unet"]
    torch.manual_seed(seed)
    keep = partial(data.save_run, "lung_unet", fold, seed, settings=settings)
    fit(LungUNet(), Sources(fold, seed), settings, seed, keep)


def fit(
    network: LungUNet, sources: Sources, settings: dict, seed: int, keep: Callable[[torch.nn.Module], None]
) -> None:
    """Train the network from where it stands; ``keep`` is given the average of its weights every 25 steps and at the
    end."""
    random, device = torch.Generator().manual_seed(seed), data.device()
    network = network.to(device, memory_format=torch.channels_last).train()
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(settings["ema"]), use_buffers=True)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=settings["learning_rate"], weight_decay=settings["weight_decay"]
    )
    steps = settings["images"] // settings["batch"]
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    started, losses = time.monotonic(), []
    for step in range(1, steps + 1):
        drawn = augmented(*sources.batch(settings["batch"]), random)
        image, lung, opacity = (one.to(device) for one in drawn)
        with half_precision(image.device):
            logits = network(image.contiguous(memory_format=torch.channels_last))
        value = loss(logits.float(), lung, opacity)
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        schedule.step()
        average.update_parameters(network)
        losses.append(value.item())
        if step % 25 == 0 or step == steps:
            keep(average.module)
            seconds = time.monotonic() - started
            print(f"step {step}/{steps} loss {np.mean(losses[-25:]):.4f} {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    train(*data.asked_run(__doc__))
