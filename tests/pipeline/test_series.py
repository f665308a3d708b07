import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom.errors import InvalidDicomError
from pydicom.uid import BasicTextSRStorage

from analysis.pipeline.series import (
    SliceHeader,
    UnusableSeries,
    check_series,
    find_series,
    is_sharp_kernel,
    read_header,
)
from tests.dicom_series import AXIAL, CORONAL, SAGITTAL, chest_hu, make_series, make_slice


def headers(z_mm=None, **changes) -> list[SliceHeader]:
    """Twelve sound axial slices from head (0 mm) to feet (−22 mm), or one for each of ``z_mm``."""
    z_mm = -2.0 * np.arange(12) if z_mm is None else z_mm
    first = SliceHeader(
        path=Path("x.dcm"),
        sop_instance_uid="1",
        series_instance_uid="1.2",
        modality="CT",
        image_type=("ORIGINAL", "PRIMARY", "AXIAL"),
        position=(0.0, 0.0, 0.0),
        orientation=AXIAL,
        pixel_spacing_mm=(0.7, 0.8),
        rows=512,
        columns=512,
    )
    return [
        replace(
            first,
            path=Path(f"{index:04d}.dcm"),
            sop_instance_uid=f"1.{index}",
            position=(-170.0, -180.0, float(z)),
            **changes,
        )
        for index, z in enumerate(z_mm)
    ]


def rejection(slices: list[SliceHeader]) -> UnusableSeries:
    with pytest.raises(UnusableSeries) as caught:
        check_series(slices)
    assert str(caught.value) == caught.value.message
    assert caught.value.message.endswith((".", "…"))
    return caught.value


def codes(geometry) -> list[str]:
    return [flag.code for flag in geometry.quality]


def test_orders_slices_from_head_to_feet_whatever_the_file_order():
    slices = headers()
    shuffled = [slices[index] for index in np.random.default_rng(1).permutation(len(slices))]
    geometry = check_series(shuffled)
    assert list(geometry.headers) == slices
    assert geometry.z_mm == pytest.approx(-2.0 * np.arange(12))
    assert geometry.slice_spacing_mm == pytest.approx(2.0)
    assert geometry.shape == (12, 512, 512)
    assert geometry.quality == ()


def test_affine_maps_voxels_to_patient_coordinates():
    affine = check_series(headers()).affine_lps
    assert affine @ [0, 0, 0, 1] == pytest.approx([-170, -180, 0, 1])
    column, row, index = 10, 20, 3
    assert affine @ [column, row, index, 1] == pytest.approx([-170 + 10 * 0.8, -180 + 20 * 0.7, -6, 1])


@pytest.mark.parametrize(
    "orientation",
    [
        (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0),  # prone
        (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0),  # feet first, seen from the head
        (1.0, 0.0, 0.0, 0.0, -1.0, 0.0),
        (0.0, 1.0, 0.0, 1.0, 0.0, 0.0),
    ],
)
def test_flipped_rows_and_columns_keep_the_affine_honest_and_the_head_first(orientation):
    geometry = check_series(headers(orientation=orientation))
    assert geometry.z_mm == pytest.approx(-2.0 * np.arange(12))  # = ImagePositionPatient z, also with a flipped normal
    at = geometry.affine_lps @ [10, 20, 3, 1]
    expected = np.array([-170.0, -180.0, -6.0]) + 8.0 * np.array(orientation[:3]) + 14.0 * np.array(orientation[3:])
    assert at[:3] == pytest.approx(expected)


def test_slice_thickness_and_instance_numbers_do_not_touch_the_geometry():
    slices = [
        replace(header, slice_thickness_mm=7.0, instance_number=99 - index) for index, header in enumerate(headers())
    ]
    geometry = check_series(slices)
    assert geometry.slice_spacing_mm == pytest.approx(2.0)
    assert geometry.z_mm[0] == 0.0


