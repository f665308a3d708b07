"""The goals beside what was measured."""

from analysis.training.evaluation_goals import goals_by_card
from analysis.training.evaluation_page import stored


def test_every_goal_that_is_missed_says_what_limits_it() -> None:
    measured = stored("results", "released", "plain_network", "labels_alone", "change", "bench")
    goals = [goal for of_card in goals_by_card(*measured).values() for goal in of_card]
    assert [one.what for one in goals if not one.met and not one.limit] == []
