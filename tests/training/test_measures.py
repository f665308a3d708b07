"""Figures on cases that can be done by hand."""

import numpy as np
import pytest

from analysis.training.measures import (
    agreement,
    auc,
    bootstrap,
    calibration_error,
    dice,
    over_runs,
    reliability,
    roc,
    temperature,
    threshold_for_sensitivity,
)


def test_dice() -> None:
    a, b = np.array([1, 1, 0, 0], bool), np.array([0, 1, 1, 0], bool)
    assert dice(a, b) == 0.5
    assert dice(a & False, b & False) == 1


def test_auc_counts_pairs_in_order_and_half_of_ties() -> None:
    score, positive = np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, False, True, True])
    assert auc(score, positive) == pytest.approx(3.5 / 4)
    false, true = roc(score, positive)
    assert np.trapezoid(true, false) == pytest.approx(3.5 / 4)


def test_auc_of_one_class_is_not_a_number() -> None:
    assert np.isnan(auc(np.array([0.1, 0.2]), np.array([True, True])))


def test_calibration_error_is_the_mean_distance_over_tenths() -> None:
    probability = np.array([0.1, 0.1, 0.15, 0.95, 1.0])
    positive = np.array([False, False, True, True, True])
    (low, high) = reliability(probability, positive)
    assert low == (3, pytest.approx(0.35 / 3), pytest.approx(1 / 3))
    assert high == (2, pytest.approx(0.975), 1)
    assert calibration_error(probability, positive) == pytest.approx((3 * (1 / 3 - 0.35 / 3) + 2 * 0.025) / 5)


def test_temperature_undoes_logits_that_are_twice_too_large() -> None:
    random = np.random.default_rng(0)
    probability = random.uniform(0.02, 0.98, 20000)
    positive = random.random(20000) < probability
    odds = (probability / (1 - probability)) ** 2
    assert temperature(odds / (1 + odds), positive) == pytest.approx(2, rel=0.05)
    assert temperature(probability, positive) == pytest.approx(1, rel=0.05)


def test_threshold_reaches_the_sensitivity_it_was_chosen_for() -> None:
    random = np.random.default_rng(0)
    positive = random.random(500) < 0.4
    score = random.random(500) + positive
    threshold = threshold_for_sensitivity(score, positive, 0.95)
    assert (score[positive] >= threshold).mean() >= 0.95
    assert (score[positive] > threshold).mean() <= 0.95


def test_bootstrap_of_a_constant_has_no_width() -> None:
    assert bootstrap(["a", "b", "c"], lambda names: 0.7) == (0.7, 0.7)


def test_agreement() -> None:
    figures = agreement([1.0, 2.0, 5.0], [2.0, 3.0, 6.0])
    assert figures["r"] == pytest.approx(1)
    assert figures["rho"] == pytest.approx(1)
    assert figures["mean_absolute_error"] == pytest.approx(1)


def test_figures_of_several_runs_are_combined_number_by_number() -> None:
    runs = [{"auc": 0.9, "volume": {"1": 2, "2": 4}}, {"auc": 0.8, "volume": {"1": 4, "2": 4}}]
    assert over_runs(np.mean, runs) == {"auc": pytest.approx(0.85), "volume": {"1": 3.0, "2": 4.0}}
    assert over_runs(np.min, runs) == {"auc": 0.8, "volume": {"1": 2.0, "2": 4.0}}
