import nibabel
import numpy as np
import pytest

from analysis.pipeline.nifti import write_nifti
from analysis.pipeline.series import check_series, find_series
from tests.dicom_series import make_series


def test_round_trip_keeps_voxels_at_their_patient_coordinates(tmp_path):
    make_series(
        tmp_path / "ct",
        slices=12,
        spacing_mm=(2.5, 3.0, 4.0),
        first_position_mm=(-100.0, -150.0, 77.0),
        orientation=(-1.0, 0.0, 0.0, 0.0, -1.0, 0.0),
    )
    affine_lps = check_series(find_series(tmp_path / "ct")).affine_lps
    values = np.zeros((12, 96, 96), dtype=np.uint8)
    values[3, 20, 10] = 255
    write_nifti(tmp_path / "map.nii.gz", values, affine_lps)

    image = nibabel.load(tmp_path / "map.nii.gz")
    stored = np.asarray(image.dataobj)
    assert stored.dtype == np.uint8
    assert stored.shape == (96, 96, 12)
    (voxel,) = np.argwhere(stored == 255)
    right, anterior, superior = nibabel.affines.apply_affine(image.affine, voxel)
    assert (-right, -anterior, superior) == pytest.approx((-100 - 10 * 4.0, -150 - 20 * 3.0, 77 - 3 * 2.5))
    assert nibabel.aff2axcodes(image.affine) == ("R", "A", "I")
    assert image.header.get_xyzt_units()[0] == "mm"


def test_masks_are_written_as_zero_and_one(tmp_path):
    mask = np.zeros((10, 4, 4), dtype=bool)
    mask[5] = True
    write_nifti(tmp_path / "lungs.nii.gz", mask, np.eye(4))
    stored = np.asarray(nibabel.load(tmp_path / "lungs.nii.gz").dataobj)
    assert stored.dtype == np.uint8
    assert stored.sum() == 16
