"""A goal and what was measured."""

import pytest

from analysis.training.goals import Goal, goals_table


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
