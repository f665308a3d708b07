"""What geometry needs of one DICOM file, and the one exception for series that cannot be analysed."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID, CTImageStorage

from .marked import gettext_noop

DAYS_PER_YEAR = 365.25
AGE_UNITS_PER_YEAR = {"D": DAYS_PER_YEAR, "W": DAYS_PER_YEAR / 7, "M": 12.0, "Y": 1.0}  # of DICOM's age strings
MAX_NAME = 32  # characters of a file name that people read

# Real headers hold invalid UIDs, dates and numbers; those that matter are checked by meaning.
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE


class UnusableSeries(Exception):
    """The series cannot be analysed. ``code``: fixed word; ``message``: one sentence for clinicians."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True)
class SliceHeader:
    """What geometry needs of one file. None where the header does not say it or says nonsense.

    ``position``: ImagePositionPatient, centre of the first pixel, LPS, mm. ``orientation``:
    ImageOrientationPatient, directions along a row and along a column.
    ``pixel_spacing_mm``: (between rows, between columns). ``compressed``: the pixels need a codec.
    ``lossy``: they were compressed with loss, now or earlier.
    """

    path: Path
    sop_instance_uid: str
    series_instance_uid: str
    modality: str
    image_type: tuple[str, ...]
    position: tuple[float, float, float] | None
    orientation: tuple[float, float, float, float, float, float] | None
    pixel_spacing_mm: tuple[float, float] | None
    rows: int
    columns: int
    frames: int = 1
    instance_number: int | None = None
    slice_thickness_mm: float | None = None
    kernel: str = ""
    gantry_detector_tilt_degrees: float | None = None
    contrast_bolus_agent: str = ""
    series_description: str = ""
    compressed: bool = False
    lossy: bool = False
    rescale_type: str = ""
    age_years: float | None = None
    patient_position: str = ""

    @property
    def label(self) -> str:
        """The image as people find it again: by its number in a viewer, by its file in a folder.

        A long file name (a hash, a UID) says nothing to people where there is a number.
        """
        if self.instance_number is None:
            return gettext_noop("the file {name}").format(name=self.path.name)
        if len(self.path.name) > MAX_NAME:
            return gettext_noop("image {number}").format(number=self.instance_number)
        return gettext_noop("image {number} ({name})").format(number=self.instance_number, name=self.path.name)


