"""The 256×256 grid on which the networks see a slice, whatever its matrix: a square in millimetres.

``pixel_mm``: distances between (rows, columns) of the slice; only their ratio matters here.
"""

import math

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 - as everywhere in torch
from scipy import sparse
from torch import Tensor

GRID = 256  # cells per side: half the usual matrix, the resolution of the training data
AIR_HU = -1024  # beside slices that are not square
VIEW = 1.15  # side of the square around the lungs ÷ their longer side, a little more than of the classifier's crop

PixelMm = tuple[float, float]
SQUARE_PIXEL: PixelMm = (1.0, 1.0)


def to_grid(hu: npt.NDArray[np.int16], pixel_mm: PixelMm = SQUARE_PIXEL) -> Tensor:
    """Average HU (slice, row, column) over the grid's cells; returns float32 (slice, 1, 256, 256)."""
    _, rows, columns = hu.shape
    high, wide = _pixels_of_grid(rows, columns, pixel_mm)
    over_rows, over_columns = _cells_of(high)[:, :rows], _cells_of(wide)[:, :columns]
    cells = np.empty((len(hu), 1, GRID, GRID), np.float32)
    for one_slice, own in zip(hu, cells[:, 0], strict=True):  # a float copy of a whole series would take gigabytes
        image = one_slice.astype(np.float32) - AIR_HU  # so that what lies beside it adds nothing
        own[:] = (over_columns @ (over_rows @ image).T).T + AIR_HU
    return torch.from_numpy(cells)


def _cells_of(pixels: int) -> sparse.csr_array:
    """The grid's cells along one axis by the pixels along it, float32 (256, pixel): the share that each pixel has in a
    cell, or, where pixels are the larger, linear interpolation."""
    if pixels < GRID:
        return sparse.csr_array(F.interpolate(torch.eye(pixels)[None], size=GRID, mode="linear")[0].T.numpy())
    edges = np.linspace(0, pixels, GRID + 1)
    pixel = np.arange(pixels)
    common = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    return sparse.csr_array((common.clip(min=0) * (GRID / pixels)).astype(np.float32))


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


def crop(
    images: Tensor, boxes: Tensor, size: int, *, angle: Tensor | None = None, flip: Tensor | None = None
) -> Tensor:
    """Sample square boxes of images (N, C, H, W), bilinear, zero outside the image, to (N, C, size, size).

    ``boxes``: (N, 3) centre row, centre column and side in pixels, or (1, 3), the same for all; ``angle``: (N,) radians
    and ``flip``: (N,) ±1 (-1 mirrors left and right) turn each box, as training does.
    """
    height, width = images.shape[-2:]
    angle = torch.zeros(len(boxes)) if angle is None else angle
    flip = torch.ones(len(boxes)) if flip is None else flip
    row, column, side = boxes.T
    cos, sin = angle.cos(), angle.sin()
    theta = torch.stack(
        [
            torch.stack([cos * side / width * flip, -sin * side / width, 2 * column / width - 1], -1),
            torch.stack([sin * side / height * flip, cos * side / height, 2 * row / height - 1], -1),
        ],
        1,
    )
    grid = F.affine_grid(theta, [len(boxes), images.shape[1], size, size], align_corners=False)
    grid = grid.expand(len(images), -1, -1, -1)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def part_of_grid(cells: Tensor, view: tuple[slice, slice], rows: int, columns: int, pixel_mm: PixelMm) -> Tensor:
    """Interpolate (slice, 1, n, n) over whole slices to the grid over a view of them: (slice, 1, 256, 256), 0 beyond.

    ``view``: rows and columns of slices of ``rows`` × ``columns``.
    """
    whole = _pixels_of_grid(rows, columns, pixel_mm)
    part = _pixels_of_grid(view[0].stop - view[0].start, view[1].stop - view[1].start, pixel_mm)
    n = cells.shape[-1]
    centre = [(ends.start + side / 2) / of * n for ends, side, of in zip(view, part, whole, strict=True)]
    box = torch.tensor([[*centre, part[0] / whole[0] * n]])
    return crop(cells, box, GRID)


def _pixels_of_grid(rows: int, columns: int, pixel_mm: PixelMm) -> tuple[int, int]:
    """How many (rows, columns) of the slice the grid spans: the smallest square in mm that holds the slice."""
    row_mm, column_mm = pixel_mm
    side_mm = max(rows * row_mm, columns * column_mm)
    return round(side_mm / row_mm), round(side_mm / column_mm)
