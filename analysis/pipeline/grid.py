"""The 256×256 grid on which the networks see a slice, whatever its matrix: a square in millimetres.

``pixel_mm``: distances between (rows, columns) of the slice; only their ratio matters here.
"""

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 - as everywhere in torch
from torch import Tensor

from analysis.pipeline.volume import Volume

GRID = 256  # cells per side: half the usual matrix, the resolution of the training data
AIR_HU = -1024  # beside slices that are not square

PixelMm = tuple[float, float]
SQUARE_PIXEL: PixelMm = (1.0, 1.0)


def to_grid(hu: npt.NDArray[np.int16], pixel_mm: PixelMm = SQUARE_PIXEL) -> Tensor:
    """Average HU (slice, row, column) over the grid's cells; returns float32 (slice, 1, 256, 256)."""
    _, rows, columns = hu.shape
    high, wide = _pixels_of_grid(rows, columns, pixel_mm)
    cells = []
    for one_slice in hu:  # one at a time: a float copy of a whole series would take gigabytes
        image = torch.from_numpy(np.ascontiguousarray(one_slice, np.float32))[None, None]
        image = F.pad(image, (0, wide - columns, 0, high - rows), value=AIR_HU)
        image = F.interpolate(image, size=(min(high, GRID), min(wide, GRID)), mode="area")
        if min(high, wide) < GRID:  # pixels larger than cells
            image = F.interpolate(image, size=(GRID, GRID), mode="bilinear")
        cells.append(image)
    return torch.cat(cells)


def from_grid(cells: Tensor, rows: int, columns: int, pixel_mm: PixelMm = SQUARE_PIXEL) -> Tensor:
    """Interpolate (slice, 1, n, n) back to the slice's own matrix: float32 (slice, 1, rows, columns)."""
    size = _pixels_of_grid(rows, columns, pixel_mm)
    return F.interpolate(cells, size=size, mode="bilinear")[..., :rows, :columns]


def cell_area_mm2(volume: Volume) -> float:
    """Area of one of the grid's cells."""
    _, rows, columns = volume.hu.shape
    high, wide = _pixels_of_grid(rows, columns, volume.spacing_mm[1:])
    return volume.pixel_area_mm2 * ((high / GRID) * (wide / GRID))


def _pixels_of_grid(rows: int, columns: int, pixel_mm: PixelMm) -> tuple[int, int]:
    """How many (rows, columns) of the slice the grid spans: the smallest square in mm that holds the slice."""
    row_mm, column_mm = pixel_mm
    side_mm = max(rows * row_mm, columns * column_mm)
    return round(side_mm / row_mm), round(side_mm / column_mm)
