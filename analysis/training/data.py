"""The training arrays: real slices in HU with their masks, how they are split, and the augmentation."""

import argparse
import csv
import functools
import os
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks
from torch import Tensor

from analysis.phantoms import Grid, Visit, make_patient, random_opacities, render

ROOT = Path(__file__).resolve().parents[2]
SHARED_DATA = Path(os.environ.get("CORONATREND_DATA", ROOT.parent / "shared" / "data"))
RUNS = ROOT / "runs"

# Grey levels of air and muscle in volumes 1–9 of opacity_masks, by which they become HU.
_AIR_MUSCLE = {
    1: (65, 231), 2: (59, 237), 3: (59, 235), 4: (59, 235), 5: (61, 237),
    6: (59, 237), 7: (59, 237), 8: (29, 223), 9: (37, 217),
}  # fmt: skip
_AIR_HU, _MUSCLE_HU = -1000.0, 50.0
# lung_masks is said to be in true HU, but in all of its slices the air around the body lies within 20 of this value
# (and fat near -80): without this calibration its normal lungs would read like ground-glass.
_LUNG_MASKS_AIR = -808.0

MIN_LUNG_PIXELS = 300  # at 256², 6 cm²: with less lung the pipeline does not score a slice either
POSITIVE_PIXELS = 20  # opacity pixels at 256² from which a slice is abnormal; with 1–19 it counts for nothing
PHANTOM_SPACING_MM = (10.0, 1.4, 1.4)  # 256 cells of 1.4 mm, as the real slices have about
MIN_GREY_LEVELS = 40  # between air and muscle in an image of 8 bits: with fewer, ground-glass is lost in the steps
WRONG_MASK = "ID_0254_Z_0075"  # its lung mask follows the edge of the body

# Slices of the two series of tumours, from the head, found by eye: above and below the lungs, and of healthy lungs
# (without slices 24, 97 and 101 of LIDC-0003, where readers marked something below 3 mm, or no nodule).
_WITHOUT_LUNG = {"nodules_LIDC-0003": (range(16), range(135, 140)), "tumour_A0002": (range(1), range(29, 30))}
_HEALTHY = {
    "nodules_LIDC-0003": (range(25, 37), range(90, 97), range(98, 101), range(102, 122)),
    "tumour_A0002": (range(2, 9), range(20, 28)),
}
_SLAB_SLICES = {"nodules_LIDC-0003": (2, 4), "tumour_A0002": (1,)}  # 5, 10 and 8 mm


def device() -> torch.device:
    """Where networks are trained: on the graphics card where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def protocol() -> dict:
    return tomllib.loads((Path(__file__).parent / "protocol.toml").read_text())


@dataclass(frozen=True, eq=False)
class Slices:
    """Axial slices. ``hu`` int16, ``lung`` bool, ``opacity`` bool, all (slice, 256, 256); ``group``: patient or volume
    of each slice, ``index``: its place there, head to feet or feet to head as stored. A little of the opacity may lie
    outside the lung: the two were drawn by different hands."""

    hu: npt.NDArray[np.int16]
    lung: npt.NDArray[np.bool_]
    opacity: npt.NDArray[np.bool_]
    group: npt.NDArray[np.str_]
    index: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.hu)

    def where(self, keep: npt.NDArray[np.bool_]) -> "Slices":
        return Slices(self.hu[keep], self.lung[keep], self.opacity[keep], self.group[keep], self.index[keep])

    @property
    def label(self) -> npt.NDArray[np.int64]:
        """1 abnormal, 0 normal, -1 neither."""
        pixels = self.opacity.sum((1, 2))
        return np.select([pixels >= POSITIVE_PIXELS, pixels == 0], [1, 0], -1)


_FIELDS = ("hu", "lung", "opacity", "group", "index")


def join(parts: list[Slices]) -> Slices:
    return Slices(*(np.concatenate([getattr(part, name) for part in parts]) for name in _FIELDS))


def lung_masks(*splits: str) -> Slices:
    """Slices of the named splits (train, val, test) of lung_masks.npz, without the one wrong mask."""
    with np.load(SHARED_DATA / "lung_masks.npz") as data:
        name = np.char.partition(data["name"], ".")[:, 0]
        keep = np.isin(data["split"], splits) & (name != WRONG_MASK)
        stored, lung = data["image_hu"][keep].astype(np.float32), data["lung"][keep] > 0
    hu = _calibrated(stored, _LUNG_MASKS_AIR, _MUSCLE_HU)
    return Slices(hu, lung, np.zeros_like(lung), name[keep], np.arange(len(hu)))


def opacity_masks(volumes: list[int]) -> Slices:
    """Slices of the named volumes of opacity_masks.npz, calibrated to HU by their grey levels of air and muscle."""
    with np.load(SHARED_DATA / "opacity_masks.npz") as data:
        keep = np.isin(data["volume"], volumes)
        grey, volume = data["image_u8"][keep].astype(np.float32), data["volume"][keep]
        lung, opacity, index = data["lung"][keep] > 0, data["opacity"][keep] > 0, data["slice"][keep]
    air, muscle = np.array([_AIR_MUSCLE[int(v)] for v in volume], np.float32).T[:, :, None, None]
    return Slices(_calibrated(grey, air, muscle), lung, opacity, volume.astype(str), index)


def _calibrated(stored, air, muscle) -> npt.NDArray[np.int16]:
    """HU by the line through the stored values of air and muscle, clipped to -1024…2000."""
    hu = _AIR_HU + (stored - air) / (muscle - air) * (_MUSCLE_HU - _AIR_HU)
    return hu.clip(-1024, 2000).astype(np.int16)


def folds() -> list[str]:
    """Of the cross-validation; the protocol's "release" is trained on all volumes."""
    return [fold for fold, held_out in protocol()["held_out"].items() if held_out]


