"""Zones of lungs that are boxes, so that each voxel's zone is known."""

import numpy as np
import pytest

from analysis.pipeline.regions import ZONES, zones


def two_boxes() -> np.ndarray:
    """Right lung: slices 0–8, columns 10–39; left lung: slices 3–8, columns 60–89."""
    lungs = np.zeros((12, 20, 100), bool)
    lungs[0:9, 5:15, 10:40] = True
    lungs[3:9, 5:15, 60:90] = True
    return lungs


def body_of(lungs: np.ndarray) -> np.ndarray:
    """HU of a body that reaches from column 5 to 94, whatever lung it has."""
    hu = np.full(lungs.shape, -1000, np.int16)
    hu[:, :, 5:95] = 40
    hu[lungs] = -850
    return hu


def zone_of(labels: np.ndarray, *place: int) -> str | None:
    label = int(labels[place])
    return ZONES[label - 1] if label else None


def test_thirds_are_of_the_lungs_own_height() -> None:
    labels = zones(two_boxes(), body_of(two_boxes()))
    assert [zone_of(labels, z, 8, 20) for z in (0, 2, 3, 5, 6, 8)] == [
        "right upper", "right upper", "right middle", "right middle", "right lower", "right lower",
    ]  # fmt: skip
    assert [zone_of(labels, z, 8, 70) for z in (3, 4, 5, 6, 7, 8)] == [
        "left upper", "left upper", "left middle", "left middle", "left lower", "left lower",
    ]  # fmt: skip


def test_every_lung_voxel_has_a_zone_and_no_other_one() -> None:
    lungs = two_boxes()
    assert np.array_equal(zones(lungs, body_of(lungs)) > 0, lungs)


def test_lungs_that_touch_in_front_are_parted_where_they_are_thinnest() -> None:
    lungs = two_boxes()
    lungs[3:6, 5:7, 40:60] = True  # the anterior junction: two rows of the ten
    lungs[3:6, 7:9, 40:52] = True  # thicker up to column 51
    labels = zones(lungs, body_of(lungs))
    assert zone_of(labels, 4, 5, 51).startswith("right")  # type: ignore[union-attr]
    assert zone_of(labels, 4, 5, 59).startswith("left")  # type: ignore[union-attr]
    assert zone_of(labels, 4, 5, 20).startswith("right")  # type: ignore[union-attr]


@pytest.mark.parametrize(("side", "zone_numbers"), [("right", {0, 1, 2, 3}), ("left", {0, 4, 5, 6})])
def test_a_single_lung_stays_whole(side: str, zone_numbers: set[int]) -> None:
    lungs = two_boxes()
    lungs[..., 50:] &= side == "left"
    lungs[..., :50] &= side == "right"
    assert set(np.unique(zones(lungs, body_of(two_boxes())))) == zone_numbers


def test_no_lungs_no_zones() -> None:
    assert not zones(np.zeros((3, 4, 5), bool), np.zeros((3, 4, 5), np.int16)).any()


@pytest.mark.parametrize(("first", "last"), [(8, 58), (42, 92), (8, 100)])
def test_in_images_of_one_lung_the_spine_says_which_it_is(first: int, last: int) -> None:
    """The body is cut at one side, so that its middle lies in the lung or beside the other one."""
    lungs, hu = two_boxes(), body_of(two_boxes())
    hu[:, 12:18, 48:52] = 500
    hu[:, 1:3, 70:90] = 500  # a bone in front, the shoulder blade of a raised arm for example
    shown = np.s_[:, :, first:last]
    np.testing.assert_array_equal(zones(lungs[shown], hu[shown]), zones(lungs, hu)[shown])
