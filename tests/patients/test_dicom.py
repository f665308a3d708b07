import io
import struct
import zlib
from datetime import date, time, timedelta

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    MRImageStorage,
    RLELossless,
    SecondaryCaptureImageStorage,
    UltrasoundImageStorage,
)

from patients import part10
from patients.dicom import DicomFile, check_file
from tests.dicom_series import make_slice
from tests.patients.checked import check, outcome, refusal

HU = (np.arange(64 * 64).reshape(64, 64) % 2000 - 1000).astype(np.int16)


@pytest.mark.parametrize(
    ("text", "years"), [("039Y", 39), ("018M", 1), ("010W", 0), ("39Y", 39), ("000Y", None), ("39", None), ("", None)]
)
def test_the_age_is_whole_years(text, years):
    assert check(ct_bytes(PatientAge=text)).age_years == years


def ct_bytes(**elements) -> bytes:
    buffer = io.BytesIO()
    make_slice(HU, **elements).save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def test_describes_a_ct_slice(tmp_path):
    path = tmp_path / "a.dcm"
    path.write_bytes(
        ct_bytes(
            StudyInstanceUID="1.2.3",
            SeriesInstanceUID="1.2.4",
            SOPInstanceUID="1.2.5",
            IssuerOfPatientID="HOSPITAL",
            StudyDescription="Thorax",
            StudyTime="101500.25",
            PatientAge="060Y",
        )
    )
    assert check_file(path) == DicomFile(
        patient_id="TEST-1",
        issuer_of_patient_id="HOSPITAL",
        patient_name="Test^Patient",
        birth_date=date(1960, 1, 1),
        sex="O",
        age_years=60,
        study_instance_uid="1.2.3",
        study_date=date(2020, 3, 5),
        study_time=time(10, 15, 0, 250_000),
        study_description="Thorax",
        series_instance_uid="1.2.4",
        series_number=1,
        series_description="Chest 2.0 B30f",
        convolution_kernel="B30f",
        manufacturer="TEST",
        sop_instance_uid="1.2.5",
        instance_number=1,
    )


@pytest.mark.parametrize(
    "transfer_syntax_uid",
    [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, RLELossless, JPEG2000Lossless],
)
def test_accepts_the_usual_transfer_syntaxes(transfer_syntax_uid):
    assert check(ct_bytes(transfer_syntax_uid=transfer_syntax_uid)).convolution_kernel == "B30f"


def test_accepts_old_files_without_preamble_and_without_meta():
    content = ct_bytes()
    assert check(content[132:]).convolution_kernel == "B30f"
    bare = content[132 + 12 + int.from_bytes(content[140:144], "little") :]
    assert check(bare).convolution_kernel == "B30f"


def test_accepts_what_real_files_lack():
    file = check(
        ct_bytes(
            PatientName=None,
            PatientID=None,
            PatientBirthDate=None,
            PatientSex="",
            StudyDate=None,
            StudyTime=None,
            SeriesDescription=None,
            SeriesNumber=None,
            InstanceNumber=None,
            Modality=None,
            BodyPartExamined=None,
        )
    )
    assert file.patient_id is None
    assert (file.patient_name, file.sex, file.series_description) == ("", "", "")
    assert (file.birth_date, file.study_date, file.study_time, file.series_number) == (None, None, None, None)


def test_accepts_invalid_uids_and_takes_a_missing_sop_uid_from_the_file_meta():
    assert check(ct_bytes(StudyInstanceUID="not.a.uid")).study_instance_uid == "not.a.uid"
    content = ct_bytes(SOPInstanceUID="1.2.33")
    dataset = pydicom.dcmread(io.BytesIO(content))
    del dataset.SOPInstanceUID
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=False)
    assert check(buffer.getvalue()).sop_instance_uid == "1.2.33"


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID"])
def test_refuses_files_without_a_uid_to_file_them_by(keyword):
    refused = refusal(ct_bytes(**{keyword: None}))
    assert refused.code == "no_uid"
    assert keyword in refused.reason


