import numpy as np
import pytest
from scipy import ndimage

from analysis.pipeline.behind import tissue_behind_ml
from analysis.pipeline.regions import zones
from tests.pipeline.test_quality import real_scan

SPACING_MM = (4.0, 1.5, 1.5)
REAL = ["covid_P001", "normal_001", "nodules_LIDC-0003", "tumour_A0002"]


def chest(behind_mm: float, *, columns: slice = slice(20, 60)) -> tuple[np.ndarray, np.ndarray]:
    """HU and zones of 20 slices of a body of muscle with two lungs 60 mm wide, 6 mm before ribs in every fourth slice,
    before 20 mm of muscle and then fat; ``behind_mm`` of the right one are as dense as muscle in those columns."""
    hu = np.full((20, 160, 200), 50, np.int16)
    hu[:, 120:] = -100
    lungs = np.zeros(hu.shape, bool)
    lungs[:, 30:100, 20:60] = lungs[:, 30:100, 140:180] = True
    lungs[:, 100 - round(behind_mm / 1.5) : 100, columns] = False
    hu[lungs] = -850
    hu[::4, 104:107] = 500
    hu[:, 95:115, 95:105] = 400  # the spine
    return hu, zones(lungs, hu)


def test_a_healthy_wall_is_no_tissue_behind_the_lungs():
    assert tissue_behind_ml(*chest(0.0), SPACING_MM) == 0.0


def test_measures_the_tissue_between_lung_and_ribs():
    """With the 6 mm of wall: 36 mm over 40 columns in 20 slices."""
    assert tissue_behind_ml(*chest(30.0), SPACING_MM) == pytest.approx(36 * 40 * 1.5 * 20 * 4 / 1000, rel=0.05)


@pytest.mark.parametrize(("columns", "says"), [(slice(40, 46), False), (slice(40, 60), True)])
def test_a_gap_between_ribs_is_too_narrow(columns, says):
    assert (tissue_behind_ml(*chest(30.0, columns=columns), SPACING_MM) > 0) == says


def test_beside_the_spine_nothing_counts():
    hu, of_zone = chest(30.0)
    hu[:, 95:115, 95:105] = 50
    hu[:, 95:115, 35:45] = 400
    assert tissue_behind_ml(hu, of_zone, SPACING_MM) == 0.0


def test_without_any_bone_nothing_is_said():
    hu, of_zone = chest(30.0)
    assert tissue_behind_ml(hu.clip(max=50), of_zone, SPACING_MM) == 0.0


@pytest.mark.parametrize("name", REAL)
def test_consolidation_left_out_of_real_lungs_is_found(shared_data, name):
    """The back third of the lungs found, made as dense as muscle, which the lung U-Net then takes for chest wall."""
    volume, lungs = real_scan(shared_data / "ct" / name)
    of_zone = zones(lungs, volume.hu)
    assert tissue_behind_ml(volume.hu, of_zone, volume.spacing_mm) == 0.0
    hu, back = volume.hu.copy(), backs(lungs)
    hu[back] = np.random.default_rng(2).normal(40, 20, np.count_nonzero(back))
    left = np.where(back, 0, of_zone)
    back_ml = np.count_nonzero(back) * volume.voxel_volume_ml
    assert 0.2 * back_ml < tissue_behind_ml(hu, left, volume.spacing_mm) < 1.2 * back_ml


def backs(lungs: np.ndarray) -> np.ndarray:
    rows = np.arange(lungs.shape[1])[:, None]
    back = np.zeros_like(lungs)
    for one_slice, own in zip(lungs, back, strict=True):
        if one_slice.any():
            inside = np.flatnonzero(one_slice.any(1))
            own[:] = one_slice & (rows > inside[0] + 2 * (inside[-1] - inside[0]) / 3)
    return ndimage.binary_opening(back, np.ones((1, 3, 3), bool))
