"""What the check of a file says of its content."""

import io

import pytest

from patients.dicom import DicomFile, Refused, check_file


def check(content: bytes) -> DicomFile:
    return check_file(io.BytesIO(content))


def outcome(content: bytes) -> DicomFile | Refused:
    try:
        return check(content)
    except Refused as refused:
        return refused


def refusal(content: bytes) -> Refused:
    with pytest.raises(Refused) as caught:
        check(content)
    assert caught.value.reason.endswith(".")
    assert "Test" not in caught.value.reason  # the patient's name
    return caught.value
