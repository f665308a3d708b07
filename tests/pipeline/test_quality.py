import functools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from analysis.pipeline.findings import Candidate, Found
from analysis.pipeline.grid import GRID, to_grid
from analysis.pipeline.lungs import clean, lung_logits, lung_mask
from analysis.pipeline.pixels import read_volume
from analysis.pipeline.quality import (
    AIR_ML,
    BREATHING_PERCENT,
    air,
    breathing,
    contrast_flags,
    lung_flags,
    mediastinum_hu,
    missed_flags,
    noise_hu,
    pixel_flags,
)
from analysis.pipeline.regions import zones
from analysis.pipeline.report import QualityFlag
from analysis.pipeline.series import check_series, find_series
from analysis.pipeline.volume import Volume
from analysis.pipeline.weights import released
from tests.dicom_series import chest_hu

CPU = torch.device("cpu")


def volume_with_noise(sigma_hu: float, step_mm: float = 2.0) -> Volume:
    clean = np.where(chest_hu(12, 192, 192) > -400, 40, -900)
    hu = (clean + np.random.default_rng(5).normal(0, sigma_hu, clean.shape)).clip(-1024, 3071).astype(np.int16)
    affine = np.diag([2.0, 2.0, -step_mm, 1.0])
    return Volume(hu, affine, -step_mm * np.arange(12), "1.2", tuple(map(str, range(12))))


SPACING_MM = (2.0, 2.0, 2.0)


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


def nothing_in(of_zone: np.ndarray) -> tuple[np.ndarray, Found]:
    """Neither opacity nor findings."""
    return np.zeros(of_zone.shape, np.uint8), Found((), np.zeros(of_zone.shape, np.uint16))


def flags_of(of_zone: np.ndarray, volume: Volume, aerated_hu: int = -850) -> tuple[QualityFlag, ...]:
    return lung_flags(np.where(of_zone > 0, aerated_hu, 40).astype(np.int16), of_zone, volume.spacing_mm)


def test_healthy_lungs_get_no_flag():
    assert flags_of(two_lungs(70, 60), volume_with_noise(0.0)) == ()  # 1560 ml


def test_lungs_that_reach_the_first_or_last_slice_are_cut_off():
    (flag,) = flags_of(two_lungs(70, 60, first=0), volume_with_noise(0.0))
    assert (flag.code, "at the top of the scan" in flag.message) == ("lungs_cut_off", True)


def test_a_lung_much_smaller_than_the_other_is_to_be_looked_at():
    (flag,) = flags_of(two_lungs(80, 31), volume_with_noise(0.0, step_mm=4.0))
    assert flag.code == "lungs_unequal"
    assert "right lung found has 1920 ml, the left one 744 ml" in flag.message


@pytest.mark.parametrize(
    ("end", "slices", "says"),
    [
        ("bottom", 3, "The right lung found ends 60 mm above the other, in slice 8"),
        ("top", 3, "The right lung found begins 60 mm below the other, in slice 5"),
        ("bottom", 2, ""),
    ],
)
def test_a_lung_that_ends_far_from_the_other_s_end_is_to_be_looked_at(end, slices, says):
    """Slices of 20 mm; 40 mm, as of a raised diaphragm, pass."""
    of_zone = two_lungs(70, 60)
    of_zone[slice(11 - slices, 11) if end == "bottom" else slice(1, 1 + slices), :, :96] = 0
    flags = flags_of(of_zone, volume_with_noise(0.0, step_mm=20.0))
    said = [(flag.message.partition(":")[0], flag.severe) for flag in flags if flag.code == "lung_ends_differ"]
    assert said == ([(says, True)] if says else [])
    mirrored = flags_of(
        np.where(of_zone > 0, (of_zone + 2) % 6 + 1, 0)[..., ::-1], volume_with_noise(0.0, step_mm=20.0)
    )
    assert [flag.message for flag in mirrored if flag.code == "lung_ends_differ"] == [
        flag.message.replace("right", "left") for flag in flags if flag.code == "lung_ends_differ"
    ]


@pytest.mark.parametrize(("rest_columns", "codes"), [(2, ["lung_ends_differ"]), (3, [])])
def test_a_rest_of_less_than_5_cm2_does_not_prolong_a_lung(rest_columns, codes):
    """50 rows × 2 or 3 columns of 4 mm²: 4 or 6 cm²."""
    of_zone = two_lungs(70, 60)
    of_zone[8:11, :, :96] = 0
    of_zone[8:11, 70:120, 10 : 10 + rest_columns] = 3
    flags = flags_of(of_zone, volume_with_noise(0.0, step_mm=20.0))
    assert [flag.code for flag in flags if flag.code == "lung_ends_differ"] == codes


