"""Where in the lungs something round and dense may lie: blobs in scale space, most vessels sorted out.

A blob is a local maximum of the scale-normalised Laplacian (Lindeberg 1998) whose Hessian has three negative
eigenvalues of about one size; along a vessel one of them is near zero (Frangi et al. 1998).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk  # noqa: N813 - as everywhere
from scipy import ndimage

CELL_MM = 1.25
"""Side of the cubic cells in which blobs are looked for: three to the smallest nodule."""
LARGE_MM = 2 * CELL_MM  # of the cells in which the hull of the lungs is worked out
SIGMAS_MM = (1.5, 2.1, 3.0, 4.2, 6.0, 8.5, 12.0, 17.0)
"""Scales of the Gaussian; a ball of radius 1.6 σ answers most to σ: diameters of 5 to 54 mm."""
BALL_RADIUS = 1.6  # radius of the ball ÷ σ
OF_A_MASS_MM = 15.0
"""Blobs of a larger radius neither take the place of others nor give way to them: nodules lie beside the hilum, which
is as large, and a part of a mass looks like a nodule."""
LARGEST_SIGMA_CELLS = 2.0  # beyond it the image is halved: the answer is the same, the time an eighth
WINDOW_HU = (-1000.0, 100.0)  # calcium shall not outshine its neighbours
AERATED_HU = -860.0  # stands for what is not lung
HULL_MM = 16.5
"""The lungs are closed with a ball of this radius, so that a nodule at the wall lies inside."""
MARGIN_MM = 12.0  # around the lungs
MIN_RESPONSE_HU = 90.0
"""A ball of contrast C answers with about 0.7 C: ground-glass of 130 HU above the lung around it."""
MIN_ROUNDNESS = (0.5, 0.5, 0.45, 0.45, 0.45, 0.45, 0.45, 0.45)
"""Of each scale: smallest ÷ largest curvature. Balls have 0.6 to 0.9 with noise, vessels 0.05 to 0.3, and most vessels
are of the smallest scales."""
SLAB = 64  # slices that are interpolated together
BAND = 32  # rows of a matrix that are multiplied together
APART = 0.7  # of the clearer one's radius: closer blobs are one

Float = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Box = tuple[slice, slice, slice]
SpacingMm = tuple[float, float, float]  # distances between (slices, rows, columns)


@dataclass(frozen=True)
class Blob:
    """``centre``: (slice, row, column) of the volume, fractional; ``response_hu``: of the Laplacian at its best scale;
    ``roundness``: smallest ÷ largest curvature, in (0, 1]."""

    centre: tuple[float, float, float]
    radius_mm: float
    response_hu: float
    roundness: float


def lungs_box(lungs: Mask, spacing_mm: SpacingMm) -> Box:
    """The lungs, which are not empty, with a margin."""
    parts = []
    for axis, mm in enumerate(spacing_mm):
        index = np.flatnonzero(lungs.any(tuple({0, 1, 2} - {axis})))
        margin = int(np.ceil(MARGIN_MM / mm))
        parts.append(slice(max(0, index[0] - margin), min(lungs.shape[axis], index[-1] + 1 + margin)))
    return parts[0], parts[1], parts[2]


def find_blobs(hu: npt.NDArray[np.int16], lungs: Mask, spacing_mm: SpacingMm) -> tuple[list[Blob], Mask]:
    """Blobs in the lungs, the clearest first but those of a mass's size last, and the hull of the lungs, bool (slice,
    row, column).

    ``hu`` and ``lungs``: (slice, row, column), of what ``lungs_box`` cuts out.
    """
    image = to_cells(hu, spacing_mm, CELL_MM).clip(*WINDOW_HU)
    depth = _hull(lungs, spacing_mm)
    hull = _inside(depth, image.shape, (CELL_MM,) * 3)
    found = []
    scales = _scales(np.where(hull, image, np.float32(AERATED_HU)))
    for (sigma_mm, cell_mm, smooth, response), min_roundness in zip(scales, MIN_ROUNDNESS, strict=True):
        factor = round(cell_mm / CELL_MM)
        cells = _peaks(response, hull[::factor, ::factor, ::factor])
        roundness = _roundness(smooth, cells)
        centres = cells * cell_mm / np.array(spacing_mm)
        for k in np.flatnonzero(roundness >= min_roundness):
            centre, height = tuple(centres[k].tolist()), float(response[tuple(cells[k])])
            found.append(Blob(centre, BALL_RADIUS * sigma_mm, height, float(roundness[k])))
    small, large = ([one for one in found if (one.radius_mm > OF_A_MASS_MM) == mass] for mass in (False, True))
    return _apart(small, spacing_mm) + _apart(large, spacing_mm), _inside(depth, lungs.shape, spacing_mm)


def to_cells(values: npt.NDArray[np.generic], spacing_mm: SpacingMm, cell_mm: float) -> Float:
    """Interpolate (slice, row, column) to cubic cells from the first voxel on; finer voxels are averaged first."""

    def sampled(line: Float, mm: float) -> Float:
        if cell_mm / mm > 1.5:
            line = _averaged(line, round(cell_mm / mm))
        count = int((len(line) - 1) * mm / cell_mm) + 1
        return interpolated(line, np.arange(count) * cell_mm / mm, 0)

    thinned = []
    for start in range(0, len(values), SLAB):  # as numbers of 32 bits a thin scan would take half a gigabyte
        slab = values[start : start + SLAB].astype(np.float32)
        for axis in (2, 1):
            slab = _along(partial(sampled, mm=spacing_mm[axis]), slab, axis)
        thinned.append(slab)
    return _along(partial(sampled, mm=spacing_mm[0]), np.concatenate(thinned), 0)


def _averaged(line: Float, count: int) -> Float:
    """Means of ``count`` neighbours along the first axis; of an even number, the mean of those around either side, as
    either alone moves the image by half a voxel."""
    origins = (0,) if count % 2 else (0, -1)
    means = [ndimage.uniform_filter1d(line, count, axis=0, origin=origin) for origin in origins]
    averaged: Float = np.mean(means, axis=0, dtype=np.float32)
    return averaged


def _along(linear: Callable[[Float], Float], values: Float, axis: int) -> Float:
    """What ``linear``, which looks at neighbours alone, does along the first axis of an array, done along ``axis`` by
    products with its matrix: the same numbers in less time, by all cores. Band by band, as the rest of it is zero."""
    matrix = linear(np.eye(values.shape[axis], dtype=np.float32))
    shape = list(values.shape)
    shape[axis] = len(matrix)
    out = np.empty(shape, np.float32)
    for start in range(0, len(matrix), BAND):
        rows = matrix[start : start + BAND]
        used = np.flatnonzero(rows.any(0))
        near = slice(used[0], used[-1] + 1)
        band, end = rows[:, near], start + len(rows)
        if axis == 0:
            out[start:end] = (band @ values[near].reshape(band.shape[1], -1)).reshape(-1, *shape[1:])
        elif axis == 1:
            np.matmul(band, values[:, near], out=out[:, start:end])
        else:
            np.matmul(values[:, :, near], band.T, out=out[:, :, start:end])
    return out


def _smoothed(values: Float, sigma_cells: float) -> Float:
    """By a Gaussian."""
    for axis in range(3):
        values = _along(partial(ndimage.gaussian_filter1d, sigma=sigma_cells, axis=0, truncate=3.0), values, axis)
    return values


def _laplacian(values: Float) -> Float:
    padded = np.pad(values, 1, mode="edge")
    out = -6 * values
    for axis in range(3):
        for end in (slice(None, -2), slice(2, None)):
            out += padded[tuple(end if each == axis else slice(1, -1) for each in range(3))]
    return out


def _peaks(response: Float, hull: Mask) -> npt.NDArray[np.int64]:
    """Cells (n, 3) of the hull, not at the edge, with a clear response and none higher among their 26 neighbours."""
    cells = np.argwhere((response > MIN_RESPONSE_HU) & hull)
    cells = cells[((cells > 0) & (cells < np.array(response.shape) - 1)).all(1)]
    for offset in sorted(product((-1, 0, 1), repeat=3), key=np.count_nonzero):  # faces first: they rule out most
        cells = cells[response[tuple(cells.T)] >= response[tuple((cells + offset).T)]]
    return cells


def interpolated(values: Float, positions: npt.NDArray[np.floating], axis: int) -> Float:
    """``values`` linearly interpolated at ``positions`` (in voxels) along one axis, the edge beyond its ends."""
    positions = positions.clip(0, values.shape[axis] - 1)
    low = np.floor(positions).astype(int)
    shape = [1] * values.ndim
    shape[axis] = -1
    part = (positions - low).astype(np.float32).reshape(shape)
    high = np.minimum(low + 1, values.shape[axis] - 1)
    mixed: Float = values.take(low, axis) * (1 - part) + values.take(high, axis) * part
    return mixed


def _hull(lungs: Mask, spacing_mm: SpacingMm) -> Float:
    """How deep in the closed lungs without holes a cell of LARGE_MM lies, in such cells: positive inside, 0 at the
    edge, which so is known to less than a cell."""
    every = [1, *(max(1, int(LARGE_MM / (2 * mm))) for mm in spacing_mm[1:])]  # pixels finer than half a cell
    thinned_mm = (spacing_mm[0], spacing_mm[1] * every[1], spacing_mm[2] * every[2])
    share = to_cells(lungs[:, :: every[1], :: every[2]], thinned_mm, LARGE_MM)
    pad = int(np.ceil(HULL_MM / LARGE_MM)) + 1
    near = _distance_mm(np.pad(share > 0.5, pad), LARGE_MM) <= HULL_MM
    closed_mm = (_distance_mm(~near, LARGE_MM) - HULL_MM)[pad:-pad, pad:-pad, pad:-pad]
    depth: Float = np.maximum(closed_mm / LARGE_MM, share - 0.5)
    depth[ndimage.binary_fill_holes(depth > 0) & (depth <= 0)] = 0.5
    return depth


def _inside(hull: Float, shape: tuple[int, ...], spacing_mm: SpacingMm) -> Mask:
    """Where voxels of this shape and spacing lie in the hull, whose first cell the first of them shares."""
    positions = [np.arange(count) * mm / LARGE_MM for count, mm in zip(shape, spacing_mm, strict=True)]
    inside = np.empty(shape, bool)
    for start in range(0, shape[0], SLAB):
        slab = slice(start, start + SLAB)
        depth = interpolated(hull, positions[0][slab], 0)
        for axis in (1, 2):
            depth = _along(partial(interpolated, positions=positions[axis], axis=0), depth, axis)
        inside[slab] = depth > 0
    return inside


def _distance_mm(mask: Mask, cell_mm: float) -> Float:
    """Of each cell to the mask, by all cores (Maurer et al. 2003)."""
    image = sitk.GetImageFromArray(mask.view(np.uint8))
    image.SetSpacing((cell_mm,) * 3)
    distance: Float = sitk.GetArrayFromImage(sitk.SignedMaurerDistanceMap(image, False, False, True)).clip(0)
    return distance


def _scales(image: Float) -> Iterator[tuple[float, float, Float, Float]]:
    """(σ in mm, cell in mm, smoothed image, normalised Laplacian in HU) of each scale; balls are positive."""
    cell_mm = CELL_MM
    for sigma_mm in SIGMAS_MM:
        while sigma_mm / cell_mm > LARGEST_SIGMA_CELLS:
            image = _smoothed(image, 0.8)[::2, ::2, ::2]
            cell_mm *= 2
        smooth = _smoothed(image, sigma_mm / cell_mm)
        yield sigma_mm, cell_mm, smooth, _laplacian(smooth) * np.float32(-((sigma_mm / cell_mm) ** 2))


def _roundness(smooth: Float, cells: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Smallest ÷ largest of the Hessian's eigenvalues at ``cells`` (n, 3), 0 where not all are negative (no blob)."""

    def at(*offset: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        values: npt.NDArray[np.float64] = smooth[tuple((cells + sum(offset)).T)].astype(np.float64)
        return values

    steps = np.eye(3, dtype=np.int64)
    hessian = np.empty((len(cells), 3, 3))
    for a in range(3):
        hessian[:, a, a] = at(steps[a]) - 2 * at() + at(-steps[a])
        for b in range(a):
            along, against = at(steps[a], steps[b]) + at(-steps[a], -steps[b]), at(steps[a], -steps[b])
            hessian[:, a, b] = hessian[:, b, a] = (along - against - at(-steps[a], steps[b])) / 4
    largest, _, smallest = np.linalg.eigvalsh(hessian).T
    return np.where(smallest < 0, smallest / np.minimum(largest, -1e-9), 0.0)


def _apart(blobs: list[Blob], spacing_mm: SpacingMm) -> list[Blob]:
    """The clearest blob of each place."""
    blobs = sorted(blobs, key=lambda one: -one.response_hu * one.roundness)
    places = np.array([blob.centre for blob in blobs]).reshape(-1, 3) * spacing_mm
    open_ = np.ones(len(blobs), bool)
    for k, blob in enumerate(blobs):
        if open_[k]:
            near = np.linalg.norm(places[k + 1 :] - places[k], axis=1) < APART * blob.radius_mm
            open_[k + 1 :] &= ~near
    return [blob for blob, kept in zip(blobs, open_, strict=True) if kept]
