"""Figures of held-out volumes."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import special

from analysis.training.held_out import blind_decisions, sensitivity_by_pixels, slice_medians, temperature_figures


def case(volume: int, factor: float):
    """A volume whose slices have their logits multiplied."""
    random = np.random.default_rng(volume)
    probability = random.uniform(0.02, 0.98, 4000)
    positive = random.random(4000) < probability
    scaled = special.expit(factor * special.logit(probability))
    counts = np.ones(4000, bool)
    return SimpleNamespace(
        name=f"volume {volume}", probability=scaled, counts=counts, truth=SimpleNamespace(label=positive.astype(int))
    )


def test_a_temperature_of_the_other_volumes_mends_what_all_have_in_common() -> None:
    figures = temperature_figures([case(volume, factor=2) for volume in range(1, 10)])
    assert figures["temperature"] == pytest.approx(2, rel=0.05)
    assert figures["calibration_error"] < 0.02


def test_a_volume_has_no_say_in_its_own_temperature() -> None:
    """Volume 9 alone is off: no temperature of the others mends it."""
    others = [case(volume, factor=1) for volume in range(1, 9)]
    off = temperature_figures([*others, case(9, factor=4)])["calibration_error"]
    alike = temperature_figures([*others, case(9, factor=1)])["calibration_error"]
    assert off > alike + 0.01


def test_a_threshold_of_the_other_volumes_decides_on_each() -> None:
    """The abnormal slices of volume 9 have lower probabilities than those of all others, by whose threshold it goes."""

    def volume(number: int, abnormal: float):
        return SimpleNamespace(
            name=f"volume {number}",
            probability=np.array([0.1, abnormal]),
            counts=np.ones(2, bool),
            truth=SimpleNamespace(label=np.array([0, 1])),
        )

    others = [volume(number, abnormal=0.8) for number in range(1, 9)]
    figures = blind_decisions([*others, volume(9, abnormal=0.5)])
    assert figures == {"blind_sensitivity": pytest.approx(8 / 9), "blind_specificity": 1.0}


def test_a_map_is_measured_slice_by_slice() -> None:
    lung = np.ones((3, 16, 16), bool)
    opacity = np.zeros_like(lung)
    opacity[:, :8] = True
    heat = np.zeros(lung.shape, np.uint8)
    heat[0, :8] = 200  # all of it
    heat[1, :4] = 200  # half of it
    heat[2, 8:] = 200  # the other half of the lung
    medians = slice_medians(heat, lung, opacity, threshold=128)
    assert medians == {
        "pixel_auc": pytest.approx(0.75),
        "dice": pytest.approx(2 * 64 / (64 + 128)),
        "opacity_under_map": pytest.approx(0.5),
    }


def test_sensitivity_is_told_apart_by_the_size_of_opacities() -> None:
    opacity = np.zeros((4, 256, 256), bool)
    for one_slice, pixels in zip(opacity, (0, 50, 99, 1500), strict=True):
        one_slice.flat[:pixels] = True
    volume = SimpleNamespace(
        probability=np.array([0.9, 0.2, 0.8, 0.9]),
        counts=np.ones(4, bool),
        truth=SimpleNamespace(opacity=opacity, label=np.array([0, 1, 1, 1])),
    )
    figures = sensitivity_by_pixels([volume], threshold=0.5)
    assert figures["20 to 99"] == {"slices": 2, "sensitivity": 0.5}
    assert figures["from 1000"] == {"slices": 1, "sensitivity": 1.0}
