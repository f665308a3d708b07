"""Small valid CT series on disk, for every test that needs files.

paths = make_series(tmp_path / "ct", slices=12, PatientID="P1", StudyDate="20200305")
paths = make_series(folder, hu=my_hu, spacing_mm=(1.0, 0.7, 0.7), transfer_syntax_uid=RLELossless)
paths = make_series(folder, change=lambda index, dataset: delattr(dataset, "PixelSpacing"))
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, generate_uid

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
INTERCEPT = -1024


def chest_hu(slices: int = 12, rows: int = 96, columns: int = 96) -> npt.NDArray[np.int16]:
    """A body (40 HU) with two lungs (-850 HU) in air, int16 (slice, row, column), with slight noise.

    The lungs fill the middle of the image in every slice but the first and the last.
    """
    row, column = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    body = (row / 0.65) ** 2 + (column / 0.9) ** 2 < 1
    lungs = (row / 0.45) ** 2 + ((np.abs(column) - 0.42) / 0.3) ** 2 < 1
    slice_hu = np.where(lungs, -850, np.where(body, 40, -1000))
    hu = np.repeat(slice_hu[None], slices, axis=0)
    hu[[0, -1]] = np.where(body, 40, -1000)
    return (hu + np.random.default_rng(0).normal(0, 10, hu.shape)).astype(np.int16)


def make_slice(
    hu: npt.NDArray[np.int16],
    *,
    position_mm: Sequence[float] = (0.0, 0.0, 0.0),
    pixel_spacing_mm: Sequence[float] = (4.0, 4.0),
    orientation: Sequence[float] = AXIAL,
    transfer_syntax_uid: str = ExplicitVRLittleEndian,
    **elements: object,
) -> Dataset:
    """One CT image, ready for ``save_as(path, enforce_file_format=True)``.

    ``hu``: (row, column). ``elements``: DICOM keywords that are added or replaced; None removes one.
    """
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = generate_uid()
    dataset.StudyDate, dataset.StudyTime = "20200305", "101500"
    dataset.Modality = "CT"
    dataset.Manufacturer = "TEST"
    dataset.PatientName, dataset.PatientID = "Test^Patient", "TEST-1"
    dataset.PatientBirthDate, dataset.PatientSex = "19600101", "O"
    dataset.BodyPartExamined = "CHEST"
    dataset.SliceThickness = 1
    dataset.KVP = 120
    dataset.ConvolutionKernel = "B30f"
    dataset.PatientPosition = "HFS"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.FrameOfReferenceUID = generate_uid()
    dataset.SeriesNumber, dataset.InstanceNumber = 1, 1
    dataset.SeriesDescription = "Chest 2.0 B30f"
    dataset.ImagePositionPatient = [round(float(mm), 6) for mm in position_mm]
    dataset.ImageOrientationPatient = [round(float(cosine), 8) for cosine in orientation]
    dataset.PixelSpacing = [float(mm) for mm in pixel_spacing_mm]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = hu.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = INTERCEPT, 1, "HU"
    dataset.PixelData = (hu.astype(np.int32) - INTERCEPT).clip(0, 4095).astype("<u2").tobytes()
    for keyword, value in elements.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID", CTImageStorage)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID", "1.2.3")
    if UID(transfer_syntax_uid).is_compressed and UID(transfer_syntax_uid).is_encapsulated:
        dataset.compress(transfer_syntax_uid, generate_instance_uid=False)
    dataset.file_meta.TransferSyntaxUID = UID(transfer_syntax_uid)
    return dataset


def make_series(
    folder: Path,
    hu: npt.NDArray[np.int16] | None = None,
    *,
    slices: int = 12,
    spacing_mm: Sequence[float] = (2.0, 4.0, 4.0),
    first_position_mm: Sequence[float] = (-190.0, -190.0, 0.0),
    step_mm: Sequence[float] | None = None,
    orientation: Sequence[float] = AXIAL,
    transfer_syntax_uid: str = ExplicitVRLittleEndian,
    change: Callable[[int, Dataset], None] | None = None,
    **elements: object,
) -> list[Path]:
    """Write an axial chest CT, one file a slice from head to feet (``0000.dcm`` …); returns their paths.

    ``hu``: int16 (slice, row, column), else ``chest_hu(slices)``. ``spacing_mm``: between (slices,
    rows, columns). ``step_mm``: the way from one slice to the next in patient coordinates (LPS), else
    towards the feet along the normal. ``change``: called with the index and the dataset of each slice
    before it is written. ``elements``: DICOM keywords set on every slice; None removes one.
    Every call makes a new study and series unless their UIDs are given.
    """
    hu = chest_hu(slices) if hu is None else hu
    folder.mkdir(parents=True, exist_ok=True)
    shared = {
        keyword: elements.pop(keyword, generate_uid())
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
    }
    if step_mm is None:
        normal = np.cross(orientation[:3], orientation[3:])
        step_mm = -spacing_mm[0] * (normal if normal[2] >= 0 else -normal)
    paths = []
    for index, slice_hu in enumerate(hu):
        dataset = make_slice(
            slice_hu,
            position_mm=np.asarray(first_position_mm) + index * np.asarray(step_mm),
            pixel_spacing_mm=spacing_mm[1:],
            orientation=orientation,
            transfer_syntax_uid=transfer_syntax_uid,
            **{"InstanceNumber": index + 1, **shared, **elements},
        )
        if change:
            change(index, dataset)
        paths.append(folder / f"{index:04d}.dcm")
        dataset.save_as(paths[-1], enforce_file_format=True)
    return paths


def halve_image(source: Path, target: Path) -> None:
    """Write a copy whose compressed image is cut in half, neatly packed: its headers show no damage."""
    dataset = dcmread(source)
    (image,) = generate_frames(dataset.PixelData, number_of_frames=1)
    dataset.PixelData = encapsulate([image[: len(image) // 2]])
    dataset.save_as(target)
