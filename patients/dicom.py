"""Is this file a whole CT slice that can be placed and decoded, and whose is it?"""

from dataclasses import dataclass
from datetime import date, time, timedelta
from pathlib import Path
from typing import BinaryIO

import pydicom
from django.utils.translation import gettext_noop
from pydicom.dataset import Dataset
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    LegacyConvertedEnhancedCTImageStorage,
    MediaStorageDirectoryStorage,
    RLELossless,
)

from .codestream import check_codestream
from .dicom_values import integer, numbers, read_age, read_date, read_time, text
from .part10 import (
    PixelElement,
    Refused,
    Structure,
    check_encapsulated_pixels,
    check_native_pixels,
    damaged,
    scan,
)

__all__ = ["DicomFile", "Refused", "check_file"]

# Real headers hold invalid UIDs, dates and numbers; those that matter are checked here by meaning.
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE

MAX_FILE_BYTES = 64 * 2**20
"""The largest CT slice has 8 MB of pixels; the rest is room for private data."""
MAX_SIDE = 2048
"""The largest matrix of a CT scanner, in pixels."""
PIXEL_SPACING_RANGE_MM = (0.1, 5.0)
"""Reconstruction fields of 50 to 2,500 mm over 512 pixels."""
MAX_POSITION_MM = 10_000.0
"""Farther from the origin than any table moves."""
COSINE_TOLERANCE = 0.01
"""Orientation vectors are of length 1 and perpendicular up to this."""
MAX_RESCALE_SLOPE = 100.0
MAX_RESCALE_INTERCEPT = 32768.0
"""A rescale beyond these does not lead to Hounsfield units."""
MAX_UID_LENGTH = 128
"""PS3.5 allows 64; some anonymisers write more."""
MAX_PATIENT_ID_LENGTH = 64
"""PS3.5: LO. A longer one is refused: cut short it could be another patient's."""
EARLIEST_SCAN = date(1970, 1, 1)
"""The first CT of a person was made in October 1971; earlier dates are placeholders."""
EARLIEST_BIRTH = date(1850, 1, 1)
CLOCKS_APART = timedelta(days=1)
"""The scanner may stand in another time zone; a date further ahead makes no sense and counts as not given."""

NATIVE = frozenset(
    {ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian}
)
COMPRESSED = frozenset(
    {
        RLELossless, JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1, JPEGLSLossless,
        JPEGLSNearLossless, JPEG2000Lossless, JPEG2000, HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K,
    }
)  # fmt: skip
"""What the pipeline's decoders read; JPEG Extended with 8 bits only."""

UNREADABLE_COMPRESSION = gettext_noop(
    "The image is compressed in a way that cannot be read ({method}): export it uncompressed or as JPEG Lossless."
)
UNKNOWN_COMPRESSION = gettext_noop(
    "The image is compressed by an unknown method: export it uncompressed or as JPEG Lossless."
)
KINDS = {
    "CR": gettext_noop("a plain X-ray"),
    "DX": gettext_noop("a plain X-ray"),
    "MG": gettext_noop("a mammogram"),
    "MR": gettext_noop("an MR image"),
    "US": gettext_noop("an ultrasound image"),
    "PT": gettext_noop("a PET image"),
    "NM": gettext_noop("a nuclear medicine image"),
    "XA": gettext_noop("an angiography"),
    "RF": gettext_noop("a fluoroscopy"),
    "SR": gettext_noop("a structured report"),
    "PR": gettext_noop("a presentation state"),
    "KO": gettext_noop("a list of key images"),
    "SEG": gettext_noop("a segmentation"),
    "RTSTRUCT": gettext_noop("a set of radiotherapy contours"),
    "RTPLAN": gettext_noop("a radiotherapy plan"),
    "RTDOSE": gettext_noop("a radiotherapy dose"),
    "REG": gettext_noop("a registration"),
    "DOC": gettext_noop("a document"),
    "OT": gettext_noop("a secondary capture (screenshot)"),
    "SC": gettext_noop("a secondary capture"),
}
"""What a modality is called where the SOP class does not tell."""
KIND_BY_SOP_CLASS_NAME = (
    ("Secondary Capture", gettext_noop("a secondary capture (screenshot)")),
    ("Dose SR", gettext_noop("a dose report")),
    ("Structured Report", gettext_noop("a structured report")),
    (" SR ", gettext_noop("a structured report")),
    ("MR ", gettext_noop("an MR image")),
    ("Ultrasound", gettext_noop("an ultrasound image")),
    ("Positron", gettext_noop("a PET image")),
    ("PET ", gettext_noop("a PET image")),
    ("Nuclear Medicine", gettext_noop("a nuclear medicine image")),
    ("X-Ray", gettext_noop("a plain X-ray or angiography")),
    ("Radiography", gettext_noop("a plain X-ray")),
    ("Presentation State", gettext_noop("a presentation state")),
    ("Key Object", gettext_noop("a list of key images")),
    ("Segmentation", gettext_noop("a segmentation")),
    ("Encapsulated PDF", gettext_noop("a PDF report")),
    ("RT ", gettext_noop("a radiotherapy object")),
)
"""Part of the SOP class's name in PS3.6 → what a clinician calls it; the first match counts."""

