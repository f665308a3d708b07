import numpy as np
import pytest
from scipy import ndimage

from analysis.pipeline.quality import MISSED_ML
from analysis.pipeline.regions import THIRDS, zones
from analysis.pipeline.unmarked import Ball, _Shares, standing_out, tissue_at_wall, unmarked
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


def test_a_healthy_wall_is_no_tissue_at_wall_the_lungs():
    assert tissue_at_wall(*chest(0.0), SPACING_MM).volume_ml == 0.0


def test_measures_the_tissue_between_lung_and_ribs():
    """With the 6 mm of wall: 36 mm over 40 columns in 20 slices."""
    assert tissue_at_wall(*chest(30.0), SPACING_MM).volume_ml == pytest.approx(36 * 40 * 1.5 * 20 * 4 / 1000, rel=0.05)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize(("slices", "says"), [(slice(5, 15), True), (slice(10, 20), False)])
def test_measures_the_tissue_between_lung_and_the_ribs_beside_it_with_lung_below(slices, says, mirrored):
    """30 mm that were lung, 60 mm deep, with a rib 6 mm beside the lung."""
    hu, of_zone = chest(0.0)
    hu[::4, :, 14:16] = 500
    hu[slices, 40:80, 20:40], of_zone[slices, 40:80, 20:40] = 50, 0
    if mirrored:
        hu, of_zone = hu[..., ::-1], zones(of_zone[..., ::-1] > 0, hu[..., ::-1])
    expected_ml = 30 * 60 * 40 / 1000 if says else 0.0
    assert tissue_at_wall(hu, of_zone, SPACING_MM).volume_ml == pytest.approx(expected_ml, rel=0.05)


@pytest.mark.parametrize("name", REAL)
def test_fluid_beside_a_real_lung_is_found(shared_data, name):
    """The outer 25 mm of the lower half of the right lung, as dense as fluid."""
    volume, lungs = real_scan(shared_data / "ct" / name)
    of_zone = zones(lungs, volume.hu)
    right = (of_zone > 0) & (of_zone <= THIRDS)
    right[: np.flatnonzero(right.any((1, 2))).mean().astype(int)] = False
    from_side_mm = (np.arange(lungs.shape[2]) - right.argmax(2)[..., None]) * volume.spacing_mm[2]
    fluid = right & (from_side_mm < 25)
    hu = np.where(fluid, 15, volume.hu).astype(np.int16)
    assert tissue_at_wall(hu, np.where(fluid, 0, of_zone), volume.spacing_mm).volume_ml > 2 * MISSED_ML


@pytest.mark.parametrize(("columns", "says"), [(slice(40, 46), False), (slice(40, 60), True)])
def test_a_gap_between_ribs_is_too_narrow(columns, says):
    assert (tissue_at_wall(*chest(30.0, columns=columns), SPACING_MM).volume_ml > 0) == says


def test_beside_the_spine_nothing_counts():
    hu, of_zone = chest(30.0)
    hu[:, 95:115, 95:105] = 50
    hu[:, 95:115, 35:45] = 400
    assert tissue_at_wall(hu, of_zone, SPACING_MM).volume_ml == 0.0


@pytest.mark.parametrize(("spine_column", "says"), [(88, False), (95, True)])
def test_the_spine_is_taken_for_50_mm_to_either_side(spine_column, says):
    """The tissue, just wide enough, begins 42 mm from the spine or 52."""
    hu, of_zone = chest(30.0, columns=slice(43, 60))
    hu[:, 95:115, 95:105] = 50
    hu[:, 95:115, spine_column - 5 : spine_column + 5] = 400
    assert (tissue_at_wall(hu, of_zone, SPACING_MM).volume_ml > 0) == says


@pytest.mark.parametrize(("fat_hu", "says"), [(-40, False), (-20, True)])
def test_tissue_of_the_density_of_fat_is_none(fat_hu, says):
    """At the wall it ends what counts; taken for lung it is no dense tissue."""
    hu, of_zone = chest(30.0)
    hu[:, 85:100, 20:60] = fat_hu
    assert (tissue_at_wall(hu, of_zone, SPACING_MM).volume_ml > 0) == says
    assert (unmarked(*with_mass(30.0, hu=fat_hu), NOTHING, NOTHING, SPACING_MM).volume_ml > 0) == says