@pytest.mark.parametrize(
    ("elements", "moment"),
    [
        ({"SeriesDate": "20200401", "SeriesTime": "0930"}, (date(2020, 4, 1), time(9, 30))),
        ({"AcquisitionDate": "2020.04.02"}, (date(2020, 4, 2), None)),
        ({"AcquisitionDateTime": "20200403081500.5+0100"}, (date(2020, 4, 3), time(8, 15, 0, 500_000))),
        ({"AcquisitionDate": "2020-04-04", "AcquisitionTime": "08:15:59"}, (date(2020, 4, 4), time(8, 15, 59))),
        ({"ContentDate": "20200404", "ContentTime": "081559"}, (None, None)),  # when the images were made, perhaps anew
        ({"SeriesDate": "20201301"}, (None, None)),
        ({"SeriesDate": "yesterday"}, (None, None)),
    ],
)
def test_a_missing_study_date_falls_back_on_later_dates(elements, moment):
    file = check(ct_bytes(StudyDate="", StudyTime="", **elements))
    assert (file.study_date, file.study_time) == moment


def in_days(count: int) -> date:
    """A day seen from today, asked for in the test: a run may begin on one day and end on the next."""
    return date.today() + timedelta(days=count)


def test_a_scan_date_without_sense_counts_as_not_given():
    for day in (date(1969, 12, 31), date(1900, 1, 1), in_days(2)):
        assert check(ct_bytes(StudyDate=f"{day:%Y%m%d}")).study_date is None
        fallen_back = check(ct_bytes(StudyDate=f"{day:%Y%m%d}", SeriesDate="20200401"))
        assert fallen_back.study_date == date(2020, 4, 1)


def test_a_scan_date_may_lie_between_the_first_ct_and_tomorrow():
    for day in (date(1970, 1, 1), in_days(1)):
        assert check(ct_bytes(StudyDate=f"{day:%Y%m%d}")).study_date == day


def test_a_birth_date_without_sense_counts_as_not_given():
    for day in (date(1849, 12, 31), in_days(1)):
        assert check(ct_bytes(PatientBirthDate=f"{day:%Y%m%d}")).birth_date is None


def test_a_missing_study_time_falls_back_on_a_time_of_the_same_day():
    same_day = check(ct_bytes(StudyTime="", SeriesDate="20200305", SeriesTime="111213"))
    other_day = check(ct_bytes(StudyTime="", SeriesDate="20200306", SeriesTime="111213"))
    assert (same_day.study_time, other_day.study_time) == (time(11, 12, 13), None)


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
def test_cleans_and_limits_texts():
    file = check(ct_bytes(SeriesDescription="Chest\x00\x1b  2 mm\r\n", StudyDescription="x" * 500, PatientSex="female"))
    assert file.series_description == "Chest 2 mm"
    assert len(file.study_description) == 128
    assert file.sex == ""


def test_refuses_a_patient_id_that_would_have_to_be_cut():
    assert refusal(ct_bytes(PatientID="1" * 65)).code == "bad_patient_id"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"Dear colleague, please find attached" * 9, "a text file"),
        (b"%PDF-1.7 ...", "a PDF document"),
        (b"\x89PNG\r\n" + bytes(300), "a PNG picture"),
        (bytes(300), "not a DICOM file"),
        (b"\x08\x00", "not a DICOM file"),
    ],
)
def test_says_what_is_not_dicom(content, words):
    assert words in refusal(content).reason


@pytest.mark.parametrize(
    ("elements", "kind"),
    [
        ({"SOPClassUID": MRImageStorage, "Modality": "MR"}, "an MR image"),
        ({"SOPClassUID": MRImageStorage}, "an MR image"),
        ({"Modality": "MR"}, "an MR image"),
        ({"SOPClassUID": UltrasoundImageStorage, "Modality": "US"}, "an ultrasound image"),
        ({"SOPClassUID": SecondaryCaptureImageStorage, "Modality": "CT"}, "a secondary capture"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.67", "Modality": "SR"}, "a dose report"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.128", "Modality": "PT"}, "a PET image"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.1", "Modality": "DX"}, "a plain X-ray"),
        ({"SOPClassUID": "1.2.3.4", "Modality": "XX"}, "modality XX"),
    ],
)
def test_refuses_other_kinds_by_name(elements, kind):
    refused = refusal(ct_bytes(**elements))
    assert refused.code == "not_ct"
    assert kind in refused.reason


