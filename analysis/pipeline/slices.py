"""Classify each slice of the lungs as normal or abnormal, and say where, coarsely (heat map) and finely (opacity)."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 - as everywhere in torch
from torch import Tensor

from analysis.pipeline.grid import GRID, PixelMm, around_lungs, crop, part_of_grid, to_grid
from analysis.pipeline.networks import MAP_STRIDE, SLICE_INPUT, SLICE_WINDOW_HU, window
from analysis.pipeline.weights import Models

BOX_MARGIN = 1.1  # side of the crop ÷ the longer side of the lungs
SLAB_MM = 4.0  # thinner slices are averaged to about this: less noise, and time that does not grow with their number
NEIGHBOUR_MM = 5.0  # standard deviation of the weights by which slices speak for their neighbours
AIR_HU = -1000.0  # outside the slice
AT_ONCE = 16  # slices whose lungs are laid on the grid together


@dataclass(frozen=True, eq=False)
class Classified:
    """What the network says of each slice; NaN or 0 where it was not scored.

    ``probability``: float64 (slice,), of disease; ``probability_alone``: the same before the neighbours had a say.
    ``activation``: float32 (slice, 256, 256) in [0, 1], 0 outside the lung: the expected share of opaque lung at each
    place, on one scale for all slices and scans. ``opacity``: the same shape, the probability that the place is opaque.
    """

    probability: npt.NDArray[np.float64]
    probability_alone: npt.NDArray[np.float64]
    activation: npt.NDArray[np.float32]
    opacity: npt.NDArray[np.float32]


def seen(
    hu: npt.NDArray[np.int16],
    lungs: npt.NDArray[np.bool_],
    lung_logits: npt.NDArray[np.float32],
    pixel_mm: PixelMm,
) -> tuple[tuple[slice, slice], Tensor, npt.NDArray[np.bool_]]:
    """What the networks are shown of upright slices: its rows and columns, which lie around the lungs, and on the grid
    over these HU (slice, 1, 256, 256) and lungs (slice, 256, 256).

    ``lungs``: on the grid of ``hu``, with at least one voxel; ``lung_logits``: of the lungs (slice, n, n), over whole
    slices. In training as in the analysis.
    """
    view = around_lungs(lungs, pixel_mm)
    grid_hu = to_grid(hu[:, *view], pixel_mm)
    _, rows, columns = hu.shape
    lung = np.empty((len(hu), GRID, GRID), bool)
    for start in range(0, len(hu), AT_ONCE):  # all at once take gigabytes
        part = slice(start, start + AT_ONCE)
        logits = torch.from_numpy(lung_logits[part]).unsqueeze(1)
        lung[part] = part_of_grid(logits, view, rows, columns, pixel_mm)[:, 0].numpy() > 0
    return view, grid_hu, lung


def lung_box(lung: npt.NDArray[np.bool_]) -> tuple[float, float, float]:
    """The square that holds the lungs of all slices: centre row, centre column and side, in pixels.

    One box for the whole series, so that a lesion has the same size on every slice. ``lung``: (slice, row, column),
    with at least one voxel.
    """
    rows, columns = np.flatnonzero(lung.any((0, 2))), np.flatnonzero(lung.any((0, 1)))
    height, width = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
    return (rows[0] + height / 2, columns[0] + width / 2, BOX_MARGIN * max(height, width))


def slab_size(slice_spacing_mm: float) -> int:
    """How many neighbouring slices are averaged to one slab of about ``SLAB_MM``."""
    return max(1, round(SLAB_MM / slice_spacing_mm))


def with_neighbours(logits: npt.NDArray[np.float64], z_mm: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Average logits (n,) at ``z_mm`` (n,) with Gaussian weights: disease goes on in the next slice, noise does not."""
    weights = np.exp(-0.5 * ((z_mm[:, None] - z_mm) / NEIGHBOUR_MM) ** 2)
    averaged: npt.NDArray[np.float64] = weights @ logits / weights.sum(1)
    return averaged


