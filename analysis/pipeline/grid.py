"""The 256×256 grid on which both networks see a slice, whatever its matrix."""

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 - as everywhere in torch
from torch import Tensor

from analysis.pipeline.volume import Volume

GRID = 256  # cells per side: half the usual matrix, the resolution of the training data
AIR_HU = -1024  # beside slices that are not square


def to_grid(hu: npt.NDArray[np.int16]) -> Tensor:
    """Average HU (slice, row, column) over the grid's cells; returns float32 (slice, 1, 256, 256)."""
    _, rows, columns = hu.shape
    side = max(rows, columns)
    cells = []
    for one_slice in hu:  # one at a time: a float copy of a whole series would take gigabytes
        image = torch.from_numpy(np.ascontiguousarray(one_slice, np.float32))[None, None]
        image = F.pad(image, (0, side - columns, 0, side - rows), value=AIR_HU)
        if side >= GRID:
            cells.append(F.interpolate(image, size=(GRID, GRID), mode="area"))
        else:
            cells.append(F.interpolate(image, size=(GRID, GRID), mode="bilinear"))
    return torch.cat(cells)


def from_grid(cells: Tensor, rows: int, columns: int) -> Tensor:
    """Interpolate (slice, 1, n, n) back to the slice's own matrix: float32 (slice, 1, rows, columns)."""
    side = max(rows, columns)
    return F.interpolate(cells, size=(side, side), mode="bilinear")[..., :rows, :columns]


def cell_area_mm2(volume: Volume) -> float:
    """Area of one of the grid's cells."""
    return volume.pixel_area_mm2 * float(max(volume.hu.shape[1:]) / GRID) ** 2
