import numpy as np
import pytest

from analysis.pipeline.pixels import read_volume
from analysis.pipeline.quality import lung_flags, noise_hu, pixel_flags
from analysis.pipeline.regions import zones
from analysis.pipeline.series import check_series, find_series
from analysis.pipeline.volume import Volume
from tests.dicom_series import chest_hu


def volume_with_noise(sigma_hu: float, step_mm: float = 2.0) -> Volume:
    clean = np.where(chest_hu(12, 192, 192) > -400, 40, -900)
    hu = (clean + np.random.default_rng(5).normal(0, sigma_hu, clean.shape)).clip(-1024, 3071).astype(np.int16)
    affine = np.diag([2.0, 2.0, -step_mm, 1.0])
    return Volume(hu, affine, -step_mm * np.arange(12), "1.2", tuple(map(str, range(12))))


@pytest.mark.parametrize("sigma_hu", [10.0, 30.0, 80.0])
def test_measures_the_noise_of_soft_tissue(sigma_hu):
    assert noise_hu(volume_with_noise(sigma_hu)) == pytest.approx(sigma_hu, rel=0.3)


def test_flags_noisy_volumes_only():
    assert pixel_flags(volume_with_noise(20.0)) == ()
    (flag,) = pixel_flags(volume_with_noise(90.0))
    assert flag.code == "noise"


def test_says_nothing_without_soft_tissue():
    empty = volume_with_noise(10.0)
    empty.hu[:] = -1000
    assert noise_hu(empty) is None
    assert pixel_flags(empty) == ()


def two_lungs(right_columns: int, left_columns: int, *, first: int = 1, last: int = 11) -> np.ndarray:
    """Zones of lungs of 10 or so slices × 150 rows × so many columns; a slice has 4 mm² a pixel, 2 mm deep."""
    lungs = np.zeros((12, 192, 192), bool)
    lungs[first:last, 20:170, 10 : 10 + right_columns] = True
    lungs[first:last, 20:170, 182 - left_columns : 182] = True
    return zones(lungs, np.full(lungs.shape, 40, np.int16))


def test_healthy_lungs_get_no_flag():
    assert lung_flags(two_lungs(70, 60), volume_with_noise(0.0)) == ()  # 1560 ml


def test_lungs_that_reach_the_first_or_last_slice_are_cut_off():
    (flag,) = lung_flags(two_lungs(70, 60, first=0), volume_with_noise(0.0))
    assert (flag.code, "at the top of the scan" in flag.message) == ("lungs_cut_off", True)


def test_a_lung_much_smaller_than_the_other_is_to_be_looked_at():
    (flag,) = lung_flags(two_lungs(80, 31), volume_with_noise(0.0, step_mm=4.0))
    assert flag.code == "lungs_unequal"
    assert "right lung found has 1920 ml, the left one 744 ml" in flag.message


def test_lungs_that_reach_both_ends_are_cut_off_at_both():
    (flag,) = lung_flags(two_lungs(60, 60, first=0, last=12), volume_with_noise(0.0))
    assert "at the top and the bottom of the scan" in flag.message


def test_a_lung_that_is_missing_is_to_be_looked_at():
    codes = {flag.code for flag in lung_flags(two_lungs(80, 0), volume_with_noise(0.0, step_mm=4.0))}
    assert codes == {"lungs_unequal"}


def test_lungs_larger_than_those_of_adults_are_outside_the_training():
    (flag,) = lung_flags(two_lungs(80, 80), volume_with_noise(0.0, step_mm=16.0))
    assert flag.code == "lung_volume_unusual"


def test_lungs_smaller_than_those_of_adults_are_outside_the_training():
    (flag,) = lung_flags(two_lungs(50, 50), volume_with_noise(0.0))
    assert flag.code == "lung_volume_unusual"
    assert "1200 ml" in flag.message


@pytest.mark.parametrize(("name", "low", "high"), [("normal_001", 15, 40), ("tumour_A0002", 5, 20)])
def test_real_series_are_not_noisy(shared_data, name, low, high):
    volume = read_volume(check_series(find_series(shared_data / "ct" / name)))
    assert low < noise_hu(volume) < high
    assert pixel_flags(volume) == ()
