"""How the working point is chosen."""

from types import SimpleNamespace

import numpy as np
import pytest

from analysis.training.thresholds import case_threshold, differing, of_others, slice_threshold


def volume(probability: list[float], abnormal: list[int], opacity_percent: float = 5.0):
    return SimpleNamespace(
        probability=np.array(probability),
        counts=np.isfinite(probability),
        truth=SimpleNamespace(label=np.array(abnormal)),
        opacity_percent=opacity_percent,
    )


def test_a_fold_has_no_say_in_its_own_choice() -> None:
    assert of_others({"a": [1], "b": [2, 3], "c": [4]}, sum) == {"a": 9, "b": 5, "c": 6}


def test_the_slice_threshold_finds_the_share_of_abnormal_slices_that_is_asked_for() -> None:
    cases = [volume([0.1 * k for k in range(1, 12)], [1] * 11), volume([0.99, float("nan")], [0, 1])]
    assert slice_threshold(cases, 0.75) == pytest.approx(0.3)


def test_the_case_threshold_lies_between_volumes_without_and_with_disease() -> None:
    healthy = volume([0.9] + [0.1] * 9, [0] * 10, opacity_percent=0.01)  # one positive slice of ten
    diseased = volume([0.9] * 3 + [0.1] * 7, [1] * 3 + [0] * 7)  # three
    assert case_threshold([healthy, diseased], 0.5) == pytest.approx(0.2)


def test_a_number_that_was_chosen_otherwise_is_to_be_changed_in_the_protocol() -> None:
    kept = {"slice_threshold": 0.74, "case_threshold": 0.12, "score_variation": 0.018}
    (sentence,) = differing({"slice_threshold": 0.7449, "case_threshold": 0.128}, kept)
    assert sentence.startswith("case_threshold is 0.12 in protocol.toml: change it to 0.13 there")
