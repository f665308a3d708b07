"""The arithmetic of ratio, decision and score, on arrays small enough to do by hand."""

import numpy as np
import pytest

from analysis.pipeline.score import GATE_HU, corona_scores, positive_ratio, positive_slices

NAN = float("nan")


def test_counts_positive_slices_among_lung_slices_only() -> None:
    probability = np.array([NAN, 0.2, 0.5, 0.9, NAN])
    assert positive_slices(probability, 0.5).tolist() == [False, False, True, True, False]
    assert positive_ratio(probability, 0.5) == pytest.approx(2 / 3)


def test_ratio_without_lung_slices_is_zero() -> None:
    assert positive_ratio(np.array([NAN, NAN]), 0.5) == 0


def test_score_is_activation_times_voxel_volume_over_positive_slices() -> None:
    activation = np.zeros((3, 4, 4), np.float32)
    activation[:, :2, :2] = 0.5  # four cells of one half on every slice
    hu = np.full(activation.shape, -500, np.float32)
    scores = corona_scores(
        activation, hu, np.array([True, False, True]), cell_area_mm2=25.0, slice_spacing_mm=2.0
    )  # 4 cells × 0.5 × 25 mm² = 0.5 cm² a slice, two slices of 0.2 cm
    np.testing.assert_allclose(scores.activation_cm2, [0.5, 0.5, 0.5])
    assert scores.corona_score_cm3 == pytest.approx(0.2)
    assert scores.corona_score_paper_cm3 == pytest.approx(0.2)


def test_density_gate_takes_aerated_lung_out_of_the_headline_score_only() -> None:
    activation = np.ones((1, 2, 2), np.float32)
    hu = np.array([[[GATE_HU - 1, GATE_HU], [GATE_HU + 1, 0]]], np.float32)
    scores = corona_scores(activation, hu, np.array([True]), cell_area_mm2=100.0, slice_spacing_mm=10.0)
    assert scores.corona_score_cm3 == pytest.approx(2)
    assert scores.corona_score_paper_cm3 == pytest.approx(4)


@pytest.mark.parametrize("factor", [2, 4])
def test_score_does_not_change_with_finer_cells_and_slices(factor: int) -> None:
    random = np.random.default_rng(0)
    activation = random.random((3, 8, 8)).astype(np.float32)
    hu = random.uniform(-900, 0, activation.shape).astype(np.float32)
    positive = np.array([True, True, False])
    coarse = corona_scores(activation, hu, positive, cell_area_mm2=4.0, slice_spacing_mm=8.0)
    fine = corona_scores(
        activation.repeat(factor, 0).repeat(factor, 1).repeat(factor, 2),
        hu.repeat(factor, 0).repeat(factor, 1).repeat(factor, 2),
        positive.repeat(factor),
        cell_area_mm2=4.0 / factor**2,
        slice_spacing_mm=8.0 / factor,
    )
    assert fine.corona_score_cm3 == pytest.approx(coarse.corona_score_cm3)
    assert fine.corona_score_paper_cm3 == pytest.approx(coarse.corona_score_paper_cm3)


def test_the_gate_sees_thin_slices_as_thick_ones() -> None:
    """Two slices of 4 mm, of one side opaque and one aerated, pass the gate as the 8 mm slice that holds both."""
    activation = np.ones((4, 1, 1), np.float32)
    hu = np.array([-100, -900, -900, -900], np.float32).reshape(4, 1, 1)
    scores = corona_scores(activation, hu, np.ones(4, bool), cell_area_mm2=100.0, slice_spacing_mm=4.0)
    assert scores.activation_cm2.tolist() == [1, 1, 0, 0]
    thick = corona_scores(
        activation[::2], hu.reshape(2, 2, 1, 1).mean(1), np.ones(2, bool), cell_area_mm2=100.0, slice_spacing_mm=8.0
    )
    assert scores.corona_score_cm3 == pytest.approx(thick.corona_score_cm3)


def test_nothing_positive_scores_zero() -> None:
    activation = np.ones((2, 2, 2), np.float32)
    scores = corona_scores(activation, activation, np.zeros(2, bool), cell_area_mm2=1.0, slice_spacing_mm=1.0)
    assert scores.corona_score_cm3 == scores.corona_score_paper_cm3 == 0
