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
    over_rows, over_columns = _cells_of(high)[:, :rows], _cells_of(wide)[:, :columns].T  # what lies beside is 0: air
    cells = []
    for one_slice in hu:  # one at a time: a float copy of a whole series would take gigabytes
        image = torch.from_numpy(one_slice.astype(np.float32) - AIR_HU)
        cells.append(over_rows @ (image @ over_columns) + AIR_HU)
    return torch.stack(cells)[:, None]


def _cells_of(pixels: int) -> Tensor:
    """The grid's cells along one axis by the pixels along it, float32 (256, pixel): the share that each pixel has in a
    cell, or, where pixels are the larger, linear interpolation."""
    if pixels < GRID:
        return F.interpolate(torch.eye(pixels)[None], size=GRID, mode="linear")[0].T
    edges = torch.linspace(0, pixels, GRID + 1, dtype=torch.float64)
    pixel = torch.arange(pixels, dtype=torch.float64)
    common = torch.minimum(edges[1:, None], pixel + 1) - torch.maximum(edges[:-1, None], pixel)
    return (common.clamp(min=0) * (GRID / pixels)).float()


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
