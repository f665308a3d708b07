"""Make the released weights from the runs of the fold "release": python -m analysis.training.release [NETWORK …]

Writes analysis/weights/NETWORK.safetensors (of both if none is named) in half precision, with its origin and
thresholds in the header.
"""

import argparse
import subprocess

import torch
from safetensors.torch import save_file

from analysis.pipeline.networks import LungUNet, SliceClassifier
from analysis.pipeline.weights import NUMBERS, WEIGHTS
from analysis.training import data

VERSIONS = {"lung_unet": "1.2", "slice_classifier": "1.3"}
NETWORKS = {"lung_unet": LungUNet, "slice_classifier": SliceClassifier}
TRAINED_ON = {
    "lung_unet": "lung_masks train; opacity_masks 1-9; neck and abdomen slices of LIDC-0003 and A0002; phantoms",
    "slice_classifier": "opacity_masks 1-9; lung_masks train and healthy slices of LIDC-0003 and A0002, both also with "
    "pasted opacities; phantoms; ImageNet start",
}


def commit() -> str:
    """The commit that the working tree stands on, with + where it differs."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty=+", "--abbrev=12"],
        cwd=data.ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return described.stdout.strip() or "unknown"


def release(network: str) -> None:
    protocol = data.protocol()
    seed = protocol["seeds"][network][0]
    run = torch.load(data.run_path(network, "release", seed), weights_only=True)
    state = {
        name: value.half() if value.is_floating_point() else value
        for name, value in run["state"].items()
        if not name.endswith("num_batches_tracked")
    }
    header = {
        "name": network,
        "version": VERSIONS[network],
        "trained_on": TRAINED_ON[network],
        "recipe": f"python -m analysis.training.{network} --fold release --seed {seed}",
        "input": NETWORKS[network].input_format,
        "commit": commit(),
        "use": "research use, not for diagnosis",
    }
    if network == "slice_classifier":
        header |= {name: str(protocol["working_point"][name]) for name in sorted(NUMBERS)}
    save_file({name: value.contiguous() for name, value in state.items()}, WEIGHTS / f"{network}.safetensors", header)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", choices=[*NETWORKS, []], metavar="NETWORK")
    for network in parser.parse_args().networks or NETWORKS:
        release(network)


if __name__ == "__main__":
    main()
