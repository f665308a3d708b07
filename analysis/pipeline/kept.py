"""What is kept of a result beside its numbers: maps that show whole slices in fewer pixels."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

if TYPE_CHECKING:
    from analysis.pipeline.run import Analysis

MAP_SIZE = 256  # pixels per side

Map = npt.NDArray[np.uint8]  # (slice, 256, 256)


def kept_maps(analysis: "Analysis") -> dict[str, Map]:
    """Of heat (255: the fixed scale's maximum), opacity (labels of ``opacity.py``), findings (k of the k-th, 255 of all
    from there on) and lungs (1), in the order and frame of the CT's slices."""
    nearest = Image.Resampling.NEAREST  # labels have no mean
    return {
        "heatmap": _smaller(analysis.heatmap, Image.Resampling.BOX),
        "opacity_map": _smaller(analysis.opacity, nearest),
        "findings_map": _smaller(analysis.findings.clip(max=255).astype(np.uint8), nearest),
        "lungs_map": _smaller(analysis.lungs.astype(np.uint8), nearest),
    }


def _smaller(planes: npt.NDArray[np.uint8], resampling: Image.Resampling) -> Map:
    size = (MAP_SIZE, MAP_SIZE)
    return np.stack([np.asarray(Image.fromarray(plane).resize(size, resampling)) for plane in planes])
