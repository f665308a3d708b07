"""Training on from the running networks: each step, and a candidate of a few images from start to card."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
import torch

from analysis.phantoms import Grid, Visit, make_patient, random_opacities, render, write_series
from analysis.pipeline.networks import OpacityDecoder, SliceClassifier
from analysis.pipeline.nifti import write_nifti
from analysis.pipeline.series import check_series, find_series
from analysis.pipeline.weights import WEIGHTS, load_weights, released
from analysis.training import candidate, data, repeatability, slice_classifier
from analysis.training.candidate import _Kept
from analysis.training.candidate_card import of_corrections
from analysis.training.corrections import OPACITY, CorrectedSeries, UnusableCorrections
from analysis.training.release import write_weights, write_working_point
from analysis.training.slice_classifier import NOT_OUTLINED, Part, Sources

CPU = torch.device("cpu")
VOLUMES = (2, 7)  # of opacity_masks, with normal and abnormal slices


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
    """Written as ever, but for the choice of thresholds, which takes minutes: they move by what one rule says of the
    two sets."""
    decoder = OpacityDecoder()
    load_weights(decoder, WEIGHTS / "opacity_decoder.safetensors")
    with torch.no_grad():
        classifier.slice_bias += 1
    monkeypatch.setattr(candidate, "opacity_cases", lambda volumes, models: models)
    monkeypatch.setattr(candidate, "slice_threshold", lambda models: 0.1 * float(models.slice_classifier.slice_bias))
    monkeypatch.setattr(candidate, "case_threshold", lambda models, threshold: 0.3)
    monkeypatch.setattr(candidate, "measure", lambda models: {"variation": 0.05})
    models = candidate.write(tmp_path, classifier, decoder, WEIGHTS)
    running = released(CPU)
    assert models.slice_threshold == pytest.approx(running.slice_threshold + 0.1, abs=0.002)
    assert (models.case_threshold, models.score_variation) == (running.case_threshold, 0.05)
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


def few_slices(shared_data: Path, folder: Path) -> None:
    """A little of each source that a candidate learns from or is compared on."""
    with np.load(shared_data / "lung_masks.npz") as stored:
        chosen = np.flatnonzero(stored["split"] == "train")[:6]
        np.savez(folder / "lung_masks.npz", **{name: stored[name][chosen] for name in stored.files})
    with np.load(shared_data / "opacity_masks.npz") as stored:
        chosen = np.flatnonzero(np.isin(stored["volume"], VOLUMES))[::4]
        np.savez(folder / "opacity_masks.npz", **{name: stored[name][chosen] for name in stored.files})
    (folder / "slices_2d").mkdir()
    (folder / "slices_2d" / "mosmed_like").symlink_to(shared_data / "slices_2d" / "mosmed_like")
    with (shared_data / "slices_2d" / "slices.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["source"] == "mosmed_like"]
    rows = [row for covid in "01" for row in [one for one in rows if one["covid"] == covid][:4]]
    write_rows(folder / "slices_2d" / "slices.csv", rows)
    head, thin = slice(40), slice(None, None, 8)
    some = {"nodules_LIDC-0003": head, "tumour_A0002": head, "covid_P001": thin, "normal_001": thin}
    for name, chosen in some.items():
        (folder / "ct" / name).mkdir(parents=True)
        paths = list((shared_data / "ct" / name).glob("*.dcm"))
        paths.sort(key=lambda path: -float(pydicom.dcmread(path, stop_before_pixels=True).ImagePositionPatient[2]))
        for path in [*paths[chosen], *(shared_data / "ct" / name).glob("slice_labels.csv")]:
            (folder / "ct" / name / path.name).symlink_to(path)


def write_rows(path: Path, rows: list[dict]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def corrections_of_two_patients(folder: Path) -> None:
    """Every second slice, called what it is; of the patient who trains, with outlines."""
    rows = []
    for seed, code in ((72, "patient 0"), (73, "patient 2")):  # the second is held out
        patient = make_patient(seed)
        grid = Grid.over_lungs(patient, (10.0, 1.45, 1.45))
        phantom = render(Visit(patient, random_opacities(patient, seed, 8.0)), grid)
        write_series(phantom, folder / str(seed))
        geometry = check_series(find_series(folder / str(seed)))
        for one, some in list(zip(geometry.headers, (phantom.opacity > 0).any((1, 2)), strict=True))[::2]:
            uids = {"series_instance_uid": str(seed), "sop_instance_uid": one.sop_instance_uid}
            rows.append({"patient": code, **uids, "abnormal": int(some)})
        if seed == 72:
            write_nifti(folder / "72" / OPACITY, (phantom.opacity > 0).astype(np.uint8), geometry.affine_lps)
    write_rows(folder / "corrections.csv", rows)


def active_set(folder: Path, classifier: SliceClassifier) -> None:
    """The released networks, whose classifier finds any slice more abnormal."""
    folder.mkdir()
    for name in candidate.UNCHANGED:
        shutil.copy(WEIGHTS / name, folder / name)
    decoder = OpacityDecoder()
    load_weights(decoder, WEIGHTS / "opacity_decoder.safetensors")
    with torch.no_grad():
        classifier.slice_bias += 1
    write_weights(folder, "slice_classifier", classifier.state_dict(), {"version": "north-1"})
    write_weights(folder, "opacity_decoder", decoder.state_dict(), {"version": "north-1"})
    write_working_point(folder, "north-1", "", json.loads((WEIGHTS / "working_point.json").read_text()))


def test_a_candidate_of_few_images_is_trained_and_compared(shared_data, classifier, tmp_path, monkeypatch):
    """All that the command does, with fewer images and slices, from a set that was activated on."""
    settings = data.protocol()
    settings["phantoms"]["train"] = settings["phantoms"]["train"][:1]
    settings["held_out"]["release"] = [volume for volume in range(1, 10) if volume not in VOLUMES]
    for network in ("slice_classifier", "opacity_decoder"):
        settings["candidate"][network] |= {"images": 16, "batch": 4}
    variants = {name: repeatability.VARIANTS[name] for name in ("2 mm slices, as stored", "4 mm slices")}
    monkeypatch.setattr(data, "protocol", lambda: settings)
    monkeypatch.setattr(repeatability, "VARIANTS", variants)
    monkeypatch.setattr(repeatability, "THICKNESSES", tuple(variants))
    monkeypatch.setattr(repeatability, "TRUSTED", tuple(variants))
    monkeypatch.setattr(repeatability, "WORSE", tuple(variants))
    for name, folder in (("SHARED_DATA", tmp_path / "data"), ("RUNS", tmp_path / "runs")):
        folder.mkdir()
        monkeypatch.setattr(data, name, folder)
    few_slices(shared_data, tmp_path / "data")
    corrections, active, out = (tmp_path / name for name in ("corrections", "active", "made/candidate"))
    corrections_of_two_patients(corrections)
    active_set(active, classifier)

    def run(what: str, *options: str) -> int:
        monkeypatch.setattr("sys.argv", ["candidate", what, str(corrections), str(out), *options])
        return candidate.main()

    assert run("train", "--running", str(tmp_path / "nowhere")) == 2
    assert not out.exists()
    assert run("train", "--running", str(active)) == 0
    made, running = released(CPU, out), released(CPU, active)
    changed = [one.version for one, other in zip(made.versions, running.versions, strict=True) if one != other]
    assert len(changed) == 3
    assert all(version.startswith("north-1+corrections-") for version in changed)
    assert float(made.slice_classifier.slice_bias) == pytest.approx(float(classifier.slice_bias), abs=0.1)
    card = (out / "card.md").read_text()
    assert all(f"{one.version} | {one.sha256}" in card for one in (*made.versions, *running.versions))
    assert "| patients held out | 1 | 1 |" in card

    assert run("compare") == 0  # with the released networks
    compared = (out / "card.md").read_text()
    assert all(one.sha256 in compared for one in (*made.versions, *released(CPU).versions))
    assert "north-1 |" not in compared
