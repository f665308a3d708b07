"""Make the released weights from the runs of the fold "release": python -m analysis.training.release [PART …]

Writes analysis/weights/NETWORK.safetensors (of all networks if no part is named) in half precision, with its origin in
the header; that of the opacity decoder holds the hash of the classifier whose features it reads. The
part working_point is working_point.json: the thresholds, once they were chosen with the networks released.
"""

import argparse
import json

import torch
from safetensors.torch import save_file

from analysis.pipeline.networks import LungUNet, OpacityDecoder, SliceClassifier
from analysis.pipeline.weights import NUMBERS, WEIGHTS, sha256_of
from analysis.training import data

VERSIONS = {"lung_unet": "1.4", "slice_classifier": "1.4", "opacity_decoder": "1.1", "working_point": "1.1"}
NETWORKS = {"lung_unet": LungUNet, "slice_classifier": SliceClassifier, "opacity_decoder": OpacityDecoder}
TRAINED_ON = {
    "lung_unet": "lung_masks train; opacity_masks 1-9; neck and abdomen slices of LIDC-0003 and A0002; phantoms",
    "slice_classifier": "opacity_masks 1-9; lung_masks train, healthy slices of LIDC-0003 and A0002, normal slices of "
    "mosmed_like, all also with pasted opacities; labels of mosmed_like; phantoms; ImageNet start",
    "opacity_decoder": "opacity_masks 1-9; lung_masks train, healthy slices of LIDC-0003 and A0002, normal slices of "
    "mosmed_like, with pasted opacities and without; phantoms",
}


def release(network: str) -> None:
    seed = data.protocol()["seeds"][network][0]
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
        "commit": run["commit"],
        "use": "research use, not for diagnosis",
    }
    if network == "opacity_decoder":
        header["slice_classifier_sha256"] = sha256_of(WEIGHTS / "slice_classifier.safetensors")
    path = WEIGHTS / f"{network}.safetensors"
    save_file({name: value.contiguous() for name, value in state.items()}, path, header)
    path.chmod(0o644)  # not for the owner alone


def release_working_point(of_commit: str) -> None:
    """The numbers of the protocol that were chosen with the released lung U-Net and slice classifier."""
    chosen_with = ("lung_unet", "slice_classifier")
    working_point = data.protocol()["working_point"]
    content = {
        "name": "working_point",
        "version": VERSIONS["working_point"],
        "commit": of_commit,
        **{name: working_point[name] for name in NUMBERS},
        "chosen_with": {name: sha256_of(WEIGHTS / f"{name}.safetensors") for name in chosen_with},
    }
    (WEIGHTS / "working_point.json").write_text(json.dumps(content, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*VERSIONS, []], metavar="PART")
    parts = parser.parse_args().parts or VERSIONS
    of_commit = data.commit()  # before the first file is written
    for part in parts:
        release_working_point(of_commit) if part == "working_point" else release(part)


if __name__ == "__main__":
    main()
