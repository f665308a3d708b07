"""The trend's figures: which points they draw, where, and what a point says."""

import datetime
import json
import math

import pytest
from plotly.offline import get_plotlyjs_version

from analysis.charts import HEADROOM, noted_days, trend_figures
from analysis.models import Analysis
from analysis.trend import trend
from patients.models import Patient, PatientEvent, Series, Study
from tests.conftest import ROOT

NOISE, LINE, SUSPECTED, NOT_SUSPECTED, HERE = range(5)


@pytest.fixture
def patient(site):
    return Patient.objects.create(site=site, patient_id="1")


def test_the_pages_draw_with_the_plotly_that_the_figures_are_made_for():
    packages = json.loads((ROOT / "package.json").read_text())["dependencies"]
    assert packages["plotly.js-basic-dist-min"] == get_plotlyjs_version()


def time_point(patient, day, score, *, suspected=True, state="DONE"):
    uid = f"1.{Study.objects.count() + 1}"
    date = None if day is None else datetime.date(2020, 3, 1) + datetime.timedelta(days=day)
    study = Study.objects.create(patient=patient, study_instance_uid=uid, study_date=date)
    study.chosen_series = Series.objects.create(study=study, series_instance_uid=uid + ".1", usable=True)
    study.save()
    report = {} if state == "DONE" else None
    Analysis.objects.create(
        series=study.chosen_series, state=state, corona_score_cm3=score, suspected=suspected, report=report
    )
    return study


def drawn(trace):
    return list(zip(trace["x"], trace["y"], strict=True))


def test_points_stand_at_their_days_by_decision(patient):
    time_point(patient, 0, 200.0)
    time_point(patient, 6, 300.0)
    time_point(patient, 20, 10.0, suspected=False)
    figures = trend_figures(trend(patient))["days"]
    absolute, relative = figures["absolute"]["data"], figures["relative"]["data"]
    assert drawn(absolute[LINE]) == [(0, 200.0), (6, 300.0), (20, 10.0)]
    assert drawn(absolute[SUSPECTED]) == [(0, 200.0), (6, 300.0)]
    assert drawn(absolute[NOT_SUSPECTED]) == [(20, 10.0)]
    assert drawn(relative[LINE]) == [(0, 1.0), (6, 1.5), (20, 0.05)]


def test_a_point_says_date_score_and_change_and_leads_to_its_study(patient):
    time_point(patient, 0, 200.0)
    second = time_point(patient, 6, 300.0)
    address, *words = trend_figures(trend(patient))["days"]["relative"]["data"][SUSPECTED]["customdata"][1]
    assert address == f"/studies/{second.pk}/"
    assert words == ["7 Mar 2020 · day 6", "300.0 cm³", "1.50 (+50 %)", "suspected", "opacity –"]


def test_the_band_holds_95_percent_of_what_the_noise_would_give(patient):
    time_point(patient, 0, 200.0)
    time_point(patient, 6, 100.0)
    Analysis.objects.update(score_variation=0.05)
    figures = trend_figures(trend(patient))["days"]
    factor = math.exp(1.96 * 0.05)
    upper, lower = [200 * factor, 100 * factor], [100 / factor, 200 / factor]
    assert figures["absolute"]["data"][NOISE]["y"] == pytest.approx(upper + lower)
    assert figures["absolute"]["data"][NOISE]["x"] == [0, 6, 6, 0]
    of_both = factor ** (2**0.5)  # the first score's noise as well
    assert figures["relative"]["data"][NOISE]["y"] == pytest.approx([1, 0.5 * of_both, 0.5 / of_both, 1])
    assert figures["absolute"]["layout"]["yaxis"]["range"][1] == pytest.approx(HEADROOM * upper[0])


@pytest.mark.parametrize(("score", "is_noise"), [(83, True), (82, False), (120, True), (122, False)])
def test_a_change_is_noise_where_the_band_holds_the_first_score(patient, score, is_noise):
    time_point(patient, 0, 100.0)
    time_point(patient, 6, score)
    Analysis.objects.update(score_variation=0.07)
    points = trend(patient)
    _, upper, lower, _ = trend_figures(points)["days"]["relative"]["data"][NOISE]["y"]
    assert points[1].since_first.is_noise == (lower <= 1 <= upper) == is_noise


def test_no_band_is_drawn_where_the_noise_of_a_point_is_not_known(patient):
    time_point(patient, 0, 200.0)
    Analysis.objects.update(score_variation=0.05)
    time_point(patient, 6, 100.0)
    assert not drawn(trend_figures(trend(patient))["days"]["absolute"]["data"][NOISE])


def test_a_point_says_what_stands_against_it(patient):
    time_point(patient, 0, 200.0)
    Analysis.objects.update(quality=[{"code": "lungs_cut_off", "message": "The scan ends inside the lungs."}])
    words = trend_figures(trend(patient))["days"]["relative"]["data"][SUSPECTED]["customdata"][0]
    assert words[4] == "suspected · check: lungs cut off"