def test_slightly_oblique_series_measures_along_its_normal():
    angle = math.radians(5)
    along_column = np.array([0.0, math.cos(angle), math.sin(angle)])
    normal = np.cross([1.0, 0.0, 0.0], along_column)
    slices = [
        replace(header, orientation=(1.0, 0.0, 0.0, *along_column), position=tuple(-2.0 * index * normal))
        for index, header in enumerate(headers())
    ]
    geometry = check_series(slices)
    assert geometry.slice_spacing_mm == pytest.approx(2.0)
    assert geometry.z_mm == pytest.approx(-2.0 * np.arange(12))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"modality": "MR"}, "not_ct"),
        ({"frames": 40}, "multi_frame"),
        ({"image_type": ("ORIGINAL", "PRIMARY", "LOCALIZER")}, "localiser"),
        ({"image_type": ("DERIVED", "SECONDARY", "MIP")}, "reformat"),
        ({"rescale_type": "ED"}, "not_hounsfield"),
        ({"orientation": (1.0, 0.0, 0.0, 0.5, 1.0, 0.0)}, "no_position"),
        ({"orientation": None}, "no_position"),
        ({"pixel_spacing_mm": None}, "no_pixel_spacing"),
        ({"pixel_spacing_mm": (0.0, 0.0)}, "no_pixel_spacing"),
        ({"rows": 20_000, "columns": 20_000}, "too_large"),
        ({"gantry_detector_tilt_degrees": -12.0}, "gantry_tilt"),
    ],
)
def test_rejects_each_unusable_kind_with_its_own_code(change, code):
    assert rejection(headers(**change)).code == code


@pytest.mark.parametrize(("orientation", "plane"), [(CORONAL, "coronal"), (SAGITTAL, "sagittal")])
def test_rejects_reformats_by_their_plane(orientation, plane):
    normal = np.cross(orientation[:3], orientation[3:])
    slices = [
        replace(header, orientation=orientation, position=tuple(3.0 * index * normal))
        for index, header in enumerate(headers())
    ]
    rejected = rejection(slices)
    assert rejected.code == "reformat"
    assert plane in rejected.message


def test_rejects_fewer_than_ten_slices():
    assert rejection(headers(-2.0 * np.arange(9))).code == "too_few_slices"
    check_series(headers(-2.0 * np.arange(10)))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"orientation": (0.0, 1.0, 0.0, 1.0, 0.0, 0.0)}, "mixed_orientations"),
        ({"rows": 256}, "mixed_sizes"),
        ({"pixel_spacing_mm": (0.9, 0.9)}, "mixed_pixel_spacing"),
        ({"series_instance_uid": "1.3"}, "mixed_series"),
        ({"image_type": ("ORIGINAL", "PRIMARY", "LOCALIZER")}, "missing_slices"),
        ({"position": None}, "no_position"),
        ({"position": (-170.0, -175.0, -10.0)}, "uneven_positions"),
    ],
)
def test_rejects_one_odd_slice_in_the_middle(change, code):
    slices = headers()
    slices[5] = replace(slices[5], **change)
    assert rejection(slices).code == code


def test_rejects_gantry_tilt_seen_in_the_positions():
    angle = math.radians(15)
    orientation = (1.0, 0.0, 0.0, 0.0, math.cos(angle), -math.sin(angle))
    rejected = rejection(headers(orientation=orientation))  # the table still moves along z
    assert rejected.code == "gantry_tilt"
    assert "15°" in rejected.message


def localisers(count: int) -> list[SliceHeader]:
    """Side views: of another orientation and size than ``headers()``."""
    kind = ("ORIGINAL", "PRIMARY", "LOCALIZER")
    return headers(np.zeros(count), image_type=kind, orientation=(0.0, 1.0, 0.0, 0.0, 0.0, -1.0), rows=888)


@pytest.mark.parametrize("count", [1, 2])
def test_leaves_out_a_few_localisers_with_a_flag(count):
    geometry = check_series([*localisers(count), *headers()])
    assert codes(geometry) == ["localisers_left_out"]
    assert geometry.headers == tuple(headers())


@pytest.mark.parametrize("count", [1, 12])
def test_rejects_a_series_of_localisers(count):
    assert rejection(localisers(count)).code == "localiser"


def test_rejects_a_series_with_many_localisers():
    assert rejection([*localisers(5), *headers()]).code == "localiser"


def test_says_where_slices_are_missing():
    z_mm = np.delete(-2.0 * np.arange(20), [7, 8, 9])
    rejected = rejection(headers(z_mm))
    assert rejected.code == "missing_slices"
    assert "About 3 slices are missing between -12.0 and -20.0 mm" in rejected.message


def test_says_at_how_many_places_slices_are_missing():
    z_mm = np.delete(-2.0 * np.arange(20), [7, 8, 9, 14])
    assert (
        "About 4 slices are missing at 2 places, the first between -12.0 and -20.0 mm"
        in rejection(headers(z_mm)).message
    )


def test_tolerates_small_jitter_but_not_uneven_spacing():
    rng = np.random.default_rng(0)
    z_mm = -2.0 * np.arange(30) + rng.uniform(-0.05, 0.05, 30)
    geometry = check_series(headers(z_mm))
    assert geometry.z_mm == pytest.approx(z_mm)
    half_steps = np.concatenate([-2.0 * np.arange(15), -28.0 - 1.0 * np.arange(1, 6)])
    assert rejection(headers(half_steps)).code == "uneven_spacing"