def test_a_ball_of_dense_tissue_at_the_lungs_is_to_be_looked_at():
    """Of 40 mm in slices of 6 mm, its middle 10 mm deep in the right lung, which is found without it."""
    of_zone = two_lungs(80, 70, first=0, last=12)
    hu = np.where(of_zone > 0, -850, 40).astype(np.int16)
    z, y, x = np.ogrid[:12, :192, :192]
    ball = ((z - 6) * 6.0) ** 2 + ((y - 90) * 2.0) ** 2 + ((x - 15) * 2.0) ** 2 < 20.0**2
    hu[ball], of_zone[ball] = 40, 0
    flag, _ = missed_flags(hu, of_zone, *nothing_in(of_zone), (6.0, 2.0, 2.0))  # dense_unmarked too
    assert (flag.code, flag.severe, flag.slice_number) == ("ball_unmarked", True, 7)
    assert "36 mm across or more" in flag.message


def test_tissue_between_lungs_and_ribs_is_to_be_looked_at():
    """50 mm of it behind 45 or so columns of the right lung, in 10 slices."""
    of_zone = two_lungs(80, 70)
    hu = np.where(of_zone > 0, -850, 40).astype(np.int16)
    hu[:, 170:180], hu[:, 150:170, 92:100] = 400, 400  # ribs and spine
    of_zone[:, 145:170, :55], hu[:, 145:170, 10:55] = 0, 40
    (flag,) = missed_flags(hu, of_zone, *nothing_in(of_zone), SPACING_MM)
    assert (flag.code, flag.severe) == ("tissue_at_wall", True)
    assert 80 < float(flag.message.split()[2]) < 100
    assert "around slice 3:" in flag.message


@pytest.mark.parametrize(("side", "codes"), [(10, []), (30, ["dense_unmarked"])])
def test_dense_tissue_in_the_lungs_that_nothing_marks_is_to_be_looked_at(side, codes):
    """A square of 60 or of 20 mm in slices 4 to 8: some 25 ml, or 3."""
    of_zone = two_lungs(70, 60)
    hu = np.where(of_zone > 0, -850, 40).astype(np.int16)
    hu[3:8, 50 : 50 + side, 20 : 20 + side] = 40
    flags = missed_flags(hu, of_zone, *nothing_in(of_zone), SPACING_MM)
    assert [flag.code for flag in flags] == codes
    assert all(flag.severe and "around slice 5, are" in flag.message for flag in flags)


def test_a_bit_of_both_is_to_be_looked_at_as_much_as_more_of_one():
    """About 8 ml behind the lungs, and 8 ml in them."""
    of_zone = two_lungs(80, 70)
    hu = np.where(of_zone > 0, -850, 40).astype(np.int16)
    hu[:, 170:180], hu[:, 150:170, 92:100] = 400, 400  # ribs and spine
    of_zone[1:3, 155:170, :55], hu[1:3, 155:170, 10:55] = 0, 40
    alone = missed_flags(hu, of_zone, *nothing_in(of_zone), SPACING_MM)
    hu[4:8, 50:70, 20:44] = 40
    both = missed_flags(hu, of_zone, *nothing_in(of_zone), SPACING_MM)
    assert alone == ()
    assert [flag.code for flag in both] == ["dense_unmarked", "tissue_at_wall"]


def test_a_mass_that_was_found_is_no_breath():
    """60 mm wide and 20 mm high, out of the lungs found: 1 % of them."""
    of_zone = two_lungs(80, 70)
    hu = np.where(of_zone > 0, -850, 40).astype(np.int16)
    mass = np.s_[4:8, 60:90, 25:55]
    of_zone[mass], hu[mass] = 0, 40
    opacity, nothing = nothing_in(of_zone)
    labels = nothing.labels.copy()
    labels[mass] = 1
    assert breathing(of_zone, nothing.labels, SPACING_MM)[0] > BREATHING_PERCENT
    assert missed_flags(hu, of_zone, opacity, Found((), labels), SPACING_MM) == ()


