"""Training on from the released networks; a whole candidate takes a quarter of an hour and is not trained here."""

import numpy as np
import pytest
import torch

from analysis.phantoms import Grid, Visit, make_patient, random_opacities, render, write_series
from analysis.pipeline.networks import OpacityDecoder, SliceClassifier
from analysis.pipeline.series import check_series, find_series
from analysis.pipeline.weights import WEIGHTS, load_weights, released
from analysis.training import candidate, data, slice_classifier
from analysis.training.candidate import _Kept
from analysis.training.candidate_card import of_corrections
from analysis.training.corrections import CorrectedSeries, UnusableCorrections
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
    settings = data.protocol()["candidate"]["slice_classifier"] | {"images": 160, "batch": 8}

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


def test_a_written_set_is_complete_and_belongs_together(classifier, tmp_path, monkeypatch):
    """Written as ever, but for the thresholds, whose choice takes minutes."""
    decoder = OpacityDecoder()
    load_weights(decoder, WEIGHTS / "opacity_decoder.safetensors")
    with torch.no_grad():
        classifier.slice_bias += 1
    monkeypatch.setattr(candidate, "opacity_cases", lambda volumes, models: [])
    monkeypatch.setattr(candidate, "slice_threshold", lambda cases: 0.7)
    monkeypatch.setattr(candidate, "case_threshold", lambda cases, threshold: 0.1)
    monkeypatch.setattr(candidate, "measure", lambda models: {"variation": 0.05})
    models = candidate.write(tmp_path, classifier, decoder, WEIGHTS)
    running = released(CPU)
    assert (models.slice_threshold, models.case_threshold, models.score_variation) == (0.7, 0.1, 0.05)
    changed = {one.name for one, other in zip(models.versions, running.versions, strict=True) if one != other}
    assert changed == {"slice_classifier", "opacity_decoder", "working_point"}
    assert all("+corrections-" in one.version for one in models.versions if one.name in changed)
    assert float(models.slice_classifier.slice_bias - running.slice_classifier.slice_bias) == pytest.approx(1, abs=0.01)


def test_corrected_slices_and_the_others_are_counted_apart(tmp_path):
    """A reader who agrees with what is there, on every second slice of a synthetic patient."""
    patient = make_patient(72)
    phantom = render(Visit(patient, random_opacities(patient, 72, 2.0)), Grid.over_lungs(patient, (5.0, 1.45, 1.45)))
    write_series(phantom, tmp_path)
    uids = [one.sop_instance_uid for one in check_series(find_series(tmp_path)).headers]
    abnormal = dict(zip(uids[::2], (phantom.opacity > 0).any((1, 2))[::2].tolist(), strict=True))
    figures = of_corrections([CorrectedSeries("a", tmp_path, abnormal)], released(CPU))
    assert figures["patients held out"] == 1
    assert abs(figures["their corrected slices"] - figures["their other lung slices"]) <= 1
    assert 0 < figures["… of which the reader calls abnormal"] < figures["their corrected slices"]
    assert figures["… AUC"] > 0.9
    assert figures["… of which the networks call abnormal"] > 0
    with pytest.raises(UnusableCorrections, match="gather more"):
        of_corrections([CorrectedSeries("a", tmp_path, {})], released(CPU))
