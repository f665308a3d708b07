"""Stored slices as pictures in the lung window."""

import io
import threading
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydicom.errors import InvalidDicomError

from patients.models import Instance

from . import storage
from .models import Analysis
from .pipeline.decoder import Decoder
from .pipeline.headers import normal_to_head
from .pipeline.series import SliceHeader, UnusableSeries, read_header

LUNG_WINDOW_HU = (-1350.0, 150.0)
"""Centre −600, width 1500: the usual lung window."""
JPEG_QUALITY = 90

Grey = npt.NDArray[np.uint8]

# The child that decodes lives on for the next slice: its start takes far longer than a slice.
_decoder, _one_at_a_time = Decoder(), threading.Lock()


def read_slice(instance: Instance) -> tuple[SliceHeader, npt.NDArray[np.int16]]:
    """A stored image in Hounsfield units, (row, column). UnusableSeries where it is gone or cannot be decoded."""
    with storage.local_images([instance]) as (path,), _one_at_a_time:
        header = read_header(path)
        return header, _decoder.read_hu(header)


def heights_mm(analysis: Analysis, centroids_mm: Sequence[Sequence[float]]) -> list[float]:
    """Of places in the patient (LPS), along the normal of the analysed slices, as their z_mm; z where no header can be
    read."""
    first = analysis.series.instances.filter(sop_instance_uid=analysis.report["slices"][0]["sop_instance_uid"])
    try:
        with storage.local_images(first) as (path,):
            normal = normal_to_head(read_header(path).orientation)
    except (UnusableSeries, InvalidDicomError, OSError, ValueError):  # gone, damaged, or without an orientation
        return [centroid[2] for centroid in centroids_mm]
    return [float(normal @ centroid) for centroid in centroids_mm]


def in_lung_window(hu: npt.NDArray[np.int16]) -> Grey:
    low, high = LUNG_WINDOW_HU
    return ((hu - low) / (high - low) * 255).clip(0, 255).astype(np.uint8)


def as_jpeg(image: Image.Image, quality: int = JPEG_QUALITY) -> bytes:
    jpeg = io.BytesIO()
    image.save(jpeg, "JPEG", quality=quality, subsampling=0)
    return jpeg.getvalue()


def whole_slice(instance: Instance) -> bytes:
    """JPEG of a whole image with square pixels. UnusableSeries where it is gone or cannot be decoded."""
    header, hu = read_slice(instance)
    image = Image.fromarray(in_lung_window(hu))
    if header.pixel_spacing_mm and header.pixel_spacing_mm[0] != header.pixel_spacing_mm[1]:
        row_mm, column_mm = header.pixel_spacing_mm
        image = image.resize((image.width, round(image.height * row_mm / column_mm)), Image.Resampling.BICUBIC)
    return as_jpeg(image)
