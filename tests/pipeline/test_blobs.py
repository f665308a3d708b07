"""Blobs in scale space, on balls and vessels in plain lungs."""

import numpy as np
import pytest
from scipy import ndimage

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


def test_plain_lung_and_straight_vessels_are_no_blobs_but_where_they_enter_the_wall():
    lungs = LungBlock()
    lungs.vessel((0.0, 20.0, 25.0), (135.0, 80.0, 75.0), 2.0)
    lungs.vessel((60.0, 0.0, 135.0), (75.0, 104.0, 185.0), 3.0)
    blobs, _ = find_blobs(lungs.hu, lungs.lungs, SPACING_MM)
    inner = ndimage.distance_transform_edt(lungs.lungs, sampling=SPACING_MM) > 4
    assert not [blob for blob in blobs if inner[tuple(np.rint(blob.centre).astype(int))]]
    plain = LungBlock()
    assert find_blobs(plain.hu, plain.lungs, SPACING_MM)[0] == []


def test_the_hull_holds_a_ball_at_the_wall_that_the_lungs_lack():
    lungs = LungBlock()
    whole = lungs.lungs.copy()
    lungs.ball((MIDDLE_MM[0], 15.0, RIGHT_MM), 8.0)
    without = whole & (lungs.hu < -400)
    assert whole.sum() - without.sum() > 1000
    _, hull = find_blobs(lungs.hu, without, SPACING_MM)
    assert hull[whole & ~without].mean() > 0.7
    assert (hull & ~whole).sum() < 0.05 * whole.sum()


@pytest.mark.parametrize("shift_mm", [0.0, 0.3, 0.6])
def test_the_hull_of_a_round_lung_is_that_lung_on_all_sides(shift_mm):
    spacing_mm, radius_mm = (1.0, 0.7, 0.7), 35.0
    counts = [round(2 * (radius_mm + 16) / mm) for mm in spacing_mm]
    lines = [(np.arange(count) - (count - 1) / 2) * mm for count, mm in zip(counts, spacing_mm, strict=True)]
    z, y, x = np.meshgrid(*lines, indexing="ij")
    lung = (z - shift_mm) ** 2 + (y - shift_mm) ** 2 + (x - shift_mm) ** 2 <= radius_mm**2
    _, hull = find_blobs(np.where(lung, -860, 40).astype(np.int16), lung, spacing_mm)
    middle_mm = (np.argwhere(hull).mean(0) - (np.array(counts) - 1) / 2) * spacing_mm
    assert np.abs(middle_mm - shift_mm).max() < 0.1
    assert hull.sum() == pytest.approx(lung.sum(), rel=0.02)


def test_cells_are_means_of_finer_voxels_and_lie_between_coarser_ones():
    ramp = np.arange(40, dtype=np.int16)[:, None, None] * np.ones((1, 30, 30), np.int16)
    cells = to_cells(ramp, (0.5, 2.0, 2.0), 1.0)
    assert cells.shape == (20, 59, 59)
    inner = slice(2, -2)  # beside the edge the mean reaches over it
    assert np.allclose(cells[inner, 5, 5], 2.0 * np.arange(20)[inner])  # neither before nor behind its voxels
    assert np.allclose(cells[7], cells[7, 0, 0])
