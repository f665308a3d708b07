"""Readers' corrections as slices that train, and whose patients do not."""

import csv
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch

from analysis.phantoms import Grid, Phantom, Visit, make_patient, random_opacities, render, write_series
from analysis.pipeline import run
from analysis.pipeline.grid import GRID
from analysis.pipeline.nifti import write_nifti
from analysis.pipeline.pixels import read_volume
from analysis.pipeline.series import check_series, find_series
from analysis.pipeline.slices import classify, lung_box
from analysis.pipeline.weights import released
from analysis.training.corrections import OPACITY, CorrectedSeries, UnusableCorrections, part_of, read
from analysis.training.slice_classifier import NOT_OUTLINED

CPU = torch.device("cpu")
UID = "1.2.3"


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    patient = make_patient(72)
    return render(Visit(patient, random_opacities(patient, 72, 15.0)), Grid.over_lungs(patient, (5.0, 1.45, 1.45)))


@pytest.fixture(scope="module")
def folder(phantom, tmp_path_factory) -> Path:
    """One series whose reader calls slices with opacity abnormal, as is true, and all others normal."""
    folder = tmp_path_factory.mktemp("corrections")
    write_series(phantom, folder / UID)
    headers = check_series(find_series(folder / UID)).headers
    rows = [
        {"patient": "a", "series_instance_uid": UID, "sop_instance_uid": one.sop_instance_uid, "abnormal": int(some)}
        for one, some in zip(headers, (phantom.opacity > 0).any((1, 2)), strict=True)
    ]
    write_table(folder, rows)
    return folder


def write_table(folder: Path, rows: list[dict]) -> None:
    with (folder / "corrections.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_corrected_slices_are_read_with_lungs_boxes_and_labels(folder, phantom):
    (series,) = read(folder)
    part = part_of([series], released(CPU).lung_unet, 0.4)
    abnormal = (phantom.opacity > 0).any((1, 2))[part.slices.index]
    assert part.slices.hu.shape == (len(part.label), GRID, GRID)
    assert part.label.tolist() == np.where(abnormal, NOT_OUTLINED, 0).tolist()
    assert len(part.label) > 0.7 * (phantom.lungs > 0).any((1, 2)).sum()
    overlap = (part.slices.lung & (phantom.lungs[part.slices.index] > 0)).sum()
    assert 2 * overlap / (part.slices.lung.sum() + (phantom.lungs[part.slices.index] > 0).sum()) > 0.9
    assert sum(weight for *_, weight in part.drawn) == pytest.approx(0.4)
    assert {kind for kind, *_ in part.drawn} == {0, NOT_OUTLINED}


def test_an_outline_beside_the_series_makes_outlined_slices(folder, phantom, tmp_path):
    (series,) = read(folder)
    path = folder / UID / OPACITY
    write_nifti(path, (phantom.opacity > 0).astype(np.uint8), check_series(find_series(folder / UID)).affine_lps)
    try:
        part = part_of([series], released(CPU).lung_unet, 0.4)
        outlined = part.slices.opacity[part.label == 1].sum()
        true = ((phantom.opacity > 0)[part.slices.index[part.label == 1]]).sum()
        assert (part.label == 1).sum() > 5
        assert outlined == pytest.approx(true, rel=0.15)  # but for what the lung mask cuts off
        nibabel.save(nibabel.as_closest_canonical(nibabel.load(path)), tmp_path / OPACITY)  # turned, of the same shape
        shutil.copy(tmp_path / OPACITY, path)
        with pytest.raises(UnusableCorrections, match="without turning it"):
            part_of([series], released(CPU).lung_unet, 0.4)
    finally:
        path.unlink()


def test_training_sees_a_slice_as_the_analysis_does(tmp_path, monkeypatch):
    """Of slices of 512 × 512 pixels in a field of view much wider than the lungs; a reader outlines all of them."""
    patient = make_patient(72)
    grid = Grid.over_lungs(patient, (10.0, 1.1, 1.1), 512)
    write_series(render(Visit(patient, random_opacities(patient, 72, 15.0)), grid), tmp_path)
    geometry = check_series(find_series(tmp_path))
    shown = {}

    def classify_shown(grid_hu, lung, scored, **others):
        shown.update(hu=grid_hu[:, 0].numpy(), lung=lung, scored=np.flatnonzero(scored))
        return classify(grid_hu, lung, scored, **others)

    monkeypatch.setattr(run, "classify", classify_shown)
    analysed = run.analyse_volume(read_volume(geometry), released(CPU))
    write_nifti(tmp_path / OPACITY, analysed.lungs.astype(np.uint8), geometry.affine_lps)
    series = CorrectedSeries("a", tmp_path, {header.sop_instance_uid: True for header in geometry.headers})
    part = part_of([series], released(CPU).lung_unet, 0.4)
    assert part.slices.index.tolist() == shown["scored"].tolist()
    lung = shown["lung"][part.slices.index]
    assert np.abs(part.slices.hu - shown["hu"][part.slices.index]).max() < 1  # whole HU in training
    assert (part.slices.lung == lung).all()
    assert part.slices.opacity.sum() > 0.97 * lung.sum()
    assert part.boxes.tolist() == [pytest.approx(lung_box(shown["lung"]))] * len(lung)


def test_about_a_quarter_of_the_patients_is_held_out_and_stays_so():
    series = [CorrectedSeries(f"patient {number}", Path(), {}) for number in range(400)]
    held_out = [one.patient for one in series if one.held_out]
    assert 70 < len(held_out) < 130
    assert held_out[:3] == ["patient 2", "patient 7", "patient 15"]  # by their code alone, whoever else is there


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "corrections.csv is missing"),
        ("patient,series_instance_uid,sop_instance_uid,abnormal\n", "has no rows"),
        ("patient,abnormal\na,1\n", "not the columns"),
        ("patient;series_instance_uid;sop_instance_uid;abnormal\na;1.9;1.9.1;1\n", "not the columns"),
        ("patient,series_instance_uid,abnormal,note\na,1.9,1,?\n", "not the columns"),
        ("patient,series_instance_uid,sop_instance_uid,abnormal\na,1.9,1.9.1,yes\n", "0 and 1"),
        ("patient,series_instance_uid,sop_instance_uid,abnormal\na,1.9,1.9.1,1\n", "not beside it, the first 1.9"),
    ],
)
def test_a_folder_that_is_no_export_is_refused_with_the_reason(tmp_path, content, words):
    if content is not None:
        (tmp_path / "corrections.csv").write_text(content)
    with pytest.raises(UnusableCorrections, match=words):
        read(tmp_path)


def test_a_series_that_cannot_be_used_is_left_out_by_name(folder, tmp_path, capsys):
    (series,) = read(folder)
    write_table(tmp_path, [{"patient": "b", "series_instance_uid": "9", "sop_instance_uid": "9.1", "abnormal": 1}])
    (tmp_path / "9").mkdir()
    (broken,) = read(tmp_path)
    assert len(part_of([series, broken], released(CPU).lung_unet, 0.4).label)
    assert "left out 9" in capsys.readouterr().out
    with pytest.raises(UnusableCorrections, match="No corrected slice"):
        part_of([broken], released(CPU).lung_unet, 0.4)