def test_undated_failed_and_waiting_studies_are_no_points(patient):
    time_point(patient, 0, 80.0)
    time_point(patient, 3, None, state="FAILED")
    time_point(patient, 5, None, state="QUEUED")
    time_point(patient, None, 40.0)
    assert drawn(trend_figures(trend(patient))["days"]["absolute"]["data"][LINE]) == [(0, 80.0)]


def test_without_a_relative_score_its_chart_is_empty_and_the_other_is_not(patient):
    time_point(patient, 0, 0.0, suspected=False)
    time_point(patient, 5, 12.0)
    figures = trend_figures(trend(patient))["days"]
    assert drawn(figures["relative"]["data"][LINE]) == []
    assert drawn(figures["absolute"]["data"][LINE]) == [(0, 0.0), (5, 12.0)]


def test_the_study_on_show_is_ringed(patient):
    time_point(patient, 0, 200.0)
    second = time_point(patient, 6, 100.0)
    figures = trend_figures(trend(patient), here=second)["days"]
    assert drawn(figures["relative"]["data"][HERE]) == [(6, 0.5)]
    assert drawn(trend_figures(trend(patient))["days"]["relative"]["data"][HERE]) == []


def test_the_axis_says_days_dates_or_days_since_the_first_symptoms(patient):
    time_point(patient, 0, 200.0)
    time_point(patient, 6, 300.0)
    assert set(trend_figures(trend(patient))) == {"days", "date"}
    figures = trend_figures(trend(patient), onset=datetime.date(2020, 2, 26))
    x = {axis: figures[axis]["relative"]["data"][LINE]["x"] for axis in figures}
    assert x == {"days": [0, 6], "date": ["2020-03-01", "2020-03-07"], "onset": [4, 10]}
    low, high = figures["date"]["relative"]["layout"]["xaxis"]["range"]
    assert low < "2020-03-01"
    assert high > "2020-03-07"
    assert figures["onset"]["relative"]["layout"]["xaxis"]["range"][0] < 0  # the day of the first symptoms is there
    long_ago = trend_figures(trend(patient), onset=datetime.date(2019, 1, 1))["onset"]["relative"]["layout"]
    assert long_ago["xaxis"]["range"][0] > 300


def test_opacity_is_drawn_where_it_was_computed(patient):
    time_point(patient, 0, 200.0)
    Analysis.objects.update(opacity_percent=12.5)
    time_point(patient, 6, 100.0)
    assert drawn(trend_figures(trend(patient))["days"]["opacity"]["data"][LINE]) == [(0, 12.5)]


def test_what_happened_stands_at_its_day_and_cannot_be_markup(patient):
    time_point(patient, 0, 200.0)
    happened = PatientEvent(patient=patient, date=datetime.date(2020, 3, 7), text='<b>Steroids</b>, "pulse"')
    layout = trend_figures(trend(patient), events=[happened])["days"]["absolute"]["layout"]
    assert [(line["x0"], line["x1"]) for line in layout["shapes"]] == [(6, 6)]
    (note,) = layout["annotations"]
    assert (note["x"], note["text"], note["hovertext"]) == (6, "1", '&lt;b&gt;Steroids&lt;/b&gt;, "pulse"')
    assert layout["xaxis"]["range"][1] > 6


def test_noted_days_have_numbers_which_stand_together_where_they_would_touch(patient):
    time_point(patient, 0, 200.0)
    time_point(patient, 100, 100.0)
    first = trend(patient)[0].date
    happened = [
        PatientEvent(patient=patient, date=first + datetime.timedelta(days=day), text=text)
        for day, text in ((60, "Discharged"), (20, "Admitted"), (20, "Steroids"), (22, "Intubated"), (23, "Prone"))
    ]
    layout = trend_figures(trend(patient), events=happened)["days"]["absolute"]["layout"]
    assert [(note["x"], note["text"], note["hovertext"]) for note in layout["annotations"]] == [
        (20, "1, 2, 3", "Admitted; Steroids; Intubated; Prone"),
        (60, "4", "Discharged"),
    ]
    assert [line["x0"] for line in layout["shapes"]] == [20, 22, 23, 60]
    assert [texts for _, texts in noted_days(trend(patient), happened)] == [
        ["Admitted", "Steroids"],
        ["Intubated"],
        ["Prone"],
        ["Discharged"],
    ]


def test_what_happened_long_ago_does_not_squeeze_the_course(patient):
    time_point(patient, 0, 200.0)
    time_point(patient, 20, 100.0)
    happened = PatientEvent(patient=patient, date=datetime.date(1998, 3, 12), text="Lobectomy")
    assert trend_figures(trend(patient), events=[happened]) == trend_figures(trend(patient))
    assert noted_days(trend(patient), [happened]) == []  # no number in the list that the chart does not have


def test_axes_hold_all_points(patient):
    time_point(patient, 0, 200.0)
    time_point(patient, 40, 500.0)
    layout = trend_figures(trend(patient))["days"]["absolute"]["layout"]
    low, high = layout["xaxis"]["range"]
    assert low < 0
    assert high > 40
    assert layout["yaxis"]["range"] == [0, pytest.approx(HEADROOM * 500)]
