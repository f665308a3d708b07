"""Train the network of Gozes et al. 2020 to compare ours with: python -m analysis.training.plain_network --fold FOLD

The whole ResNet-50 on the same slices, of which it learns the label alone, with Grad-CAM at two scales (section 2 of
the paper). Only the evaluation uses it. Writes runs/plain_network-FOLD-SEED.npz: what it says of the nine volumes.
"""

import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 - as everywhere in torch
from torch import Tensor, nn

from analysis.pipeline.grid import GRID
from analysis.pipeline.networks import SLICE_INPUT, SLICE_WINDOW_HU, LungUNet, half_precision, window
from analysis.pipeline.slices import AIR_HU, crop
from analysis.pipeline.torchvision_import import resnet50
from analysis.training import data
from analysis.training.measures import agreement, auc, dice, threshold_for_sensitivity
from analysis.training.slice_classifier import Sources, augmented, boxes_of, from_imagenet, with_lungs
from analysis.training.thresholds import HEAT_THRESHOLDS, MIN_OPACITY_PERCENT, SENSITIVITY

BATCH = 31  # slices at a time, once trained


class PlainNetwork(nn.Module):
    """ResNet-50 with ImageNet's weights to layer3 and fresh ones above, average pooling and one logit."""

    def __init__(self) -> None:
        super().__init__()
        self.body = from_imagenet()
        self.layer4, self.head = resnet50(weights=None).layer4, nn.Linear(2048, 1)

    def train(self, mode: bool = True) -> "PlainNetwork":
        super().train(mode)
        self.body.eval()  # BatchNorm keeps ImageNet's statistics, as in our classifier
        return self

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Image float32 (N, 1, 224, 224) scaled to [0, 1]. Returns the logit (N,), layer2 (N, 512, 28, 28) and layer3
        (N, 1024, 14, 14)."""
        features = self.body.features(image)
        logit = self.head(self.layer4(features.layer3).mean((2, 3)))[:, 0]
        return logit, features.layer2, features.layer3

    def seen(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Probability (N,) and map (N, 1, 28, 28) in [0, 1]: Grad-CAM of layer2 and layer3, each scaled to a maximum of
        1 on every slice, multiplied."""
        logit, *layers = self(image)
        maps = []
        for layer, gradient in zip(layers, torch.autograd.grad(logit.sum(), layers), strict=True):
            heat = F.relu((gradient.mean((2, 3), keepdim=True) * layer).sum(1, keepdim=True))
            heat = heat / heat.amax((2, 3), keepdim=True).clamp_min(1e-12)
            maps.append(F.interpolate(heat, size=layers[0].shape[2:], mode="bilinear"))
        return logit.sigmoid().detach(), (maps[0] * maps[1]).detach()


def train(fold: str, seed: int) -> None:
    settings = data.protocol()["slice_classifier"]
    torch.manual_seed(seed)
    random, device = torch.Generator().manual_seed(seed), data.device()
    sources = Sources(fold, seed)
    network = PlainNetwork().to(device, memory_format=torch.channels_last).train()
    for module in (network.body.conv1, network.body.bn1, network.body.layer1):
        module.requires_grad_(False)
    fresh = [*network.layer4.parameters(), *network.head.parameters()]
    body = [*network.body.layer2.parameters(), *network.body.layer3.parameters()]
    optimiser = torch.optim.AdamW(
        [
            {"params": body, "lr": settings["learning_rate"]},
            {"params": fresh, "lr": 10 * settings["learning_rate"]},
        ],
        weight_decay=settings["weight_decay"],
    )
    steps = settings["images"] // settings["batch"]
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    started, losses = time.monotonic(), []
    for step in range(1, steps + 1):
        *drawn, outlined = sources.batch(settings["batch"])
        image, _, _, pixels = (one.to(device) for one in augmented(*drawn, random))
        abnormal = (pixels >= data.POSITIVE_PIXELS) | ~outlined.to(device)
        with half_precision(device):
            logit, _, _ = network(image.contiguous(memory_format=torch.channels_last))
        clear = (abnormal | (pixels < 1)).float()
        loss = F.binary_cross_entropy_with_logits(logit.float(), abnormal.float(), weight=clear)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
        if step % 25 == 0 or step == steps:
            print(f"step {step}/{steps} {np.mean(losses[-25:]):.3f} {time.monotonic() - started:.0f} s", flush=True)
    unet = data.load_run("lung_unet", fold, data.protocol()["seeds"]["lung_unet"][0], LungUNet())
    said = {name: np.concatenate(parts) for name, parts in _said_of_volumes(network.eval(), unet, device).items()}
    np.savez_compressed(data.run_path("plain_network", fold, seed).with_suffix(".npz"), **said)


