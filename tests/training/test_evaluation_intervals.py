"""Intervals over volumes."""

from types import SimpleNamespace

import numpy as np
import pytest

from analysis.training.evaluation_intervals import intervals, of_median


def case(number: int, percent: float, missed: bool):
    """A volume of two slices, the first abnormal; ``missed``: the networks see nothing of it."""
    lung = np.ones((2, 8, 8), bool)
    opacity = np.zeros_like(lung)
    opacity[0, :4] = True
    found = opacity & (not missed)
    return SimpleNamespace(
        name=f"volume {number}",
        probability=np.array([0.1 if missed else 0.9, 0.2]),
        counts=np.ones(2, bool),
        opacity_percent=percent,
        truth=SimpleNamespace(lung=lung, opacity=opacity, label=np.array([1, 0])),
        analysis=SimpleNamespace(lungs=lung, heatmap=255 * found.astype(np.uint8), opacity=found.astype(np.uint8)),
        score_percent=lambda: percent,
    )


def test_what_is_right_on_every_volume_has_no_width() -> None:
    run = [case(number, float(number), missed=False) for number in range(1, 10)]
    for name, interval in intervals([run, run]).items():
        assert interval == pytest.approx((0.0, 0.0) if "error" in name else (1.0, 1.0)), name


def test_a_median_over_volumes_moves_with_the_volumes_that_are_drawn() -> None:
    assert of_median({f"volume {number}": 0.9 for number in range(1, 10)}) == (0.9, 0.9)
    low, high = of_median({f"volume {number}": number / 10 for number in range(1, 10)})
    assert 0.1 <= low < 0.5 < high <= 0.9


def test_volumes_that_look_like_one_patient_are_drawn_together() -> None:
    """2 and 3 are one group of seven: only they are missed, so that an AUC or share is that of none, one or more."""
    run = [case(number, float(number), missed=number in (2, 3)) for number in range(1, 10)]
    low, high = intervals([run])["sensitivity"]
    groups = [np.repeat(hit, size) for hit, size in ((1, 1), (0, 2), (1, 1), (1, 1), (1, 2), (1, 1), (1, 1))]
    random = np.random.default_rng(0)
    drawn = [np.mean(np.concatenate([groups[k] for k in random.choice(7, 7)])) for _ in range(2000)]
    assert (low, high) == pytest.approx(np.percentile(drawn, [2.5, 97.5]), abs=0.03)
    alone = [case(number, float(number), missed=number in (1, 3)) for number in range(1, 10)]
    assert intervals([alone])["sensitivity"][0] > low  # two that are drawn apart are rarely missed both


def test_one_volume_that_is_missed_widens_what_depends_on_it() -> None:
    run = [case(number, float(number), missed=number == 1) for number in range(1, 10)]
    found = intervals([run])
    for name in ("sensitivity", "heat_dice_mean", "opacity_dice_mean"):
        low, high = found[name]
        assert low < 8 / 9 < high == 1.0
    assert found["specificity"] == found["lung_dice"] == (1.0, 1.0)
