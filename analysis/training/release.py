"""Make the released weights from the runs of the fold "release": python -m analysis.training.release [PART …]

Writes analysis/weights/NETWORK.safetensors (of all networks if no part is named), with its origin in the header; that
of the opacity decoder holds the hash of the classifier whose features it reads. The part working_point is
working_point.json: the thresholds, once they were chosen with the networks released.
"""

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from analysis.pipeline.networks import LungUNet, OpacityDecoder, SliceClassifier
from analysis.pipeline.weights import NUMBERS, WEIGHTS, sha256_of
from analysis.training import data

VERSIONS = {"lung_unet": "1.5", "slice_classifier": "1.6", "opacity_decoder": "1.3", "working_point": "1.7"}
NETWORKS = {"lung_unet": LungUNet, "slice_classifier": SliceClassifier, "opacity_decoder": OpacityDecoder}
TRAINED_ON = {
    "lung_unet": "lung_masks train; opacity_masks 1-9; neck and abdomen slices of LIDC-0003 and A0002; phantoms",
    "slice_classifier": "opacity_masks 1-9; lung_masks train, healthy slices of LIDC-0003 and A0002, normal slices of "
    "mosmed_like, all also with pasted opacities; labels of mosmed_like; phantoms; ImageNet start",
    "opacity_decoder": "opacity_masks 1-9; lung_masks train, healthy slices of LIDC-0003 and A0002, normal slices of "
    "mosmed_like, with pasted opacities and without; phantoms",
}
STATISTICS = ("running_mean", "running_var")  # of BatchNorm


def release(network: str) -> None:
    seed = data.protocol()["seeds"][network][0]
    run = torch.load(data.run_path(network, "release", seed), weights_only=True)
    origin = {
        "version": VERSIONS[network],
        "trained_on": TRAINED_ON[network],
        "recipe": f"python -m analysis.training.{network} --fold release --seed {seed}",
        "commit": run["commit"],
    }
    write_weights(WEIGHTS, network, run["state"], origin)


def write_weights(folder: Path, network: str, state: dict[str, Tensor], origin: dict[str, str]) -> None:
    """The network's file in ``folder``; ``origin``: version, trained_on, recipe and commit, for its header. A decoder
    is written after its classifier."""
    header = {"name": network, **origin, "input": NETWORKS[network].input_format}
    header["use"] = "research use, not for diagnosis"
    if network == "opacity_decoder":
        header["slice_classifier_sha256"] = sha256_of(folder / "slice_classifier.safetensors")
    path = folder / f"{network}.safetensors"
    kept = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
    save_file({name: value.contiguous() for name, value in halved(kept).items()}, path, header)
    path.chmod(0o644)  # not for the owner alone


def halved(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights in half precision, but for the statistics of BatchNorm: half precision ends at 65,504, and ImageNet's
    weights hold a variance of 83,615."""
    return {
        name: value.half() if value.is_floating_point() and not name.endswith(STATISTICS) else value
        for name, value in state.items()
    }


def write_working_point(folder: Path, version: str, of_commit: str, numbers: dict[str, float]) -> None:
    """The numbers that were chosen with the lung U-Net and the slice classifier in ``folder``."""
    content = {
        "name": "working_point",
        "version": version,
        "commit": of_commit,
        **{name: numbers[name] for name in NUMBERS},
        "chosen_with": {name: sha256_of(folder / f"{name}.safetensors") for name in ("lung_unet", "slice_classifier")},
    }
    (folder / "working_point.json").write_text(json.dumps(content, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*VERSIONS, []], metavar="PART")
    parts = parser.parse_args().parts or VERSIONS
    of_commit = data.commit()  # before the first file is written
    for part in parts:
        if part == "working_point":
            write_working_point(WEIGHTS, VERSIONS[part], of_commit, data.protocol()["working_point"])
        else:
            release(part)


if __name__ == "__main__":
    main()