def test_without_any_bone_nothing_is_said():
    hu, of_zone = chest(30.0)
    assert tissue_at_wall(hu.clip(max=50), of_zone, SPACING_MM).volume_ml == 0.0


def test_says_which_slice_has_most_of_it():
    """Every second slice of 2 mm is looked at."""
    hu, of_zone = chest(15.0)
    hu[14, 70:90, 20:60], of_zone[14, 70:90, 20:60] = 50, 0
    assert tissue_at_wall(hu.repeat(2, 0), of_zone.repeat(2, 0), (2.0, 1.5, 1.5)).most_in == 28
    hu, of_zone = with_mass(30.0)
    hu[9, 40:80, 25:55] = 40
    assert unmarked(hu, of_zone, NOTHING, NOTHING, SPACING_MM).most_in == 9


@pytest.mark.parametrize("name", REAL)
def test_consolidation_left_out_of_real_lungs_is_found(shared_data, name):
    """The back third of the lungs found, made as dense as muscle, which the lung U-Net then takes for chest wall."""
    volume, lungs = real_scan(shared_data / "ct" / name)
    of_zone = zones(lungs, volume.hu)
    assert tissue_at_wall(volume.hu, of_zone, volume.spacing_mm).volume_ml == 0.0
    hu, back = volume.hu.copy(), backs(lungs)
    hu[back] = np.random.default_rng(2).normal(40, 20, np.count_nonzero(back))
    left = np.where(back, 0, of_zone)
    back_ml = np.count_nonzero(back) * volume.voxel_volume_ml
    assert 0.2 * back_ml < tissue_at_wall(hu, left, volume.spacing_mm).volume_ml < 1.2 * back_ml


NOTHING = np.zeros((20, 160, 200), np.uint8)


