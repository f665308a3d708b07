"""Soft tissue between the lungs found and the ribs behind them: fluid, or consolidation taken for chest wall."""

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from .regions import spine_column

STEP_MM = (4.0, 1.5)
"""Distance of slices and of pixels at which it is looked for."""
BONE_HU, FAT_HU = 150.0, -30.0
"""Means of three by three such pixels; what lies between is muscle, fluid or lung without air."""
BETWEEN_RIBS_MM = 20.0
"""A rib this far above or below ends the tissue too: what lies between two ribs is not within the chest."""
EDGE_MM = 4.0
"""The border of the lungs, where air and tissue average to the density of fat."""
WALL_MM = 15.0
"""Thicker is no chest wall: pleura and intercostal muscles have under 10 mm."""
WIDE_MM = 20.0
"""Narrower is a gap between ribs that the muscles of the back fill."""
SPINE_MM = 50.0
"""From the middle of the spine to the side: there are the vertebrae, the aorta and the heart behind lung."""


def tissue_behind_ml(
    hu: npt.NDArray[np.int16], of_zone: npt.NDArray[np.uint8], spacing_mm: tuple[float, float, float]
) -> float:
    """Volume of what is too thick, behind the lungs, to be chest wall; 0 in healthy chests.

    ``hu`` and ``of_zone``, from ``regions.zones``: (slice, row, column), slices from head to feet, rows from front to
    back; ``spacing_mm`` in the same order. In each column of a slice the tissue between the last pixel of lung and the
    first fat or rib counts. What lies in front of the lungs, beside them, or in slices without any lung is not seen.
    """
    step_mm = STEP_MM[0], STEP_MM[1], STEP_MM[1]
    every = [max(1, round(step / mm)) for step, mm in zip(step_mm, spacing_mm, strict=True)]
    thinned = tuple(slice(None, None, count) for count in every)
    slice_mm, row_mm, column_mm = (mm * count for mm, count in zip(spacing_mm, every, strict=True))
    lungs, smooth = of_zone[thinned] > 0, ndimage.uniform_filter(hu[thinned].astype(np.float32), (1, 3, 3))
    spine = spine_column(lungs, hu[thinned])
    if spine is None:
        return 0.0  # no ribs to tell by

    rows = np.arange(lungs.shape[1])[:, None]
    last = np.where(lungs, rows, -1).max(1)  # (slice, column)
    ribs = ndimage.maximum_filter1d(smooth > BONE_HU, 2 * round(BETWEEN_RIBS_MM / slice_mm) + 1, axis=0)
    ends = (ribs | (smooth < FAT_HU)) & (rows >= last[:, None] + 1 + EDGE_MM / row_mm)
    thick_mm = np.where((last >= 0) & ends.any(1), ends.argmax(1) - last - 1, 0) * row_mm

    beside_mm = np.abs(np.arange(lungs.shape[2]) - spine) * column_mm
    thick_mm[:, beside_mm < SPINE_MM] = 0
    wide_mm = ndimage.grey_opening(thick_mm, (1, 2 * round(WIDE_MM / 2 / column_mm) + 1))
    return float(wide_mm[wide_mm > WALL_MM].sum() * slice_mm * column_mm / 1000)