@pytest.mark.parametrize(("matched", "codes"), [(0.5, ["dense_unmarked"]), (0.9, [])])
def test_a_large_outline_that_was_judged_to_be_no_finding_is_to_be_looked_at(matched, codes):
    """Unless opacity, here 50 or 90 % of it, accounts for it. Of 30 ml in the middle, narrower than what is seen
    without an outline."""
    of_zone = two_lungs(80, 70)
    hu = np.where(of_zone > 0, -850, 40).astype(np.int16)
    box = (slice(3, 9), slice(40, 150), slice(88, 94))
    opacity, nothing = nothing_in(of_zone)
    opacity[3:9, 40 : 40 + round(110 * matched), 88:94] = 1
    candidate = Candidate(None, np.zeros(3), box, np.ones((6, 110, 6), bool))
    flags = missed_flags(hu, of_zone, opacity, Found((), nothing.labels, (candidate,)), SPACING_MM)
    assert [flag.code for flag in flags] == codes
    assert all("About 16 ml" in flag.message and "around slice 4," in flag.message for flag in flags)


def test_lungs_that_reach_both_ends_are_cut_off_at_both():
    (flag,) = flags_of(two_lungs(60, 60, first=0, last=12), volume_with_noise(0.0))
    assert "at the top and the bottom of the scan" in flag.message


def test_a_lung_that_is_missing_is_to_be_looked_at():
    codes = {flag.code for flag in flags_of(two_lungs(80, 0), volume_with_noise(0.0, step_mm=4.0))}
    assert codes == {"lungs_unequal"}


def test_lungs_larger_than_those_of_adults_are_outside_the_training():
    (flag,) = flags_of(two_lungs(80, 80), volume_with_noise(0.0, step_mm=16.0))
    assert flag.code == "lung_volume_unusual"


def test_lungs_smaller_than_those_of_adults_are_outside_the_training():
    (flag,) = flags_of(two_lungs(50, 50), volume_with_noise(0.0))
    assert flag.code == "lung_volume_unusual"
    assert "1200 ml" in flag.message


@pytest.mark.parametrize(
    ("axis", "edge", "name"), [(1, 0, "front"), (1, -1, "back"), (2, 0, "right side"), (2, -1, "left side")]
)
def test_lungs_that_reach_a_side_of_the_images_are_cut_off_there(axis, edge, name):
    of_zone = two_lungs(70, 60)
    of_zone = np.roll(of_zone, {0: -20, -1: 22}[edge] if axis == 1 else {0: -10, -1: 10}[edge], axis)
    (flag,) = flags_of(of_zone, volume_with_noise(0.0))
    assert (flag.code, f"at the {name} of the scan" in flag.message, flag.severe) == ("lungs_cut_off", True, True)


@pytest.mark.parametrize(
    ("aerated_hu", "codes"),
    [(-980, ["lung_density_unusual", "air_space"]), (-900, []), (-650, ["lung_density_unusual"])],
)
def test_lungs_of_another_density_than_those_of_the_training_are_flagged(aerated_hu, codes):
    assert [flag.code for flag in flags_of(two_lungs(70, 60), volume_with_noise(0.0), aerated_hu)] == codes


def test_lungs_denser_than_healthy_ones_of_the_training_are_noted():
    (flag,) = flags_of(two_lungs(70, 60), volume_with_noise(0.0), -740)
    assert (flag.code, flag.severe) == ("dense_lungs", False)


@pytest.mark.parametrize(("depth", "codes"), [(3, []), (20, ["air_space"])])
def test_a_space_of_air_alone_in_the_lungs_is_to_be_looked_at(depth, codes):
    """At the front of the right lung; 20 rows of it are 112 ml."""
    of_zone, noise = two_lungs(70, 60), np.random.default_rng(1)
    hu = np.where(of_zone > 0, noise.normal(-850, 30, of_zone.shape), 40).astype(np.int16)
    space = np.zeros(of_zone.shape, bool)
    space[1:11, 20 : 20 + depth, 10:80] = space[2:8, 20 : 20 + 2 * depth, 10:80] = True
    hu[space] = noise.normal(-1000, 30, space.sum())
    flags = lung_flags(hu, of_zone, SPACING_MM)
    assert [flag.code for flag in flags] == codes
    assert all(flag.severe for flag in flags)
    assert air(hu, of_zone, SPACING_MM).volume_ml <= space.sum() * 0.008
    assert all("most around slice 5:" in flag.message for flag in flags)


