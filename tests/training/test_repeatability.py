"""The variants of a scan whose scores are compared."""

import numpy as np
import pytest

from analysis.pipeline.report import Finding
from analysis.training.cases import volume_of
from analysis.training.repeatability import (
    NOISE_HU,
    SIDE,
    TRUSTED,
    VARIANTS,
    found_again,
    matrix,
    thicker,
    thinner,
    variation,
)


@pytest.fixture
def hu():
    """A ramp along each axis: averages and interpolations are exact."""
    slices, rows, columns = np.indices((6, 8, 8))
    return (100 * slices + 10 * rows + 2 * columns).astype(np.int16)


def test_thicker_slices_are_averages_and_thinner_ones_lie_between(hu):
    np.testing.assert_array_equal(thicker(hu, 2)[1], hu[2] + 50)
    np.testing.assert_array_equal(thinner(hu)[3], hu[1] + 50)
    assert len(thicker(hu, 4)) == 1
    assert len(thinner(hu)) == 11


def test_larger_pixels_are_averages(hu):
    np.testing.assert_array_equal(matrix(hu, 4)[0, 1], hu[0, 2, ::2] + 5 + 1)
    assert matrix(hu, 16).shape == (6, 16, 16)


def test_another_field_of_view_leaves_the_pixels_as_they_are(hu):
    wider, narrower = (
        VARIANTS[f"{change} field of view"].change for change in ("a quarter larger", "an eighth smaller")
    )
    np.testing.assert_array_equal(wider(hu)[:, 1:-1, 1:-1], hu)
    assert (wider(hu)[:, 0] == -1024).all()
    hu = hu.repeat(4, 1).repeat(4, 2)
    np.testing.assert_array_equal(narrower(hu), hu[:, 2:-2, 2:-2])


def test_flips_and_noise_are_what_they_say(hu):
    mirrored, upside_down, noisy = (
        VARIANTS[name].change(hu) for name in ("mirrored left to right", "upside down", "added noise")
    )
    np.testing.assert_array_equal(mirrored[..., 0], hu[..., -1])
    np.testing.assert_array_equal(upside_down[0], hu[-1])
    assert (noisy.astype(int) - hu).std() == pytest.approx(NOISE_HU, rel=0.2)


def test_every_variant_shows_the_same_body(hu):
    for name, one in VARIANTS.items():
        if "resolution" in name or "pixel" in name or "field of view" in name:
            continue  # of the scan's own matrix, or of more or less than the body
        changed = one.change(hu)
        assert changed.shape[1:] == (8 / one.pixels, 8 / one.pixels), name
        assert abs(len(changed) * one.slices - len(hu)) <= 2, name
        assert abs(changed.mean() - hu.mean()) < 110, name


@pytest.mark.parametrize("name", [*TRUSTED, "quarter of the resolution"])
def test_a_place_in_the_body_has_the_same_coordinates_in_every_variant(name):
    """A ramp along each axis, so that the density says where a voxel's middle lies."""
    slices, rows, columns = np.indices((8, SIDE, SIDE), np.int16)
    for axis, (ramp, steep) in enumerate(((1000 * slices, 1000), (60 * rows, 60), (60 * columns, 60))):
        stored = volume_of(ramp, (2.0, 0.7, 0.7), "stored")
        changed = VARIANTS[name].of(stored, name)
        middle = [len(changed.hu) // 2, *(side // 2 + 1 for side in changed.hu.shape[1:])]
        place_mm = (changed.affine_lps @ [*middle[::-1], 1.0])[:3]
        place = (np.linalg.inv(stored.affine_lps) @ [*place_mm, 1.0])[2 - axis]
        near = changed.hu[middle[0], *(slice(at - 4, at + 5) for at in middle[1:])].mean()  # of noise little is left
        assert near / steep == pytest.approx(place, abs=0.2), name
        assert changed.z_mm[middle[0]] == pytest.approx(place_mm[2])


def test_the_noise_is_of_variants_that_are_trusted_and_differ():
    assert {*VARIANTS} - {*TRUSTED} == {"quarter of the resolution", "mirrored left to right", "upside down"}


def test_variation_is_the_deviation_over_the_mean():
    assert variation(np.array([90.0, 110.0])) == pytest.approx(0.1 * 2**0.5)


def test_findings_are_found_again_and_stable_or_not():
    def finding(x_mm, volume_ml):
        return Finding("nodule", "solid", (x_mm, 0.0, 0.0), volume_ml, 10.0, 9.0, 20.0, False, 0.9, "left", "upper")

    stored = (finding(0.0, 1.0), finding(50.0, 1.0), finding(100.0, 1.0))
    found = (finding(53.0, 2.0), finding(1.0, 1.1), finding(200.0, 1.0))
    assert found_again(stored, found) == {"findings": 3, "found": 2, "close": 1}
    assert found_again(stored, ()) == {"findings": 3, "found": 0, "close": 0}
