"""The check of files against real series, every transfer syntax and a corpus of broken files."""

import struct

import pytest

from patients.dicom import Refused, check_file
from tests.patients.checked import outcome, refusal


def test_every_transfer_syntax_of_the_zoo_is_accepted_or_named(shared_data):
    outcomes = {}
    for path in sorted((shared_data / "dicom_zoo" / "transfer_syntaxes").iterdir()):
        try:
            check_file(path)
            outcomes[path.name] = "accepted"
        except Refused as refused:
            outcomes[path.name] = refused.code
    assert sum(outcome == "accepted" for outcome in outcomes.values()) == 13
    assert sum(outcome == "transfer_syntax" for outcome in outcomes.values()) == 3
    assert outcomes["no-pixel-data.dcm"] == outcomes["no-pixel-spacing.dcm"] == "not_ct"
    assert outcomes["enhanced_ct_2_frames.dcm"] == "enhanced_ct"


def with_place(content: bytes) -> bytes:
    """Valid class, position, orientation, spacing and rescale before the pixel data of a broken file."""
    place = b""
    for group, number, vr, value in [
        (0x08, 0x16, b"UI", b"1.2.840.10008.5.1.4.1.1.2\0"),
        (0x08, 0x60, b"CS", b"CT"),
        (0x20, 0x32, b"DS", b"-9\\-9\\0 "),
        (0x20, 0x37, b"DS", b"1\\0\\0\\0\\1\\0 "),
        (0x28, 0x30, b"DS", b".7\\.7 "),
        (0x28, 0x1052, b"DS", b"-1024 "),
        (0x28, 0x1053, b"DS", b"1 "),
    ]:
        value += b" " * (len(value) % 2)
        place += struct.pack("<HH2sH", group, number, vr, len(value)) + value
    end = content.rfind(b"\xe0\x7f\x10\x00")
    return content[:end] + place + content[end:]


def test_malformed_files_are_refused_with_a_reason_or_sound_after_all(shared_data):
    paths = sorted((shared_data / "dicom_zoo" / "malformed").rglob("*.dcm"))
    accepted = 0
    for path in paths:
        assert refusal(path.read_bytes())  # none has a position
        file = outcome(with_place(path.read_bytes()))
        if isinstance(file, Refused):
            assert file.reason.endswith(".")
            continue
        accepted += 1
        assert len(file.patient_name) <= 324
        assert max(len(uid) for uid in (file.study_instance_uid, file.sop_instance_uid)) <= 128
    assert len(paths) > 100
    assert 60 <= accepted <= 75


@pytest.mark.parametrize("name", ["covid_P001", "normal_001", "nodules_LIDC-0003", "tumour_A0002"])
def test_accepts_every_slice_of_the_real_series(shared_data, name):
    files = [check_file(path) for path in (shared_data / "ct" / name).glob("*.dcm")]
    assert len({file.series_instance_uid for file in files}) == 1
    assert len({file.sop_instance_uid for file in files}) == len(files)
    assert all(file.study_date for file in files)