KEYWORDS = [
    "TransferSyntaxUID", "MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID", "SpecificCharacterSet",
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Modality", "Manufacturer",
    "PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex", "PatientAge",
    "StudyDate", "SeriesDate", "AcquisitionDate", "AcquisitionDateTime",
    "StudyTime", "SeriesTime", "AcquisitionTime",
    "StudyDescription", "SeriesDescription", "SeriesNumber", "InstanceNumber", "ConvolutionKernel",
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns", "NumberOfFrames",
    "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored", "PixelRepresentation",
    "RescaleSlope", "RescaleIntercept",
]  # fmt: skip


@dataclass(frozen=True)
class DicomFile:
    """What the house keeps of one CT slice. Texts are clean and short enough for their columns.

    ``patient_id`` is None where the file names none. ``study_date`` falls back on the series' and the
    acquisition's date.
    """

    patient_id: str | None
    issuer_of_patient_id: str
    patient_name: str
    birth_date: date | None
    sex: str
    age_years: int | None
    study_instance_uid: str
    study_date: date | None
    study_time: time | None
    study_description: str
    series_instance_uid: str
    series_number: int | None
    series_description: str
    convolution_kernel: str
    manufacturer: str
    sop_instance_uid: str
    instance_number: int | None


def check_file(file: Path | BinaryIO) -> DicomFile:
    """Judge one file, given as path or as seekable binary file (left open).

    Order: is it DICOM; is it a CT image; is it whole; can it be placed and decoded. Raises Refused
    and nothing else for whatever the content is (OSError where the file cannot be read at all).
    """
    if isinstance(file, Path):
        with file.open("rb") as opened:
            return check_file(opened)
    try:
        return _check(file)
    except (Refused, OSError):
        raise
    except Exception as fault:  # pydicom raises many kinds on damaged values
        raise damaged(gettext_noop("its header cannot be read")) from fault


def _check(file: BinaryIO) -> DicomFile:
    if file.seek(0, 2) > MAX_FILE_BYTES:
        raise Refused(gettext_noop("The file is far larger than one CT slice."), "too_large")
    structure = scan(file, KEYWORDS)
    dataset = structure.dataset
    _check_kind(structure)
    if structure.pixels is None:
        raise _without_image()
    syntax = _transfer_syntax(structure)
    _check_image_format(dataset, syntax)
    _check_pixels(structure, structure.pixels, syntax)
    _check_place(dataset)
    return _describe(structure)


def _check_kind(structure: Structure) -> None:
    """A CT image, one slice a file. Everything else is refused by the name of what it is."""
    dataset, meta = structure.dataset, structure.file_meta
    sop_class = UID(text(dataset, "SOPClassUID") or text(meta, "MediaStorageSOPClassUID"))
    modality = text(dataset, "Modality").upper()
    if sop_class == MediaStorageDirectoryStorage:
        raise Refused(gettext_noop("This is a DICOMDIR, the index of a disc: not needed."), "dicomdir")
    if sop_class in (EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage):
        raise Refused(
            gettext_noop("This is an Enhanced CT (many slices in one file): export the scan as single CT slices."),
            "enhanced_ct",
        )
    is_ct_by_class = sop_class == CTImageStorage and modality in ("", "CT")
    if is_ct_by_class or (not sop_class and modality == "CT"):
        if int(dataset.get("NumberOfFrames") or 1) > 1:
            raise Refused(
                gettext_noop("The file holds more than one frame: export the scan as single CT slices."), "multi_frame"
            )
        return
    if not sop_class and not modality:
        if structure.pixels is None:
            raise _without_image()
        raise Refused(
            gettext_noop("The file does not say what kind of image it is, so it is not taken as a CT."), "unknown_kind"
        )
    sentence = gettext_noop("This is {kind!s}, not a CT image.")
    raise Refused(sentence.format(kind=_kind(sop_class, modality)), "not_ct")