def with_mass(side_mm: float, hu: int = 40, *, in_mask: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """The chest with a mass in the right lung, as wide and deep as this, in slices 5 to 14."""
    image, of_zone = chest(0.0)
    pixels = round(side_mm / 1.5)
    mass = np.s_[5:15, 40 : 40 + pixels, 25 : 25 + pixels]
    image[mass] = hu
    of_zone[mass] *= in_mask
    return image, of_zone


@pytest.mark.parametrize(
    ("side_mm", "in_mask", "says"),
    [(30, True, True), (16.5, True, True), (13.5, True, False), (45, False, True), (18, False, False)],
)
def test_dense_tissue_that_nothing_marks_is_measured_where_it_is_wider_than_vessels(side_mm, in_mask, says):
    """Out of the lungs found, lung is before, behind, above and below. Means of three pixels take one off each edge."""
    left_ml = unmarked(*with_mass(side_mm, in_mask=in_mask), NOTHING, NOTHING, SPACING_MM).volume_ml
    assert left_ml == pytest.approx((side_mm - 3) ** 2 * 40 / 1000 if says else 0.0)


def test_what_is_an_opacity_or_a_finding_is_not_left():
    hu, of_zone = with_mass(30.0)
    upper, lower = NOTHING.copy(), NOTHING.copy().astype(np.uint16)
    upper[:8], lower[8:] = 1, 1
    assert unmarked(hu, of_zone, upper, lower, SPACING_MM).volume_ml == 0.0
    assert unmarked(hu, of_zone, upper, 0 * lower, SPACING_MM).volume_ml == pytest.approx(27**2 * 28 / 1000)


def test_fat_that_was_taken_for_lung_is_no_dense_tissue():
    assert unmarked(*with_mass(30.0, hu=-100), NOTHING, NOTHING, SPACING_MM).volume_ml == 0.0


def test_the_dome_of_the_diaphragm_is_not_surrounded():
    """Lung lies in front of it, behind and above, but not below."""
    hu, of_zone = with_mass(45.0, in_mask=False)
    of_zone[15:, 40:70, 25:55], hu[15:, 40:70, 25:55] = 0, 40
    assert unmarked(hu, of_zone, NOTHING, NOTHING, SPACING_MM).volume_ml == 0.0


@pytest.mark.parametrize(("rows", "says"), [(slice(45, 85), True), (slice(40, 92), False)])
def test_what_is_as_deep_as_the_heart_is_not_surrounded(rows, says):
    """60 or 78 mm from lung to lung, 45 mm wide."""
    hu, of_zone = chest(0.0)
    hu[5:15, rows, 25:55], of_zone[5:15, rows, 25:55] = 40, 0
    assert (unmarked(hu, of_zone, NOTHING, NOTHING, SPACING_MM).volume_ml > 0) == says


@pytest.mark.parametrize(("slices", "says"), [(slice(2, 18), True), (slice(1, 20), False)])
def test_what_is_as_high_as_the_heart_is_not_surrounded(slices, says):
    """Slices of 4.2 mm: 67 or 80 mm from lung to lung."""
    hu, of_zone = (np.concatenate([one, one[:1]]) for one in chest(0.0))
    hu[slices, 40:70, 25:55], of_zone[slices, 40:70, 25:55] = 40, 0
    nothing = np.zeros(of_zone.shape, np.uint8)
    assert (unmarked(hu, of_zone, nothing, nothing, (4.2, 1.5, 1.5)).volume_ml > 0) == says


@pytest.mark.parametrize("rows", [slice(30, 40), slice(70, 100)])
def test_what_has_lung_on_one_side_only_is_not_surrounded(rows):
    """In front of it or behind."""
    hu, of_zone = with_mass(45.0, in_mask=False)
    of_zone[5:15, rows, 25:55] = 0
    assert unmarked(hu, of_zone, NOTHING, NOTHING, SPACING_MM).volume_ml == 0.0


@pytest.mark.parametrize("name", REAL)
def test_a_mass_of_6_cm_in_real_lungs_is_left_unless_it_is_marked(shared_data, name):
    volume, lungs = real_scan(shared_data / "ct" / name)
    of_zone, none = zones(lungs, volume.hu), np.zeros(lungs.shape, np.uint8)
    before_ml = unmarked(volume.hu, of_zone, none, none, volume.spacing_mm).volume_ml
    assert before_ml < MISSED_ML / 2  # opacities and findings not taken off
    mass = ball(of_zone, 30.0, volume.spacing_mm)
    hu = np.where(mass, 40, volume.hu).astype(np.int16)
    mass_ml = np.count_nonzero(mass) * volume.voxel_volume_ml
    for found in (of_zone, np.where(mass, 0, of_zone)):  # with the mass, and without
        left_ml = unmarked(hu, found, none, none, volume.spacing_mm).volume_ml
        assert 0.3 * mass_ml < left_ml - before_ml < 1.3 * mass_ml
        marked = mass.astype(np.uint8)
        assert unmarked(hu, found, marked, none, volume.spacing_mm).volume_ml < before_ml + 0.2 * mass_ml


def with_ball(column: int, radius_mm: float = 20.0, hu: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The chest with a ball around this column of row 65 of slice 10, the lung without it, and the ball. The right lung
    begins at column 20."""
    image, of_zone = chest(0.0)
    z, y, x = np.ogrid[:20, :160, :200]
    inside = ((z - 10) * 4.0) ** 2 + ((y - 65) * 1.5) ** 2 + ((x - column) * 1.5) ** 2 < radius_mm**2
    image[inside & (of_zone > 0)] = hu
    of_zone[inside] = 0
    return image, of_zone, inside


@pytest.mark.parametrize(("column", "says"), [(40, True), (26, True), (21, True), (10, False)])
def test_a_ball_stands_out_where_half_of_it_lies_in_lung(column, says):
    """Its middle 30 or 9 mm within the wall of the lung, at it, and 15 mm outside."""
    image, of_zone, _ = with_ball(column)
    found = standing_out(image, of_zone, NOTHING, NOTHING, SPACING_MM)
    assert (found is not None) == says
    if found:
        assert found.diameter_mm in (36.0, 44.0)
        assert abs(found.middle_in - 10) <= 1


@pytest.mark.parametrize(("radius_mm", "says"), [(10.0, False), (16.0, True)])
def test_a_ball_of_less_than_25_mm_does_not_count(radius_mm, says):
    image, of_zone, _ = with_ball(26, radius_mm)
    assert (standing_out(image, of_zone, NOTHING, NOTHING, SPACING_MM) is not None) == says


def test_a_ball_that_is_marked_or_less_dense_does_not_count():
    image, of_zone, inside = with_ball(26)
    marked = inside.astype(np.uint8)
    assert standing_out(image, of_zone, marked, NOTHING, SPACING_MM) is None
    assert standing_out(image, of_zone, NOTHING, marked.astype(np.uint16), SPACING_MM) is None
    image, of_zone, _ = with_ball(26, hu=-60)
    assert standing_out(image, of_zone, NOTHING, NOTHING, SPACING_MM) is None


@pytest.mark.parametrize("step", [1, 2])
def test_the_slice_of_a_ball_is_one_of_the_scan_s(step):
    image, of_zone, _ = with_ball(26)
    image, of_zone = (one.repeat(step, 0) for one in (image, of_zone))
    nothing = np.zeros(of_zone.shape, np.uint8)
    found = standing_out(image, of_zone, nothing, nothing, (4.0 / step, 1.5, 1.5))
    assert isinstance(found, Ball)
    assert abs(found.middle_in - 10 * step) <= step


@pytest.mark.parametrize("slices", [3, 9, 30])
def test_what_lies_beyond_the_scan_is_no_part_of_a_ball(slices):
    """Also where the scan is shorter than the largest balls: of a ball around the middle slice, the part within."""
    shares = _Shares((4.0, 3.0, 3.0), (slices, 40, 40))
    found = shares.ring(shares.spectrum(np.ones((slices, 40, 40), bool)), 0.0, 32.0)[slices // 2, 20, 20]
    z, y, x = np.ogrid[-8:9, -10:11, -10:11]
    ball = (4.0 * z) ** 2 + (3.0 * y) ** 2 + (3.0 * x) ** 2 <= 32.0**2
    first, end = 8 - slices // 2, 8 - slices // 2 + slices
    assert found == pytest.approx(ball[max(0, first) : end].sum() / ball.sum(), abs=1e-4)


@pytest.mark.parametrize("name", REAL)
def test_a_mass_at_the_mediastinum_of_real_lungs_stands_out(shared_data, name):
    """A ball of 3 cm, its middle a centimetre deep in the right lung where that is nearest to the left one, half way
    down, left out of the lungs."""
    volume, lungs = real_scan(shared_data / "ct" / name)
    of_zone, none = zones(lungs, volume.hu), np.zeros(lungs.shape, np.uint8)
    assert standing_out(volume.hu, of_zone, none, none, volume.spacing_mm) is None
    right = (of_zone > 0) & (of_zone <= THIRDS)
    middle = int(np.median(np.flatnonzero(right.any((1, 2)))))
    deep = ndimage.distance_transform_edt(right[middle], volume.spacing_mm[1:]) >= 10.0
    row, column = max(np.argwhere(deep), key=lambda place: place[1])
    z, y, x = np.ogrid[tuple(slice(count) for count in lungs.shape)]
    slice_mm, row_mm, column_mm = volume.spacing_mm
    away_mm = np.sqrt(((z - middle) * slice_mm) ** 2 + ((y - row) * row_mm) ** 2 + ((x - column) * column_mm) ** 2)
    mass = (away_mm < 15.0) & (of_zone > 0)
    hu = np.where(mass, 40, volume.hu).astype(np.int16)
    found = standing_out(hu, np.where(mass, 0, of_zone), none, none, volume.spacing_mm)
    assert isinstance(found, Ball)
    assert abs(found.middle_in - middle) * slice_mm <= 10.0


def ball(of_zone: np.ndarray, radius_mm: float, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """The part that is lung of a ball where the right lung is deepest."""
    right = (of_zone > 0) & (of_zone <= THIRDS)
    depth_mm = ndimage.distance_transform_edt(right, spacing_mm)
    center = np.unravel_index(depth_mm.argmax(), depth_mm.shape)
    away_mm = np.sqrt(
        sum((((at - c) * mm) ** 2 for at, c, mm in zip(np.indices(right.shape), center, spacing_mm, strict=True)))
    )
    return right & (away_mm < radius_mm)


def backs(lungs: np.ndarray) -> np.ndarray:
    rows = np.arange(lungs.shape[1])[:, None]
    back = np.zeros_like(lungs)
    for one_slice, own in zip(lungs, back, strict=True):
        if one_slice.any():
            inside = np.flatnonzero(one_slice.any(1))
            own[:] = one_slice & (rows > inside[0] + 2 * (inside[-1] - inside[0]) / 3)
    return ndimage.binary_opening(back, np.ones((1, 3, 3), bool))
