"""How the following of lesions is counted."""

import numpy as np
import pytest

from analysis.phantoms import Pose
from analysis.pipeline.change import Change
from analysis.pipeline.lesion_change import LesionChange, Scan
from analysis.pipeline.report import Finding
from analysis.training.change_figures import CAME, GONE, NOT_FOUND, Followed, Pair, _followed, _is_right, figures


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


def test_a_match_of_two_lesions_is_wrong_and_one_of_the_same_vessel_right():
    numbers = [(1, 1), (2, 2), (None, None)]
    prior, current = scan((0, 0, 0), (50, 0, 0), (0, 80, 0)), scan((5, 0, 0), (55, 0, 0), (5, 84, 0), (5, 120, 0))
    pose = Pose(shift_mm=(5.0, 0.0, 0.0))
    assert _is_right((1, 1), numbers, prior, current, pose)
    assert not _is_right((1, 2), numbers, prior, current, pose)
    assert not _is_right((1, 3), numbers, prior, current, pose)
    assert _is_right((3, 3), numbers, prior, current, pose)
    assert not _is_right((3, 4), numbers, prior, current, pose)


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