def trained_volumes(fold: str) -> list[int]:
    held_out = protocol()["held_out"][fold]
    return [volume for volume in _AIR_MUSCLE if volume not in held_out]


def without_lung() -> Slices:
    """Neck and abdomen: lung_masks and opacity_masks hold none, and a network that never saw them finds lung there."""
    return join([_no_masks(_series_hu(name)[list(chain(*ranges))], name) for name, ranges in _WITHOUT_LUNG.items()])


def tumour_slabs() -> Iterator[tuple[Slices, npt.NDArray[np.bool_]]]:
    """The two series of tumours averaged to thick slices, without masks, and which of them show healthy lungs.

    Domes of the diaphragm that fill a part of a thick slice look like opacities, and the other sources have few.
    """
    for name, ranges in _HEALTHY.items():
        hu = _series_hu(name)
        healthy = np.isin(np.arange(len(hu)), list(chain(*ranges)))
        for size in _SLAB_SLICES[name]:
            whole = len(hu) // size * size
            slabs = hu[:whole].reshape(-1, size, *hu.shape[1:]).mean(1).astype(np.int16)
            yield _no_masks(slabs, f"{name}, {size} slices"), healthy[:whole].reshape(-1, size).all(1)


def _series_hu(name: str) -> npt.NDArray[np.int16]:
    """HU of a series from head to feet, averaged to (slice, 256, 256)."""
    import pydicom

    files = [pydicom.dcmread(path) for path in (SHARED_DATA / "ct" / name).glob("*.dcm")]
    files.sort(key=lambda file: -float(file.ImagePositionPatient[2]))
    hu = [file.pixel_array * float(file.RescaleSlope) + float(file.RescaleIntercept) for file in files]
    return np.stack([one.reshape(256, 2, 256, 2).mean((1, 3)).astype(np.int16) for one in hu])


