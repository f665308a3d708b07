"""The written series, read back with pydicom."""

import subprocess
from datetime import date, datetime

import numpy as np
import pydicom
import pytest

from analysis.phantoms import Grid, Header, Visit, follow_up, make_patient, render, write_series
from tests.servers import program

GRID = Grid((2.5, 1.5, 1.4), 240, 256, 5, 12.5)


@pytest.fixture(scope="module")
def visit():
    return Visit(make_patient(3))


@pytest.fixture(scope="module")
def phantom(visit):
    return render(visit, GRID)


@pytest.fixture(scope="module")
def series(phantom, tmp_path_factory):
    paths = write_series(phantom, tmp_path_factory.mktemp("series") / "new")
    return [pydicom.dcmread(path) for path in paths]


def test_pixels_come_back_as_hu(phantom, series):
    hu = np.stack([d.pixel_array * float(d.RescaleSlope) + float(d.RescaleIntercept) for d in series])
    assert np.array_equal(hu, phantom.hu)


def test_geometry_is_that_of_the_grid(phantom, series):
    for index, d in enumerate(series):
        assert d.ImageOrientationPatient == [1, 0, 0, 0, 1, 0]
        assert d.PixelSpacing == [1.5, 1.4]
        assert d.SliceThickness == 2.5
        assert (d.Rows, d.Columns) == (240, 256)
        assert d.ImagePositionPatient == pytest.approx((-127.5 * 1.4, -119.5 * 1.5, 12.5 - 2.5 * index))
        corner = phantom.affine_lps @ (255, 239, index, 1)
        assert corner[:3] == pytest.approx((127.5 * 1.4, 119.5 * 1.5, 12.5 - 2.5 * index))


def test_patient_is_plainly_synthetic(series):
    d = series[0]
    assert str(d.PatientName).startswith("Synthetic^")
    assert d.PatientID == "SYN-0003"
    assert d.Manufacturer == "CoronaTrend phantom"
    assert "Synthetic" in d.ImageComments


def test_uids_are_unique_per_slice_and_the_same_every_time(phantom, series, tmp_path):
    uids = [d.SOPInstanceUID for d in series]
    assert len(set(uids)) == len(uids) == 5
    assert {d.file_meta.MediaStorageSOPInstanceUID for d in series} == set(uids)
    again = [pydicom.dcmread(path) for path in write_series(phantom, tmp_path)]
    assert [d.SOPInstanceUID for d in again] == uids
    assert len({(d.StudyInstanceUID, d.SeriesInstanceUID) for d in series + again}) == 1


def test_follow_up_is_another_study_of_the_same_patient(visit, series, tmp_path):
    later = render(follow_up(visit, 10, ()), GRID)
    d, first = pydicom.dcmread(write_series(later, tmp_path)[0]), series[0]
    assert d.PatientID == first.PatientID
    assert d.PatientBirthDate == first.PatientBirthDate
    assert d.StudyInstanceUID != first.StudyInstanceUID
    assert d.SeriesInstanceUID != first.SeriesInstanceUID
    assert d.FrameOfReferenceUID != first.FrameOfReferenceUID
    assert (first.StudyDate, d.StudyDate) == ("20260112", "20260122")


def test_header_can_be_given(phantom, tmp_path):
    header = Header("X-1", "Synthetic^Other", date(1960, 5, 2), "F", datetime(2026, 5, 1, 8, 0), 7, "Lung")
    d = pydicom.dcmread(write_series(phantom, tmp_path, header)[0])
    assert (d.PatientID, str(d.PatientName), d.PatientSex, d.PatientAge) == ("X-1", "Synthetic^Other", "F", "065Y")
    assert (d.SeriesNumber, d.SeriesDescription, d.StudyDate, d.StudyTime) == (7, "Lung", "20260501", "080000")


def test_dciodvfy_finds_no_error(phantom, tmp_path):
    path = write_series(phantom, tmp_path)[2]
    report = subprocess.run([program("dciodvfy"), path], capture_output=True, text=True, check=False)
    lines = (report.stdout + report.stderr).splitlines()
    assert "CTImage" in lines
    assert [line for line in lines if line.startswith(("Error", "Warning"))] == []
