import numpy as np
import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from analysis.phantoms import Grid, Visit, make_patient, render, write_series
from analysis.pipeline.decoder import Decoder
from analysis.pipeline.decoding import HU_RANGE
from analysis.pipeline.pixels import looks_like_chest, read_volume
from analysis.pipeline.series import UnusableSeries, check_series, find_series
from tests.dicom_series import chest_hu, make_series


def head_hu(slices: int = 16, size: int = 128) -> np.ndarray:
    """A head of 150 × 190 mm at 2 mm: skull, brain, and large sinuses and mastoid cells filled with air."""
    row, column = (np.mgrid[:size, :size] - (size - 1) / 2) * 2.0
    ellipse = (column / 75) ** 2 + (row / 95) ** 2
    sinuses = sum(
        ((column - x) ** 2 + (row - y) ** 2) < radius**2
        for x, y, radius in [(-22, -60, 16), (22, -60, 16), (0, -35, 12)]
    ).astype(bool)
    mastoids = ((np.abs(column) - 52) ** 2 + (row - 25) ** 2) < 13**2
    hu = np.where(ellipse > 1, -1000, np.where(ellipse > 0.85, 900, 35))
    with_air = np.where(sinuses, -1000, hu)
    with_air = np.where(mastoids & ((row + column).astype(int) % 8 > 1), -1000, np.where(mastoids, 300, with_air))
    volume = np.where(np.arange(slices)[:, None, None] < slices // 2, hu, with_air)
    noise = np.random.default_rng(3).normal(0, 15, volume.shape)
    return np.clip(volume + noise, -1024, 3071).astype(np.int16)


@pytest.mark.parametrize(
    "transfer_syntax_uid",
    [
        ExplicitVRLittleEndian,
        ImplicitVRLittleEndian,
        DeflatedExplicitVRLittleEndian,
        RLELossless,
        JPEG2000Lossless,
    ],
)
def test_decodes_exact_hounsfield_units(tmp_path, transfer_syntax_uid):
    hu = chest_hu(10)
    make_series(tmp_path, hu=hu, transfer_syntax_uid=transfer_syntax_uid)
    fractions = []
    volume = read_volume(check_series(find_series(tmp_path)), on_progress=fractions.append)
    assert volume.hu.dtype == np.int16
    assert np.array_equal(volume.hu, hu.clip(*HU_RANGE))
    assert fractions == pytest.approx(np.arange(1, 11) / 10)
    assert len(set(volume.sop_instance_uids)) == 10
    assert volume.spacing_mm == pytest.approx((2.0, 4.0, 4.0))


def test_each_slice_has_its_own_rescale(tmp_path):
    def change(index, dataset):
        dataset.RescaleSlope, dataset.RescaleIntercept = index + 1, -1024 - 10 * index

    make_series(tmp_path, hu=np.full((10, 16, 16), -924, dtype=np.int16), change=change)  # stored value 100
    volume = read_volume(check_series(find_series(tmp_path)))
    assert volume.hu[:, 0, 0].tolist() == [-1024 + 100 * (index + 1) - 10 * index for index in range(10)]


@pytest.mark.filterwarnings("ignore:End of file reached:UserWarning")
@pytest.mark.parametrize("transfer_syntax_uid", [ExplicitVRLittleEndian, JPEG2000Lossless, RLELossless])
def test_names_the_broken_slice(tmp_path, transfer_syntax_uid):
    paths = make_series(tmp_path, slices=12, transfer_syntax_uid=transfer_syntax_uid)
    raw = paths[6].read_bytes()
    paths[6].write_bytes(raw[: len(raw) // 2])
    geometry = check_series(find_series(tmp_path))
    with pytest.raises(UnusableSeries, match=r"image 7 \(0006\.dcm\) cannot be decoded") as caught:
        read_volume(geometry)
    assert caught.value.code == "damaged_pixels"


def test_finds_lungs_in_a_chest_and_none_in_a_head(tmp_path):
    make_series(tmp_path / "chest", slices=12)
    make_series(tmp_path / "head", hu=head_hu(), spacing_mm=(3.0, 2.0, 2.0))
    assert looks_like_chest(check_series(find_series(tmp_path / "chest")))
    assert not looks_like_chest(check_series(find_series(tmp_path / "head")))


@pytest.mark.parametrize("first_mm", [140, 270, 540, 800])
def test_finds_the_lungs_in_a_scan_of_the_whole_body(tmp_path, first_mm):
    hu = np.repeat(chest_hu(3)[:1], 120, axis=0)  # 1,200 mm of body without lung
    hu[first_mm // 10 :][:24] = chest_hu(3)[1]  # 240 mm with lung
    make_series(tmp_path, hu=hu, spacing_mm=(10.0, 4.0, 4.0))
    assert looks_like_chest(check_series(find_series(tmp_path)))


def test_finds_no_lungs_in_an_abdomen_with_bowel_gas(tmp_path):
    hu = np.where(chest_hu(12) < -500, -1000, chest_hu(12)).astype(np.int16)  # lungs replaced by plain gas
    make_series(tmp_path, hu=hu)
    assert not looks_like_chest(check_series(find_series(tmp_path)))


@pytest.mark.parametrize("opacity_hu", [-550, -300])
def test_finds_heavily_diseased_lungs(tmp_path, opacity_hu):
    hu = chest_hu(12)
    hu[:, :60][hu[:, :60] < -700] = opacity_hu  # the upper two thirds of both lungs
    hu[:, :, :2] = hu[:, :2] = -1000
    make_series(tmp_path, hu=hu)
    assert looks_like_chest(check_series(find_series(tmp_path)))


@pytest.mark.parametrize("name", ["covid_P001", "normal_001", "nodules_LIDC-0003", "tumour_A0002"])
def test_real_series_look_like_a_chest_and_hold_air_and_bone(shared_data, name):
    geometry = check_series(find_series(shared_data / "ct" / name))
    assert looks_like_chest(geometry)
    with Decoder() as decoder:
        middle = decoder.read_hu(geometry.headers[len(geometry.headers) // 2])
    assert middle.shape == (512, 512)
    assert HU_RANGE[0] <= middle.min() < -950
    assert 200 < middle.max() <= HU_RANGE[1]


def test_finds_lungs_in_a_phantom(tmp_path):
    anatomy = make_patient(3)
    write_series(render(Visit(anatomy), Grid.over_lungs(anatomy, (10.0, 3.0, 3.0), matrix=128)), tmp_path)
    assert looks_like_chest(check_series(find_series(tmp_path)))


def test_finds_lungs_where_more_than_half_is_opaque(shared_data, tmp_path):
    with np.load(shared_data / "opacity_masks.npz") as data:
        grey = data["image_u8"][data["volume"] == 9].astype(np.float32)
    air_grey, muscle_grey = 37, 217  # of volume 9, as the data's description says
    hu = (-1000 + (grey - air_grey) * 1050 / (muscle_grey - air_grey)).astype(np.int16)
    make_series(tmp_path, hu=hu[::3], spacing_mm=(3.0, 1.4, 1.4))
    assert looks_like_chest(check_series(find_series(tmp_path)))
