"""The released files: there, small enough, of their own accord clear about what they are."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from analysis.pipeline.weights import WEIGHTS, WeightsMissing, choose_device, released

CPU = torch.device("cpu")
FILES = ("lung_unet.safetensors", "slice_classifier.safetensors", "opacity_decoder.safetensors")
NODULES, WORKING_POINT = "nodules.json", "working_point.json"


def test_all_files_fit_in_55_mb() -> None:
    assert sum((WEIGHTS / name).stat().st_size for name in FILES) <= 55_000_000


def test_a_number_that_is_none_is_damage(copied: Path) -> None:
    path = copied / FILES[1]
    with safe_open(path, framework="pt") as file:
        state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        header = file.metadata()
    state["bn1.running_var"][0] = torch.inf  # as too large a number becomes in half precision
    save_file(state, path, header)
    with pytest.raises(WeightsMissing, match=r"slice_classifier\.safetensors are damaged"):
        released(CPU, copied)


def test_header_says_what_it_is_and_what_it_saw() -> None:
    for name in FILES:
        with safe_open(WEIGHTS / name, framework="pt") as file:
            header = file.metadata()
        assert {"name", "version", "trained_on", "recipe", "commit", "use"} <= set(header)
        assert header["use"] == "research use, not for diagnosis"
        assert "covid_P001" not in header["trained_on"]
        assert "normal_001" not in header["trained_on"]


def test_versions_carry_the_hash_of_the_file() -> None:
    versions = {version.name: version.sha256 for version in released(CPU).versions}
    for name in (*FILES, NODULES, WORKING_POINT):
        assert versions.pop(name.split(".")[0]) == hashlib.sha256((WEIGHTS / name).read_bytes()).hexdigest()
    assert not versions


def test_loaded_once_per_process() -> None:
    assert released(CPU) is released(choose_device("cpu"))


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match=r"lung_unet\.safetensors are missing"):
        released(CPU, tmp_path)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    for name in FILES:
        shutil.copy(WEIGHTS / FILES[0], tmp_path / name)
    with pytest.raises(WeightsMissing, match="another version"):
        released(CPU, tmp_path)


def test_weights_trained_on_another_window_are_refused(tmp_path: Path) -> None:
    for name in FILES:
        with safe_open(WEIGHTS / name, framework="pt") as file:
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            header = file.metadata() | {"input": "192 pixels, -1000 to 0 HU"}
        save_file(state, tmp_path / name, header)
    with pytest.raises(WeightsMissing, match="another version"):
        released(CPU, tmp_path)


def test_a_decoder_made_for_another_classifier_is_refused(tmp_path: Path) -> None:
    for name in FILES:
        with safe_open(WEIGHTS / name, framework="pt") as file:
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            header = file.metadata()
        if name == "slice_classifier.safetensors":
            header["recipe"] = "another training"
        save_file(state, tmp_path / name, header)
    with pytest.raises(WeightsMissing, match="do not fit together"):
        released(CPU, tmp_path)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """All released files in a folder of their own."""
    for name in (*FILES, NODULES, WORKING_POINT):
        shutil.copy(WEIGHTS / name, tmp_path / name)
    return tmp_path


def test_thresholds_come_with_the_networks_they_were_chosen_with(copied: Path) -> None:
    path = copied / WORKING_POINT
    stored = json.loads(path.read_text())
    path.write_text(json.dumps(stored | {"slice_threshold": 0.125}))
    models = released(CPU, copied)
    assert (models.slice_threshold, models.case_threshold) == (0.125, stored["case_threshold"])


def test_thresholds_chosen_with_other_networks_are_refused(copied: Path) -> None:
    path = copied / WORKING_POINT
    stored = json.loads(path.read_text())
    stored["chosen_with"]["lung_unet"] = "0" * 64
    path.write_text(json.dumps(stored))
    with pytest.raises(WeightsMissing, match=r"working_point\.json were chosen with other networks"):
        released(CPU, copied)


def test_a_working_point_without_a_threshold_is_refused(copied: Path) -> None:
    stored = json.loads((WEIGHTS / WORKING_POINT).read_text())
    del stored["case_threshold"]
    (copied / WORKING_POINT).write_text(json.dumps(stored))
    with pytest.raises(WeightsMissing, match="another version"):
        released(CPU, copied)


def test_a_damaged_file_is_named(copied: Path) -> None:
    whole = (copied / FILES[1]).read_bytes()
    (copied / FILES[1]).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsMissing, match=r"slice_classifier\.safetensors are damaged"):
        released(CPU, copied)


def test_tensors_of_another_shape_are_refused(copied: Path) -> None:
    path = copied / FILES[0]
    with safe_open(path, framework="pt") as file:
        state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        header = file.metadata()
    save_file({key: value[..., :1].contiguous() for key, value in state.items()}, path, header)
    with pytest.raises(WeightsMissing, match=r"lung_unet\.safetensors belong to another version"):
        released(CPU, copied)


@pytest.mark.parametrize("name", [NODULES, WORKING_POINT])
def test_a_small_file_that_is_no_object_is_refused(name: str, copied: Path) -> None:
    (copied / name).write_text("[1]")
    with pytest.raises(WeightsMissing, match="another version"):
        released(CPU, copied)


@pytest.mark.parametrize("name", [NODULES, WORKING_POINT])
def test_small_files_are_looked_for_with_the_networks(name: str, copied: Path) -> None:
    (copied / name).unlink()
    with pytest.raises(WeightsMissing, match=rf"{name} are missing"):
        released(CPU, copied)


def test_numbers_of_other_features_do_not_judge_nodules(copied: Path) -> None:
    stored = json.loads((WEIGHTS / NODULES).read_text())
    assert stored["use"] == "research use, not for diagnosis"
    assert stored["commit"]
    del stored["features"]["compact"]
    (copied / NODULES).write_text(json.dumps(stored))
    with pytest.raises(WeightsMissing, match="another version"):
        released(CPU, copied)


def test_every_file_has_its_model_card() -> None:
    assert "Research use, not for diagnosis" in (WEIGHTS / "nodules.md").read_text()
    for name in FILES:
        card = (WEIGHTS / name).with_suffix(".md").read_text()
        assert "Research use, not for diagnosis" in card
        assert "Dice" in card
