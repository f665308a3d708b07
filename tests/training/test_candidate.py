"""Training on from the released networks; a whole candidate takes a quarter of an hour and is not trained here."""

from pathlib import Path

import numpy as np
import pytest
import torch

from analysis.pipeline.networks import OpacityDecoder, SliceClassifier
from analysis.pipeline.weights import WEIGHTS, WeightsMissing, load_weights, released
from analysis.training import data, slice_classifier
from analysis.training.candidate import UNCHANGED, _Kept
from analysis.training.release import write_weights, write_working_point
from analysis.training.slice_classifier import NOT_OUTLINED, Part, Sources

CPU = torch.device("cpu")


@pytest.fixture
def classifier() -> SliceClassifier:
    network = SliceClassifier()
    load_weights(network, WEIGHTS / "slice_classifier.safetensors")
    return network.eval()


class Corrections(Sources):
    """Nothing but readers' corrections."""

    def __init__(self, part: Part) -> None:
        super().__init__("release", 0, lambda images: (images,), [part])

    def _parts(self, fold, network):
        return []


def test_a_slice_called_abnormal_is_more_so_after_training(classifier, shared_data):
    """Three slices of a healthy scan, called abnormal against all sense, and three others, called normal."""
    slices = data.lung_masks("test")
    slices = slices.where(np.arange(len(slices)) < 6)
    boxes = np.stack([slice_classifier.lung_box(lung[None]) for lung in slices.lung]).astype(np.float32)
    label = np.array([NOT_OUTLINED] * 3 + [0] * 3)
    part = Part(slices, boxes, label, ((0, False, 0.5), (NOT_OUTLINED, False, 0.5)))
    settings = data.protocol()["candidate"]["slice_classifier"] | {"images": 64, "batch": 8}

    def logits() -> np.ndarray:
        hu = torch.from_numpy(slices.hu).float().unsqueeze(1)
        lung = torch.from_numpy(slices.lung).float().unsqueeze(1)
        fixed = torch.Generator().manual_seed(3)
        image, share, *_ = slice_classifier.augmented(hu, lung, 0 * lung, torch.from_numpy(boxes), fixed)
        with torch.inference_mode():
            return classifier(image, share)[0].numpy()

    before, kept = logits(), _Kept()
    slice_classifier.fit(classifier, Corrections(part), settings, 0, kept)
    classifier.load_state_dict(kept.state)
    change = logits() - before
    assert change[:3].mean() > change[3:].mean() + 0.5


def test_a_written_set_is_complete_and_belongs_together(classifier, tmp_path):
    for name in UNCHANGED:
        (tmp_path / name).write_bytes((WEIGHTS / name).read_bytes())
    decoder = OpacityDecoder()
    load_weights(decoder, WEIGHTS / "opacity_decoder.safetensors")
    with torch.no_grad():
        classifier.slice_bias += 1
    for name, module in (("slice_classifier", classifier), ("opacity_decoder", decoder)):
        origin = {"version": "1.4+corrections-2026-01-01", "trained_on": "…", "recipe": "…", "commit": "…"}
        write_weights(tmp_path, name, module.state_dict(), origin)
    numbers = {"slice_threshold": 0.7, "case_threshold": 0.1, "score_variation": 0.05}
    write_working_point(tmp_path, "1.1+corrections-2026-01-01", "…", numbers)
    models, running = released(CPU, tmp_path), released(CPU)
    assert (models.slice_threshold, models.case_threshold) == (0.7, 0.1)
    names = [version.name for version in models.versions]
    changed = {one.name for one, other in zip(models.versions, running.versions, strict=True) if one != other}
    assert names == [version.name for version in running.versions]
    assert changed == {"slice_classifier", "opacity_decoder", "working_point"}
    assert float(models.slice_classifier.slice_bias - running.slice_classifier.slice_bias) == pytest.approx(1, abs=0.01)
    (tmp_path / "slice_classifier.safetensors").write_bytes((WEIGHTS / "slice_classifier.safetensors").read_bytes())
    with pytest.raises(WeightsMissing, match="do not fit together"):
        _reread(tmp_path)


def _reread(folder: Path) -> None:
    """From another path: files are hashed once per path."""
    copy = folder.with_name("again")
    folder.rename(copy)
    released(CPU, copy)
