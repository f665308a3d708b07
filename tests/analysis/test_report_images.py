"""Which slices a report shows, and that the heat map lies where it belongs."""

import datetime
import io
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from analysis.report_images import (
    OUTLINE_RGB,
    choose_slices,
    evenly_chosen,
    finding_images,
    heat_rgba,
    key_images,
    most_affected_z_mm,
    thumbnail,
)
from patients.models import Patient

from .finished import FIRST_Z_MM, SPACING_MM, finished_analysis


def slices(*activation_cm2: float | None, step_mm: float = 10.0) -> list[dict]:
    """Lung slices with this activation; 0 is a negative one, None lies outside the lungs."""
    return [
        {
            "sop_instance_uid": f"1.{index}",
            "z_mm": -step_mm * index,
            "probability": None if activation is None else 0.5,
            "positive": None if activation is None else activation > 0,
            "activation_cm2": activation,
        }
        for index, activation in enumerate(activation_cm2)
    ]


def test_the_most_affected_slices_come_first_but_not_their_neighbours():
    assert choose_slices(slices(5, 1, 8, 9, 8, 1, 4, 1, 1, 3)) == [0, 3, 6]


def test_at_most_three_slices_and_fewer_where_few_are_positive():
    assert len(choose_slices(slices(*range(1, 40)))) == 3
    assert choose_slices(slices(0, 2, 0, 0, 0)) == [1]


def test_distance_counts_in_mm_not_in_slices():
    assert choose_slices(slices(5, 4, 3, step_mm=30)) == [0, 1, 2]
    assert choose_slices(slices(5, 4, 3, step_mm=2)) == [0]


def test_slices_that_readers_call_normal_give_way_to_others():
    found = slices(1, 9, 3)
    assert choose_slices(found, called_normal={"1.1"}) == [2]
    assert most_affected_z_mm(found, called_normal={"1.1"}) == -20.0
    every = {"1.0", "1.1", "1.2"}
    assert choose_slices(found, called_normal=every) == [1]
    assert most_affected_z_mm(found, called_normal=every) == -10.0


def test_without_positive_slices_the_middle_of_the_lungs_is_shown():
    assert choose_slices(slices(None, None, None, 0, 0, 0, None)) == [4]
    assert choose_slices(slices(None, None, None)) == [1]


def test_without_positive_slices_the_slice_of_the_largest_finding_is_shown():
    assert choose_slices(slices(0, 0, 0, 0), -1.0) == [0]
    assert most_affected_z_mm(slices(0, 0, 0, 0), -1.0) == -1.0
    assert choose_slices(slices(0, 0, 0, 3), -1.0) == [3]
    assert most_affected_z_mm(slices(0, 0, 0, 3), -1.0) == -30.0


def test_the_map_is_clear_below_its_threshold_and_runs_from_blue_to_red():
    clear, low, high = heat_rgba(np.array([0.19, 0.3, 0.9]))
    assert clear[3] == 0
    assert low[2] > low[0]
    assert high[0] > high[2]
    assert high[3] == pytest.approx(0.45)


@pytest.fixture
def image(site, tmp_path):
    patient = Patient.objects.create(site=site, patient_id="P-17")
    analysis = finished_analysis(patient, tmp_path, date=datetime.date(2020, 3, 3), activation_cm2={10: 40.0})
    (image,) = key_images(analysis, (), None)
    return image


def test_the_heat_map_lies_where_the_analysis_put_it(image):
    assert image.number == 11
    ct, overlay = np.asarray(image.ct), np.asarray(image.overlay).astype(int)
    rows, columns = np.nonzero(np.ptp(overlay, axis=-1) > 40)
    # The mapped square is rows 100–156 and columns 60–100 of 256 over 384 mm; the body is in the image's middle.
    height, width = ct.shape
    row_mm = (rows.mean() - height / 2) * image.mm_per_pixel
    column_mm = (columns.mean() - width / 2) * image.mm_per_pixel
    assert row_mm == pytest.approx((128 - 128) * 1.5, abs=4)
    assert column_mm == pytest.approx((80 - 128) * 1.5, abs=4)
    assert (rows.max() - rows.min()) * image.mm_per_pixel == pytest.approx(56 * 1.5, abs=4)
    outside = np.ones(ct.shape, bool)
    outside[rows.min() - 5 : rows.max() + 5, columns.min() - 5 : columns.max() + 5] = False
    assert (overlay[outside] == ct[outside][:, None]).all()


def test_the_picture_holds_the_whole_body(image):
    body_mm = (0.9 * 380, 0.65 * 380)  # columns, rows
    assert image.ct.width * image.mm_per_pixel > body_mm[0]
    assert image.ct.height * image.mm_per_pixel > body_mm[1]
    assert image.ct.width * image.mm_per_pixel < 384 * 1.05


