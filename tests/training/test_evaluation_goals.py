"""The goals beside what was measured."""

import json

from analysis.training.evaluation_goals import goals_by_card
from analysis.training.evaluation_page import FOLDER


def test_every_goal_that_is_missed_says_what_limits_it() -> None:
    results, plain, labels, change, bench = (
        json.loads((FOLDER / f"{name}.json").read_text())
        for name in ("results", "plain_network", "labels_alone", "change", "bench")
    )
    goals = [goal for of_card in goals_by_card(results, plain, labels, change, bench).values() for goal in of_card]
    assert [one.what for one in goals if not one.met and not one.limit] == []
