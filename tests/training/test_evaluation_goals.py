"""The goals beside what was measured."""

import numpy as np

from analysis.training.evaluation_goals import goals_by_card
from analysis.training.evaluation_page import stored


def test_every_goal_that_is_missed_says_what_limits_it() -> None:
    measured = stored("results", "released", "plain_network", "labels_alone", "change", "bench")
    goals = [goal for of_card in goals_by_card(*measured).values() for goal in of_card]
    assert [one.what for one in goals if not one.met and not one.limit] == []


def test_networks_that_see_nothing_in_variants_of_a_scan_have_goals_too() -> None:
    results, released, *others = stored("results", "released", "plain_network", "labels_alone", "change", "bench")
    repeated = released["repeatability"]
    blind = repeated | {"scores": dict.fromkeys(repeated["scores"], 0.0)}
    with np.errstate(invalid="ignore"):
        goals = goals_by_card(results, released | {"repeatability": blind}, *others)
    assert [one.what for one in goals["slice_classifier"]] == [
        one.what for one in goals_by_card(results, released, *others)["slice_classifier"]
    ]
