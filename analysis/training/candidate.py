"""Train a candidate on readers' corrections: python -m analysis.training.candidate train CORRECTIONS OUT

From the running networks on (`--running FOLDER`, else the released ones), among the slices that the released ones
learnt from, so that nothing is unlearnt: it needs the data of CORONATREND_DATA too. Writes a complete set of weights
into the new folder OUT, with a card that compares it with the running set (`candidate compare CORRECTIONS OUT` writes
the card alone). Lung U-Net and detector of nodules stay as they are. About fifteen minutes on two cores.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import torch
from torch import nn

from analysis.pipeline.inference import ready
from analysis.pipeline.networks import SLICE_INPUT, OpacityDecoder, SliceClassifier, SliceNetworks
from analysis.pipeline.weights import WEIGHTS, Models, WeightsMissing, load_weights, released
from analysis.training import data, opacity_decoder, slice_classifier
from analysis.training.candidate_card import write_card
from analysis.training.cases import opacity_cases
from analysis.training.corrections import CorrectedSeries, UnusableCorrections, part_of, read
from analysis.training.release import TRAINED_ON, halved, write_weights, write_working_point
from analysis.training.repeatability import measure
from analysis.training.slice_classifier import NOT_OUTLINED, Part
from analysis.training.thresholds import case_threshold, slice_threshold

CPU = torch.device("cpu")
UNCHANGED = ("lung_unet.safetensors", "nodules.json")
RECIPE = "python -m analysis.training.candidate train"


def trained(corrections: Part, running: Path) -> tuple[SliceClassifier, OpacityDecoder]:
    """The classifier and decoder of ``running``, trained on with these corrections; on the processor again."""
    settings = data.protocol()["candidate"]
    torch.manual_seed(settings["seed"])
    lung_unet = released(CPU, running).lung_unet
    classifier, decoder = SliceClassifier(), OpacityDecoder()
    load_weights(classifier, running / "slice_classifier.safetensors")
    load_weights(decoder, running / "opacity_decoder.safetensors")
    sources = slice_classifier.Sources("release", settings["seed"], lung_unet, [corrections])
    kept = _Kept()
    slice_classifier.fit(classifier, sources, settings["slice_classifier"], settings["seed"], kept)
    classifier.cpu().load_state_dict(kept.state)
    outlined = tuple(kind for kind in corrections.drawn if kind[0] != NOT_OUTLINED)
    more = [corrections._replace(drawn=outlined)] if outlined else []
    sources = opacity_decoder.Sources("release", settings["seed"], lung_unet, more)
    opacity_decoder.fit(decoder, classifier, sources, settings["opacity_decoder"], settings["seed"], kept)
    decoder.cpu().load_state_dict(kept.state)
    return classifier.cpu(), decoder


class _Kept:
    """The last state that a training gave to keep, in the precision of the files."""

    state: dict[str, torch.Tensor]

    def __call__(self, module: nn.Module) -> None:
        self.state = {name: value.cpu().clone() for name, value in halved(module.state_dict()).items()}


def write(folder: Path, classifier: SliceClassifier, decoder: OpacityDecoder, running: Path) -> Models:
    """The complete set of weights, trained from ``running`` on. Its thresholds lie as far from the running ones as one
    rule, on volumes that both sets learnt from, puts those of the two apart."""
    for name in UNCHANGED:
        shutil.copy(running / name, folder / name)
    before, day = released(CPU, running), date.today().isoformat()
    versions = {version.name: f"{version.version}+corrections-{day}" for version in before.versions}
    for name, module in (("slice_classifier", classifier), ("opacity_decoder", decoder)):
        origin = {"version": versions[name], "trained_on": f"{TRAINED_ON[name]}; readers' corrections"}
        write_weights(folder, name, module.state_dict(), origin | {"recipe": RECIPE, "commit": data.commit()})
    networks = ready(SliceNetworks(classifier, decoder), SLICE_INPUT, CPU)
    candidate = replace(before, slices=networks, slice_classifier=classifier, nodules=None)
    own, of_running = chosen_thresholds(candidate), chosen_thresholds(replace(before, nodules=None))
    numbers = {name: getattr(before, name) + own[name] - of_running[name] for name in own}
    numbers["score_variation"] = measure(candidate)["variation"]
    write_working_point(
        folder, versions["working_point"], data.commit(), {name: round(value, 3) for name, value in numbers.items()}
    )
    return released(CPU, folder)


def chosen_thresholds(models: Models) -> dict[str, float]:
    """By the rules of the released ones, on the volumes that the released networks learnt from."""
    cases = opacity_cases(data.trained_volumes("release"), models)
    threshold = slice_threshold(cases)
    return {"slice_threshold": threshold, "case_threshold": case_threshold(cases, threshold)}


def _train(corrections: Part, held_out: Sequence[CorrectedSeries], out: Path, running: Path) -> None:
    """All of the set with its card, or nothing."""
    classifier, decoder = trained(corrections, running)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".candidate-", dir=out.parent) as temporary:
        folder = Path(temporary) / out.name
        folder.mkdir()
        write(folder, classifier, decoder, running)
        write_card(folder, held_out, corrections, running)
        folder.rename(out)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["train", "compare"])
    parser.add_argument("corrections", type=Path, metavar="CORRECTIONS")
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument(
        "--running",
        type=Path,
        default=WEIGHTS,
        metavar="FOLDER",
        help="networks to train on from and to compare with: where an administrator activated others, MODELS_ROOT/NAME",
    )
    arguments = parser.parse_args()
    data.commit()  # of the start
    try:
        lung_unet = released(CPU, arguments.running).lung_unet  # of a whole set, before anything takes long
        series = read(arguments.corrections)
        held_out = [one for one in series if one.held_out]
        learnt = [one for one in series if not one.held_out]
        if not held_out or not learnt:
            raise UnusableCorrections(
                f"All corrections are of {'patients that train' if learnt else 'patients held out to compare'}: "
                "gather those of more patients, so that some train and a quarter compares."
            )
        if arguments.what == "train" and arguments.out.exists():
            raise UnusableCorrections(f"{arguments.out} is there already: name a new folder.")
        corrections = part_of(learnt, lung_unet, data.protocol()["candidate"]["corrections"])
        if arguments.what == "train":
            _train(corrections, held_out, arguments.out, arguments.running)
        else:
            write_card(arguments.out, held_out, corrections, arguments.running)
    except (UnusableCorrections, WeightsMissing, FileNotFoundError) as reason:
        print(reason, file=sys.stderr)
        return 2
    print(f"{arguments.out / 'card.md'} compares the candidate with the networks of {arguments.running}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
