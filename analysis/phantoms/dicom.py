"""A phantom as a DICOM CT series: CT Image Storage (PS3.3 A.3), Explicit VR Little Endian, one file a slice."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from .render import Phantom

RESCALE_INTERCEPT_HU = -1024
LUNG_WINDOW_HU, MEDIASTINAL_WINDOW_HU = (-600, 1500), (40, 400)  # centre, width


@dataclass(frozen=True)
class Header:
    """Who and when, as the header tells it.

    All UIDs follow from ``patient_id``, the visit's day, the series number and the grid.
    """

    patient_id: str
    patient_name: str
    birth_date: date
    sex: str
    first_scan: datetime
    series_number: int = 2
    series_description: str = "Chest 5.0 synthetic"

    @classmethod
    def of(cls, phantom: Phantom, *, first_scan: datetime = datetime(2026, 1, 12, 9, 30)) -> "Header":
        """A plainly synthetic person made up from the patient's seed."""
        anatomy = phantom.visit.anatomy
        born = date(first_scan.year - anatomy.build.age, 1 + anatomy.seed % 12, 1 + anatomy.seed % 28)
        return cls(
            patient_id=f"SYN-{anatomy.seed:04d}",
            patient_name=f"Synthetic^Phantom {anatomy.seed:02d}",
            birth_date=born,
            sex=anatomy.build.sex,
            first_scan=first_scan,
            series_description=f"Chest {phantom.grid.spacing_mm[0]:g} mm synthetic",
        )


def write_series(phantom: Phantom, folder: Path, header: Header | None = None) -> list[Path]:
    """Write one file per slice, head to feet, into ``folder`` (made if missing); returns the paths."""
    header = Header.of(phantom) if header is None else header
    folder.mkdir(parents=True, exist_ok=True)
    common = _common_attributes(phantom, header)
    paths = []
    for index in range(len(phantom.hu)):
        path = folder / f"CT{index + 1:04d}.dcm"
        _slice(phantom, header, common, index).save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def _uid(header: Header, *what: object) -> str:
    return str(generate_uid(entropy_srcs=["CoronaTrend phantom", header.patient_id, *map(str, what)]))


def _common_attributes(phantom: Phantom, header: Header) -> dict[str, object]:
    """What all slices of the series share, by DICOM keyword."""
    when = header.first_scan + timedelta(days=phantom.visit.day)
    day, clock = when.strftime("%Y%m%d"), when.strftime("%H%M%S")
    grid, visit_day = phantom.grid, phantom.visit.day
    age = (when.date() - header.birth_date).days // 365.25
    grid_name = (grid.spacing_mm, grid.shape)
    return {
        "SpecificCharacterSet": "ISO_IR 100",
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "SOPClassUID": CTImageStorage,
        "StudyDate": day,
        "SeriesDate": day,
        "AcquisitionDate": day,
        "ContentDate": day,
        "StudyTime": clock,
        "SeriesTime": clock,
        "AcquisitionTime": clock,
        "ContentTime": clock,
        "AccessionNumber": f"{header.patient_id[-8:]}-{visit_day}",
        "Modality": "CT",
        "Manufacturer": "CoronaTrend phantom",
        "InstitutionName": "Synthetic data",
        "ReferringPhysicianName": "",
        "StudyDescription": "CT chest, synthetic",
        "SeriesDescription": header.series_description,
        "ManufacturerModelName": "Analytic chest",
        "PatientName": header.patient_name,
        "PatientID": header.patient_id,
        "PatientBirthDate": header.birth_date.strftime("%Y%m%d"),
        "PatientSex": header.sex,
        "PatientAge": f"{int(age):03d}Y",
        "BodyPartExamined": "CHEST",
        "SliceThickness": f"{grid.spacing_mm[0]:g}",
        "KVP": "120",
        "SpacingBetweenSlices": f"{grid.spacing_mm[0]:g}",
        "ReconstructionDiameter": f"{grid.columns * grid.spacing_mm[2]:g}",
        "GantryDetectorTilt": "0",
        "ConvolutionKernel": "D40s",
        "PatientPosition": "HFS",
        "StudyInstanceUID": _uid(header, "study", visit_day),
        "SeriesInstanceUID": _uid(header, "series", visit_day, header.series_number, grid_name),
        "StudyID": str(visit_day),
        "SeriesNumber": header.series_number,
        "AcquisitionNumber": 1,
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "FrameOfReferenceUID": _uid(header, "frame of reference", visit_day),
        "PositionReferenceIndicator": "",
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": grid.rows,
        "Columns": grid.columns,
        "PixelSpacing": [f"{grid.spacing_mm[1]:g}", f"{grid.spacing_mm[2]:g}"],
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "PixelRepresentation": 0,
        "BurnedInAnnotation": "NO",
        "ImageComments": "Synthetic image of no real patient",
        "WindowCenter": [LUNG_WINDOW_HU[0], MEDIASTINAL_WINDOW_HU[0]],
        "WindowWidth": [LUNG_WINDOW_HU[1], MEDIASTINAL_WINDOW_HU[1]],
        "WindowCenterWidthExplanation": ["LUNG", "MEDIASTINUM"],
        "RescaleIntercept": str(RESCALE_INTERCEPT_HU),
        "RescaleSlope": "1",
        "RescaleType": "HU",
    }


def _slice(phantom: Phantom, header: Header, common: dict[str, object], index: int) -> FileDataset:
    sop_instance_uid = _uid(header, common["SeriesInstanceUID"], index)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = sop_instance_uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    for keyword, value in common.items():
        setattr(dataset, keyword, value)
    dataset.SOPInstanceUID = sop_instance_uid
    dataset.InstanceNumber = index + 1
    x, y, z = (phantom.affine_lps @ (0, 0, index, 1))[:3]
    dataset.ImagePositionPatient = [f"{x:.4f}", f"{y:.4f}", f"{z:.4f}"]
    dataset.SliceLocation = f"{z:.4f}"
    stored = (phantom.hu[index].astype(np.int32) - RESCALE_INTERCEPT_HU).astype("<u2")
    dataset.PixelData = stored.tobytes()
    return dataset
