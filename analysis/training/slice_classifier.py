"""Train the slice classifier: python -m analysis.training.slice_classifier --fold FOLD [--seed N]

Writes runs/slice_classifier-FOLD-SEED.pt.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - as everywhere in torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from analysis.pipeline.grid import GRID, crop, to_grid
from analysis.pipeline.inference import Network, ready
from analysis.pipeline.lungs import clean, lung_logits, lung_mask
from analysis.pipeline.networks import (
    LUNG_INPUT,
    MAP_STRIDE,
    SLICE_INPUT,
    SLICE_WINDOW_HU,
    LungUNet,
    SliceClassifier,
    half_precision,
    window,
)
from analysis.pipeline.slices import lung_box
from analysis.training import data
from analysis.training.lesions import paste_haze, paste_opacities

# Augmentation
SIDE = (0.85, 1.2)  # side of the lung's box ÷ the pipeline's
SHIFT = 0.1  # of the box
ANGLE = 0.15  # radians
AIR_HU = -1000.0  # outside the slice
# Depth of breathing: aerated lung is up to some 150 HU denser in expiration than in inspiration, and denser where it
# lies below (Verschakelen et al. 1993). The label stays, so that dense is not yet abnormal.
BREATHING_HU = (-50.0, 120.0)
GRAVITY_HU = 40.0  # standard deviation of the difference between the middle and either end of the lung's box
DEPENDENT_HU = 160.0  # at most, where the lung lies lowest: it is less aired there, most of all in expiration
DEPENDENT_FROM = 0.2  # grows from there to the lowest end of the box, which reaches from -1 to 1
AERATED_HU = (-850.0, -500.0)  # below: all of the change; above: none

LIKE_AIR_HU = -960.0  # median of the lungs: below, what was taken for the peak of air was that of lung
NOT_OUTLINED = 2  # label of an abnormal slice without a mask of its opacity

# lung_masks train slices that show disease (by eye), so they serve neither as normal slices nor to paste into
DISEASED = (26, 40, 45, 49, 52, 57, 66, 95, 101, 114, 115, 172, 181)


def from_imagenet() -> SliceClassifier:
    """The network with ImageNet's stem and layers 1–3 and a fresh head that starts at "mostly normal"."""
    network = SliceClassifier()
    with np.load(data.SHARED_DATA / "imagenet" / "resnet50_to_layer3.npz") as weights:
        state = {name: torch.from_numpy(weights[name].astype(np.float32)) for name in weights.files}
    missing, unexpected = network.load_state_dict(state, strict=False)
    head = {"head2.weight", "head2.bias", "head3.weight", "slice_scale", "slice_bias"}
    if unexpected or {name for name in missing if not name.endswith("num_batches_tracked")} != head:
        raise ValueError(f"ImageNet weights do not fit: missing {missing}, unexpected {unexpected}")
    for layer in (network.head2, network.head3):
        torch.nn.init.normal_(layer.weight, std=0.005)
    torch.nn.init.constant_(network.head2.bias, -3.0)
    torch.nn.init.constant_(network.slice_bias, 2.0)
    return network


def boxes_of(slices: data.Slices) -> np.ndarray:
    """The pipeline's box of each slice's whole volume, (slice, 3)."""
    boxes = np.zeros((len(slices), 3), np.float32)
    for group in np.unique(slices.group):
        members = slices.group == group
        boxes[members] = lung_box(slices.lung[members])
    return boxes


def labelled_slices(slices: data.Slices) -> data.Slices:
    return slices.where((slices.label >= 0) & (slices.lung.sum((1, 2)) >= data.MIN_LUNG_PIXELS))


def fold_lung_unet(fold: str) -> Network:
    network = data.load_run("lung_unet", fold, data.protocol()["seeds"]["lung_unet"][0], LungUNet())
    return ready(network, LUNG_INPUT, torch.device("cpu"))