def classify(
    grid_hu: Tensor,
    lung: npt.NDArray[np.bool_],
    scored: npt.NDArray[np.bool_],
    *,
    slice_spacing_mm: float,
    models: Models,
    on_batch: Callable[[float], None],
) -> Classified:
    """Say how probable disease is on each slice, and where.

    ``grid_hu``: (slice, 1, 256, 256); ``lung``: (slice, 256, 256); ``scored``: (slice,) slices with enough lung.
    Thin slices are averaged to slabs, and each gets its slab's result.
    """
    slab = slab_size(slice_spacing_mm)
    activation, opacity = np.zeros(lung.shape, np.float32), np.zeros(lung.shape, np.float32)
    slabs = [slice(start, min(start + slab, len(lung))) for start in range(0, len(lung), slab)]
    slabs = [members for members in slabs if scored[members].any()]
    logits: list[float] = []
    box = torch.tensor([lung_box(lung)], dtype=torch.float32)
    back = torch.tensor([[*((GRID / 2 - box[0, :2]) / box[0, 2] + 0.5), GRID / box[0, 2]]])  # in sides of the box
    at_once = models.slices.batch // 2  # each with its mirror image
    for start in range(0, len(slabs), at_once):
        batch = slabs[start : start + at_once]
        hu = torch.stack([grid_hu[members].mean(0) for members in batch])
        share = torch.stack([torch.from_numpy(lung[members]).float().mean(0, keepdim=True) for members in batch])
        of_slabs, locations, outlines = _run(hu, share, box, models)
        logits += of_slabs.tolist()
        for target, cells in ((activation, locations.sigmoid()), (opacity, outlines.sigmoid())):
            maps = crop(cells, back * cells.shape[-1], GRID)
            for members, one_map in zip(batch, maps, strict=True):
                target[members] = one_map.numpy() * lung[members]
        on_batch(min(1.0, (start + at_once) / len(slabs)))
    activation[~scored] = opacity[~scored] = 0
    alone = np.array(logits)
    averaged = with_neighbours(alone, np.array([slice_spacing_mm * (one.start + one.stop) / 2 for one in slabs]))
    return Classified(_probability(averaged, slabs, scored), _probability(alone, slabs, scored), activation, opacity)


def _probability(
    logits: npt.NDArray[np.float64], slabs: list[slice], scored: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Of each slice from the logits of the slabs."""
    probability = np.full(len(scored), np.nan)
    for members, one in zip(slabs, 1 / (1 + np.exp(-logits)), strict=True):
        probability[members] = one
    probability[~scored] = np.nan
    return probability


def _run(hu: Tensor, lung: Tensor, box: Tensor, models: Models) -> tuple[Tensor, Tensor, Tensor]:
    """Slice logits (N,), location logits (N, 1, 28, 28) and opacity logits (N, 1, 224, 224) of slabs (N, 1, 256, 256):
    mean of the slab and its mirror image, which are as likely and fail differently. Raises ArithmeticError where a
    network fails: no number would be read as healthy."""
    cropped = crop(torch.cat([hu - AIR_HU, lung], 1), box, SLICE_INPUT)
    image = window(cropped[:, :1] + AIR_HU, SLICE_WINDOW_HU)
    share = F.avg_pool2d(cropped[:, 1:], MAP_STRIDE)
    layer2, layer3, outlines = models.slices(torch.cat([image, image.flip(-1)]))
    with torch.inference_mode():
        both = torch.cat([share, share.flip(-1)]).to(models.device)
        logits, locations = models.slice_classifier.classify(layer2, layer3, both)
    if not all(bool(one.isfinite().all()) for one in (logits, locations, outlines)):
        raise ArithmeticError("The slice classifier's or the decoder's result holds numbers that are none.")
    as_it_is, mirrored = zip(*(one.cpu().chunk(2) for one in (logits, locations, outlines)), strict=True)
    return (
        (as_it_is[0] + mirrored[0]) / 2,
        (as_it_is[1] + mirrored[1].flip(-1)) / 2,
        (as_it_is[2] + mirrored[2].flip(-1)) / 2,
    )
