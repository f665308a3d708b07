"""How much of the lungs is opaque: ground-glass and consolidation, by region, and a severity score."""

import numpy as np
import numpy.typing as npt

from analysis.pipeline.regions import THIRDS, ZONES
from analysis.pipeline.report import Opacity, RegionOpacity, Severity

GROUND_GLASS, CONSOLIDATION = 1, 2  # labels
THRESHOLD = 0.5  # of the probability
HIGH_HU = -200.0
"""Opacity from here on is high, as of consolidation and vessels in it (Chaganti et al. 2020, Radiology: AI 2(4))."""
GRADES_PERCENT = (5.0, 25.0, 50.0, 75.0)
"""From these shares of a zone on it has 1, 2, 3 and 4 points: six zones make 0 to 24, as in the serial chest
radiographic score for SARS (PMC7120874, figure 2; zones as in Ooi et al. 2004, Radiology 230:836), but parted at thirds
of the lungs' height."""

REGIONS = {
    "right lung": ZONES[:THIRDS],
    "left lung": ZONES[THIRDS:],
    "upper thirds": ZONES[0::THIRDS],
    "middle thirds": ZONES[1::THIRDS],
    "lower thirds": ZONES[2::THIRDS],
    **{zone: (zone,) for zone in ZONES},
}
"""Each region by the zones that make it."""


def measure(labels: npt.NDArray[np.uint8], of_zone: npt.NDArray[np.uint8]) -> Opacity:
    """Opacity as shares of the lungs and of their regions; both (slice, row, column), ``of_zone`` from ``zones``."""
    kinds = 3 * (len(ZONES) + 1)
    of_slices = [
        np.bincount((zone_slice * np.uint8(3) + label_slice).ravel(), minlength=kinds)
        for zone_slice, label_slice in zip(of_zone, labels, strict=True)  # bincount makes int64 of what it is given
    ]
    voxels = np.sum(of_slices, axis=0).reshape(-1, 3)
    # (zone, label): voxels of each zone that are clear, ground-glass and consolidation
    by_zone = dict(zip(ZONES, voxels[1:], strict=True))
    everything = _region("both lungs", voxels[1:].sum(0))
    regions = tuple(_region(name, sum(by_zone[zone] for zone in parts)) for name, parts in REGIONS.items())
    points = [int(sum(_region(zone, by_zone[zone]).percent >= grade for grade in GRADES_PERCENT)) for zone in ZONES]
    return Opacity(
        percent_of_lung=everything.percent,
        percent_high=everything.percent_high,
        regions=regions,
        severity=Severity(sum(points), len(ZONES) * len(GRADES_PERCENT)),
    )


def _region(name: str, voxels: npt.NDArray[np.int64]) -> RegionOpacity:
    clear, ground_glass, consolidation = (int(count) for count in voxels)
    percent = 100 / max(1, clear + ground_glass + consolidation)
    return RegionOpacity(name, (ground_glass + consolidation) * percent, consolidation * percent)