def with_lungs(slices: data.Slices, network: Network, each_alone: bool = False) -> data.Slices:
    """Slices without masks with the lungs that the fold's U-Net finds; ``each_alone``: they are not of one scan."""
    grid_hu = to_grid(slices.hu)
    logits = lung_logits(grid_hu, network)
    scans = zip(logits[:, None], grid_hu[:, None], strict=True) if each_alone else [(logits, grid_hu)]
    lung = np.concatenate([lung_mask(clean(*scan), GRID, GRID) for scan in scans])
    return replace(slices, lung=lung)


def healthy_series(network: Network) -> tuple[data.Slices, np.ndarray]:
    """Thick healthy slices of the series of tumours, and their boxes."""
    parts, boxes = [], []
    for slabs, healthy in data.tumour_slabs():
        found = with_lungs(slabs, network)
        keep = healthy & (found.lung.sum((1, 2)) >= data.MIN_LUNG_PIXELS)
        parts.append(found.where(keep)), boxes.append(boxes_of(found)[keep])
    return data.join(parts), np.concatenate(boxes)


def mosmed(network: Network) -> tuple[data.Slices, np.ndarray, np.ndarray]:
    """Slices of MosMedData, their boxes, and which are abnormal, wherever the opacity may be."""
    slices, abnormal = data.mosmed_slices()
    found = with_lungs(slices, network, each_alone=True)
    pairs = zip(found.hu, found.lung, strict=True)
    aerated_hu = np.array([np.median(hu[lung]) if lung.any() else -np.inf for hu, lung in pairs])
    keep = (aerated_hu > LIKE_AIR_HU) & (found.lung.sum((1, 2)) >= data.MIN_LUNG_PIXELS)
    boxes = np.stack([lung_box(lung[None]) for lung in found.lung[keep]]).astype(np.float32)
    return found.where(keep), boxes, abnormal[keep]


class Part(NamedTuple):
    """Slices of one source with their boxes (slice, 3) and labels (slice,); ``drawn``: label, whether opacities are
    pasted in, and weight in a batch, of each kind of them that is drawn."""

    slices: data.Slices
    boxes: np.ndarray
    label: np.ndarray
    drawn: tuple[tuple[int, bool, float], ...]


