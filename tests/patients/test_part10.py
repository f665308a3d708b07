"""Files that lack what viewers insist on get it; all others stay as they are."""

import io

import numpy as np
import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from patients.part10 import Refused, as_part10
from tests.dicom_series import make_slice

HU = np.arange(64 * 64, dtype=np.int16).reshape(64, 64) % 1000


def ct_bytes(transfer_syntax_uid=ExplicitVRLittleEndian):
    buffer = io.BytesIO()
    make_slice(HU, transfer_syntax_uid=transfer_syntax_uid).save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def elements_of(content):
    """What stands behind the file meta information."""
    return content[132 + 12 + int.from_bytes(content[140:144], "little") :]


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless])
def test_a_file_without_preamble_gets_one_and_keeps_its_transfer_syntax(syntax):
    content = ct_bytes(syntax)
    served = as_part10(io.BytesIO(content[132:])).read()
    dataset = pydicom.dcmread(io.BytesIO(served))
    assert dataset.file_meta.TransferSyntaxUID == syntax
    assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
    assert elements_of(served) == elements_of(content)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("start", [b"", bytes(128) + b"DICM"])
def test_a_file_without_transfer_syntax_gets_that_of_its_elements(syntax, start):
    bare = elements_of(ct_bytes(syntax))
    served = as_part10(io.BytesIO(start + bare)).read()
    assert pydicom.dcmread(io.BytesIO(served)).file_meta.TransferSyntaxUID == syntax
    assert elements_of(served) == bare


def test_a_whole_file_is_itself():
    file = io.BytesIO(ct_bytes(JPEG2000Lossless))
    assert as_part10(file) is file
    assert file.tell() == 0


def test_what_is_not_dicom_is_refused():
    with pytest.raises(Refused):
        as_part10(io.BytesIO(b"a text" * 100))
