"""From slices to the case: positive ratio, decision and Corona score."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

GATE_HU = -750.0
"""Aerated lung lies below, ground-glass above (−750…−300 HU; Ohno et al. 2022, Wang et al. 2021 use −750 or −700).
The map's cells are 11 mm wide: the gate takes the healthy lung out of them."""
GATE_MM = 8.0
"""Thickness of the slices that the gate is applied to: thinner ones are averaged to about this. A thick slice takes a
little of what borders an opacity for opaque, so that a score of thin slices and one of thick ones would differ."""


@dataclass(frozen=True, eq=False)
class Scores:
    """``activation_cm2``: float64 (slice,), gated activation of every slice, positive or not."""

    activation_cm2: npt.NDArray[np.float64]
    corona_score_cm3: float
    corona_score_paper_cm3: float


def positive_slices(probability: npt.NDArray[np.float64], threshold: float) -> npt.NDArray[np.bool_]:
    """Slices from ``threshold`` on; NaN (no lung) is never positive."""
    return np.nan_to_num(probability, nan=-1.0) >= threshold


def positive_ratio(probability: npt.NDArray[np.float64], threshold: float) -> float:
    """Positive slices ÷ lung slices (Gozes et al. 2020, section 2); 0 without lung slices."""
    lung_slices = int(np.isfinite(probability).sum())
    return float(positive_slices(probability, threshold).sum() / lung_slices) if lung_slices else 0.0


def corona_scores(
    activation: npt.NDArray[np.float32],
    hu: npt.NDArray[np.float32],
    positive: npt.NDArray[np.bool_],
    *,
    cell_area_mm2: float,
    slice_spacing_mm: float,
) -> Scores:
    """Corona score as the paper defines it and with the HU gate (Gozes et al. 2020, section 2).

    ``activation``: (slice, row, column) in [0, 1], 0 outside the lung; ``hu``: the same grid; ``positive``: (slice,).
    The paper's score is the sum of the activation over positive slices × voxel volume; the headline score counts
    only voxels denser than ``GATE_HU`` in slices of ``GATE_MM``. Areas and distances come in as mm² and mm, so neither
    depends on the grid.
    """
    to_cm2 = cell_area_mm2 / 100
    paper_cm2 = activation.sum((1, 2), dtype=np.float64) * to_cm2
    gated_cm2 = _gated(activation, hu, max(1, round(GATE_MM / slice_spacing_mm))) * to_cm2
    depth_cm = slice_spacing_mm / 10
    return Scores(
        activation_cm2=gated_cm2,
        corona_score_cm3=float(gated_cm2[positive].sum() * depth_cm),
        corona_score_paper_cm3=float(paper_cm2[positive].sum() * depth_cm),
    )


def _gated(activation: npt.NDArray[np.float32], hu: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.float64]:
    """Sum over each slice of the activation where the mean of ``count`` neighbouring slices passes the gate."""
    sums = np.zeros(len(hu))
    for start in range(0, len(hu), count):
        group = slice(start, start + count)
        sums[group] = activation[group].sum((1, 2), dtype=np.float64, where=hu[group].mean(0) > GATE_HU)
    return sums
