"""How the evaluation puts figures together."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import special

from analysis.training import evaluation_page
from analysis.training.evaluate import sensitivity_by_pixels, temperature_figures


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


def test_the_page_says_where_the_plain_network_was_not_measured(tmp_path) -> None:
    assert "Not measured" in evaluation_page._plain(tmp_path / "plain_network.json")


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