def _said_of_volumes(network: PlainNetwork, unet: LungUNet, device: torch.device) -> dict[str, list[np.ndarray]]:
    """Of every slice of the volumes: probability, map (28, 28), box (3,) and pixels of lung that the U-Net found."""
    said: dict[str, list[np.ndarray]] = {"probability": [], "map": [], "box": [], "lung_pixels": []}
    for volume in _volumes():
        found = with_lungs(data.opacity_masks([volume]), unet)
        boxes = torch.from_numpy(boxes_of(found))
        hu = torch.from_numpy(found.hu).float().unsqueeze(1).clamp(-1024, 1000)
        image = window(crop(hu - AIR_HU, boxes, SLICE_INPUT) + AIR_HU, SLICE_WINDOW_HU)
        parts = [network.seen(part.to(device)) for part in image.split(BATCH)]
        said["probability"].append(torch.cat([probability for probability, _ in parts]).cpu().numpy())
        said["map"].append(torch.cat([heat for _, heat in parts])[:, 0].half().cpu().numpy())
        said["box"].append(boxes.numpy()), said["lung_pixels"].append(found.lung.sum((1, 2)))
    return said


def _volumes() -> list[int]:
    return data.trained_volumes("release")


class Said:
    """What the fold's network says of one volume, and the truth."""

    def __init__(self, stored: dict[str, np.ndarray], volume: int, truth: data.Slices, own: npt.NDArray[np.bool_]):
        self.name, self.truth = f"volume {volume}", truth
        self.probability = stored["probability"][own].astype(np.float64)
        self.counts = (stored["lung_pixels"][own] >= data.MIN_LUNG_PIXELS) & (truth.label >= 0)
        box = torch.from_numpy(stored["box"][own])
        heat = torch.from_numpy(stored["map"][own].astype(np.float32)).unsqueeze(1)
        back = torch.cat([(GRID / 2 - box[:, :2]) / box[:, 2:] + 0.5, GRID / box[:, 2:]], 1) * heat.shape[-1]
        self.heat = crop(heat, back, GRID)[:, 0].numpy() * truth.lung  # (slice, 256, 256)
        self.opacity_percent = float(100 * truth.opacity.sum() / truth.lung.sum())

    def score_percent(self, threshold: float) -> float:
        """The paper's score as a share of the lung."""
        return float(100 * self.heat[self.probability >= threshold].sum() / self.truth.lung.sum())


def figures(seed: int = 0) -> dict:
    """Of held-out volumes, each by the fold's network; its thresholds are of the fold's training volumes."""
    truth = data.opacity_masks(_volumes())
    held_out, chosen = [], []
    for fold in data.folds():
        with np.load(data.run_path("plain_network", fold, seed).with_suffix(".npz")) as stored:
            said = {v: Said(dict(stored), v, truth.where(own), own) for v in _volumes() for own in [_of(truth, v)]}
        trained = [said[volume] for volume in data.trained_volumes(fold)]
        thresholds = _slice_threshold(trained), _heat_threshold(trained)
        for volume in data.protocol()["held_out"][fold]:
            held_out.append(said[volume]), chosen.append(thresholds)
    per_volume = {one.name: _of_volume(one, *own) for one, own in zip(held_out, chosen, strict=True)}
    probability, positive = _pooled(held_out)
    decided = np.concatenate(
        [one.probability[one.counts] >= own for one, (own, _) in zip(held_out, chosen, strict=True)]
    )
    clear = [one for one in per_volume.values() if one["true"] >= MIN_OPACITY_PERCENT]
    summary: dict[str, Callable] = {"pixel_auc_median": np.median, "pixel_auc_worst": np.min}
    return {
        "seed": seed,
        "auc": auc(probability, positive),
        "sensitivity": float(decided[positive].mean()),
        "specificity": float((~decided[~positive]).mean()),
        "per_volume": per_volume,
        **{name: float(function([one["pixel_auc"] for one in clear])) for name, function in summary.items()},
        "dice_median": float(np.median([one["dice"] for one in clear])),
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


if __name__ == "__main__":
    train(*data.asked_run(__doc__))
