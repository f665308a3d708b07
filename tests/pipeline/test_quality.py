import numpy as np
import pytest

from analysis.pipeline.pixels import read_volume
from analysis.pipeline.quality import noise_hu, pixel_flags
from analysis.pipeline.series import check_series, find_series
from analysis.pipeline.volume import Volume
from tests.dicom_series import chest_hu


def volume_with_noise(sigma_hu: float) -> Volume:
    clean = np.where(chest_hu(12, 192, 192) > -400, 40, -900)
    hu = (clean + np.random.default_rng(5).normal(0, sigma_hu, clean.shape)).clip(-1024, 3071).astype(np.int16)
    affine = np.diag([2.0, 2.0, -2.0, 1.0])
    return Volume(hu, affine, -2.0 * np.arange(12), "1.2", tuple(map(str, range(12))))


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


@pytest.mark.parametrize(("name", "low", "high"), [("normal_001", 15, 40), ("tumour_A0002", 5, 20)])
def test_real_series_are_not_noisy(shared_data, name, low, high):
    volume = read_volume(check_series(find_series(shared_data / "ct" / name)))
    assert low < noise_hu(volume) < high
    assert pixel_flags(volume) == ()