def test_refuses_enhanced_and_multi_frame_ct():
    assert refusal(ct_bytes(SOPClassUID=EnhancedCTImageStorage, NumberOfFrames=2)).code == "enhanced_ct"
    assert refusal(ct_bytes(NumberOfFrames=2)).code == "multi_frame"


@pytest.mark.parametrize(
    ("elements", "code"),
    [
        ({"ImagePositionPatient": None}, "no_position"),
        ({"ImageOrientationPatient": None}, "no_position"),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "bad_position"),
        ({"ImageOrientationPatient": [0, 0, 0, 0, 0, 0]}, "bad_position"),
        ({"ImagePositionPatient": [0, 0, 1e6]}, "bad_position"),
        ({"PixelSpacing": None}, "no_pixel_spacing"),
        ({"PixelSpacing": [0, 0]}, "bad_spacing"),
        ({"RescaleSlope": None}, "no_rescale"),
        ({"RescaleSlope": 0}, "bad_rescale"),
        ({"Rows": 0}, "damaged"),
        ({"Rows": 40_000}, "too_large"),
        ({"BitsAllocated": 3}, "damaged"),
        ({"BitsStored": 20}, "damaged"),
        ({"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3}, "not_greyscale"),
        ({"PixelData": None}, "no_pixel_data"),
    ],
)
def test_refuses_slices_that_cannot_be_placed_or_read(elements, code):
    assert refusal(ct_bytes(**elements)).code == code


@pytest.mark.parametrize(
    ("uid", "said"),
    [
        (JPEGExtended12Bit, "(JPEG Extended, 12 bit)"),
        ("1.2.840.10008.1.2.4.53", "(JPEG Spectral Selection, Non-Hierarchical (Process 6 and 8))"),
        ("1.2.3.4", "by an unknown method:"),
    ],
)
def test_refuses_transfer_syntaxes_that_cannot_be_decoded(uid, said):
    content = ct_bytes(transfer_syntax_uid=JPEG2000Lossless)
    dataset = pydicom.dcmread(io.BytesIO(content))
    dataset.file_meta.TransferSyntaxUID = uid
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True, implicit_vr=False, little_endian=True)
    refused = refusal(buffer.getvalue())
    assert refused.code == "transfer_syntax"
    assert said in refused.reason
    assert "JPEG Lossless" in refused.reason


def test_says_how_much_of_the_image_is_missing():
    refused = refusal(ct_bytes()[:-1000])
    assert refused.code == "truncated"
    assert refused.reason == (
        "The file ends in the middle of its image data (7,192 of 8,192 bytes). Send it again from the source."
    )


def test_says_how_much_of_a_compressed_image_is_missing():
    content = ct_bytes(transfer_syntax_uid=JPEG2000Lossless)
    refused = refusal(content[:-108])  # the end marker takes 8 bytes
    assert refused.code == "truncated"
    fragment_bytes = int.from_bytes(content[content.index(b"\xff\x4f\xff\x51") - 4 :][:4], "little")
    assert f"({fragment_bytes - 100:,} of {fragment_bytes:,} bytes of part 1)" in refused.reason


def test_refuses_image_data_shorter_than_rows_and_columns_ask_for():
    refused = refusal(ct_bytes(PixelData=bytes(100)))
    assert refused.code == "damaged"
    assert "100 bytes instead of 8,192" in refused.reason


@pytest.mark.parametrize(
    "transfer_syntax_uid", [ExplicitVRLittleEndian, JPEG2000Lossless, DeflatedExplicitVRLittleEndian]
)
def test_refuses_a_file_cut_anywhere(transfer_syntax_uid):
    content = ct_bytes(transfer_syntax_uid=transfer_syntax_uid)
    for length in range(0, len(content) - 8, 37):
        assert refusal(content[:length]).code in {
            "empty", "not_dicom", "truncated", "truncated_header", "no_pixel_data",
        }  # fmt: skip


