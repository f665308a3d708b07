"""The 256×256 grid on which the networks see a slice, whatever its matrix: a square in millimetres.

``pixel_mm``: distances between (rows, columns) of the slice; only their ratio matters here.
"""

import math

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 - as everywhere in torch
from torch import Tensor

GRID = 256  # cells per side: half the usual matrix, the resolution of the training data
AIR_HU = -1024  # beside slices that are not square
VIEW = 1.15  # side of the square around the lungs ÷ their longer side, a little more than of the classifier's crop

PixelMm = tuple[float, float]
SQUARE_PIXEL: PixelMm = (1.0, 1.0)


def to_grid(values: npt.NDArray[np.int16 | np.bool_], pixel_mm: PixelMm = SQUARE_PIXEL) -> Tensor:
    """Average HU or a mask (slice, row, column) over the grid's cells; returns float32 (slice, 1, 256, 256)."""
    _, rows, columns = values.shape
    beside = 0 if values.dtype == bool else AIR_HU
    high, wide = _pixels_of_grid(rows, columns, pixel_mm)
    over_rows, over_columns = _cells_of(high)[:, :rows], _cells_of(wide)[:, :columns].T
    cells = []
    for one_slice in values:  # one at a time: a float copy of a whole series would take gigabytes
        image = torch.from_numpy(one_slice.astype(np.float32) - beside)  # so that what lies beside it adds nothing
        cells.append(over_rows @ (image @ over_columns) + beside)
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


def cell_area_mm2(rows: int, columns: int, pixel_mm: PixelMm) -> float:
    """Area of one of the grid's cells."""
    high, wide = _pixels_of_grid(rows, columns, pixel_mm)
    row_mm, column_mm = pixel_mm
    return row_mm * column_mm * (high / GRID) * (wide / GRID)


def around_lungs(lungs: npt.NDArray[np.bool_], pixel_mm: PixelMm) -> tuple[slice, slice]:
    """Rows and columns of the square in mm, as far as the slices go, that holds the lungs of all slices with a margin.

    Its grid has the same detail whatever the field of view. It is of GRID pixels or more: less gains nothing.
    """
    held = [np.flatnonzero(lungs.any(others))[[0, -1]] for others in ((0, 2), (0, 1))]
    longest_mm = max((last + 1 - first) * mm for (first, last), mm in zip(held, pixel_mm, strict=True))
    side_mm = max(VIEW * longest_mm, GRID * max(pixel_mm))

    def along(first: int, last: int, mm: float, count: int) -> slice:
        side = min(count, math.ceil(side_mm / mm))
        start = round((first + last + 1 - side) / 2)
        start = min(max(0, start), count - side)
        return slice(start, start + side)

    rows, columns = (along(*ends, *of) for ends, *of in zip(held, pixel_mm, lungs.shape[1:], strict=True))
    return rows, columns


def _pixels_of_grid(rows: int, columns: int, pixel_mm: PixelMm) -> tuple[int, int]:
    """How many (rows, columns) of the slice the grid spans: the smallest square in mm that holds the slice."""
    row_mm, column_mm = pixel_mm
    side_mm = max(rows * row_mm, columns * column_mm)
    return round(side_mm / row_mm), round(side_mm / column_mm)
