"""Shares and points of labels made by hand, on lungs that are boxes."""

import numpy as np
import pytest

from analysis.pipeline.opacity import CONSOLIDATION, GROUND_GLASS, measure
from analysis.pipeline.regions import zones
from analysis.pipeline.report import Opacity

RIGHT, LEFT = slice(0, 10), slice(20, 30)  # columns


@pytest.fixture
def lungs() -> np.ndarray:
    """Two lungs of 9 slices × 10 rows × 10 columns: 900 voxels each, 300 in a zone."""
    lungs = np.zeros((9, 10, 30), bool)
    lungs[:, :, RIGHT] = lungs[:, :, LEFT] = True
    return lungs


def of_zone(lungs: np.ndarray) -> np.ndarray:
    return zones(lungs, np.full(lungs.shape, 40, np.int16))


def percent(opacity: Opacity, name: str) -> tuple[float, float]:
    (region,) = (one for one in opacity.regions if one.name == name)
    return region.percent, region.percent_high


def test_clear_lungs_have_no_opacity(lungs: np.ndarray) -> None:
    opacity = measure(np.zeros(lungs.shape, np.uint8), of_zone(lungs))
    assert (opacity.percent_of_lung, opacity.percent_high, opacity.severity.score) == (0, 0, 0)
    assert {region.percent for region in opacity.regions} == {0}


def test_shares_are_of_the_lung_of_each_region(lungs: np.ndarray) -> None:
    labels = np.zeros(lungs.shape, np.uint8)
    labels[:3, :5, LEFT] = GROUND_GLASS  # half of the left upper third: 150 voxels
    labels[6:, 0, LEFT] = CONSOLIDATION  # a tenth of the left lower third: 30 voxels
    opacity = measure(labels, of_zone(lungs))
    assert opacity.percent_of_lung == pytest.approx(10)
    assert opacity.percent_high == pytest.approx(100 * 30 / 1800)
    assert percent(opacity, "left upper") == pytest.approx((50, 0))
    assert percent(opacity, "left lower") == pytest.approx((10, 10))
    assert percent(opacity, "left lung") == pytest.approx((20, 100 * 30 / 900))
    assert percent(opacity, "right lung") == (0, 0)
    assert percent(opacity, "upper thirds") == pytest.approx((25, 0))


@pytest.mark.parametrize(("voxels", "points"), [(14, 0), (15, 1), (74, 1), (75, 2), (150, 3), (224, 3), (225, 4)])
def test_points_of_a_zone(voxels: int, points: int, lungs: np.ndarray) -> None:
    labels = np.zeros(lungs.shape, np.uint8)
    zone = np.zeros(lungs.shape, bool)
    zone[3:6, :, RIGHT] = True
    labels[tuple(np.argwhere(zone)[:voxels].T)] = GROUND_GLASS
    assert measure(labels, of_zone(lungs)).severity.score == points


def test_lungs_that_are_opaque_throughout_reach_the_maximum(lungs: np.ndarray) -> None:
    severity = measure(lungs * np.uint8(CONSOLIDATION), of_zone(lungs)).severity
    assert severity.score == severity.maximum == 24
