"""Right and left lung, and the thirds of each from top to bottom."""

import numpy as np
import numpy.typing as npt

ZONES = ("right upper", "right middle", "right lower", "left upper", "left middle", "left lower")
THIRDS = 3
BODY_HU = -300  # denser is body (or table, which lies in its middle)
NEAR_MIDDLE = 0.15
"""Part of the body's width, either side of its middle, in which the line that parts the lungs is looked for."""
CUT_SHARE = 0.2
"""Body at a side of the images ÷ that of the column with most of it, from which the field of view cuts the body."""
BONE_HU, SPINE_SHARE = 200, 0.06
"""Bone, contrast agent in vessels aside, lies above; the spine's width ÷ that of the images, about."""

_Mask = npt.NDArray[np.bool_]


def zones(lungs: _Mask, hu: npt.NDArray[np.int16]) -> npt.NDArray[np.uint8]:
    """0 outside the lungs, else 1 + the place in ZONES; uint8 (slice, row, column).

    ``lungs`` and ``hu``: (slice, row, column), slices from head to feet, columns from the patient's right to the left.
    Which lung is which goes by the middle of the body, so that a single lung stays whole, or by the spine where a side
    of the body is cut off, as in images of one lung. The thirds of a lung are of
    its own height, so that they need no landmark (radiologists part at the carina and below the inferior pulmonary
    vein).
    """
    labels = np.zeros(lungs.shape, np.uint8)
    if not lungs.any():
        return labels
    of_right = np.arange(lungs.shape[2]) < _parting_columns(lungs, hu)[:, None]  # (slice, column)
    for first, side in ((1, of_right), (1 + THIRDS, ~of_right)):
        lung = lungs & side[:, None]
        slices = np.flatnonzero(lung.any((1, 2)))
        if len(slices):
            height = slices[-1] + 1 - slices[0]
            third = (np.arange(len(lungs)) - slices[0]) * THIRDS // height
            np.copyto(labels, (first + third.clip(0, THIRDS - 1)).astype(np.uint8)[:, None, None], where=lung)
    return labels


def _parting_columns(lungs: _Mask, hu: npt.NDArray[np.int16]) -> npt.NDArray[np.int64]:
    """The column of each slice that parts right and left lung: that of least lung near the middle of the body.

    In most slices there is no lung at all at some of them (mediastinum); the anterior junction, where the lungs touch,
    is thin. Of columns with as little lung the one nearest to the middle is taken.
    """
    body = np.count_nonzero(hu > BODY_HU, axis=(0, 1))
    share = body.cumsum()
    left, middle, right = (int(np.searchsorted(share, part * share[-1])) for part in (0.05, 0.5, 0.95))
    if max(body[0], body[-1]) > CUT_SHARE * body.max():
        spine = spine_column(lungs, hu)
        middle = middle if spine is None else spine
    reach = max(1, round(NEAR_MIDDLE * (right - left)))
    near = np.arange(middle - reach, middle + reach + 1).clip(0, lungs.shape[2] - 1)
    away = np.abs(near - middle) / (reach + 1)  # below 1: decides between equals only
    pixels = lungs[:, :, near].sum(1)
    parting: npt.NDArray[np.int64] = near[np.argmin(pixels + away, axis=1)]
    return parting


def spine_column(lungs: _Mask, hu: npt.NDArray[np.int16]) -> int | None:
    """Where most bone lies behind the middle of the lungs' depth; None where there is no bone."""
    rows = np.flatnonzero(lungs.any((0, 2)))
    behind = slice((rows[0] + rows[-1]) // 2, rows[-1] + 1)
    bone = np.count_nonzero(hu[:, behind] > BONE_HU, axis=(0, 1)).astype(float)
    if not bone.any():
        return None
    width = max(1, round(SPINE_SHARE * len(bone)))
    return int(np.argmax(np.convolve(bone, np.ones(width), "same")))


def gaps(lungs: npt.NDArray[np.bool_], axis: int) -> npt.NDArray[np.int32]:
    """How many voxels lie between lung before a voxel and lung behind it along an axis: 0 in lung, a million where
    there is none on one side."""
    none = 1_000_000
    at = np.moveaxis(np.arange(lungs.shape[axis], dtype=np.int32)[:, None, None], 0, axis)
    before = np.maximum.accumulate(np.where(lungs, at, -none), axis)
    after = np.flip(np.minimum.accumulate(np.flip(np.where(lungs, at, none), axis), axis), axis)
    return np.minimum(np.where(lungs, 0, after - before - 1), none)