def test_rejects_two_images_at_one_position():
    slices = [*headers(), replace(headers()[4], path=Path("again.dcm"), sop_instance_uid="9")]
    rejected = rejection(slices)
    assert rejected.code == "duplicate_positions"
    assert rejected.message.startswith("1 slice lies")
    assert "-8.0 mm" in rejected.message


def test_rejects_slices_that_all_lie_at_one_position():
    assert rejection(headers(np.zeros(12))).code == "no_slice_spacing"


def test_analyses_one_shared_sop_uid_by_position_with_a_flag():
    slices = [replace(header, sop_instance_uid="1.9") for header in headers()]
    geometry = check_series(slices)
    assert codes(geometry) == ["shared_sop_instance_uid"]
    assert geometry.z_mm == pytest.approx(-2.0 * np.arange(12))


def test_flags_thick_slices_sharp_kernel_and_contrast():
    slices = headers(-8.0 * np.arange(12), kernel="B70f\\3", contrast_bolus_agent="IV")
    assert codes(check_series(slices)) == ["thick_slices", "sharp_kernel", "contrast"]


@pytest.mark.parametrize(("pixel_mm", "flags"), [(2.0, []), (2.6, [("coarse_pixels", True)])])
def test_pixels_larger_than_the_networks_know_ask_for_a_look(pixel_mm, flags):
    geometry = check_series(headers(pixel_spacing_mm=(pixel_mm, pixel_mm)))
    assert [(flag.code, flag.severe) for flag in geometry.quality] == flags


def test_rounded_positions_are_no_uneven_spacing():
    assert codes(check_series(headers(-np.round(0.625 * np.arange(40), 1)))) == []


def test_flags_slices_that_are_a_little_unevenly_spaced():
    z_mm = -2.0 * np.arange(12)
    z_mm[6:] -= 0.4
    (flag,) = check_series(headers(z_mm)).quality
    assert (flag.code, flag.message) == ("uneven_spacing", "The slices are 2.00 to 2.40 mm apart; volumes are rough.")


@pytest.mark.parametrize(
    ("elements", "years"),
    [
        ({"PatientAge": "039Y", "PatientBirthDate": ""}, 39),
        ({"PatientAge": "018M"}, 1.5),
        ({"PatientAge": "000Y", "PatientBirthDate": "19600305", "StudyDate": "20200305"}, 60),
        ({"PatientAge": "020W"}, 20 * 7 / 365.25),
        ({"PatientAge": "?", "PatientBirthDate": "20130305", "StudyDate": "20200305"}, 7),
        ({"PatientBirthDate": "20300101", "StudyDate": "20200305"}, None),
        ({"PatientBirthDate": "1960", "StudyDate": "20200305"}, None),
    ],
)
def test_reads_the_age_at_the_scan(tmp_path, elements, years):
    (path, *_) = make_series(tmp_path, **elements)
    age = read_header(path).age_years
    assert age == (None if years is None else pytest.approx(years, abs=0.01))


@pytest.mark.parametrize(("years", "expected"), [(7, ["outside_training_range"]), (16, []), (None, [])])
def test_flags_children_whom_no_network_was_trained_on(years, expected):
    quality = check_series(headers(age_years=years)).quality
    assert [(flag.code, flag.severe) for flag in quality] == [(code, True) for code in expected]


@pytest.mark.parametrize(("given", "expected"), [("01", ["lossy_compression"]), ("00", [])])
def test_flags_lossy_compression(tmp_path, given, expected):
    make_series(tmp_path, spacing_mm=(2.5, 0.8, 0.8), LossyImageCompression=given)
    assert codes(check_series(find_series(tmp_path))) == expected


@pytest.mark.parametrize("rescale_type", ["HU", "US", None])
def test_takes_hounsfield_and_unspecified_units(tmp_path, rescale_type):
    make_series(tmp_path, RescaleType=rescale_type)
    check_series(find_series(tmp_path))


def test_rejects_other_units_than_hounsfield(tmp_path):
    make_series(tmp_path, RescaleType="PCT")
    with pytest.raises(UnusableSeries, match="rescale type PCT"):
        check_series(find_series(tmp_path))


@pytest.mark.parametrize(("position", "noted"), [("HFS", False), ("", False), ("FFP", True), ("HFDL", True)])
def test_a_patient_who_does_not_lie_on_the_back_is_noted(position, noted):
    flags = codes(check_series(headers(-2.0 * np.arange(12), patient_position=position)))
    assert flags == ["not_supine"] * noted


