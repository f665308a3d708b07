"""Signed distances in mm (negative inside) and smooth noise on a regular grid.

All arrays are float32 with axes (z, y, x); distances are exact for spheres and tubes and good
near the surface for the other shapes, which is where they decide anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.float32]
FAR_MM = 30.0
NOISE_GAIN = 3.1  # the spline averages neighbouring knots: their standard deviation falls to a third in 3D


@dataclass(frozen=True)
class Axes:
    """Coordinates in mm of the grid points of a field, each ascending and evenly spaced."""

    z: npt.NDArray[np.float32]
    y: npt.NDArray[np.float32]
    x: npt.NDArray[np.float32]

    @classmethod
    def between(cls, low_mm: Sequence[float], high_mm: Sequence[float], step_mm: float) -> "Axes":
        """Axes from ``low_mm`` to ``high_mm``, both in the order (z, y, x)."""
        return cls(*(np.arange(a, b + step_mm / 2, step_mm, np.float32) for a, b in zip(low_mm, high_mm, strict=True)))

    @cached_property
    def shape(self) -> tuple[int, int, int]:
        return len(self.z), len(self.y), len(self.x)

    @property
    def step_mm(self) -> float:
        return float(self.z[1] - self.z[0])

    @property
    def open(self) -> tuple[Field, Field, Field]:
        """z, y, x shaped to broadcast against each other."""
        return self.z[:, None, None], self.y[None, :, None], self.x[None, None, :]

    def part(self, box: tuple[slice, slice, slice]) -> "Axes":
        return Axes(self.z[box[0]], self.y[box[1]], self.x[box[2]])

    def box_around(self, low_xyz: npt.ArrayLike, high_xyz: npt.ArrayLike) -> tuple[slice, slice, slice]:
        """Index slices (z, y, x) of the grid points between two corners (x, y, z) in mm."""
        low, high = np.asarray(low_xyz), np.asarray(high_xyz)
        z, y, x = (
            slice(*np.searchsorted(axis, (low[i], high[i]))) for axis, i in ((self.z, 2), (self.y, 1), (self.x, 0))
        )
        return z, y, x


def ellipsoid(axes: Axes, center_xyz: Sequence[float], radii_xyz: Sequence[float]) -> Field:
    """Distance to an axis-parallel ellipsoid, first-order exact at its surface."""
    z, y, x = axes.open
    (cx, cy, cz), (rx, ry, rz) = center_xyz, radii_xyz
    u, v, w = (x - cx) / rx, (y - cy) / ry, (z - cz) / rz
    level = np.sqrt(u * u + v * v + w * w)
    slope = np.sqrt((u / rx) ** 2 + (v / ry) ** 2 + (w / rz) ** 2)
    return (level * (level - 1) / np.maximum(slope, 1e-6)).astype(np.float32)


def oval(
    axes: Axes, half_width_mm: Field, half_depth_mm: Field, center_y_mm: Field, power: float, front_power: float
) -> Field:
    """Distance to a stack of superellipses whose size per level is given (each (z,)).

    ``power``: roundness of the posterior half, ``front_power`` of the anterior one (2 is an ellipse).
    """
    _, y, x = axes.open
    u = np.abs(x) / half_width_mm[:, None, None]
    v = (y - center_y_mm[:, None, None]) / half_depth_mm[:, None, None]
    p = np.where(v > 0, power, front_power).astype(np.float32)
    v = np.abs(v)
    u_p, v_p = u**p, v**p
    level = (u_p + v_p) ** (1 / p)
    slope = np.hypot(
        u_p / np.maximum(u, 1e-3) / half_width_mm[:, None, None],
        v_p / np.maximum(v, 1e-3) / half_depth_mm[:, None, None],
    ) * np.maximum(level, 1e-3) ** (1 - p)
    return normalised_along_z((level - 1) / np.maximum(slope, 1e-4), axes)


def normalised_along_z(level: Field, axes: Axes) -> Field:
    """A per-level distance made a distance in 3D: divided by its slope along z."""
    slope = np.gradient(level, axes.step_mm, axis=0)
    return (level / np.sqrt(1 + slope * slope)).astype(np.float32)


def tube(axes: Axes, points_xyz: npt.ArrayLike, radii_mm: float | Sequence[float]) -> Field:
    """Distance to a chain of round cones; ``FAR_MM`` at most."""
    field = np.full(axes.shape, FAR_MM, np.float32)
    points = np.asarray(points_xyz, np.float32)
    radii = np.broadcast_to(np.asarray(radii_mm, np.float32), len(points))
    for a, b, radius_a, radius_b in zip(points[:-1], points[1:], radii[:-1], radii[1:], strict=True):
        reach = max(radius_a, radius_b) + FAR_MM / 2
        box = axes.box_around(np.minimum(a, b) - reach, np.maximum(a, b) + reach)
        z, y, x = axes.part(box).open
        along = b - a
        t = ((x - a[0]) * along[0] + (y - a[1]) * along[1] + (z - a[2]) * along[2]) / float(along @ along)
        t = np.clip(t, 0, 1)
        away = (x - a[0] - t * along[0]) ** 2 + (y - a[1] - t * along[1]) ** 2 + (z - a[2] - t * along[2]) ** 2
        np.minimum(field[box], np.sqrt(away) - (radius_a + t * (radius_b - radius_a)), out=field[box])
    return field


def union(*fields: Field) -> Field:
    out = fields[0]
    for field in fields[1:]:
        out = np.minimum(out, field)
    return out


def soft_union(a: Field, b: Field, blend_mm: float) -> Field:
    """Union whose inner corner is filled over ``blend_mm`` (polynomial smooth minimum)."""
    h = np.maximum(blend_mm - np.abs(a - b), 0) / blend_mm
    return (np.minimum(a, b) - h * h * (blend_mm / 4)).astype(np.float32)


def smooth_noise(rng: np.random.Generator, axes: Axes, scale_mm: float) -> Field:
    """Random field of mean 0 and standard deviation about 1 that varies over ``scale_mm``."""
    counts = [int((axis[-1] - axis[0]) / scale_mm) + 4 for axis in (axes.z, axes.y, axes.x)]
    field = rng.standard_normal(counts, np.float32)
    for dimension, axis in ((2, axes.x), (1, axes.y), (0, axes.z)):
        field = _spline(field, dimension, (axis - axis[0]) / np.float32(scale_mm))
    return field * np.float32(NOISE_GAIN)


def _spline(knots: Field, dimension: int, position: npt.NDArray[np.float32]) -> Field:
    """The cubic B-spline through one dimension at ``position`` (in knots), from its four nearest knots."""
    first = position.astype(np.intp)
    t = position - first
    weights = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    shape = [-1 if d == dimension else 1 for d in range(3)]
    return sum(np.take(knots, first + i, axis=dimension) * (w / 6).reshape(shape) for i, w in enumerate(weights))
