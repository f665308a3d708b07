"""The goals beside what was measured."""

import json

import pytest

from analysis.training.evaluation_goals import Goal, goals_by_card, goals_table, speed_goals
from analysis.training.evaluation_page import FOLDER


@pytest.mark.parametrize(
    ("goal", "met", "figure"),
    [
        (Goal("", 0.98, at_least=0.98), True, "0.980"),
        (Goal("", 0.9796, at_least=0.98), False, "0.9796"),  # rounding does not make it
        (Goal("", 0.0104, at_most=0.01), False, "0.0104"),
        (Goal("", 7.96, at_most=8, digits=1), True, "8.0"),
        (Goal("", 3, at_least=3, digits=0), True, "3"),
        (Goal("", None, at_most=1), None, "–"),
    ],
)
def test_a_goal_is_met_by_the_figure_and_not_by_its_rounding(goal: Goal, met: bool | None, figure: str) -> None:
    assert goal.met is met
    assert goal.row()[2] == figure


def test_what_limits_stands_below_where_a_goal_is_missed() -> None:
    table = goals_table(
        [Goal("first", 1.0, at_least=0.5, limit="nothing."), Goal("second", 0.1, at_least=0.5, limit="slices.")]
    )
    assert "- second: slices." in table
    assert "nothing" not in table
    assert "plain network" not in table
    assert "plain network" in goals_table([Goal("first", 1.0, at_least=0.5, plain=0.4)])


def test_every_goal_that_is_missed_says_what_limits_it() -> None:
    results, plain, labels, change, bench = (
        json.loads((FOLDER / f"{name}.json").read_text())
        for name in ("results", "plain_network", "labels_alone", "change", "bench")
    )
    goals = [goal for of_card in goals_by_card(results, plain, labels, change, bench).values() for goal in of_card]
    assert [one.what for one in goals if not one.met and not one.limit] == []


def test_goals_on_a_gpu_are_measured_where_the_bench_had_one() -> None:
    bench = json.loads((FOLDER / "bench.json").read_text())
    without = [one for one in speed_goals(bench | {"gpu": None}) if one.what.startswith("GPU")]
    assert [one.met for one in without] == [None, None, None]
    measured = {"study_seconds": 0.9, "forward_seconds": 0.3, "studies_per_second": 2.5}
    on_one = [one for one in speed_goals(bench | {"gpu": measured}) if one.what.startswith("GPU")]
    assert [(one.measured, one.met) for one in on_one] == [(0.9, True), (2.5, True), (pytest.approx(3), False)]