def normal_to_head(orientation: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Unit vector (LPS) perpendicular to slices with this ImageOrientationPatient, that points to the head."""
    along_row, along_column = np.reshape(orientation, (2, 3)).astype(np.float64)
    normal: npt.NDArray[np.float64] = np.cross(along_row, along_column)
    normal /= np.linalg.norm(normal)
    return normal if normal[2] >= 0 else -normal


_TAGS = [
    "SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "Modality", "ImageType",
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns", "NumberOfFrames",
    "InstanceNumber", "SliceThickness", "ConvolutionKernel", "GantryDetectorTilt", "ContrastBolusAgent",
    "SeriesDescription", "LossyImageCompression", "RescaleType", "PatientAge", "PatientBirthDate", "StudyDate",
    "PatientPosition",
]  # fmt: skip


def read_header(path: Path) -> SliceHeader:
    """Read what geometry needs, without the pixels.

    Raises ``InvalidDicomError`` where the file is not DICOM and UnusableSeries ("damaged_file")
    where it is, but cannot be read.
    """
    try:
        dataset = pydicom.dcmread(
            path, stop_before_pixels=True, specific_tags=list(_TAGS), force=_starts_without_preamble(path)
        )
        return _header_of(dataset, path)
    except (InvalidDicomError, UnusableSeries, FileNotFoundError, PermissionError):
        raise
    except Exception as fault:  # pydicom raises many kinds on damaged files
        raise _damaged(path) from fault


def _damaged(path: Path) -> UnusableSeries:
    sentence = gettext_noop("The file {name} is damaged and cannot be read: send it again from the source.")
    return UnusableSeries("damaged_file", sentence.format(name=path.name))


def _starts_without_preamble(path: Path) -> bool:
    """True for an old-style file that begins at once with group 0002 or 0008 (little endian)."""
    with path.open("rb") as file:
        return file.read(2) in (b"\x02\x00", b"\x08\x00")


def _header_of(dataset: pydicom.Dataset, path: Path) -> SliceHeader:
    position = _numbers(dataset, "ImagePositionPatient", 3)
    orientation = _numbers(dataset, "ImageOrientationPatient", 6)
    spacing = _numbers(dataset, "PixelSpacing", 2)
    instance_number = _numbers(dataset, "InstanceNumber", 1)
    thickness = _numbers(dataset, "SliceThickness", 1)
    tilt = _numbers(dataset, "GantryDetectorTilt", 1)
    frames = _numbers(dataset, "NumberOfFrames", 1)
    file_meta = getattr(dataset, "file_meta", pydicom.Dataset())
    rows, columns = int(dataset.get("Rows") or 0), int(dataset.get("Columns") or 0)
    if not (rows and columns) and _should_be_a_slice(dataset, file_meta):
        raise _damaged(path)
    return SliceHeader(
        path=path,
        sop_instance_uid=_text(dataset, "SOPInstanceUID") or _text(file_meta, "MediaStorageSOPInstanceUID"),
        series_instance_uid=_text(dataset, "SeriesInstanceUID"),
        modality=_text(dataset, "Modality").upper() or ("CT" if dataset.get("SOPClassUID") == CTImageStorage else ""),
        image_type=tuple(word.strip().upper() for word in _text(dataset, "ImageType").split("\\")),
        position=(position[0], position[1], position[2]) if position else None,
        orientation=(*orientation[:5], orientation[5]) if orientation else None,  # type: ignore[arg-type]
        pixel_spacing_mm=(spacing[0], spacing[1]) if spacing else None,
        rows=rows,
        columns=columns,
        frames=int(frames[0]) if frames else 1,
        instance_number=int(instance_number[0]) if instance_number else None,
        slice_thickness_mm=thickness[0] if thickness else None,
        kernel=_text(dataset, "ConvolutionKernel"),
        gantry_detector_tilt_degrees=tilt[0] if tilt else None,
        contrast_bolus_agent=_text(dataset, "ContrastBolusAgent"),
        series_description=_text(dataset, "SeriesDescription"),
        compressed=_is_compressed(file_meta),
        lossy=_text(dataset, "LossyImageCompression") == "01",
        rescale_type=_text(dataset, "RescaleType").upper(),
        age_years=_age_years(dataset),
        patient_position=_text(dataset, "PatientPosition").upper(),
    )


def _age_years(dataset: pydicom.Dataset) -> float | None:
    """By PatientAge (``039Y``, ``006M``; DICOM PS3.5 6.2), else by the dates of birth and study."""
    age = re.fullmatch(r"(\d{1,3})([DWMY])", _text(dataset, "PatientAge").upper())
    if age and int(age[1]):  # 0 is what some programs write for a name that they took out
        return int(age[1]) / AGE_UNITS_PER_YEAR[age[2]]
    try:
        born, scanned = (
            datetime.strptime(_text(dataset, keyword), "%Y%m%d") for keyword in ("PatientBirthDate", "StudyDate")
        )
    except ValueError:
        return None
    years = (scanned - born).days / DAYS_PER_YEAR
    return years if years >= 0 else None


def _should_be_a_slice(dataset: pydicom.Dataset, file_meta: pydicom.Dataset) -> bool:
    """Of a header without image size: whether it was cut, rather than that of a report, a plan or a disc's index."""
    sop_class = _text(dataset, "SOPClassUID") or _text(file_meta, "MediaStorageSOPClassUID")
    modality = _text(dataset, "Modality")
    if sop_class or modality:
        return sop_class == CTImageStorage or (not sop_class and modality == "CT")
    return getattr(dataset, "preamble", None) is not None  # so it is DICOM


def _is_compressed(file_meta: pydicom.Dataset) -> bool:
    """Whether the pixels need a codec; a private transfer syntax counts as one."""
    syntax = UID(_text(file_meta, "TransferSyntaxUID"))
    return bool(syntax) and (not syntax.is_transfer_syntax or syntax.is_encapsulated)


def _text(dataset: pydicom.Dataset, keyword: str) -> str:
    """The value as one clean line, several values joined by a backslash."""
    value = dataset.get(keyword)
    if value is None:
        return ""
    words = [value] if isinstance(value, str) or not isinstance(value, Iterable) else list(value)
    joined = "\\".join(str(word) for word in words)
    return " ".join("".join(sign if sign.isprintable() else " " for sign in joined).split())


def _numbers(dataset: pydicom.Dataset, keyword: str, count: int) -> list[float] | None:
    """Exactly ``count`` finite numbers, or None."""
    try:
        value: Any = dataset.get(keyword)
        if value is None or value == "":
            return None
        values = [float(number) for number in (value if isinstance(value, Iterable) else [value])]
    except (TypeError, ValueError, OverflowError):
        return None
    return values if len(values) == count and all(map(math.isfinite, values)) else None
