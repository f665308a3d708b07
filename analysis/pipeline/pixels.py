"""From the files of a series to Hounsfield units, and a cheap look for lungs.

Files are decoded one after the other in the calling process: the codecs hold Python's lock, so
threads gain little, and child processes are not allowed in every worker. 150 slices take 2 s.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.filereader import read_partial
from pydicom.pixels.decoders.base import get_decoder
from pydicom.tag import BaseTag
from pydicom.uid import (
    HTJ2K,
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    RLELossless,
)
from scipy import ndimage

from .series import Geometry, SliceHeader, UnusableSeries
from .volume import Volume

PIXEL_DATA_TAG = 0x7FE00010
HU_RANGE = (-1024, 3071)
"""The 12-bit range of CT numbers. Padding outside the scan circle (often -2000) lies below it and
metal above it; both are clipped, so padding reads as air."""
MAX_RESCALE_SLOPE = 100.0
MAX_RESCALE_INTERCEPT = 32768.0
"""A rescale beyond these does not lead to Hounsfield units."""

CHEST_SAMPLES = 8
"""Slices in which lungs are looked for, evenly over the series."""
CHEST_PIXEL_MM = 2.5
"""Pixel size at which lungs are looked for."""
AIR_HU = -400
"""Below it air and aerated lung, above it soft tissue and consolidation."""
PLAIN_AIR_HU = -970
"""Lung is air mixed with tissue, also in emphysema; sinuses, bowel gas and room air have a lower median."""
LUNG_AREA_CM2 = 25.0
"""Air-with-tissue inside the body from which a slice shows lung: one lung has 50 to 150 cm² at
the level of the carina, all sinuses of one slice of the head together stay below 20 cm²."""
MIN_LUNG_SAMPLES = 2
"""Sampled slices that must show lung."""

_Slice = npt.NDArray[np.int16]


def read_volume(geometry: Geometry, on_progress: Callable[[float], None] | None = None) -> Volume:
    """Decode all slices. ``on_progress`` is called per slice with the fraction done, 0 to 1.

    Raises UnusableSeries, naming the file, where a slice cannot be decoded.
    """
    hu = np.empty(geometry.shape, dtype=np.int16)
    for index, header in enumerate(geometry.headers):
        hu[index] = read_slice_hu(header)
        if on_progress:
            on_progress((index + 1) / len(hu))
    return Volume(
        hu=hu,
        affine_lps=geometry.affine_lps,
        z_mm=geometry.z_mm,
        series_instance_uid=geometry.series_instance_uid,
        sop_instance_uids=tuple(header.sop_instance_uid for header in geometry.headers),
    )


def read_slice_hu(header: SliceHeader) -> _Slice:
    """Decode one file to Hounsfield units, int16 (row, column), clipped to HU_RANGE.

    Raises UnusableSeries, naming the file, where it cannot be decoded.
    """
    try:
        dataset = _read_to_pixels(header)
        stored, padding = _stored_values(dataset)
        slope, intercept = float(dataset.RescaleSlope), float(dataset.RescaleIntercept)
    except Exception as fault:  # pydicom and the codecs raise many kinds on damaged files
        raise UnusableSeries(
            "damaged_pixels",
            f"The image in {header.label} cannot be decoded: it is damaged, or compressed in a way that is "
            "not supported. Send it again from the source.",
        ) from fault
    if stored.shape != (header.rows, header.columns):
        raise UnusableSeries("damaged_pixels", f"The image in {header.label} is not of the size its header says.")
    if not (0 < slope <= MAX_RESCALE_SLOPE and abs(intercept) <= MAX_RESCALE_INTERCEPT):
        raise UnusableSeries("no_rescale", f"How the values become Hounsfield units is not said in {header.label}.")
    hu: _Slice = np.rint(stored * np.float32(slope) + np.float32(intercept)).clip(*HU_RANGE).astype(np.int16)
    hu[padding] = HU_RANGE[0]
    return hu


def _read_to_pixels(header: SliceHeader) -> pydicom.Dataset:
    """The dataset up to its pixel data; what follows them does not matter and may be broken."""
    reached = False

    def after_pixels(tag: BaseTag, vr: str | None, length: int) -> bool:
        nonlocal reached
        stop, reached = reached, reached or tag == PIXEL_DATA_TAG
        return stop

    with header.path.open("rb") as file:
        return read_partial(file, stop_when=after_pixels, force=True)


def _stored_values(dataset: pydicom.Dataset) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.bool_]]:
    """Stored values, int32 (row, column), and where they are padding.

    MONOCHROME1 inverts the display, not the values (DICOM PS3.3 C.7.6.3.1.2), so it changes nothing here.
    """
    if dataset.PhotometricInterpretation not in ("MONOCHROME1", "MONOCHROME2"):
        raise ValueError("not greyscale")
    syntax = _transfer_syntax(dataset)
    if not hasattr(dataset, "file_meta"):
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    raw, _ = get_decoder(syntax).as_array(
        dataset,
        raw=True,
        decoding_plugin=_plugin(syntax),
        correct_unused_bits=False,  # type: ignore[arg-type]  # done below, for left-aligned values too
    )
    bits = int(dataset.BitsStored)
    unused_low_bits = max(0, int(dataset.get("HighBit", bits - 1)) + 1 - bits)
    signed = dataset.PixelRepresentation == 1
    stored = _keep_bits(raw.astype(np.int32) >> unused_low_bits, bits, signed)
    return stored, _padding(dataset, stored, bits, signed)


def _transfer_syntax(dataset: pydicom.Dataset) -> UID:
    """As declared, or for an old file without that as the reader found the header encoded."""
    declared = getattr(dataset, "file_meta", {}).get("TransferSyntaxUID")
    if declared:
        return UID(declared)
    implicit, little_endian = dataset.original_encoding
    if implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if little_endian else ExplicitVRBigEndian


def _plugin(syntax: UID) -> str:
    """The decoder plug-in of pydicom; "" for native pixels. (pylibjpeg's libjpeg is GPL, hence gdcm.)"""
    if not syntax.is_encapsulated:
        return ""
    if syntax in (HTJ2K, HTJ2KLossless, HTJ2KLosslessRPCL):
        return "pylibjpeg"
    return "pydicom" if syntax == RLELossless else "gdcm"


def _keep_bits(values: npt.NDArray[np.int32], bits: int, signed: bool) -> npt.NDArray[np.int32]:
    """Drop what lies above BitsStored (overlays, missing sign bits; DICOM PS3.5 8.1.1)."""
    if bits >= 32:
        return values
    kept = values & ((1 << bits) - 1)
    return np.where(kept >> (bits - 1) == 1, kept - (1 << bits), kept) if signed else kept


def _padding(dataset: pydicom.Dataset, stored: npt.NDArray[np.int32], bits: int, signed: bool) -> npt.NDArray[np.bool_]:
    """Where ``stored`` is PixelPaddingValue (to PixelPaddingRangeLimit; DICOM PS3.3 C.7.5.1.1.2).

    Only where a corner of the image is padding too: some archives write a padding value that
    is an ordinary density, which would punch holes into the body.
    """
    first = dataset.get("PixelPaddingValue")
    if not isinstance(first, int):
        return np.zeros(stored.shape, dtype=bool)
    last = dataset.get("PixelPaddingRangeLimit")
    limits = np.array([first, last if isinstance(last, int) else first], dtype=np.int64).astype(np.int32)
    low, high = sorted(_keep_bits(limits, bits, signed))
    padding: npt.NDArray[np.bool_] = (stored >= low) & (stored <= high)
    return padding if padding[[0, 0, -1, -1], [0, -1, 0, -1]].any() else np.zeros_like(padding)


def looks_like_chest(geometry: Geometry) -> bool:
    """Whether a few slices spread over the series show lung. Raises UnusableSeries as read_volume does."""
    chosen = np.linspace(0, len(geometry.headers) - 1, CHEST_SAMPLES + 2).round().astype(int)[1:-1]
    spacing_mm = geometry.headers[0].pixel_spacing_mm
    assert spacing_mm is not None  # check_series makes sure of it
    samples = (read_slice_hu(geometry.headers[index]) for index in chosen)
    return sum(_lung_area_cm2(hu, spacing_mm) >= LUNG_AREA_CM2 for hu in samples) >= MIN_LUNG_SAMPLES


def _lung_area_cm2(hu: _Slice, spacing_mm: tuple[float, float]) -> float:
    """Area of air mixed with tissue that is enclosed by the body; ``hu`` (row, column)."""
    coarse = tuple(max(1, round(CHEST_PIXEL_MM / mm)) for mm in spacing_mm)
    smooth = ndimage.uniform_filter(hu.astype(np.float32), size=coarse)[:: coarse[0], :: coarse[1]]
    pixel_cm2 = spacing_mm[0] * coarse[0] * spacing_mm[1] * coarse[1] / 100
    labels, count = ndimage.label(smooth < AIR_HU)
    outside = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    area = 0.0
    for label in set(range(1, count + 1)) - set(outside.tolist()):
        part = labels == label
        inner = ndimage.binary_erosion(part)  # its edge is a blur of air and tissue, also in a sinus
        if inner.any() and np.median(smooth[inner]) > PLAIN_AIR_HU:
            area += float(part.sum()) * pixel_cm2
    return area