class Sources:
    """All training slices in one table, drawn by source and label."""

    settings_name = "slice_classifier"  # in protocol.toml
    haze_share = 0.2  # of the slices with synthetic opacities: ground-glass over much of the lung, not patches

    def __init__(self, fold: str, seed: int, network: Network | None = None, more: Sequence[Part] = ()) -> None:
        """``network``: the lung U-Net for slices without masks, by default the fold's; ``more``: other sources."""
        self.random = np.random.default_rng(seed)
        parts = [*self._parts(fold, network or fold_lung_unet(fold)), *more]
        self.slices = data.join([part.slices for part in parts])
        self.boxes = np.concatenate([part.boxes for part in parts])
        source = np.repeat(range(len(parts)), [len(part.slices) for part in parts])
        label = np.concatenate([part.label for part in parts])
        drawn = [(number, *kind) for number, part in enumerate(parts) for kind in part.drawn]
        self.members = [np.flatnonzero((source == number) & (label == wanted)) for number, wanted, _, _ in drawn]
        self.outlined = [wanted != NOT_OUTLINED for _, wanted, _, _ in drawn]
        self.pasted = [pasted for _, _, pasted, _ in drawn]
        self.share = np.array([share for *_, share in drawn])

    def volumes(self, fold: str) -> list[int]:
        """Of opacity_masks, to learn from."""
        return data.trained_volumes(fold)

    def _parts(self, fold: str, network: Network) -> list[Part]:
        settings = data.protocol()[self.settings_name]
        volumes = labelled_slices(data.opacity_masks(self.volumes(fold)))
        phantoms = labelled_slices(data.phantoms())
        normal = data.lung_masks("train")
        normal = normal.where(~np.isin(normal.index, DISEASED))
        series, series_boxes = healthy_series(network)
        mosmed_slices, mosmed_boxes, abnormal = mosmed(network)

        def abnormal_and_normal(weight: float) -> tuple[tuple[int, bool, float], ...]:
            return (1, False, weight / 2), (0, False, weight / 2)

        def pasted_and_normal(weight: float) -> tuple[tuple[int, bool, float], ...]:
            return (0, True, weight / 2), (0, False, weight / 2)

        of_mosmed = (*pasted_and_normal(settings["mosmed_normal"]), (NOT_OUTLINED, False, settings["mosmed_abnormal"]))
        return [
            Part(volumes, boxes_of(volumes), volumes.label, abnormal_and_normal(settings["opacity_masks"])),
            Part(phantoms, boxes_of(phantoms), phantoms.label, abnormal_and_normal(settings["phantoms"])),
            Part(normal, boxes_of(normal), normal.label, pasted_and_normal(settings["lung_masks"])),
            Part(series, series_boxes, series.label, pasted_and_normal(settings["healthy_series"])),
            Part(mosmed_slices, mosmed_boxes, np.where(abnormal, NOT_OUTLINED, 0), of_mosmed),
        ]

    def batch(self, size: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """HU, lung and opacity, each (N, 1, 256, 256), boxes (N, 3), and whether the opacity is outlined (N,): if not,
        there is some."""
        images, lungs, opacities, boxes = [], [], [], []
        parts = self.random.choice(len(self.members), size, p=self.share / self.share.sum())
        for part in parts:
            chosen = self.random.choice(self.members[part])
            hu, lung = self.slices.hu[chosen], self.slices.lung[chosen]
            opacity = self.slices.opacity[chosen] & lung
            if self.pasted[part]:
                hu, opacity = self.pasted_into(hu, lung)
            images.append(hu), lungs.append(lung), opacities.append(opacity), boxes.append(self.boxes[chosen])
        stacked = [torch.from_numpy(np.stack(arrays)).float().unsqueeze(1) for arrays in (images, lungs, opacities)]
        outlined = torch.tensor([self.outlined[part] for part in parts])
        return stacked[0].clamp(-1024, 1000), stacked[1], stacked[2], torch.from_numpy(np.stack(boxes)), outlined

    def pasted_into(self, hu: np.ndarray, lung: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A slice with synthetic opacities, and their mask."""
        paste = paste_haze if self.random.random() < self.haze_share else paste_opacities
        return paste(hu, lung, self.random)


def breathed(hu: Tensor, lung: Tensor, random: torch.Generator) -> Tensor:
    """HU (N, 1, H, W) with the aerated part of the lung (N, 1, H, W, in [0, 1]) denser or less dense."""
    n, low, high = (len(hu), 1, 1, 1), *BREATHING_HU
    change = low + (high - low) * torch.rand(n, generator=random)
    down = torch.linspace(-1, 1, hu.shape[2]).view(1, 1, -1, 1)
    change = change + GRAVITY_HU * torch.randn(n, generator=random) * down
    lowest = ((down - DEPENDENT_FROM) / (1 - DEPENDENT_FROM)).clamp_min(0)
    change = change + DEPENDENT_HU * torch.rand(n, generator=random) * lowest
    range_hu = AERATED_HU[1] - AERATED_HU[0]
    aerated = ((AERATED_HU[1] - hu) / range_hu).clamp(0, 1)
    return hu + change.clamp_max(range_hu) * aerated * lung  # more would turn the order of densities around


def sampled(
    hu: Tensor, lung: Tensor, opacity: Tensor, boxes: Tensor, random: torch.Generator
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Image (N, 1, 224, 224) scaled to [0, 1], lung and opacity of it in [0, 1], both (N, 1, 224, 224), and the side of
    the crop (N,) in pixels of the slice."""
    n = len(hu)
    side = boxes[:, 2:] * (SIDE[0] + (SIDE[1] - SIDE[0]) * torch.rand(n, 1, generator=random))
    centre = boxes[:, :2] + SHIFT * side * (2 * torch.rand(n, 2, generator=random) - 1)
    cropped = crop(
        torch.cat([hu - AIR_HU, lung, opacity], 1),
        torch.cat([centre, side], 1),
        SLICE_INPUT,
        angle=ANGLE * torch.randn(n, generator=random),
        flip=torch.where(torch.rand(n, generator=random) < 0.5, -1.0, 1.0),
    )
    hu, lung, opacity = cropped.split(1, 1)
    hu = breathed(hu + AIR_HU, lung, random)
    return window(data.jitter_hu(hu, random), SLICE_WINDOW_HU), lung, opacity, side[:, 0]


def augmented(
    hu: Tensor, lung: Tensor, opacity: Tensor, boxes: Tensor, random: torch.Generator
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Image (N, 1, 224, 224) scaled to [0, 1], lung share and opaque share of it, both (N, 1, 28, 28), and the opacity
    in the crop (N,) in pixels of the slice."""
    image, lung, opacity, side = sampled(hu, lung, opacity, boxes, random)
    pixels = opacity.mean((1, 2, 3)) * side**2
    lung_share, opacity_share = (F.avg_pool2d(one, MAP_STRIDE) for one in (lung, opacity))
    return image, lung_share, (opacity_share / lung_share.clamp_min(1e-3)).clamp(0, 1), pixels


def labelled(pixels: Tensor, outlined: Tensor) -> tuple[Tensor, Tensor]:
    """Label of each crop (N,), 1 abnormal, and whether it counts, 1 or 0, by its opacity in pixels of the slice."""
    abnormal = (pixels >= data.POSITIVE_PIXELS) | ~outlined
    return abnormal.float(), (abnormal | (pixels < 1)).float()


def train(fold: str, seed: int) -> None:
    settings = data.protocol()["slice_classifier"]
    torch.manual_seed(seed)
    sources = Sources(fold, seed)
    keep = partial(data.save_run, "slice_classifier", fold, seed, settings=settings)
    fit(from_imagenet(), sources, settings, seed, keep)


def fit(
    network: SliceClassifier, sources: Sources, settings: dict, seed: int, keep: Callable[[nn.Module], None]
) -> None:
    """Train the network from where it stands; ``keep`` is given the average of its weights every ten steps and at the
    end."""
    random, device = torch.Generator().manual_seed(seed), data.device()
    network = network.to(device, memory_format=torch.channels_last)
    network.eval()  # BatchNorm keeps ImageNet's statistics: the batches are small
    for module in (network.conv1, network.bn1, network.layer1):
        module.requires_grad_(False)
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(settings["ema"]))
    body = [*network.layer2.parameters(), *network.layer3.parameters()]
    head = [*network.head2.parameters(), *network.head3.parameters(), network.slice_scale, network.slice_bias]
    optimiser = torch.optim.AdamW(
        [{"params": body, "lr": settings["learning_rate"]}, {"params": head, "lr": settings["head_learning_rate"]}],
        weight_decay=settings["weight_decay"],
    )
    steps = settings["images"] // settings["batch"]
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    started, losses = time.monotonic(), []
    for step in range(1, steps + 1):
        *drawn, outlined = sources.batch(settings["batch"])
        outlined = outlined.to(device)
        image, lung_share, opaque_share, pixels = (one.to(device) for one in augmented(*drawn, random))
        label, clear = labelled(pixels, outlined)
        with half_precision(image.device):
            logit, locations = network(image.contiguous(memory_format=torch.channels_last), lung_share)
        logit, locations = logit.float(), locations.float()
        slice_loss = F.binary_cross_entropy_with_logits(logit, label, weight=clear)
        per_cell = F.binary_cross_entropy_with_logits(locations, opaque_share, reduction="none")
        counts = lung_share * outlined.view(-1, 1, 1, 1)
        map_loss = (per_cell * counts).sum() / counts.sum().clamp_min(1)
        optimiser.zero_grad()
        (slice_loss + settings["map_loss"] * map_loss).backward()
        optimiser.step()
        schedule.step()
        average.update_parameters(network)
        losses.append((slice_loss.item(), map_loss.item()))
        if step % 10 == 0 or step == steps:
            keep(average.module)
            recent = np.mean(losses[-10:], 0)
            seconds = time.monotonic() - started
            print(f"step {step}/{steps} slice {recent[0]:.3f} map {recent[1]:.3f} {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    train(*data.asked_run(__doc__))
