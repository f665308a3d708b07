"""Train the lung U-Net: python -m analysis.training.lung_unet --fold A|B|release [--seed N]

Writes runs/lung_unet-FOLD-SEED.pt. About eight minutes on two CPU cores.
"""

import time

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - as everywhere in torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from analysis.pipeline.networks import LUNG_INPUT, LUNG_WINDOW_HU, LungUNet, window
from analysis.pipeline.slices import crop
from analysis.training import data

# Augmentation
SIDE = (0.75, 1.3)  # side of the crop ÷ side of the slice: patients and fields of view differ
SHIFT = 0.12  # of the slice's side
ANGLE = 0.2  # radians
AIR_HU = -1000.0  # outside the slice


def augmented(slices: data.Slices, chosen: np.ndarray, random: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Images scaled to [0, 1] and lung shares, both (N, 1, 192, 192)."""
    n = len(chosen)
    hu = torch.from_numpy(slices.hu[chosen]).float().unsqueeze(1).clamp(-1024, 1000)
    lung = torch.from_numpy(slices.lung[chosen]).float().unsqueeze(1)
    side = SIDE[0] + (SIDE[1] - SIDE[0]) * torch.rand(n, generator=random)
    centre = 0.5 + SHIFT * (2 * torch.rand(n, 2, generator=random) - 1)
    flip = torch.where(torch.rand(n, generator=random) < 0.5, -1.0, 1.0)
    both = crop(
        torch.cat([hu - AIR_HU, lung], 1),
        torch.cat([centre, side[:, None]], 1) * hu.shape[-1],
        LUNG_INPUT,
        angle=ANGLE * torch.randn(n, generator=random),
        flip=flip,
    )
    image = window(data.jitter_hu(both[:, :1] + AIR_HU, random), LUNG_WINDOW_HU)
    return image, both[:, 1:]


def loss(logits: torch.Tensor, lung: torch.Tensor) -> torch.Tensor:
    """Cross-entropy plus soft Dice over the batch (slices without lung have no Dice of their own)."""
    probability = logits.sigmoid()
    dice = (2 * (probability * lung).sum() + 1) / (probability.sum() + lung.sum() + 1)
    return F.binary_cross_entropy_with_logits(logits, lung) + 1 - dice


def training_slices(fold: str) -> tuple[data.Slices, list[tuple[np.ndarray, float]]]:
    """All slices in one table, and the indices and share of each source."""
    settings = data.protocol()["lung_unet"]
    sources = {
        "lung_masks": data.lung_masks("train"),
        "opacity_masks": data.opacity_masks(data.trained_volumes(fold)),
        "without_lung": data.without_lung(),
        "phantoms": data.phantoms(),
    }
    joined = data.join(list(sources.values()))
    ends = np.cumsum([len(source) for source in sources.values()])
    parts = [
        (np.arange(end - len(source), end), settings[name])
        for (name, source), end in zip(sources.items(), ends, strict=True)
    ]
    return joined, parts


def train(fold: str, seed: int) -> None:
    settings = data.protocol()["lung_unet"]
    torch.manual_seed(seed)
    random = torch.Generator().manual_seed(seed)
    slices, parts = training_slices(fold)
    network = LungUNet().to(memory_format=torch.channels_last).train()
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(settings["ema"]), use_buffers=True)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=settings["learning_rate"], weight_decay=settings["weight_decay"]
    )
    steps = settings["images"] // settings["batch"]
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    started, losses = time.monotonic(), []
    order = data.batches(parts, batch=settings["batch"], steps=steps, seed=seed)
    for step, chosen in enumerate(order, start=1):
        image, lung = augmented(slices, chosen, random)
        value = loss(network(image.contiguous(memory_format=torch.channels_last)), lung)
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        schedule.step()
        average.update_parameters(network)
        losses.append(value.item())
        if step % 25 == 0 or step == steps:
            data.save_run("lung_unet", fold, seed, average.module, settings)
            seconds = time.monotonic() - started
            print(f"step {step}/{steps} loss {np.mean(losses[-25:]):.4f} {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    train(*data.asked_run(__doc__))
