"""Dense tissue that nothing marks: outside the lungs found, taken for chest wall, or in or between them."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

from .blobs import Mask, SpacingMm
from .findings import Candidate
from .regions import gaps, spine_column

STEP_MM = (4.0, 1.5, 1.5)
"""Distance of slices, rows and columns at which it is looked for; densities are means of three by three such pixels."""

FAT_HU, BONE_HU = -30.0, 150.0
"""Fat is less dense, bone denser; what lies between is muscle, fluid or lung without air."""
BETWEEN_RIBS_MM = 20.0
"""A rib this far above or below ends the tissue too: what lies between two ribs is not within the chest."""
EDGE_MM = 4.0
"""The border of the lungs, where air and tissue average to the density of fat."""
WALL_MM = 15.0
"""Thicker is no chest wall: pleura and intercostal muscles have under 10 mm."""
WIDE_MM = 20.0
"""Narrower is a gap between ribs that muscles fill."""
SPINE_MM = 50.0
"""From the middle of the spine to the side: there are the vertebrae, the aorta and the heart behind lung."""

IN_LUNGS_MM, SURROUNDED_MM = 12.0, 25.0
"""Side of a square of a slice. What does not hold one is, in the lungs, a vessel or their blurred edge, and with lung
in front, behind, above and below, a part of the hilum."""
GAP_MM = 75.0
"""From lung to lung, front to back and up to down: masses that are seen at all are smaller, the heart is larger (in
some patients the aorta is not)."""
MOSTLY_OPACITY = 0.75
"""Share of an outline from which opacity accounts for it."""

BALL_RADII_MM = (12.5, 15.0, 18.0, 22.0, 26.0)
"""Smaller balls fit where vessels meet."""
BALL_STEP = 2
"""Every so many of the rows and columns are enough for balls of this size."""
FULL = 0.9
"""Share of a ball that is dense."""
SHELL_MM = (2.0, 6.0)
"""From the ball outwards: what lies around it."""
IN_LUNG = 0.42
"""Share of what lies around a ball that is aerated lung: half of it where the ball lies half in a flat wall. Heart,
aorta, hilum and diaphragm of the chests looked at, healthy and with pneumonia, have 0.40 at most."""
AERATED_HU = -300.0
"""Denser is the edge of something."""


class Amount(NamedTuple):
    """``most_in``: index of the slice that holds the most of it, 0 where there is none."""

    volume_ml: float
    most_in: int


class Ball(NamedTuple):
    """``middle_in``: index of the slice of its middle."""

    diameter_mm: float
    middle_in: int


def tissue_at_wall(hu: npt.NDArray[np.int16], of_zone: npt.NDArray[np.uint8], spacing_mm: SpacingMm) -> Amount:
    """What is too thick, behind or beside the lungs, to be chest wall.

    ``hu`` and ``of_zone``, from ``regions.zones``: (slice, row, column), slices from head to feet, rows from front to
    back, columns from right to left; ``spacing_mm`` in the same order. In each column of a slice the tissue between the
    last pixel of lung and the first fat or rib behind it counts, in each row that at the right and at the left, there
    only with lung above and below: under the dome of the diaphragm lies the liver. What lies in front of the lungs, or
    in slices without any lung, is not seen.
    """
    thinned, (slice_mm, row_mm, column_mm) = _thinned(spacing_mm)
    lungs, smooth = of_zone[thinned] > 0, _smooth(hu[thinned])
    spine = spine_column(lungs, hu[thinned])
    if spine is None:
        return Amount(0.0, 0)  # no ribs to tell by

    ribs = ndimage.maximum_filter1d(smooth > BONE_HU, 2 * round(BETWEEN_RIBS_MM / slice_mm) + 1, axis=0)
    ends = ribs | (smooth < FAT_HU)
    beside_spine = np.abs(np.arange(lungs.shape[2]) - spine) * column_mm < SPINE_MM
    at_wall = _too_thick(lungs & ~beside_spine, ends, row_mm, column_mm)

    between = np.logical_or.accumulate(lungs) & np.logical_or.accumulate(lungs[::-1])[::-1]
    for side in (np.s_[..., spine::-1], np.s_[..., spine:]):
        lung, ends_of_side = (mask[side].transpose(0, 2, 1) for mask in (lungs, ends))
        at_wall[side] |= _too_thick(lung, ends_of_side, column_mm, row_mm).transpose(0, 2, 1) & between[side]
    of_slices_ml = at_wall.sum((1, 2)) * slice_mm * row_mm * column_mm / 1000
    return Amount(float(of_slices_ml.sum()), int(of_slices_ml.argmax()) * thinned[0].step)


def _too_thick(lungs: Mask, ends: Mask, along_mm: float, across_mm: float) -> Mask:
    """Along axis 1, from the last lung to the first end: where that is thicker than WALL_MM over WIDE_MM of axis 2."""
    along = np.arange(lungs.shape[1])[:, None]
    last = np.where(lungs, along, -1).max(1, keepdims=True)
    ends = ends & (along >= last + 1 + EDGE_MM / along_mm)
    ended = (last >= 0) & ends.any(1, keepdims=True)
    thick = np.where(ended, ends.argmax(1)[:, None] - last - 1, 0)
    wide = ndimage.grey_opening(thick, (1, 1, 2 * round(WIDE_MM / 2 / across_mm) + 1))
    too_thick: Mask = (along > last) & (along <= last + wide) & (wide * along_mm > WALL_MM)
    return too_thick


def unmarked(
    hu: npt.NDArray[np.int16],
    of_zone: npt.NDArray[np.uint8],
    opacity: npt.NDArray[np.uint8],
    findings: npt.NDArray[np.uint16],
    spacing_mm: SpacingMm,
) -> Amount:
    """Dense tissue in the lungs found, or with lung in front of it, behind, above and below within GAP_MM, that is
    marked neither as opacity nor as a finding, without what is as narrow as vessels.

    ``opacity`` and ``findings``: labels, 0 where nothing is marked; all else as for ``tissue_at_wall``.
    """
    thinned, (slice_mm, row_mm, column_mm) = _thinned(spacing_mm)
    lungs = of_zone[thinned] > 0
    (box,) = ndimage.find_objects(lungs.view(np.uint8))
    lungs, dense = lungs[box], _smooth(hu[thinned][box]) > FAT_HU
    surrounded = ~lungs
    for axis, mm in ((0, slice_mm), (1, row_mm)):
        surrounded &= gaps(lungs, axis) * mm <= GAP_MM
    of_both = np.zeros(lungs.shape, bool)
    for where, side_mm in ((lungs, IN_LUNGS_MM), (lungs | surrounded, SURROUNDED_MM)):
        square = 1, max(1, round(side_mm / row_mm)), max(1, round(side_mm / column_mm))
        of_both |= ndimage.grey_opening(where & dense, square)
    left = of_both & (opacity[thinned][box] == 0) & (findings[thinned][box] == 0)
    of_slices_ml = left.sum((1, 2)) * slice_mm * row_mm * column_mm / 1000
    return Amount(float(of_slices_ml.sum()), (box[0].start + int(of_slices_ml.argmax())) * thinned[0].step)


def doubtful(
    candidates: Iterable[Candidate],
    opacity: npt.NDArray[np.uint8],
    findings: npt.NDArray[np.uint16],
    spacing_mm: SpacingMm,
) -> Amount:
    """The most of one of these outlines that neither opacity nor findings mark; all else as for ``unmarked``, the
    outlines with voxels of the same volume."""
    voxel_ml = float(np.prod(spacing_mm)) / 1000
    largest = Amount(0.0, 0)
    for one in candidates:
        left = one.mask & (opacity[one.box] == 0) & (findings[one.box] == 0)
        if left.sum() > (1 - MOSTLY_OPACITY) * one.mask.sum():
            of_slices_ml = left.sum((1, 2)) * voxel_ml
            most_in = one.box[0].start + int(of_slices_ml.argmax())
            largest = max(largest, Amount(float(of_slices_ml.sum()), most_in))
    return largest


def standing_out(
    hu: npt.NDArray[np.int16],
    of_zone: npt.NDArray[np.uint8],
    opacity: npt.NDArray[np.uint8],
    findings: npt.NDArray[np.uint16],
    spacing_mm: SpacingMm,
) -> Ball | None:
    """The ball of unmarked dense tissue, of 25 mm and more, that stands out the most into aerated lung, as a mass does
    that touches heart, diaphragm or wall, where the lungs found leave it out. None where all balls lie mostly in other
    tissue, as those within heart, aorta and liver do. All else as for ``unmarked``."""
    thinned, (slice_mm, row_mm, column_mm) = _thinned(spacing_mm)
    fewer = np.s_[:, ::BALL_STEP, ::BALL_STEP]
    lungs, smooth = (of_zone[thinned] > 0)[fewer], _smooth(hu[thinned])[fewer]
    marked = ((opacity[thinned] > 0) | (findings[thinned] > 0))[fewer]
    step_mm = (slice_mm, BALL_STEP * row_mm, BALL_STEP * column_mm)
    (box,) = ndimage.find_objects(lungs.view(np.uint8))
    box = tuple(
        slice(max(0, part.start - round(BALL_RADII_MM[-1] / mm)), part.stop + round(BALL_RADII_MM[-1] / mm))
        for part, mm in zip(box, step_mm, strict=True)
    )
    share_of = _Shares(step_mm, lungs[box].shape)
    dense = share_of.spectrum(((smooth > FAT_HU) & ~marked)[box])
    aerated = share_of.spectrum((lungs & (smooth < AERATED_HU))[box])
    most, ball = IN_LUNG, None
    for radius_mm in BALL_RADII_MM:
        full = share_of.ring(dense, 0.0, radius_mm) >= FULL
        in_lung = share_of.ring(aerated, *(radius_mm + width for width in SHELL_MM)) * full
        if in_lung.max() > most:
            most = float(in_lung.max())
            middle = np.unravel_index(in_lung.argmax(), in_lung.shape)[0]
            ball = Ball(2 * radius_mm, (box[0].start + int(middle)) * thinned[0].step)
    return ball


class _Shares:
    """Share of a mask in balls and shells around each of its voxels, all at once, by Fourier transforms."""

    def __init__(self, step_mm: SpacingMm, shape: tuple[int, ...]) -> None:
        reach = [int((BALL_RADII_MM[-1] + SHELL_MM[1]) // mm) for mm in step_mm]
        axes = (np.arange(-n, n + 1) * mm for n, mm in zip(reach, step_mm, strict=True))
        z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
        self.away_mm = np.sqrt(z**2 + y**2 + x**2)
        self.padded = [fft.next_fast_len(count + n, real=True) for count, n in zip(shape, reach, strict=True)]
        self.inside = tuple(slice(n, n + count) for count, n in zip(shape, reach, strict=True))

    def spectrum(self, mask: Mask) -> npt.NDArray[np.complex64]:
        spectrum: npt.NDArray[np.complex64] = fft.rfftn(mask.astype(np.float32), self.padded)
        return spectrum

    def ring(self, spectrum: npt.NDArray[np.complex64], from_mm: float, to_mm: float) -> npt.NDArray[np.float32]:
        """Of the mask of this ``spectrum``, in what lies so far away: of the mask's shape."""
        ring = ((self.away_mm >= from_mm) & (self.away_mm <= to_mm)).astype(np.float32)
        shares = fft.irfftn(spectrum * fft.rfftn(ring / ring.sum(), self.padded), self.padded)
        inside: npt.NDArray[np.float32] = shares[self.inside]
        return inside


def _thinned(spacing_mm: SpacingMm) -> tuple[tuple[slice, ...], SpacingMm]:
    """Every so many voxels that they are STEP_MM apart, and how far they are."""
    every = [max(1, round(step / mm)) for step, mm in zip(STEP_MM, spacing_mm, strict=True)]
    z_mm, y_mm, x_mm = (mm * count for mm, count in zip(spacing_mm, every, strict=True))
    return tuple(slice(None, None, count) for count in every), (z_mm, y_mm, x_mm)


def _smooth(hu: npt.NDArray[np.int16]) -> npt.NDArray[np.float32]:
    smooth: npt.NDArray[np.float32] = ndimage.uniform_filter(hu.astype(np.float32), (1, 3, 3))
    return smooth
