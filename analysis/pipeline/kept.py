"""What is kept of a result beside its numbers: maps that show whole slices in fewer pixels."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

if TYPE_CHECKING:
    from analysis.pipeline.run import Analysis

MAP_SIZE = 256  # pixels per side

Map = npt.NDArray[np.uint8]  # (slice, 256, 256)


def kept_maps(analysis: "Analysis") -> Iterator[tuple[str, Map]]:
    """Names and maps, one after the other, as all at once are large: of heat (255: the fixed scale's maximum), opacity
    (labels of ``opacity.py``), findings (k of the k-th, 255 of all from there on) and lungs (1), in the order and frame
    of the CT's slices."""
    nearest = Image.Resampling.NEAREST  # labels have no mean
    yield "heatmap", _smaller(analysis.heatmap, Image.Resampling.BOX)
    yield "opacity_map", _smaller(analysis.opacity, nearest)
    yield "findings_map", _smaller(analysis.findings, nearest)
    yield "lungs_map", _smaller(analysis.lungs, nearest)


def _smaller(planes: npt.NDArray[np.uint8 | np.uint16 | np.bool_], resampling: Image.Resampling) -> Map:
    kept = np.empty((len(planes), MAP_SIZE, MAP_SIZE), np.uint8)
    for smaller, plane in zip(kept, planes, strict=True):
        image = Image.fromarray(plane.clip(max=255).astype(np.uint8))
        smaller[:] = np.asarray(image.resize((MAP_SIZE, MAP_SIZE), resampling))
    return kept
