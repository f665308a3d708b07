"""Where the slices of a CT lie in an earlier one, whatever their thickness, the breath and the frames of reference."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from .models import Analysis, Comparison
from .trend import TimePoint


@dataclass(frozen=True)
class Match:
    """Pairs of heights, mm, from head to feet: of the reference CT, and where the same level lies in the other.

    ``registrations``: of how many pairs of CTs they come, 0 where the height in the lungs alone decides.
    """

    reference_z_mm: list[float]
    z_mm: list[float]
    registrations: int

    def in_other(self, z_mm: float) -> float:
        """A height of the reference CT in the other, as far as both hold it."""
        return float(np.interp(z_mm, self.reference_z_mm[::-1], self.z_mm[::-1]))  # np.interp wants them ascending


def match(course: Sequence[TimePoint], found: dict[tuple[int, int], Comparison]) -> Match:
    """The levels of the last of results that follow each other in the first of them.

    By the registration of the two where there is one, else by those of all pairs between them, else by height.
    """
    first, reference = (point.analysis for point in (course[0], course[-1]))
    heights_mm = np.array(_heights_mm(reference))
    for steps in ([(first, reference)], list(pairwise(point.analysis for point in course))):
        z_mm = heights_mm
        for before, now in reversed(steps):
            z_mm = _in_prior(z_mm, now, found.get((before.pk, now.pk)))
        known = ~np.isnan(z_mm)
        if known.sum() > 1:
            return Match(_rounded(heights_mm[known]), _rounded(z_mm[known]), len(steps))
    return by_height(first, reference)


def by_height(other: Analysis, reference: Analysis) -> Match:
    """The levels of ``reference`` in another result, by their height in the lungs alone."""
    return Match(_lung_ends_mm(reference), _lung_ends_mm(other), 0)


def _in_prior(z_mm: np.ndarray, now: Analysis, comparison: Comparison | None) -> np.ndarray:
    """Heights in a CT as heights in the one it was compared with; NaN where no registration says so."""
    change = comparison.change if comparison else None
    levels = (change or {}).get("prior_z_mm")  # results of earlier versions lack it
    pairs = [pair for pair in zip(_heights_mm(now), levels or (), strict=False) if pair[1] is not None]
    if not pairs:
        return np.full_like(z_mm, np.nan)
    here, there = np.array(pairs[::-1]).T  # np.interp wants them ascending
    return np.interp(z_mm, here, there, left=np.nan, right=np.nan)


def _heights_mm(analysis: Analysis) -> list[float]:
    return [each["z_mm"] for each in analysis.report["slices"]]


def _lung_ends_mm(analysis: Analysis) -> list[float]:
    """The first and the last slice with lung; of all slices where no lung is known."""
    slices = analysis.report["slices"]
    lung = [each["z_mm"] for each in slices if each["probability"] is not None]
    ends = lung if len(lung) > 1 else _heights_mm(analysis)
    return [ends[0], ends[-1]]


def _rounded(z_mm: np.ndarray) -> list[float]:
    return [round(float(each), 2) for each in z_mm]
