"""Pasted opacities: in the lung, denser than it, and up to the chest wall. Pasted gas: beside the lung."""

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from analysis.training.lesions import HAZE_COVER, RIM, VISIBLE_RISE_HU, paste_gas, paste_haze, paste_opacities

LUNG_HU, WALL_HU = -860, 40


@pytest.fixture
def normal():
    """HU and lung of a slice with two box-shaped lungs; a ring of mixed voxels around them."""
    lung = np.zeros((256, 256), bool)
    lung[60:200, 40:110] = lung[60:200, 146:216] = True
    hu = np.full((256, 256), WALL_HU, np.int16)
    hu[binary_dilation(lung)] = (LUNG_HU + WALL_HU) // 2
    hu[lung] = LUNG_HU
    return hu, lung


@pytest.mark.parametrize("seed", range(5))
def test_they_lie_in_the_lung_and_only_add_density(normal, seed):
    hu, lung = normal
    pasted, mask = paste_opacities(hu, lung, np.random.default_rng(seed))
    assert mask.any()
    assert not (mask & ~lung).any()
    assert (pasted >= hu).all()
    assert (pasted[mask] > LUNG_HU + 60).all()
    beyond = ~binary_dilation(lung, iterations=RIM)
    np.testing.assert_array_equal(pasted[beyond], hu[beyond])


def test_no_dark_line_is_left_between_a_patch_and_the_chest_wall(normal):
    hu, lung = normal
    pasted, mask = paste_opacities(hu, lung, np.random.default_rng(0), radius_pixels=(200.0, 200.1))
    edge = binary_dilation(lung) & ~lung
    beside_patch = edge & binary_dilation(mask)
    assert pasted[beside_patch].mean() > hu[beside_patch].mean()


def test_the_radius_decides_how_much_is_covered(normal):
    hu, lung = normal
    small, large = (
        np.mean(
            [
                paste_opacities(hu, lung, np.random.default_rng(seed), radius_pixels=radius)[1].mean()
                for seed in range(5)
            ]
        )
        for radius in ((3.0, 4.0), (40.0, 60.0))
    )
    assert large > 5 * small


@pytest.mark.parametrize("seed", range(8))
def test_haze_covers_much_of_the_lung_and_is_visible_where_it_is_marked(normal, seed):
    hu, lung = normal
    hazy, mask = paste_haze(hu, lung, np.random.default_rng(seed))
    low, high = HAZE_COVER
    assert low - 0.02 <= mask.sum() / lung.sum() <= high + 0.02
    assert not (mask & ~lung).any()
    rise = hazy.astype(int) - hu
    assert (rise >= -1).all()  # rounding
    assert np.median(rise[mask]) > VISIBLE_RISE_HU
    assert np.median(rise[lung & ~mask]) < VISIBLE_RISE_HU


def test_vessels_stay_visible_in_haze(normal):
    hu, lung = normal
    hu[100:103, 40:110] = 30  # a vessel
    hazy, _ = paste_haze(hu, lung, np.random.default_rng(0))
    assert (hazy[101, 50:100] - hu[101, 50:100]).max() < 10


def test_dependent_patches_lie_at_the_posterior_wall(normal):
    hu, lung = normal
    for seed in range(5):
        radius = (6.0, 6.1)
        _, mask = paste_opacities(hu, lung, np.random.default_rng(seed), radius_pixels=radius, dependent=True)
        rows, columns = np.nonzero(mask)
        assert rows.max() == 199  # the last row of both lungs
        assert rows.min() > 150
        assert not ((columns > 110) & (columns < 146)).any()


@pytest.mark.parametrize("seed", range(5))
def test_gas_lies_in_soft_tissue_and_leaves_the_lung_as_it_is(normal, seed):
    hu, lung = normal
    hu[:20] = hu[-20:] = -1000  # air around the body
    with_gas = paste_gas(hu, lung, np.random.default_rng(seed))
    near_lung = binary_dilation(lung, iterations=2)
    np.testing.assert_allclose(with_gas[near_lung], hu[near_lung], atol=30)  # the blur of the pocket's wall
    np.testing.assert_array_equal(with_gas[lung], hu[lung])
    assert (with_gas[~near_lung & (hu == WALL_HU)] < -250).sum() > 20
    np.testing.assert_array_equal(with_gas[:18], hu[:18])


def test_gas_is_left_out_where_there_is_no_room():
    lung = np.ones((256, 256), bool)
    hu = np.full(lung.shape, LUNG_HU, np.int16)
    np.testing.assert_array_equal(paste_gas(hu, lung, np.random.default_rng(0)), hu)
