"""Registration: on lungs with vessels that were moved by a known motion."""

import numpy as np
import pytest
from scipy import ndimage

from analysis.pipeline.registration import register

SPACING_MM = (4.0, 2.0, 2.0)
SHAPE = (60, 100, 130)
AFFINE = np.array([[2.0, 0, 0, -130.0], [0, 2.0, 0, -100.0], [0, 0, -4.0, 120.0], [0, 0, 0, 1]])


def motion(points_mm):
    """From the current to the prior scan: a deeper breath, a turn of three degrees, another place on the table."""
    x, y, z = np.moveaxis(points_mm, -1, 0)
    lower = np.clip((60 - z) / 160, 0, 1)
    turn = np.deg2rad(3)
    x, y = x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)
    return np.stack([x * (1 + 0.04 * lower) + 6, y * (1 + 0.05 * lower) - 4, z + 12 * lower - 5], -1)


def places_mm():
    index = np.moveaxis(np.indices(SHAPE), 0, -1)[..., ::-1]  # (slice, row, column, xyz)
    return index @ AFFINE[:3, :3].T + AFFINE[:3, 3]


@pytest.fixture(scope="module")
def scans():
    """(hu, lungs) of the current and of the prior scan: two ellipsoids, and vessels as a random network in them."""
    points = places_mm()
    noise = np.random.default_rng(0).standard_normal(SHAPE)
    vessel = ndimage.gaussian_filter(noise, np.array([4.0, 4.0, 4.0]) / SPACING_MM)
    prior_lungs = np.zeros(SHAPE, bool)
    for side in (-1, 1):
        x, y, z = np.moveaxis(points - np.array([side * 62.0, 0, 0]), -1, 0)
        prior_lungs |= (x / 48) ** 2 + (y / 75) ** 2 + (z / 100) ** 2 < 1
    prior_hu = np.where(prior_lungs, np.where(vessel > 1.2 * vessel.std(), -200, -860), 40).astype(np.int16)
    index = np.moveaxis((motion(points) - AFFINE[:3, 3]) @ np.linalg.inv(AFFINE[:3, :3]).T, -1, 0)[::-1]
    hu = ndimage.map_coordinates(prior_hu.astype(float), index, order=1, mode="nearest").astype(np.int16)
    lungs = ndimage.map_coordinates(prior_lungs.astype(float), index, order=1, mode="nearest") > 0.5
    return (hu, lungs), (prior_hu, prior_lungs)


@pytest.fixture(scope="module")
def registered(scans):
    (hu, lungs), (prior_hu, prior_lungs) = scans
    return register(hu, lungs, AFFINE, prior_hu, prior_lungs, AFFINE)


@pytest.fixture(scope="module")
def inside_mm(scans):
    (_, lungs), _ = scans
    within = places_mm()[ndimage.binary_erosion(lungs)]
    return within[np.random.default_rng(1).choice(len(within), 500, replace=False)]


def test_points_are_found_to_within_two_millimetres(registered, inside_mm):
    moved_mm = np.linalg.norm(motion(inside_mm) - inside_mm, axis=1)
    error_mm = np.linalg.norm(registered.to_prior(inside_mm) - motion(inside_mm), axis=1)
    assert np.median(moved_mm) > 8
    assert np.median(error_mm) < 1.5
    assert np.quantile(error_mm, 0.95) < 3


@pytest.mark.parametrize(
    ("held", "prior_held"),
    [(slice(60), slice(38)), (slice(60), slice(18, None)), (slice(40), slice(60)), (slice(40), slice(15, None))],
    ids=["prior base missing", "prior tops missing", "base missing", "base and prior tops missing"],
)
def test_scans_that_end_inside_the_lungs_are_laid_over_each_other_where_both_lie(held, prior_held, scans, inside_mm):
    def cut(hu, lungs, part):
        affine = AFFINE.copy()
        affine[:3, 3] += part.indices(len(hu))[0] * AFFINE[:3, 2]
        return hu[part], lungs[part], affine

    def holds(part, places_mm):
        first, last, _ = part.indices(SHAPE[0])
        z_mm = AFFINE[2, 3] - 4.0 * np.array([first, last - 1])
        return (places_mm[:, 2] <= z_mm[0]) & (places_mm[:, 2] >= z_mm[1])

    now, before = scans
    motion_found = register(*cut(*now, held), *cut(*before, prior_held))
    both = inside_mm[holds(held, inside_mm) & holds(prior_held, motion(inside_mm))]
    error_mm = np.linalg.norm(motion_found.to_prior(both) - motion(both), axis=1)
    assert len(both) > 150
    assert np.median(error_mm) < 2
    assert np.quantile(error_mm, 0.95) < 4


def test_the_way_back_is_the_inverse(registered, inside_mm):
    back_mm = registered.to_current(registered.to_prior(inside_mm))
    np.testing.assert_allclose(back_mm, inside_mm, atol=0.1)


def test_no_points_stay_no_points(registered):
    assert registered.to_prior(np.zeros((0, 3))).shape == (0, 3)
    assert registered.to_current(np.zeros((0, 3))).shape == (0, 3)


def test_labels_are_carried_over_to_the_current_voxels(registered, scans):
    (_, lungs), (_, prior_lungs) = scans
    warped = registered.warped(prior_lungs.astype(np.uint8), AFFINE, lungs.shape, AFFINE) > 0
    assert 2 * (warped & lungs).sum() / (warped.sum() + lungs.sum()) > 0.97


def test_another_matrix_another_spacing_and_a_prone_image_change_nothing(scans, registered, inside_mm):
    """The prior scan with every second slice, its rows and columns stored the other way round."""
    (hu, lungs), (prior_hu, prior_lungs) = scans
    turned = AFFINE.copy()
    turned[:3, 3] += (SHAPE[2] - 1) * AFFINE[:3, 0] + (SHAPE[1] - 1) * AFFINE[:3, 1]
    turned[:3, :2] *= -1
    turned[:3, 2] *= 2
    other = register(hu, lungs, AFFINE, prior_hu[::2, ::-1, ::-1], prior_lungs[::2, ::-1, ::-1], turned)
    error_mm = np.linalg.norm(other.to_prior(inside_mm) - motion(inside_mm), axis=1)
    assert np.median(error_mm) < 2
