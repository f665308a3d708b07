"""Stored values to Hounsfield units, in the calling process."""

import numpy as np
import pydicom
import pytest

from analysis.pipeline.decoding import HU_RANGE, decode
from analysis.pipeline.headers import UnusableSeries
from tests.dicom_series import make_slice

SMALL = (np.arange(64, dtype=np.int16).reshape(8, 8) * 40 - 1000).astype(np.int16)


def write(tmp_path, hu=SMALL, **elements):
    path = tmp_path / "slice.dcm"
    make_slice(hu, **elements).save_as(path, enforce_file_format=True)
    return path


def read(path):
    return decode(path, "this slice")


def test_reads_signed_values(tmp_path):
    stored = SMALL.astype("<i2")
    path = write(
        tmp_path, PixelData=stored.tobytes(), PixelRepresentation=1, BitsStored=16, HighBit=15, RescaleIntercept=0
    )
    assert np.array_equal(read(path), SMALL)


def test_drops_bits_above_bits_stored_and_extends_the_sign(tmp_path):
    stored = (SMALL.astype(np.int32) & 0x0FFF) | 0x5000  # 12 bits in two's complement under an overlay
    path = write(tmp_path, PixelData=stored.astype("<u2").tobytes(), PixelRepresentation=1, RescaleIntercept=0)
    assert np.array_equal(read(path), SMALL)


def test_reads_left_aligned_values(tmp_path):
    stored = (SMALL.astype(np.int32) + 1024) << 4
    path = write(tmp_path, PixelData=stored.astype("<u2").tobytes(), BitsStored=12, HighBit=15)
    assert np.array_equal(read(path), SMALL)


def test_padding_becomes_air(tmp_path):
    stored = SMALL.astype("<i2")
    stored[0] = stored[:, 0] = -2000
    signed = {"PixelRepresentation": 1, "BitsStored": 16, "HighBit": 15, "RescaleIntercept": 0}
    hu = read(write(tmp_path, PixelData=stored.tobytes(), PixelPaddingValue=-2000, **signed))
    assert (hu[0] == HU_RANGE[0]).all()
    assert np.array_equal(hu[1:, 1:], SMALL[1:, 1:])


def test_padding_of_an_ordinary_density_becomes_air_only_where_the_corners_hold_it(tmp_path):
    stored = np.full((8, 8), 1064, dtype="<u2")  # 40 HU
    stored[3, 3] = 0
    assert read(write(tmp_path, PixelData=stored.tobytes(), PixelPaddingValue=1064))[0, 0] == HU_RANGE[0]
    stored[[0, 0, -1, -1], [0, -1, 0, -1]] = 1000
    assert read(write(tmp_path, PixelData=stored.tobytes(), PixelPaddingValue=1064))[2, 2] == 40


def test_monochrome1_inverts_the_display_not_the_densities(tmp_path):
    assert np.array_equal(read(write(tmp_path, PhotometricInterpretation="MONOCHROME1")), SMALL)


def test_clips_metal_and_what_lies_below_air(tmp_path):
    hu = read(write(tmp_path, RescaleSlope=50))
    assert hu.max() == HU_RANGE[1]
    assert read(write(tmp_path, RescaleIntercept=-9000)).min() == HU_RANGE[0]


def test_reads_an_old_file_without_preamble_and_meta(tmp_path):
    path = write(tmp_path)
    pydicom.dcmread(path).save_as(path, enforce_file_format=False)
    raw = path.read_bytes()
    path.write_bytes(raw[132 + 12 + int.from_bytes(raw[140:144], "little") :])
    assert path.read_bytes()[:2] == b"\x08\x00"
    assert np.array_equal(read(path), SMALL)


def test_ignores_what_follows_the_pixels(tmp_path):
    path = write(tmp_path)
    path.write_bytes(path.read_bytes() + b"\x09\x00\x01\x00UN\0\0\xff\xff\xff\xff")
    assert np.array_equal(read(path), SMALL)


@pytest.mark.parametrize(
    ("elements", "code"),
    [
        ({"RescaleSlope": None}, "no_rescale"),
        ({"RescaleIntercept": None}, "no_rescale"),
        ({"RescaleSlope": 0}, "no_rescale"),
        ({"RescaleIntercept": 1e9}, "no_rescale"),
        ({"SamplesPerPixel": 3}, "damaged_pixels"),
    ],
)
def test_rejects_pixels_without_a_way_to_hounsfield_units(tmp_path, elements, code):
    with pytest.raises(UnusableSeries) as refused:
        read(write(tmp_path, **elements))
    assert refused.value.code == code


def test_one_slice_reads_the_same_from_every_lossless_transfer_syntax(shared_data):
    zoo = shared_data / "dicom_zoo" / "transfer_syntaxes"
    reference = read(zoo / "CTImage.dcm_LittleEndianImplicitTransferSyntax_1.2.840.10008.1.2.dcm")
    for name in ("BigEndian", "Deflated", "JPEG2000LosslessOnly", "JPEGLSLossless", "JPEGProcess14SV1", "RLELossless"):
        (path,) = zoo.glob(f"CTImage.dcm_{name}*")
        assert np.array_equal(read(path), reference), name
    for name in ("JPEG2000Transfer", "JPEGLSLossy"):
        (path,) = zoo.glob(f"CTImage.dcm_{name}*")
        assert np.abs(read(path) - reference).max() <= 50, name
