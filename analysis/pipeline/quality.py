"""What the pixels, and the lungs found in them, say about the quality of a scan."""

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from .regions import THIRDS, ZONES
from .report import QualityFlag
from .volume import Volume

NOISY_HU = 45.0
"""Noise in soft tissue above which ground glass (200 to 400 HU above lung) gets hard to delineate."""
NOISE_SAMPLES = 7
"""Slices in which noise is measured, evenly over the middle half of the series."""
NOISE_WINDOW_MM = 6.0
"""Side of the square in which the standard deviation is taken."""
SOFT_TISSUE_HU = (-20.0, 100.0)
"""Muscle, blood, liver: range of the mean of such a square."""
UNIFORM_SHARE = 0.25
"""Of all squares of soft tissue the quarter with the smallest deviation counts as uniform."""
MIN_SQUARES = 200
"""Fewer squares say nothing."""


CUT_OFF_AREA_CM2 = 20.0
"""More lung than this on the first or last slice: the scan begins or ends inside the lungs."""
SMALLER_LUNG = 0.4
"""Volume of the smaller lung ÷ that of the larger: about 0.8 to 0.9 in healthy adults."""
LUNGS_ML = (1500.0, 9000.0)
"""Adults' lungs, breathed out and in; the networks were trained on no others."""


def pixel_flags(volume: Volume) -> tuple[QualityFlag, ...]:
    """Flags that need the decoded volume, next to those of the headers."""
    noise = noise_hu(volume)
    if noise is None or noise <= NOISY_HU:
        return ()
    return (QualityFlag("noise", f"The images are noisy ({noise:.0f} HU in soft tissue); small opacities are unsure."),)


def noise_hu(volume: Volume) -> float | None:
    """Standard deviation of uniform soft tissue in HU; None where there is too little of it."""
    count = len(volume.hu)
    chosen = np.unique(np.linspace(count // 4, (3 * count) // 4, NOISE_SAMPLES).round().astype(int).clip(0, count - 1))
    _, row_mm, column_mm = volume.spacing_mm
    window = max(3, round(NOISE_WINDOW_MM / row_mm)), max(3, round(NOISE_WINDOW_MM / column_mm))
    deviations = np.concatenate([_deviations_in_soft_tissue(volume.hu[index], window) for index in chosen])
    if deviations.size < MIN_SQUARES:
        return None
    return float(np.quantile(deviations, UNIFORM_SHARE))


def _deviations_in_soft_tissue(hu: npt.NDArray[np.int16], window: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Standard deviation in each square of soft tissue of one slice (row, column), as a flat array."""
    values = hu.astype(np.float64)
    mean = ndimage.uniform_filter(values, size=window)
    variance = ndimage.uniform_filter(values**2, size=window) - mean**2
    low, high = SOFT_TISSUE_HU
    squares: npt.NDArray[np.float64] = np.sqrt(variance[(mean >= low) & (mean <= high)].clip(min=0))
    return squares


def lung_flags(of_zone: npt.NDArray[np.uint8], volume: Volume) -> tuple[QualityFlag, ...]:
    """Flags of lungs that are cut off or that look as if they were not found right.

    ``of_zone``: from ``regions.zones``, (slice, row, column), with the voxels of ``volume``, turned as it may be.
    """
    voxels = np.bincount(of_zone.ravel(), minlength=len(ZONES) + 1)[1:] * volume.voxel_volume_ml
    right_ml, left_ml = float(voxels[:THIRDS].sum()), float(voxels[THIRDS:].sum())
    flags = []
    ends = [end for end, index in (("top", 0), ("bottom", -1)) if _area_cm2(of_zone[index], volume) > CUT_OFF_AREA_CM2]
    if ends:
        message = (
            f"The lungs are cut off at the {' and the '.join(ends)} of the scan; volumes and scores are too small."
        )
        flags.append(QualityFlag("lungs_cut_off", message))
    if min(right_ml, left_ml) < SMALLER_LUNG * max(right_ml, left_ml):
        message = (
            f"The right lung found has {right_ml:.0f} ml, the left one {left_ml:.0f} ml: look whether the lungs were "
            "found right, or whether one is collapsed, removed or surrounded by fluid."
        )
        flags.append(QualityFlag("lungs_unequal", message))
    low, high = LUNGS_ML
    if not low <= right_ml + left_ml <= high:
        message = (
            f"The lungs found have {right_ml + left_ml:.0f} ml together: the networks were trained on lungs of adults, "
            f"{low:.0f} to {high:.0f} ml. Look whether the lungs were found right."
        )
        flags.append(QualityFlag("lung_volume_unusual", message))
    return tuple(flags)


def _area_cm2(of_zone: npt.NDArray[np.uint8], volume: Volume) -> float:
    return float(np.count_nonzero(of_zone)) * volume.pixel_area_mm2 / 100
