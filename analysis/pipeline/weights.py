"""The released weights: loaded once per process, as float32, with what their file says about itself."""

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from analysis.pipeline.inference import Network, ready
from analysis.pipeline.networks import LUNG_INPUT, SLICE_INPUT, LungUNet, OpacityDecoder, SliceClassifier, SliceNetworks
from analysis.pipeline.nodule_model import NoduleModel
from analysis.pipeline.report import ModelVersion

NUMBERS = ("slice_threshold", "case_threshold", "score_variation")  # in the working point
WEIGHTS = Path(__file__).parent.parent / "weights"


class WeightsMissing(Exception):
    """A weights file is not there or not one of ours."""


@dataclass(frozen=True, eq=False)
class Models:
    """The networks, ready to run on ``device``, what judges nodules, and the numbers that were chosen with them.

    ``lung_unet``: logits of lung. ``slices``: SliceNetworks, and ``slice_classifier`` for its head.
    ``slice_threshold``: a slice is positive from this probability on. ``case_threshold``: a case is suspected where
    the share of positive lung slices exceeds it. ``score_variation``: coefficient of variation of the Corona score
    over variants of one scan (``training/repeatability.py``). ``nodules``: None where none are to be looked for.
    """

    lung_unet: Network
    slices: Network
    slice_classifier: SliceClassifier
    nodules: NoduleModel | None
    slice_threshold: float
    case_threshold: float
    score_variation: float
    versions: tuple[ModelVersion, ...]
    device: torch.device


class DeviceMissing(Exception):
    """The machine has no such device."""


def choose_device(name: str) -> torch.device:
    """``auto`` takes the GPU where there is one. Raises DeviceMissing for ``cuda`` without."""
    if name == "cuda" and not torch.cuda.is_available():
        raise DeviceMissing("There is no GPU that CUDA can use on this machine: take the device auto or cpu.")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


@lru_cache(maxsize=2)  # a worker that is told to use others forgets those before them
def released(device: torch.device, folder: Path = WEIGHTS) -> Models:
    """The networks of ``folder``, the released ones or another set. Raises WeightsMissing with a hint."""
    lung_unet, lung_version = released_lung_unet(device, folder)
    slice_classifier, opacity_decoder = SliceClassifier(), OpacityDecoder()
    slice_version, _ = load_weights(slice_classifier, folder / "slice_classifier.safetensors")
    opacity_version, made_for = load_weights(opacity_decoder, folder / "opacity_decoder.safetensors")
    if made_for.get("slice_classifier_sha256") != slice_version.sha256:
        raise WeightsMissing(f"opacity_decoder and slice_classifier in {folder} do not fit together: restore both.")
    nodules, nodules_version = nodule_model(folder / "nodules.json")
    numbers, point_version = _working_point(folder / "working_point.json", (lung_version, slice_version))
    return Models(
        lung_unet=lung_unet,
        slices=ready(SliceNetworks(slice_classifier, opacity_decoder), SLICE_INPUT, device),
        slice_classifier=slice_classifier.eval().requires_grad_(False).to(device),
        nodules=nodules,
        **numbers,
        versions=(lung_version, slice_version, opacity_version, nodules_version, point_version),
        device=device,
    )


def released_lung_unet(device: torch.device, folder: Path = WEIGHTS) -> tuple[Network, ModelVersion]:
    """The lung U-Net of ``folder`` alone. Raises WeightsMissing with a hint."""
    network = LungUNet()
    version, _ = load_weights(network, folder / "lung_unet.safetensors")
    return ready(network, LUNG_INPUT, device), version


def load_weights(
    network: LungUNet | SliceClassifier | OpacityDecoder, path: Path
) -> tuple[ModelVersion, dict[str, str]]:
    """Fill the network from a safetensors file; returns its version and its header."""
    if not path.is_file():
        raise WeightsMissing(f"The network weights {path} are missing; `make train` makes them anew.")
    another = WeightsMissing(f"The weights {path} belong to another version of the network; restore the file.")
    damaged = WeightsMissing(f"The weights {path} are damaged; restore the file.")
    try:
        with safe_open(path, framework="pt") as file:
            described = file.metadata() or {}
            state = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118 - not a dict
        missing, unexpected = network.load_state_dict(state, strict=False)
        version = ModelVersion(described["name"], described["version"], sha256_of(path))
    except SafetensorError as error:
        raise damaged from error
    except (KeyError, RuntimeError) as error:  # an incomplete header; tensors of another shape
        raise another from error
    other_input = described.get("input") != network.input_format
    if other_input or unexpected or any(not name.endswith("num_batches_tracked") for name in missing):
        raise another
    if not all(bool(value.isfinite().all()) for value in state.values()):
        raise damaged
    return version, described


def _working_point(path: Path, chosen_with: tuple[ModelVersion, ...]) -> tuple[dict[str, float], ModelVersion]:
    """The thresholds and the score's variation, which were chosen with these networks and fit no others."""
    if not path.is_file():
        raise WeightsMissing(f"The thresholds {path} are missing; restore the file.")
    try:
        stored = json.loads(path.read_text())
        numbers = {name: float(stored[name]) for name in NUMBERS}
        version = ModelVersion(stored["name"], stored["version"], sha256_of(path))
        fits = stored["chosen_with"] == {version.name: version.sha256 for version in chosen_with}
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsMissing(f"The thresholds {path} belong to another version of the program; restore it.") from error
    if not fits:
        raise WeightsMissing(f"The thresholds {path} were chosen with other networks; restore all files there.")
    return numbers, version


def nodule_model(path: Path) -> tuple[NoduleModel, ModelVersion]:
    """What judges nodules and its version. Raises WeightsMissing with a hint."""
    if not path.is_file():
        raise WeightsMissing(f"The weights {path} are missing; restore the file.")
    try:
        stored = json.loads(path.read_text())
        return NoduleModel.of(stored), ModelVersion(stored["name"], stored["version"], sha256_of(path))
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsMissing(
            f"The weights {path} belong to another version of the program; restore the file."
        ) from error


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
