"""Blobs in scale space, on balls and vessels in plain lungs."""

import numpy as np
import pytest

from analysis.pipeline.blobs import CELL_MM, find_blobs, to_cells
from tests.pipeline.lung_block import LEFT_MM, MIDDLE_MM, RIGHT_MM, SPACING_MM, LungBlock


@pytest.mark.parametrize("radius_mm", [3.0, 5.0, 8.0, 12.0])
def test_the_clearest_blob_lies_in_the_ball_and_has_about_its_size(radius_mm):
    lungs = LungBlock()
    lungs.ball((*MIDDLE_MM, LEFT_MM), radius_mm)
    blobs, _ = find_blobs(lungs.hu, lungs.lungs, SPACING_MM)
    away_mm = np.array(blobs[0].centre) * SPACING_MM - (*MIDDLE_MM, LEFT_MM)
    assert np.linalg.norm(away_mm) < max(2 * CELL_MM, radius_mm / 2)
    assert radius_mm / 1.5 < blobs[0].radius_mm < 1.5 * radius_mm
    assert blobs[0].roundness > 0.7


def test_straight_vessels_and_plain_lung_are_no_blobs():
    lungs = LungBlock()
    lungs.vessel((0.0, 20.0, 25.0), (135.0, 80.0, 75.0), 2.0)
    lungs.vessel((60.0, 0.0, 135.0), (75.0, 104.0, 185.0), 3.0)
    blobs, _ = find_blobs(lungs.hu, lungs.lungs, SPACING_MM)
    assert blobs == []


def test_the_hull_holds_a_ball_at_the_wall_that_the_lungs_lack():
    lungs = LungBlock()
    whole = lungs.lungs.copy()
    lungs.ball((MIDDLE_MM[0], 15.0, RIGHT_MM), 8.0)
    without = whole & (lungs.hu < -400)
    assert whole.sum() - without.sum() > 1000
    _, hull = find_blobs(lungs.hu, without, SPACING_MM)
    assert hull[whole & ~without].mean() > 0.7
    assert (hull & ~whole).sum() < 0.05 * whole.sum()


def test_cells_are_means_of_finer_voxels_and_lie_between_coarser_ones():
    ramp = np.arange(40, dtype=np.int16)[:, None, None] * np.ones((1, 30, 30), np.int16)
    cells = to_cells(ramp, (0.5, 2.0, 2.0), 1.0)
    assert cells.shape == (20, 59, 59)
    inner = slice(2, -2)  # beside the edge the mean reaches over it
    assert np.allclose(np.diff(cells[inner, 5, 5]), 2.0)
    assert np.allclose(cells[7], cells[7, 0, 0])