def mosmed_slices() -> tuple[Slices, npt.NDArray[np.bool_]]:
    """Slices of the set like MosMedData in slices_2d, without masks, and which of them show COVID-19. Their grey levels
    are linear in HU, each image's in its own way; the peaks of air and of muscle in its histogram say how."""
    hu, covid = [], []
    with (SHARED_DATA / "slices_2d" / "slices.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["source"] == "mosmed_like"]
    for row in rows:
        with Image.open(SHARED_DATA / "slices_2d" / row["file"]) as image:
            grey = np.asarray(image.convert("L").resize((256, 256), Image.Resampling.BILINEAR), np.float32)
        peaks = _grey_peaks(grey)
        if len(peaks) > 1 and peaks[-1] - peaks[0] >= MIN_GREY_LEVELS:
            hu.append(_calibrated(grey, peaks[0], peaks[-1]))
            covid.append(row["covid"] == "1")
    return _no_masks(np.stack(hu), "mosmed_like"), np.array(covid)


def _grey_peaks(grey: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Grey levels of the clear peaks of an image's histogram, without the black around the field of view."""
    black = 20  # and what the compression made of it
    counts = np.bincount(grey.astype(int).ravel(), minlength=256)[black:].astype(float)
    return black + find_peaks(gaussian_filter1d(counts, 1.5), prominence=grey.size / 1000, distance=6)[0]


def _no_masks(hu: npt.NDArray[np.int16], group: str) -> Slices:
    none = np.zeros(hu.shape, bool)
    return Slices(hu, none, none, np.full(len(hu), group), np.arange(len(hu)))


def phantoms() -> Slices:
    """Synthetic patients, each once normal and once with opacities; made once and kept in runs/phantoms.npz."""
    path = RUNS / "phantoms.npz"
    if not path.exists():
        RUNS.mkdir(exist_ok=True)
        rendered = [_phantom(seed, percent) for seed in protocol()["phantoms"]["train"] for percent in (0.0, 10.0)]
        joined = join(rendered)
        np.savez(path, **{name: getattr(joined, name) for name in _FIELDS})
    with np.load(path) as stored:
        return Slices(*(stored[name] for name in _FIELDS))


def _phantom(seed: int, percent_of_lung: float) -> Slices:
    patient = make_patient(seed)
    visit = Visit(patient, random_opacities(patient, seed, percent_of_lung))
    phantom = render(visit, Grid.over_lungs(patient, PHANTOM_SPACING_MM))
    group = np.full(len(phantom.hu), f"phantom {seed}, {percent_of_lung} %")
    return Slices(phantom.hu, phantom.lungs > 0, phantom.opacity > 0, group, np.arange(len(phantom.hu)))


def jitter_hu(hu: Tensor, random: torch.Generator) -> Tensor:
    """Shift, stretch and add noise to HU (N, 1, H, W), so that 8-bit sources and calibrated scanners look alike."""
    n = (len(hu), 1, 1, 1)
    stretch = 1 + 0.04 * torch.randn(n, generator=random)
    shift = 25 * torch.randn(n, generator=random)
    noise_hu = 40 * torch.rand(n, generator=random) ** 2
    return (hu + 1000) * stretch - 1000 + shift + noise_hu * torch.randn(hu.shape, generator=random)


@functools.cache  # of the start of a long run, not of its end
def commit() -> str:
    """The commit that the working tree stands on, with + where it differs in more than written figures."""
    written = (":!docs/evaluation", ":!analysis/weights/*.md")
    head = _git("rev-parse", "--short=12", "HEAD")
    return head + "+" * bool(_git("status", "--porcelain", "--", ".", *written)) if head else "unknown"


def _git(*arguments: str) -> str:
    """What git prints, nothing where it fails."""
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()


def run_path(network: str, fold: str, seed: int) -> Path:
    return RUNS / f"{network}-{fold}-{seed}.pt"


def save_run(network: str, fold: str, seed: int, module: torch.nn.Module, settings: dict) -> None:
    """Keep a checkpoint with what made it, replacing the file in one move."""
    RUNS.mkdir(exist_ok=True)
    path = run_path(network, fold, seed)
    held_out = protocol()["held_out"][fold]
    state = {name: value.cpu() for name, value in module.state_dict().items()}
    content = {"state": state, "fold": fold, "held_out": held_out, "seed": seed}
    content |= {"settings": settings, "commit": commit()}
    torch.save(content, path.with_suffix(".part"))
    path.with_suffix(".part").replace(path)


def load_run(network: str, fold: str, seed: int, module: torch.nn.Module) -> torch.nn.Module:
    path = run_path(network, fold, seed)
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: run python -m analysis.training.{network} --fold {fold} first")
    module.load_state_dict(torch.load(path, weights_only=True)["state"])
    return module.eval()


def asked_run(description: str | None) -> tuple[str, int]:
    """Fold and seed that the command line of a training script names."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--fold", choices=list(protocol()["held_out"]), required=True)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    return arguments.fold, arguments.seed
