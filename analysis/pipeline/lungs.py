"""Find the lungs: the U-Net slice by slice, then a clean-up in 3D."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 - as everywhere in torch
from scipy import ndimage
from torch import Tensor

from analysis.pipeline.grid import SQUARE_PIXEL, PixelMm, from_grid
from analysis.pipeline.inference import Network
from analysis.pipeline.networks import LUNG_INPUT, LUNG_WINDOW_HU, window
from analysis.pipeline.regions import BODY_HU

# A piece smaller than this share of the largest one is bowel gas, trachea or table, not lung: the smaller lung of
# a healthy adult has about 0.8 of the larger one's volume, a collapsed one still more than 0.1.
MIN_PIECE = 0.05
# A piece up to this share outside the body is left out: foam of the table under the back looks like lung. Not above it:
# where the field of view cuts the body open in front or behind, a whole lung lies outside what is left.
MAX_OUTSIDE = 0.5
# Larger holes in one slice are no vessel but the dome of the diaphragm: about 5 cm² in a usual field of view.
MAX_HOLE = 150  # pixels of 192²
SURE = 8.0  # logit of what the clean-up decides


def lung_logits(
    grid_hu: Tensor, network: Network, on_batch: Callable[[float], None] = lambda done: None
) -> npt.NDArray[np.float32]:
    """Logits of lung (slice, 192, 192) from HU (slice, 1, 256, 256): the mean of the slice and its mirror image, which
    are as likely and fail differently.

    ``network``: a LungUNet, ready. ``on_batch`` is told the share done after each batch. Raises ArithmeticError where
    the network fails: no number would be read as no lung.
    """
    logits = []
    at_once = network.batch // 2  # each with its mirror image
    for start in range(0, len(grid_hu), at_once):
        hu = F.interpolate(grid_hu[start : start + at_once], size=(LUNG_INPUT, LUNG_INPUT), mode="bilinear")
        image = window(hu, LUNG_WINDOW_HU)
        (of_both,) = network(torch.cat([image, image.flip(-1)]))
        as_it_is, mirrored = of_both.cpu().chunk(2)
        logits.append((as_it_is + mirrored.flip(-1)) / 2)
        on_batch(min(1.0, (start + at_once) / len(grid_hu)))
    joined: npt.NDArray[np.float32] = torch.cat(logits)[:, 0].numpy()
    if not np.isfinite(joined).all():
        raise ArithmeticError("The lung U-Net's result holds numbers that are none.")
    return joined


def clean(logits: npt.NDArray[np.float32], grid_hu: Tensor) -> npt.NDArray[np.float32]:
    """Drop small pieces (by 3D connection) and pieces of the table, and fill small holes slice by slice (vessels,
    consolidation).

    ``logits``: (slice, row, column), lung where positive, of ``grid_hu`` (slice, 1, n, n); returns a copy in which what
    changed is ±8.
    """
    lung = logits > 0
    pieces, count = ndimage.label(lung)
    if count == 0:
        return logits.copy()
    sizes = np.bincount(pieces.ravel())
    share = sizes / sizes[1:].max()
    large = share >= MIN_PIECE
    large[0] = False  # what is no lung
    for piece in np.flatnonzero(large & (share < MAX_OUTSIDE)):
        large[piece] = _is_in_body(pieces == piece, grid_hu)
    kept = large[pieces]
    filled = np.stack([_without_small_holes(one_slice) for one_slice in kept])
    cleaned = np.where(lung & ~filled, np.float32(-SURE), logits)
    return np.where(filled & ~lung, np.float32(SURE), cleaned)


def _is_in_body(piece: npt.NDArray[np.bool_], grid_hu: Tensor) -> bool:
    """Whether most of a piece of lung has the largest piece of tissue of its slices in front of it and behind: foam of
    the table has none behind, a lung that a side of the images cuts has both."""
    inside = 0
    for index in np.flatnonzero(piece.any((1, 2))):
        hu = F.interpolate(grid_hu[index][None], size=piece.shape[1:], mode="bilinear")[0, 0].numpy()
        tissue, _ = ndimage.label(hu > BODY_HU)
        largest = np.bincount(tissue.ravel())[1:].argmax() + 1 if tissue.any() else -1
        body = tissue == largest
        before, behind = np.logical_or.accumulate(body), np.logical_or.accumulate(body[::-1])[::-1]
        inside += int((piece[index] & before & behind).sum())
    return bool(inside > np.count_nonzero(piece) / 2)


def _without_small_holes(lung: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    holes, _ = ndimage.label(ndimage.binary_fill_holes(lung) & ~lung)
    small = np.bincount(holes.ravel()) <= MAX_HOLE
    small[0] = False  # what is no hole
    filled: npt.NDArray[np.bool_] = lung | small[holes]
    return filled


def lung_mask(
    logits: npt.NDArray[np.float32], rows: int, columns: int, pixel_mm: PixelMm = SQUARE_PIXEL
) -> npt.NDArray[np.bool_]:
    """The lungs at (slice, rows, columns) from the logits (slice, n, n)."""
    mask = np.empty((len(logits), rows, columns), bool)
    for own, one_slice in zip(mask, torch.from_numpy(logits)[:, None, None], strict=True):
        own[:] = from_grid(one_slice, rows, columns, pixel_mm)[0, 0].numpy() > 0
    return mask
