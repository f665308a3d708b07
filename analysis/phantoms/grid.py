"""The slices of a CT series: how many, how far apart, and where."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .anatomy import Anatomy


@dataclass(frozen=True)
class Grid:
    """Where the slices lie.

    ``spacing_mm``: (slice, row, column); ``top_mm``: z of the first slice, the one next to the head.
    """

    spacing_mm: tuple[float, float, float]
    rows: int
    columns: int
    slices: int
    top_mm: float

    @classmethod
    def over_lungs(cls, anatomy: Anatomy, spacing_mm: tuple[float, float, float], matrix: int = 256) -> "Grid":
        """From 25 mm above the lungs to 20 mm below them."""
        low, high = anatomy.lung_z_mm
        slices = int(np.ceil((high - low + 45) / spacing_mm[0]))
        return cls(spacing_mm, matrix, matrix, slices, high + 25)

    @property
    def affine_lps(self) -> npt.NDArray[np.float64]:
        """4×4: (column, row, slice, 1) to LPS mm."""
        slice_mm, row_mm, column_mm = self.spacing_mm
        affine = np.diag([column_mm, row_mm, -slice_mm, 1.0])
        affine[:3, 3] = -(self.columns - 1) / 2 * column_mm, -(self.rows - 1) / 2 * row_mm, self.top_mm
        return affine

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.slices, self.rows, self.columns

    @property
    def x_mm(self) -> npt.NDArray[np.float64]:
        return (np.arange(self.columns) - (self.columns - 1) / 2) * self.spacing_mm[2]

    @property
    def y_mm(self) -> npt.NDArray[np.float64]:
        return (np.arange(self.rows) - (self.rows - 1) / 2) * self.spacing_mm[1]

    @property
    def z_mm(self) -> npt.NDArray[np.float64]:
        return self.top_mm - np.arange(self.slices) * self.spacing_mm[0]