@functools.cache
def real_scan(folder: Path) -> tuple[Volume, np.ndarray]:
    """A scan at 256² and its lungs."""
    volume = read_volume(check_series(find_series(folder))).resized(GRID)
    return volume, lungs_of(volume)


def lungs_of(volume: Volume) -> np.ndarray:
    """Of the released network, bool (slice, 256, 256)."""
    grid_hu = to_grid(volume.hu, volume.spacing_mm[1:])
    return lung_mask(clean(lung_logits(grid_hu, released(CPU).lung_unet), grid_hu), GRID, GRID)


def test_lungs_cut_off_by_a_round_field_of_view_are_flagged():
    """A circle of 95 pixels' radius around lungs that reach beyond it on all sides."""
    row, column = np.ogrid[:192, :192]
    inside = np.hypot(row - 95.5, column - 95.5) < 94
    whole = np.zeros((12, 192, 192), bool)
    whole[1:11, 2:190, :90] = whole[1:11, 2:190, 102:] = True
    of_zone = zones(whole & inside, np.full(whole.shape, 40, np.int16))
    (flag,) = flags_of(of_zone, volume_with_noise(0.0))
    assert "at the edge of the round field of view of the scan" in flag.message


def test_lungs_without_air_are_to_be_looked_at():
    (flag,) = flags_of(two_lungs(70, 60), volume_with_noise(0.0), aerated_hu=-300)
    assert (flag.code, flag.message[:38]) == ("lung_density_unusual", "No part of the lungs found is aerated:")


def breathed(hu: np.ndarray, slice_mm: float, millimetres: float, period_mm: float) -> np.ndarray:
    """The scan as if what lies in it had moved up and down while the table went on."""
    z_mm = np.arange(len(hu)) * slice_mm
    moved = (z_mm + millimetres * np.sin(2 * np.pi * z_mm / period_mm)) / slice_mm
    return ndimage.map_coordinates(hu, np.meshgrid(moved, *map(np.arange, hu.shape[1:]), indexing="ij"), order=1)


@pytest.mark.parametrize("name", ["covid_P001", "normal_001", "nodules_LIDC-0003", "tumour_A0002"])
def test_a_diaphragm_that_is_seen_twice_is_flagged_as_breathing(shared_data, name):
    volume, lungs = real_scan(shared_data / "ct" / name)
    no_finding = np.zeros(lungs.shape, np.uint16)
    moved = replace(volume, hu=breathed(volume.hu, volume.spacing_mm[0], 10.0, 25.0))
    still_percent, moved_percent = (
        breathing(found.astype(np.uint8), no_finding, volume.spacing_mm)[0] for found in (lungs, lungs_of(moved))
    )
    assert still_percent < 0.5 * BREATHING_PERCENT
    assert moved_percent > 1.5 * BREATHING_PERCENT


@pytest.mark.parametrize(
    ("name", "low_hu", "high_hu"),
    [("covid_P001", 20, 60), ("normal_001", 20, 60), ("tumour_A0002", 20, 60), ("nodules_LIDC-0003", 150, 300)],
)
def test_contrast_agent_is_seen_between_the_lungs(shared_data, name, low_hu, high_hu):
    """LIDC-0003 alone was given some; its header says so, which the pixels must find without."""
    volume = read_volume(check_series(find_series(shared_data / "ct" / name)))
    grid_hu, lung = to_grid(volume.hu, volume.spacing_mm[1:])[:, 0].numpy(), lungs_of(volume)
    assert low_hu < mediastinum_hu(grid_hu, lung) < high_hu
    assert [flag.code for flag in contrast_flags(grid_hu, lung)] == ["contrast"] * (low_hu > 100)


@pytest.mark.parametrize("name", ["covid_P001", "normal_001", "nodules_LIDC-0003", "tumour_A0002"])
def test_the_airways_of_real_lungs_are_no_space_of_air(shared_data, name):
    volume, lungs = real_scan(shared_data / "ct" / name)
    assert air(volume.hu, lungs.astype(np.uint8), volume.spacing_mm).volume_ml < AIR_ML / 10


@pytest.mark.parametrize(("name", "low", "high"), [("normal_001", 15, 40), ("tumour_A0002", 5, 20)])
def test_real_series_are_not_noisy(shared_data, name, low, high):
    volume = read_volume(check_series(find_series(shared_data / "ct" / name)))
    assert low < noise_hu(volume) < high
    assert pixel_flags(volume) == ()
