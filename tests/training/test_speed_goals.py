"""The goals of time and memory."""

import json

import numpy as np
import pytest

from analysis.training.evaluation_page import FOLDER
from analysis.training.speed_goals import speed_goals


def test_goals_on_a_gpu_are_measured_where_the_bench_had_one() -> None:
    bench = json.loads((FOLDER / "bench.json").read_text())
    without = [one for one in speed_goals(bench | {"gpu": None}) if one.what.startswith("GPU")]
    assert [one.met for one in without] == [None, None, None]
    measured = {"study_seconds": 0.9, "forward_seconds": 0.3, "studies_per_second": 2.5}
    on_one = [one for one in speed_goals(bench | {"gpu": measured}) if one.what.startswith("GPU")]
    assert [(one.measured, one.met) for one in on_one] == [(0.9, True), (2.5, True), (pytest.approx(3), False)]


def test_growth_is_of_each_slice_more() -> None:
    bench = json.loads((FOLDER / "bench.json").read_text())
    growth = [[50, 8.0, 1.0], [600, 13.5, 1.55], [1200, 25.5, 2.15]]
    seconds, gigabytes = (
        one for one in speed_goals(bench | {"growth": growth}) if one.what.startswith(("seconds of", "gigabytes of"))
    )
    assert (seconds.measured, seconds.met) == (pytest.approx(2.0), False)  # 20 ms each instead of 10
    assert (gigabytes.measured, gigabytes.met) == (pytest.approx(1.0), True)


def test_networks_that_see_nothing_miss_the_goal_of_the_score() -> None:
    bench = json.loads((FOLDER / "bench.json").read_text())
    blind = bench["accuracy"] | {"score_cm3": [0.0] * len(bench["accuracy"]["score_cm3"])}
    with np.errstate(invalid="ignore"):
        (score,) = (one for one in speed_goals(bench | {"accuracy": blind}) if one.what.startswith("score, compiled"))
    assert score.met is False