def test_refuses_a_compressed_image_of_another_size_or_kind():
    content = ct_bytes(transfer_syntax_uid=JPEG2000Lossless)
    siz = content.index(b"\xff\x4f\xff\x51") + 8
    huge = content[:siz] + struct.pack(">2L", 60_000, 60_000) + content[siz + 8 :]
    assert "60000 × 60000 pixels" in refusal(huge).reason
    other = content.replace(b"\xff\x4f\xff\x51", b"\0\0\0\0")
    assert refusal(other).code == "damaged"
    declared_jpeg = content.replace(JPEG2000Lossless.encode(), JPEGLosslessSV1.encode())
    assert refusal(declared_jpeg).code == "damaged"


def jpeg_2000(*, channels: int, depth: int) -> bytes:
    """A slice whose codestream says another number of components and another depth than it holds."""
    content = ct_bytes(transfer_syntax_uid=JPEG2000Lossless)
    components = content.index(b"\xff\x4f\xff\x51") + 40
    return content[:components] + struct.pack(">HB", channels, depth) + content[components + 3 :]


def jpeg(*, channels: int, bits: int) -> bytes:
    """A slice with a frame header of JPEG Lossless and nothing behind it."""
    frame = struct.pack(">2sHHBHHB", b"\xff\xd8", 0xFFC3, 8 + 3 * channels, bits, *HU.shape, channels)
    dataset = make_slice(HU, PixelData=encapsulate([frame]))
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def test_refuses_a_compressed_image_of_several_channels():
    check(jpeg_2000(channels=1, depth=0x80 | 11))
    check(jpeg(channels=1, bits=12))
    for content in (jpeg_2000(channels=2, depth=11), jpeg(channels=3, bits=8)):
        refused = refusal(content)
        assert refused.code == "damaged"
        assert "colour channels instead of one" in refused.reason


@pytest.mark.parametrize(
    "content", [jpeg_2000(channels=1, depth=37), jpeg_2000(channels=1, depth=0), jpeg(channels=1, bits=17)]
)
def test_refuses_a_compressed_image_whose_bits_do_not_fit_the_header(content):
    refused = refusal(content)
    assert refused.code == "damaged"
    assert "bits a pixel" in refused.reason


def test_does_not_unpack_a_deflate_bomb():
    content = ct_bytes(transfer_syntax_uid=DeflatedExplicitVRLittleEndian)
    start = 132 + 12 + int.from_bytes(content[140:144], "little")
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = packer.compress(bytes(part10.MAX_INFLATED_BYTES + 2**20)) + packer.flush()
    assert refusal(content[:start] + bomb).code == "too_large"


def test_does_not_follow_endless_nesting_or_endless_headers():
    content = ct_bytes()
    end = content.index(b"\xe0\x7f\x10\x00")
    nested = (b"\x09\x00\x01\x10SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff") * 5000
    assert refusal(content[:end] + nested + content[end:]).code == "damaged"
    elements = b"\x11\x00\x01\x10LO\x00\x00" * (part10.MAX_ELEMENTS + 1)
    assert refusal(content[:end] + elements + content[end:]).code == "damaged"


def test_skips_sequences_and_long_private_values():
    content = ct_bytes()
    end = content.index(b"\xe0\x7f\x10\x00")
    item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff\x08\x00\x60\x00CS\x02\x00MR\xfe\xff\x0d\xe0\0\0\0\0"
    sequence = b"\x09\x00\x02\x10SQ\0\0\xff\xff\xff\xff" + item + b"\xfe\xff\xdd\xe0\0\0\0\0"
    private = b"\x09\x00\x03\x10OB\0\0" + struct.pack("<L", 2**20) + bytes(2**20)
    assert check(content[:end] + sequence + private + content[end:]).convolution_kernel == "B30f"


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
def test_no_flipped_byte_of_the_header_raises_anything_but_refused():
    content = ct_bytes(transfer_syntax_uid=RLELossless)
    end = content.index(b"\xe0\x7f\x10\x00") + 100
    for position in range(132, end):
        changed = bytearray(content)
        changed[position] ^= (0x01, 0x80, 0xFF)[position % 3]
        outcome(bytes(changed))


def test_no_random_content_raises_anything_but_refused():
    rng = np.random.default_rng(0)
    for length in (1, 10, 140, 1000, 5000):
        for _ in range(50):
            junk = rng.integers(0, 256, length, dtype=np.uint8).tobytes()
            for content in (junk, bytes(128) + b"DICM" + junk, b"\x08\x00\x05\x00CS" + junk):
                refusal(content)