def _kind(sop_class: UID, modality: str) -> str:
    name = sop_class.name if sop_class and sop_class != CTImageStorage else ""
    for part, kind in KIND_BY_SOP_CLASS_NAME:
        if part in name:
            return kind
    if modality in KINDS:
        return KINDS[modality]
    if name and name != str(sop_class):
        return gettext_noop("of another kind ({name})").format(name=name.removesuffix(" Storage"))
    if not modality:
        return gettext_noop("of an unknown kind (modality not given)")
    return gettext_noop("of an unknown kind (modality {modality})").format(modality=modality[:16])


def _transfer_syntax(structure: Structure) -> UID:
    """As declared; an old file without file meta information is taken as its elements look."""
    declared = UID(text(structure.file_meta, "TransferSyntaxUID"))
    if not declared:
        return ExplicitVRLittleEndian if structure.explicit else ImplicitVRLittleEndian
    if declared not in NATIVE | COMPRESSED:
        if declared.name == str(declared):
            raise Refused(UNKNOWN_COMPRESSION, "transfer_syntax")
        raise Refused(UNREADABLE_COMPRESSION.format(method=declared.name[:80]), "transfer_syntax")
    return declared


def _check_image_format(dataset: Dataset, syntax: UID) -> None:
    rows, columns = integer(dataset, "Rows"), integer(dataset, "Columns")
    if not rows or not columns or rows < 1 or columns < 1:
        raise damaged(gettext_noop("it does not say how many rows and columns its image has"))
    if max(rows, columns) > MAX_SIDE:
        sentence = gettext_noop("The image is too large for a CT slice ({columns:,} × {rows:,} pixels).")
        raise Refused(sentence.format(columns=columns, rows=rows), "too_large")
    photometric = text(dataset, "PhotometricInterpretation")
    greyscale = photometric in ("MONOCHROME1", "MONOCHROME2")
    if (photometric and not greyscale) or integer(dataset, "SamplesPerPixel") not in (1, None):
        raise Refused(gettext_noop("The image is in colour, so it is no original CT slice."), "not_greyscale")
    allocated, stored = integer(dataset, "BitsAllocated"), integer(dataset, "BitsStored")
    signed = integer(dataset, "PixelRepresentation")
    if (
        not greyscale
        or allocated not in (8, 16, 32)
        or stored is None
        or not 1 <= stored <= allocated
        or signed not in (0, 1)
    ):
        raise damaged(gettext_noop("it does not say how its pixel values are stored"))
    if syntax == JPEGExtended12Bit and allocated != 8:
        raise Refused(UNREADABLE_COMPRESSION.format(method="JPEG Extended, 12 bit"), "transfer_syntax")


def _without_image() -> Refused:
    sentence = gettext_noop("The file has no image data, it ends with its header. Send it again from the source.")
    return Refused(sentence, "no_pixel_data")


def _check_pixels(structure: Structure, pixels: PixelElement, syntax: UID) -> None:
    dataset = structure.dataset
    if syntax in NATIVE:
        expected_bytes = int(dataset.Rows) * int(dataset.Columns) * int(dataset.BitsAllocated) // 8
        check_native_pixels(structure, pixels, expected_bytes)
    else:
        image = check_encapsulated_pixels(structure, pixels)
        check_codestream(
            image,
            syntax,
            rows=int(dataset.Rows),
            columns=int(dataset.Columns),
            bits_allocated=int(dataset.BitsAllocated),
        )


