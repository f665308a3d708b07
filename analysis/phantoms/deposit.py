"""Thin branching things as voxels: their volume is spread in small portions, so none is lost on any grid."""

import numpy as np
import numpy.typing as npt

from .grid import Grid
from .tree import Tree
from .visit import Pose

Image = npt.NDArray[np.float32]


def spread(tree: Tree, pose: Pose, grid: Grid, *, hollow: float = 0.0) -> Image:
    """The part of each voxel taken by a tree: its volume in small portions, shared between four pixels.

    ``hollow``: the part of the radius that is left out, so that only the wall remains.
    """
    start, end = pose.to_scanner(tree.start), pose.to_scanner(tree.end)
    length = np.linalg.norm(end - start, axis=1)
    area = np.pi * tree.radius_mm**2 * (1 - hollow**2)
    step = float(np.clip(0.55 * min(grid.spacing_mm[1:]), 0.35, 0.9))
    counts = np.maximum(np.ceil(length * area / step**3), np.ceil(length / step) * 4).astype(np.int64)
    segment = np.repeat(np.arange(len(counts)), counts)
    nth = np.arange(len(segment)) - np.repeat(np.cumsum(counts) - counts, counts)
    along = ((nth + 0.5) / counts[segment]).astype(np.float32)
    # Quasi-random place in the cross-section (generalised golden ratio, Roberts 2018), even without a pattern.
    out = np.sqrt(hollow**2 + (1 - hollow**2) * np.mod(0.5 + nth * 0.7548776662466927, 1)).astype(np.float32)
    turn = (2 * np.pi * np.mod(0.5 + nth * 0.5698402909980532, 1)).astype(np.float32)
    first, second = _across(end - start)
    radius = tree.radius_mm[segment] * out
    point = start[segment] + along[:, None] * (end - start)[segment]
    point += (radius * np.cos(turn))[:, None] * first[segment] + (radius * np.sin(turn))[:, None] * second[segment]
    portion = (length * area / counts)[segment] / np.prod(grid.spacing_mm)
    return np.minimum(_deposit(point, portion.astype(np.float32), grid), 1)


def _across(direction: Image) -> tuple[Image, Image]:
    """Two unit vectors at right angles to each direction (segment, xyz)."""
    unit = direction / np.maximum(np.linalg.norm(direction, axis=1, keepdims=True), 1e-6)
    helper = np.where(np.abs(unit[:, 2:]) < 0.9, [[0, 0, 1]], [[1, 0, 0]]).astype(np.float32)
    first = np.cross(unit, helper)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    return first, np.cross(unit, first)


def _deposit(point_xyz: Image, portion: Image, grid: Grid) -> Image:
    """Portions added to the voxel's slice (a box profile) and to the four nearest pixels (a tent)."""
    slice_mm, row_mm, column_mm = grid.spacing_mm
    k = np.rint((grid.top_mm - point_xyz[:, 2]) / slice_mm).astype(np.int64)
    row, column = (point_xyz[:, 1] - grid.y_mm[0]) / row_mm, (point_xyz[:, 0] - grid.x_mm[0]) / column_mm
    i, j = np.floor(row).astype(np.int64), np.floor(column).astype(np.int64)
    keep = (k >= 0) & (k < grid.slices) & (i >= 0) & (i < grid.rows - 1) & (j >= 0) & (j < grid.columns - 1)
    k, i, j, row, column, portion = (a[keep] for a in (k, i, j, row, column, portion))
    row, column = (row - i).astype(np.float32), (column - j).astype(np.float32)
    flat = (k * grid.rows + i) * grid.columns + j
    total = np.zeros(grid.slices * grid.rows * grid.columns, np.float32)
    for step, weight in (
        (0, (1 - row) * (1 - column)),
        (1, (1 - row) * column),
        (grid.columns, row * (1 - column)),
        (grid.columns + 1, row * column),
    ):
        total += np.bincount(flat + step, weight * portion, len(total)).astype(np.float32)
    return total.reshape(grid.shape)
