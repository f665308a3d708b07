"""A CT volume in Hounsfield units with its place in the patient."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from PIL import Image


@dataclass(frozen=True, eq=False)
class Volume:
    """One axial CT series as a regular grid.

    ``hu``: int16, axes (slice, row, column), slices from head to feet, Hounsfield units.
    ``affine_lps``: float64 4×4, maps (column, row, slice, 1) to DICOM patient coordinates
    (x to the Left, y to the Posterior, z to the Head/Superior: LPS) in mm, from
    ImagePositionPatient, ImageOrientationPatient and PixelSpacing (DICOM PS3.3 C.7.6.2).
    ``z_mm``: float64 (slice,), position of each slice along the head-pointing slice normal,
    strictly decreasing.
    """

    hu: npt.NDArray[np.int16]
    affine_lps: npt.NDArray[np.float64]
    z_mm: npt.NDArray[np.float64]
    series_instance_uid: str
    sop_instance_uids: tuple[str, ...]

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distances between (slices, rows, columns)."""
        column, row, slice_ = (float(np.linalg.norm(self.affine_lps[:3, axis])) for axis in range(3))
        return slice_, row, column

    @property
    def pixel_area_mm2(self) -> float:
        _, row_mm, column_mm = self.spacing_mm
        return row_mm * column_mm

    @property
    def voxel_volume_ml(self) -> float:
        return self.pixel_area_mm2 * self.spacing_mm[0] / 1000

    def resized(self, side: int) -> "Volume":
        """The same field of view in slices of ``side`` × ``side`` pixels: averaged where those are larger."""
        _, rows, columns = self.hu.shape
        box = Image.Resampling.BOX
        planes = [np.asarray(Image.fromarray(one.astype(np.float32)).resize((side, side), box)) for one in self.hu]
        scale_column, scale_row = columns / side, rows / side
        affine = self.affine_lps.copy()
        affine[:3, 3] += affine[:3, 0] * (scale_column - 1) / 2 + affine[:3, 1] * (scale_row - 1) / 2  # of its middle
        affine[:3, 0] *= scale_column
        affine[:3, 1] *= scale_row
        return replace(self, hu=np.rint(planes).astype(np.int16), affine_lps=affine)
