"""How the following of lesions is counted."""

import numpy as np
import pytest

from analysis.phantoms import Lesion, Pose
from analysis.phantoms.lesions import CONSOLIDATION
from analysis.pipeline.change import Change
from analysis.pipeline.lesion_change import LesionChange, Scan
from analysis.pipeline.report import Finding
from analysis.training.change_figures import (
    CAME,
    GONE,
    NOT_FOUND,
    Followed,
    Pair,
    _followed,
    _is_right,
    _places_mm,
    figures,
)


def lesion(status, number, prior_number, volume_ml=1.0, prior_volume_ml=1.0):
    percent = 100 * (volume_ml / prior_volume_ml - 1) if number and prior_number else None
    return LesionChange(
        status, number, prior_number, (0, 0, 0), volume_ml, prior_volume_ml, percent, None, None, False, "", "", ""
    )


def change(*lesions):
    return Change(lesions, 0, 0, 0, (), 1, 1, (), "")


def scan(*centroids_mm):
    findings = [
        Finding("nodule", "solid", place, 0.5, 10.0, 9.0, 20.0, False, 0.9, "left", "upper") for place in centroids_mm
    ]
    return Scan(None, None, None, tuple(findings), None)


def test_a_lesion_matched_with_itself_has_its_status_and_factor():
    assert _followed(2.0, (3, 1), change(lesion("grown", 1, 3, 2.2))) == Followed(2.0, (3, 1), "grown", 2.2)


def test_a_lesion_found_twice_and_not_matched_counts_against_the_matching():
    followed = _followed(1.0, (1, 1), change(lesion("new", 1, None), lesion("resolved", None, 1)))
    assert (followed.status, followed.factor, followed.found_twice) == ("new and resolved", None, True)
    assert _followed(1.0, (None, None), change()).status == NOT_FOUND


def test_places_are_compared_where_the_patient_does_not_move():
    before_mm, now_mm = _places_mm(
        (1, 2), scan((50, 0, 9)), scan((0, 0, 0), (55, 0, 9)), Pose(shift_mm=(5.0, 0.0, 0.0))
    )
    np.testing.assert_allclose([before_mm, now_mm], [(50, 0, 9)] * 2, atol=0.1)


def right(match, before_mm, now_mm, prior=(), current=()):
    numbers = [(1, 1), (2, 2), (None, None)]
    return _is_right(match, numbers, (np.array(before_mm), np.array(now_mm)), (prior, current))


def test_a_match_of_two_nodules_is_wrong():
    assert right((1, 1), (0, 0, 0), (0, 0, 0))
    assert not right((1, 2), (0, 0, 0), (1, 0, 0))
    assert not right((1, 3), (0, 0, 0), (1, 0, 0))


def test_a_match_of_an_opacity_with_what_was_left_of_it_is_right():
    large = Lesion(CONSOLIDATION, (0, 0, 0), 30.0)
    small, other = large.grown(0.2), Lesion(CONSOLIDATION, (60, 0, 0), 25.0)
    assert right((3, 3), (15, 0, 0), (2, 0, 0), (large, other), (small, other))
    assert not right((3, 3), (28, 0, 0), (37, 0, 0), (large, other), (small, other))
    assert not right((3, 3), (15, 0, 0), (25, 0, 0), (large, other), (small, other))  # no longer in any


def test_a_match_of_what_is_no_lesion_is_right_where_both_are_near():
    assert right((3, 3), (0, 80, 0), (0, 84, 0))
    assert not right((3, 4), (0, 80, 0), (0, 120, 0))


def test_shares_are_of_lesions_found_twice_and_of_all_matches():
    lesions = [
        Followed(1.0, (1, 1), "stable", 1.1),
        Followed(2.0, (2, 2), "new and resolved", None),
        Followed(GONE, (3, None), "resolved", None),
        Followed(CAME, (None, None), NOT_FOUND, None),
        Followed(1.0, (None, 4), "new", None),
        Followed(CAME, (None, 5), "stable", 1.0),  # matched with another thing
    ]
    counted = figures([Pair(lesions, 4, 1, np.array([1.0, 3.0]), np.array([10.0]))])
    assert (counted["matched"], counted["wrong_matches"], counted["found_twice"]) == (0.5, 0.25, 2)
    assert (counted["persisting"], counted["persisting_matched"]) == (3, pytest.approx(1 / 3))
    assert counted["intervals"]["matched"] == (0.5, 0.5)  # of one patient
    assert counted["status"]["grown"] == {"new and resolved": 1}
    assert counted["status"]["new"] == {NOT_FOUND: 1, "stable": 1}
    assert counted["volume_factor_error"]["median"] == pytest.approx(0.1)
    assert counted["error_mm"]["median"] == 2.0
