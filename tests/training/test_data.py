"""Training data: calibrated, split as the protocol says, and never the held-out cases."""

import re
from pathlib import Path

import numpy as np
import torch

from analysis.training import data


def test_every_volume_is_held_out_once_and_look_alikes_stay_together() -> None:
    held_out = data.protocol()["held_out"]
    assert sorted(volume for fold in data.folds() for volume in held_out[fold]) == list(range(1, 10))
    assert any({2, 3} <= set(held_out[fold]) for fold in data.folds())
    for fold in data.folds():
        assert sorted(data.trained_volumes(fold) + held_out[fold]) == list(range(1, 10))
    assert data.trained_volumes("release") == list(range(1, 10))


def test_held_out_cases_and_test_phantoms_are_not_trained_on() -> None:
    for script in ("data.py", "lung_unet.py", "slice_classifier.py", "lesions.py"):
        assert not re.search("covid_P001|normal_001", (Path(data.__file__).parent / script).read_text())
    phantoms = data.protocol()["phantoms"]
    assert not set(phantoms["train"]) & set(phantoms["test"])


def test_air_and_fat_have_their_densities(shared_data: Path) -> None:
    slices = data.lung_masks("test")
    air = np.median(slices.hu[slices.hu < -850])
    assert -1024 <= air <= -970
    normal_lung = np.median(slices.hu[slices.lung])
    assert -950 < normal_lung < -780


def test_wrong_mask_is_left_out(shared_data: Path) -> None:
    assert data.WRONG_MASK not in data.lung_masks("val").group
    assert len(data.lung_masks("val", "test")) == 27 + 53 - 1


def test_slices_with_few_opacity_pixels_are_neither_normal_nor_abnormal(shared_data: Path) -> None:
    slices = data.opacity_masks([7])
    pixels = slices.opacity.sum((1, 2))
    assert set(slices.label[pixels == 0]) == {0}
    assert set(slices.label[pixels >= 20]) == {1}
    assert (slices.label[(pixels > 0) & (pixels < 20)] == -1).all()


def test_density_jitter_keeps_air_near_air() -> None:
    air = torch.full((64, 1, 16, 16), -1000.0)
    jittered = data.jitter_hu(air, torch.Generator().manual_seed(0))
    assert (jittered.mean((1, 2, 3)) + 1000).abs().max() < 120


def test_mosmed_slices_get_the_densities_of_their_tissues(shared_data: Path) -> None:
    slices, abnormal = data.mosmed_slices()
    assert 0.7 < abnormal.mean() < 0.8
    middle = slices.hu[:, 64:192, 64:192]
    aerated = np.array([np.median(hu[(hu > -1000) & (hu < -600)]) for hu in middle])
    soft = np.array([np.median(hu[(hu > -50) & (hu < 150)]) for hu in middle])
    assert -960 < np.median(aerated) < -820
    assert np.percentile(aerated, 90) < -780
    assert 20 < np.median(soft) < 70
    assert not slices.lung.any()
    assert not slices.opacity.any()