def _check_place(dataset: Dataset) -> None:
    """Position, orientation, spacing and rescale are there and make sense (PS3.3 C.7.6.2, C.8.2.1)."""
    position = numbers(dataset, "ImagePositionPatient", 3)
    orientation = numbers(dataset, "ImageOrientationPatient", 6)
    if position is None or orientation is None:
        raise Refused(
            gettext_noop(
                "The file does not say where its slice lies (position and orientation are missing): "
                "send the original CT series."
            ),
            "no_position",
        )
    along_row, along_column = orientation[:3], orientation[3:]
    products = _dot(along_row, along_row) - 1, _dot(along_column, along_column) - 1, _dot(along_row, along_column)
    if max(map(abs, products)) > 2 * COSINE_TOLERANCE or max(map(abs, position)) > MAX_POSITION_MM:
        raise Refused(gettext_noop("The slice's position or orientation in the file is not valid."), "bad_position")
    spacing = numbers(dataset, "PixelSpacing", 2)
    low, high = PIXEL_SPACING_RANGE_MM
    if spacing is None:
        raise Refused(
            gettext_noop("The file does not say how large its pixels are: send the original CT series."),
            "no_pixel_spacing",
        )
    if not all(low <= mm <= high for mm in spacing):
        sentence = gettext_noop("The pixel size in the file is not valid ({rows:g} × {columns:g} mm).")
        raise Refused(sentence.format(rows=spacing[0], columns=spacing[1]), "bad_spacing")
    slope, intercept = numbers(dataset, "RescaleSlope", 1), numbers(dataset, "RescaleIntercept", 1)
    if slope is None or intercept is None:
        raise Refused(
            gettext_noop("The file does not say how its values become Hounsfield units (rescale is missing)."),
            "no_rescale",
        )
    if not (0 < slope[0] <= MAX_RESCALE_SLOPE and abs(intercept[0]) <= MAX_RESCALE_INTERCEPT):
        raise Refused(gettext_noop("The rescale to Hounsfield units in the file is not valid."), "bad_rescale")


def _dot(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def _describe(structure: Structure) -> DicomFile:
    dataset = structure.dataset
    patient_id = text(dataset, "PatientID")
    if len(patient_id) > MAX_PATIENT_ID_LENGTH:
        raise Refused(gettext_noop("The patient ID in the file is longer than DICOM allows."), "bad_patient_id")
    study_date, study_time = _study_moment(dataset)
    sex = text(dataset, "PatientSex").upper()
    return DicomFile(
        patient_id=patient_id or None,
        issuer_of_patient_id=text(dataset, "IssuerOfPatientID", 64),
        patient_name=text(dataset, "PatientName", 324),
        birth_date=read_date(text(dataset, "PatientBirthDate"), earliest=EARLIEST_BIRTH, latest=date.today()),
        sex=sex if sex in ("M", "F", "O") else "",
        age_years=read_age(text(dataset, "PatientAge")),
        study_instance_uid=_uid(dataset, "StudyInstanceUID"),
        study_date=study_date,
        study_time=study_time,
        study_description=text(dataset, "StudyDescription", 128),
        series_instance_uid=_uid(dataset, "SeriesInstanceUID"),
        series_number=integer(dataset, "SeriesNumber"),
        series_description=text(dataset, "SeriesDescription", 128),
        convolution_kernel=text(dataset, "ConvolutionKernel", 64),
        manufacturer=text(dataset, "Manufacturer", 64),
        sop_instance_uid=_uid(dataset, "SOPInstanceUID", text(structure.file_meta, "MediaStorageSOPInstanceUID")),
        instance_number=integer(dataset, "InstanceNumber"),
    )


def _uid(dataset: Dataset, keyword: str, fallback: str = "") -> str:
    """Any text serves as an identifier: invalid UIDs are real life, missing ones cannot be filed."""
    uid = text(dataset, keyword) or fallback
    if not uid:
        raise Refused(
            gettext_noop("The file cannot be filed: its {keyword} is missing.").format(keyword=keyword), "no_uid"
        )
    if len(uid) > MAX_UID_LENGTH:
        raise damaged(gettext_noop("its {keyword} is too long").format(keyword=keyword))
    return uid


def _day_of_scan(value: str) -> date | None:
    return read_date(value, earliest=EARLIEST_SCAN, latest=date.today() + CLOCKS_APART)


def _study_moment(dataset: Dataset) -> tuple[date | None, time | None]:
    """The first date that is given, and the time that goes with it or with a later entry of that date."""
    acquired = text(dataset, "AcquisitionDateTime")
    moments = [
        (_day_of_scan(text(dataset, "StudyDate")), read_time(text(dataset, "StudyTime"))),
        (_day_of_scan(text(dataset, "SeriesDate")), read_time(text(dataset, "SeriesTime"))),
        (_day_of_scan(text(dataset, "AcquisitionDate")), read_time(text(dataset, "AcquisitionTime"))),
        (_day_of_scan(acquired[:8]), read_time(acquired[8:])),
    ]
    study_date = next((day for day, _ in moments if day), None)
    study_time = next((clock for day, clock in moments if day and day == study_date and clock), None)
    return study_date, study_time
