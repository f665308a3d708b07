"""Pasted opacities: in the lung, denser than it, and up to the chest wall."""

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from analysis.training.lesions import RIM, paste_opacities

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
