"""Slices as radiologists hang them, however they are stored: the networks learnt no other view.

A prone patient's slices often come turned by half a circle (ImageOrientationPatient -1\\0\\0\\0\\-1\\0).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Turn:
    """Brings stored slices (slice, row, column) to rows that run to the Left and columns to the Posterior (LPS)."""

    transpose: bool
    flip_rows: bool
    flip_columns: bool

    @classmethod
    def of(cls, affine_lps: npt.NDArray[np.float64]) -> "Turn":
        """``affine_lps``: as in Volume, axial within ten degrees."""
        along_row, along_column = affine_lps[:2, 0], affine_lps[:2, 1]  # (x, y) of a step along a row, along a column
        transpose = bool(abs(along_row[0]) < abs(along_row[1]))
        if transpose:
            along_row, along_column = along_column, along_row
        return cls(transpose, flip_rows=bool(along_column[1] < 0), flip_columns=bool(along_row[0] < 0))

    def upright(self, stored: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """A view of the array, no copy."""
        turned = stored.swapaxes(1, 2) if self.transpose else stored
        return self._flipped(turned)

    def upright_pixel_mm(self, row_mm: float, column_mm: float) -> tuple[float, float]:
        """Distances between the rows and between the columns of upright slices, from those of stored ones."""
        return (column_mm, row_mm) if self.transpose else (row_mm, column_mm)

    def upright_affine(self, affine_lps: npt.NDArray[np.float64], rows: int, columns: int) -> npt.NDArray[np.float64]:
        """As in Volume, of the upright slices; ``rows`` and ``columns``: theirs."""
        affine = affine_lps[:, [1, 0, 2, 3]] if self.transpose else affine_lps.copy()
        for axis, flipped, count in ((0, self.flip_columns, columns), (1, self.flip_rows, rows)):
            if flipped:
                affine[:3, 3] += (count - 1) * affine[:3, axis]
                affine[:3, axis] *= -1
        return affine

    def stored(self, upright: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The way back."""
        turned = self._flipped(upright)
        return turned.swapaxes(1, 2) if self.transpose else turned

    def _flipped(self, planes: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return planes[:, :: -1 if self.flip_rows else 1, :: -1 if self.flip_columns else 1]
