"""What the pixels say about the quality of a scan."""

import numpy as np
import numpy.typing as npt
from scipy import ndimage

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