@pytest.mark.parametrize("kernel", ["B60f", "B70s", "I70f\\3", "Br64d", "Bl57", "LUNG", "BONEPLUS", "YC", "L", "FC51"])
def test_knows_sharp_kernels(kernel):
    assert is_sharp_kernel(kernel)


@pytest.mark.parametrize("kernel", ["", "B30f", "B40f", "D40s", "Br40", "STANDARD", "B", "FC08", "FC18", "QR40"])
def test_knows_smooth_kernels(kernel):
    assert not is_sharp_kernel(kernel)


def test_finds_the_one_series_among_other_files(tmp_path):
    make_series(tmp_path / "a" / "b", slices=12)
    shutil.copy(tmp_path / "a" / "b" / "0003.dcm", tmp_path / "copy of 0003.dcm")
    (tmp_path / "notes.txt").write_text("not DICOM")
    (tmp_path / "empty").touch()
    found = find_series(tmp_path)
    assert len(found) == 12  # the same file twice counts once
    assert check_series(found).shape == (12, 96, 96)


def test_lists_the_series_where_a_folder_holds_several(tmp_path):
    make_series(tmp_path / "a", slices=3, SeriesDescription="Thorax 2.0")
    make_series(tmp_path / "b", slices=4, SeriesDescription="Abdomen 5.0")
    with pytest.raises(UnusableSeries, match=r"2 series.*Thorax 2\.0, 3 images; Abdomen 5\.0, 4 images") as caught:
        find_series(tmp_path)
    assert caught.value.code == "several_series"


@pytest.mark.parametrize("name", ["", "missing"])
def test_says_where_no_images_are(tmp_path, name):
    with pytest.raises(UnusableSeries) as caught:
        find_series(tmp_path / name)
    assert caught.value.code == "no_series"


def test_reads_a_header_with_invalid_values_as_unknown(tmp_path):
    path = make_series(
        tmp_path, slices=1, ImageType=["DERIVED", "SECONDARY"], InstanceNumber=None, ConvolutionKernel=["I70f", "3"]
    )[0]
    raw = path.read_bytes().replace(b"4.0\\4.0 ", b"4.0\\abc ")
    path.write_bytes(raw)
    header = read_header(path)
    assert header.pixel_spacing_mm is None
    assert header.instance_number is None
    assert header.kernel == "I70f\\3"
    assert header.image_type == ("DERIVED", "SECONDARY")


def test_reads_an_old_file_without_preamble(tmp_path):
    path = make_series(tmp_path, slices=1)[0]
    path.write_bytes(path.read_bytes()[132:])
    assert read_header(path).rows == 96


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_slice_cut_in_its_header_is_not_left_out_in_silence(tmp_path, share):
    paths = make_series(tmp_path)
    whole = paths[4].read_bytes()
    header_bytes = whole.index(b"\x28\x00\x10\x00")  # Rows
    paths[4].write_bytes(whole[: int(header_bytes * share)])
    with pytest.raises(UnusableSeries, match=r"0004\.dcm is damaged") as caught:
        find_series(tmp_path)
    assert caught.value.code == "damaged_file"


def test_a_report_beside_the_slices_is_left_out(tmp_path):
    paths = make_series(tmp_path)
    report = {"SOPClassUID": BasicTextSRStorage, "Modality": "SR", "Rows": None, "PixelData": None}
    make_slice(chest_hu(3)[0], **report).save_as(tmp_path / "report.dcm", enforce_file_format=True)
    assert len(find_series(tmp_path)) == len(paths)


def test_refuses_the_header_of_a_text_file(tmp_path):
    path = tmp_path / "a.dcm"
    path.write_text("hello " * 100)
    with pytest.raises(InvalidDicomError):
        read_header(path)


@pytest.mark.parametrize(
    ("name", "slices", "spacing_mm", "flags"),
    [
        ("covid_P001", 148, 2.0, []),
        ("normal_001", 77, 4.0, []),
        ("nodules_LIDC-0003", 140, 2.5, ["contrast"]),
        ("tumour_A0002", 30, 8.0, ["thick_slices"]),
    ],
)
def test_real_series(shared_data, name, slices, spacing_mm, flags):
    geometry = check_series(find_series(shared_data / "ct" / name))
    assert geometry.shape == (slices, 512, 512)
    assert geometry.slice_spacing_mm == pytest.approx(spacing_mm)
    assert codes(geometry) == flags
    assert all(np.diff(geometry.z_mm) < 0)
    assert geometry.z_mm == pytest.approx([header.position[2] for header in geometry.headers])