def test_lungs_are_dark_and_the_body_bright_at_the_lung_window(image):
    ct = np.asarray(image.ct)
    height, width = ct.shape
    lung = ct[height // 2 - 20 : height // 2 + 20, width // 4 : width // 4 + 40]
    assert lung.mean() == pytest.approx((-850 + 1350) / 1500 * 255, abs=4)
    assert ct[height // 2, width // 2] == pytest.approx((40 + 1350) / 1500 * 255, abs=12)


def test_the_patients_right_is_at_the_left_of_an_axial_image(image):
    assert (image.left, image.right) == ("R", "L")


def test_a_thumbnail_shows_the_level_asked_for_with_its_heat_map(analysis):
    slices = analysis.report["slices"]
    z_mm = most_affected_z_mm(slices)
    assert z_mm == slices[5]["z_mm"]
    coloured = [_colour(thumbnail(analysis, each)) for each in (z_mm, slices[-1]["z_mm"])]
    assert coloured[0] > 500
    assert coloured[1] == 0


def test_without_a_positive_slice_the_middle_of_the_lungs_is_shown():
    negative = [each | {"activation_cm2": 2.0} for each in slices(None, 0, 0, 0, None)[:2]] + slices(0, 0, 0)[1:]
    lung = [each["z_mm"] for each in negative if each["probability"] is not None]
    assert most_affected_z_mm(negative) == (lung[0] + lung[-1]) / 2
    none = slices(None, None)
    assert most_affected_z_mm(none) == (none[0]["z_mm"] + none[1]["z_mm"]) / 2


def _colour(jpeg: bytes) -> int:
    """Pixels that are clearly not grey."""
    pixels = np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB")).astype(int)
    assert pixels.shape == (300, 400, 3)
    return int((np.ptp(pixels, axis=2) > 60).sum())


def test_without_its_file_there_is_no_thumbnail(analysis):
    analysis.heatmap.storage.delete(analysis.heatmap.name)
    assert thumbnail(analysis, 0.0) is None


def test_of_many_slices_those_of_the_sheet_are_spread_evenly():
    assert evenly_chosen([4, 5, 6], 3) == [4, 5, 6]
    chosen = evenly_chosen(range(100, 164), 30)
    assert (len(chosen), chosen[0], chosen[-1]) == (30, 100, 163)
    assert {after - before for before, after in pairwise(chosen)} == {2, 3}


@dataclass(frozen=True)
class Place:
    number: int
    centroid_mm: tuple[float, float, float]
    long_axis_mm: float


def test_a_finding_is_outlined_where_its_map_has_it(analysis):
    """The map has finding 1 in rows 120–129 and columns 180–189 of 256 over 384 mm, which begin at −192 mm."""
    centroid_mm = (184.5 * 1.5 - 192, 124.5 * 1.5 - 192, FIRST_Z_MM - 5 * SPACING_MM)
    image = finding_images(analysis, [Place(1, centroid_mm, 14.0)])[1]
    assert image.number == 6
    rows, columns = _outline(image)
    assert (rows.max() - rows.min()) * image.mm_per_pixel == pytest.approx(15, abs=1.5)
    assert (columns.max() - columns.min()) * image.mm_per_pixel == pytest.approx(15, abs=1.5)
    assert (rows.mean() - image.ct.height / 2) * image.mm_per_pixel == pytest.approx(0, abs=1)
    assert (columns.mean() - image.ct.width / 2) * image.mm_per_pixel == pytest.approx(0, abs=1)


def test_a_finding_that_no_map_has_gets_a_ring_of_its_long_axis(analysis):
    image = finding_images(analysis, [Place(9, (-20.0, 30.0, FIRST_Z_MM - 8 * SPACING_MM), 40.0)])[9]
    assert image.number == 9
    for places in _outline(image):
        assert (places.max() - places.min()) * image.mm_per_pixel == pytest.approx(40, abs=1.5)
    assert image.ct.width * image.mm_per_pixel == pytest.approx(100)  # what is large is shown with what lies around


def _outline(image) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.nonzero((np.asarray(image.overlay) == OUTLINE_RGB).all(axis=-1))
    assert len(rows)
    return rows, columns


def test_key_images_outline_what_the_map_has_of_findings_there_and_rings_on_the_slice_of_their_centre(analysis):
    """The map has finding 1 in slices 5 to 7, with the heat map at its most in the sixth, and none of this number 9."""
    in_map = Place(1, (84.75, -5.25, FIRST_Z_MM - 5 * SPACING_MM), 14.0)
    own = Place(9, (-20.0, 30.0, FIRST_Z_MM - 5 * SPACING_MM), 30.0)
    elsewhere = Place(8, (-20.0, 30.0, FIRST_Z_MM - 9 * SPACING_MM), 30.0)
    image = key_images(analysis, [in_map, own, elsewhere], None)[0]
    assert (image.number, image.outlined) == (6, (1, 9))
    _, columns = _outline(image)
    for place, is_own in ((in_map, columns > image.ct.width / 2), (own, columns < image.ct.width / 2)):
        width_mm = (columns[is_own].max() - columns[is_own].min()) * image.mm_per_pixel
        assert width_mm == pytest.approx(15 if place is in_map else 30, abs=2)
    apart_mm = (columns[columns > image.ct.width / 2].mean() - columns[columns < image.ct.width / 2].mean()) * (
        image.mm_per_pixel
    )
    assert apart_mm == pytest.approx(84.75 + 20, abs=2)
