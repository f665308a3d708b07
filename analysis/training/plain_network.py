"""Train the network of Gozes et al. 2020 to compare ours with: python -m analysis.training.plain_network --fold FOLD

The whole ResNet-50 on the same slices, of which it learns the label alone, with Grad-CAM at two scales (section 2 of
the paper). Only the evaluation uses it. Writes runs/plain_network-FOLD-SEED.npz: what it says of the nine volumes.
"""

import json
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - as everywhere in torch
from torch import Tensor, nn

from analysis.pipeline.grid import crop
from analysis.pipeline.networks import (
    MAP_STRIDE,
    SLICE_INPUT,
    SLICE_WINDOW_HU,
    SliceClassifier,
    half_precision,
    window,
)
from analysis.pipeline.slices import AIR_HU
from analysis.pipeline.torchvision_import import resnet50
from analysis.training import data
from analysis.training.slice_classifier import (
    Sources,
    augmented,
    boxes_of,
    fold_lung_unet,
    from_imagenet,
    labelled,
    with_lungs,
)

BATCH = 31  # slices at a time, once trained

Seen = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""From images (N, 1, 224, 224) and lung share (N, 1, 28, 28) to probability (N,) and map (N, 1, 28, 28) in [0, 1]."""


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

    def seen(self, image: Tensor, lung: Tensor) -> tuple[Tensor, Tensor]:
        """Probability (N,) and map (N, 1, 28, 28) in [0, 1]: Grad-CAM of layer2 and layer3, each scaled to a maximum of
        1 on every slice, multiplied. The lung says nothing here."""
        logit, *layers = self(image)
        maps = []
        for layer, gradient in zip(layers, torch.autograd.grad(logit.sum(), layers), strict=True):
            heat = F.relu((gradient.mean((2, 3), keepdim=True) * layer).sum(1, keepdim=True))
            heat = heat / heat.amax((2, 3), keepdim=True).clamp_min(1e-12)
            maps.append(F.interpolate(heat, size=layers[0].shape[2:], mode="bilinear"))
        return logit.sigmoid().detach(), (maps[0] * maps[1]).detach()


def train(fold: str, seed: int) -> None:
    settings = data.protocol()["plain_network"]
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
            {"params": fresh, "lr": settings["head_learning_rate"]},
        ],
        weight_decay=settings["weight_decay"],
    )
    steps = settings["images"] // settings["batch"]
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    started, losses = time.monotonic(), []
    for step in range(1, steps + 1):
        *drawn, outlined = sources.batch(settings["batch"])
        image, _, _, pixels = (one.to(device) for one in augmented(*drawn, random))
        label, clear = labelled(pixels, outlined.to(device))
        with half_precision(device):
            logit, _, _ = network(image.contiguous(memory_format=torch.channels_last))
        loss = F.binary_cross_entropy_with_logits(logit.float(), label, weight=clear)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
        if step % 25 == 0 or step == steps:
            print(f"step {step}/{steps} {np.mean(losses[-25:]):.3f} {time.monotonic() - started:.0f} s", flush=True)
    path = data.run_path("plain_network", fold, seed).with_suffix(".npz")
    keep_said(network.eval().seen, fold, device, path, settings)


def seen_by(network: SliceClassifier) -> Seen:
    """What our own classifier says, bare: without mirror image, neighbours and density gate."""

    def seen(image: Tensor, lung: Tensor) -> tuple[Tensor, Tensor]:
        with torch.inference_mode():
            logit, locations = network(image, lung)
        return logit.sigmoid(), locations.sigmoid()

    return seen


def keep_said(seen: Seen, fold: str, device: torch.device, path: Path, settings: dict) -> None:
    """Write what a network says of every slice of the volumes: probability, map (28, 28), box (3,) and pixels of lung
    that the fold's U-Net found; with the settings that it was trained by, and the commit."""
    said: dict[str, list[np.ndarray]] = {"probability": [], "map": [], "box": [], "lung_pixels": []}
    unet = fold_lung_unet(fold)
    for volume in data.trained_volumes("release"):
        found = with_lungs(data.opacity_masks([volume]), unet)
        boxes = torch.from_numpy(boxes_of(found))
        hu = torch.from_numpy(found.hu).float().unsqueeze(1).clamp(-1024, 1000)
        lung = torch.from_numpy(found.lung).float().unsqueeze(1)
        cropped = crop(torch.cat([hu - AIR_HU, lung], 1), boxes, SLICE_INPUT)
        image, share = window(cropped[:, :1] + AIR_HU, SLICE_WINDOW_HU), F.avg_pool2d(cropped[:, 1:], MAP_STRIDE)
        batches = zip(image.split(BATCH), share.split(BATCH), strict=True)
        parts = [seen(image.to(device), share.to(device)) for image, share in batches]
        said["probability"].append(torch.cat([probability for probability, _ in parts]).cpu().numpy())
        said["map"].append(torch.cat([heat for _, heat in parts])[:, 0].half().cpu().numpy())
        said["box"].append(boxes.numpy()), said["lung_pixels"].append(found.lung.sum((1, 2)))
    made_by = {"settings": np.array(json.dumps(settings)), "commit": np.array(data.commit())}
    np.savez_compressed(path, **{name: np.concatenate(parts) for name, parts in said.items()}, **made_by)


def made_at(paths: Iterable[Path], settings: dict) -> str:
    """The commits that these files were made at. Ends the program where a network had other settings."""
    commits = {}
    for path in paths:
        with np.load(path) as stored:
            if json.loads(str(stored["settings"])) != settings:
                sys.exit(f"{path.name} was made by other settings than protocol.toml has: delete it and train anew.")
            commits[str(stored["commit"])] = None
    return ", ".join(commits)


if __name__ == "__main__":
    train(*data.asked_run(__doc__))
