"""``manage.py add_networks``: what is not whole is refused with a sentence, what is gets a folder and a row."""

import hashlib
import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from safetensors.numpy import save_file

from analysis import network_sets
from analysis.checks import WEIGHTS, WEIGHTS_DIR
from analysis.models import NetworkSet
from tests.network_sets import CARD, kept_set, write_candidate

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def models_root(settings, tmp_path):
    settings.MODELS_ROOT = tmp_path / "models"
    settings.MODELS_ROOT.mkdir()
    return settings.MODELS_ROOT


@pytest.fixture
def candidate(tmp_path):
    return write_candidate(tmp_path / "candidate")


def add(folder, name="north-1"):
    output = StringIO()
    call_command("add_networks", str(folder), "--name", name, stdout=output)
    return output.getvalue()


def refused(folder, words, name="north-1"):
    with pytest.raises(CommandError, match=words) as refusal:
        add(folder, name)
    assert (refusal.value.returncode, len(str(refusal.value).splitlines())) == (1, 1)


def test_a_whole_set_is_copied_and_listed(candidate, models_root):
    assert "north-1 was added" in add(candidate)
    network_set = NetworkSet.objects.get()
    assert {path.name for path in models_root.iterdir()} == {"north-1"}
    assert {path.name for path in network_set.folder.iterdir()} == {*WEIGHTS, "card.md"}
    assert network_set.weights == {hashlib.sha256((candidate / name).read_bytes()).hexdigest() for name in WEIGHTS}
    assert network_set.versions[-1]["version"] == "north-1"
    assert (network_set.card, network_set.active) == (CARD.strip(), False)
    assert network_sets.fault(network_set) == ""
    assert network_sets.active() is None


def test_a_name_is_never_used_again(candidate, models_root):
    kept = kept_set("north-1")
    refused(candidate, "“north-1” cannot be the name: Network set with this Name already exists")
    assert network_sets.fault(kept) == ""
    (models_root / "north-2").mkdir()
    refused(candidate, "exists already: choose another name", name="north-2")
    assert list((models_root / "north-2").iterdir()) == []
    assert NetworkSet.objects.get() == kept


@pytest.mark.parametrize("name", ["../north", "north 1", ""])
def test_a_name_that_is_no_folder_of_its_own_is_refused(candidate, models_root, name):
    refused(candidate, "cannot be the name", name=name)
    assert list(models_root.iterdir()) == []


def test_a_folder_that_is_not_complete_is_refused(candidate, tmp_path):
    refused(tmp_path / "nowhere", "is no folder")
    (candidate / "nodules.json").unlink()
    (candidate / "card.md").unlink()
    refused(candidate, r"is not complete: nodules\.json, card\.md missing")


def test_a_card_without_text_is_refused(candidate):
    (candidate / "card.md").write_text(" \n")
    refused(candidate, r"card\.md is empty")
    (candidate / "card.md").write_bytes(b"\xff\xfe")
    refused(candidate, r"card\.md is no text")


def test_networks_that_do_not_load_are_refused(candidate, models_root):
    point = json.loads((WEIGHTS_DIR / "working_point.json").read_text())
    (candidate / "working_point.json").write_text(json.dumps(point | {"chosen_with": {}}))
    refused(candidate, "were chosen with other networks")
    (candidate / "lung_unet.safetensors").write_bytes(b"damaged")
    refused(candidate, "are damaged")
    save_file({}, candidate / "lung_unet.safetensors")
    refused(candidate, "another version")
    assert list(models_root.iterdir()) == []
    assert not NetworkSet.objects.exists()


def test_what_cannot_be_copied_leaves_nothing(candidate, models_root):
    models_root.rmdir()
    models_root.touch()
    refused(candidate, "could not be copied to .*: Not a directory")
    assert not NetworkSet.objects.exists()
