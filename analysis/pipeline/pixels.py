"""From the files of a series to a volume in Hounsfield units, and a cheap look for lungs."""

import math
from collections.abc import Callable, Iterable
from contextlib import closing

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from .decoder import read_all_hu
from .decoding import HuSlice
from .series import Geometry
from .volume import Volume

MIN_CHEST_SAMPLES = 8
"""Slices in which lungs are looked for, evenly over the series; more in a long one."""
CHEST_STEP_MM = 40.0
"""Lungs are looked for at least this densely: they are 200 to 300 mm long, also in a scan of the whole body."""
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


def read_volume(geometry: Geometry, on_progress: Callable[[float], None] | None = None) -> Volume:
    """Decode all slices. ``on_progress`` is called per slice with the fraction done, 0 to 1.

    Raises UnusableSeries, naming the file, where a slice cannot be decoded.
    """
    hu = np.empty(geometry.shape, dtype=np.int16)
    with closing(read_all_hu(geometry.headers)) as slices:
        for index, slice_hu in enumerate(slices):
            hu[index] = slice_hu
            if on_progress:
                on_progress((index + 1) / len(hu))
    return Volume(
        hu=hu,
        affine_lps=geometry.affine_lps,
        z_mm=geometry.z_mm,
        series_instance_uid=geometry.series_instance_uid,
        sop_instance_uids=tuple(header.sop_instance_uid for header in geometry.headers),
    )


def looks_like_chest(geometry: Geometry) -> bool:
    """Whether a few slices spread over the series show lung. Raises UnusableSeries as read_volume does."""
    spacing_mm = geometry.headers[0].pixel_spacing_mm
    assert spacing_mm is not None  # check_series makes sure of it
    with closing(read_all_hu([geometry.headers[index] for index in _samples(geometry.z_mm)])) as slices:
        return _show_lung(slices, spacing_mm)


def is_chest(volume: Volume) -> bool:
    """The same of what is already decoded."""
    return _show_lung((volume.hu[index] for index in _samples(volume.z_mm)), volume.spacing_mm[1:])


def _samples(z_mm: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    samples = max(MIN_CHEST_SAMPLES, math.ceil(float(z_mm[0] - z_mm[-1]) / CHEST_STEP_MM))
    return np.unique(np.linspace(0, len(z_mm) - 1, samples + 2).round().astype(int)[1:-1])


def _show_lung(slices: Iterable[HuSlice], spacing_mm: tuple[float, float]) -> bool:
    with_lung = 0
    for hu in slices:
        with_lung += _lung_area_cm2(hu, spacing_mm) >= LUNG_AREA_CM2
        if with_lung == MIN_LUNG_SAMPLES:
            return True
    return False


def _lung_area_cm2(hu: HuSlice, spacing_mm: tuple[float, float]) -> float:
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
