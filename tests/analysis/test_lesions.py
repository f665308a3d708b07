"""Lesions followed through a patient's course."""

import datetime

import pytest

from analysis.lesions import comparisons, followed
from analysis.models import Analysis, Comparison, Finding
from analysis.trend import trend
from patients.models import Series, Study
from tests.analysis.finished import FINDINGS
from tests.analysis.pages import DAY, patient_page


def scan(patient, day, *volumes_ml):
    """A finished analysis with findings of these volumes."""
    uid = f"1.{Study.objects.count() + 1}"
    date = DAY + datetime.timedelta(days=day)
    study = Study.objects.create(patient=patient, study_instance_uid=uid, study_date=date)
    study.chosen_series = Series.objects.create(study=study, series_instance_uid=uid + ".1", usable=True)
    study.save()
    analysis = Analysis.objects.create(series=study.chosen_series, state="DONE", report={}, corona_score_cm3=50.0)
    for number, ml in enumerate(volumes_ml, start=1):
        Finding.objects.create(analysis=analysis, number=number, **(FINDINGS[0] | {"volume_ml": ml}))
    return analysis


def compare(prior, now, *lesions):
    """``lesions``: (status, number now, number then, doubling time)."""
    named = ("status", "number", "prior_number", "doubling_time_days")
    change = {"lesions": [dict(zip(named, each, strict=True)) for each in lesions]}
    Comparison.objects.create(analysis=now, prior=prior, days=9, state="DONE", change=change)


@pytest.fixture
def course(patient):
    first, second, third = scan(patient, 0, 4.0, 0.5), scan(patient, 9, 1.0, 2.0), scan(patient, 40, 3.0)
    compare(first, second, ("shrunk", 2, 1, None), ("resolved", None, 2, None), ("new", 1, None, None))
    compare(second, third, ("grown", 1, 2, 45.0), ("part of another", None, 1, None))
    return first, second, third


def lanes(patient):
    points = trend(patient)
    lesions = followed(points, comparisons(points))
    seen = [
        [one and (one.status, one.finding and one.finding.volume_ml) for _, one, _ in lesion.along(points)]
        for lesion in lesions
    ]
    return lesions, seen


def test_a_lesion_is_followed_through_all_scans_the_largest_first(patient, course):
    lesions, seen = lanes(patient)
    assert seen == [
        [("", 4.0), ("shrunk", 2.0), ("grown", 3.0)],
        [None, ("new", 1.0), ("part of another", None)],
        [("", 0.5), ("resolved", None), None],
    ]
    assert [lesion.doubling_time_days for lesion in lesions] == [45.0, None, None]
    assert [lesion.status for lesion in lesions] == ["grown", "part of another", "resolved"]


def test_what_became_of_a_lesion_between_any_two_scans(patient, course):
    first, second, third = trend(patient)
    large, new, small = lanes(patient)[0]
    assert [large.between(first, second), large.between(second, third), large.between(first, third)] == [
        "shrunk",
        "grown",
        "shrunk",
    ]  # 4, 2 and 3 ml
    assert [new.between(first, second), new.between(second, third), new.between(first, third)] == [
        "new",
        "part of another",
        None,
    ]
    assert [small.between(first, second), small.between(second, third), small.between(first, third)] == [
        "resolved", None, "resolved",
    ]  # fmt: skip


def test_lesions_begin_anew_where_scans_are_not_compared_yet(patient, course):
    Comparison.objects.filter(analysis=course[1]).update(state="QUEUED", change=None)
    _, seen = lanes(patient)
    assert seen == [[None, ("", 2.0), ("grown", 3.0)], [None, ("", 1.0), ("part of another", None)]]


def test_the_table_leads_to_the_slice_and_says_how_fast_a_lesion_doubles(browser, patient, course):
    text = browser.get(patient_page(patient)).content.decode()
    z_mm = FINDINGS[0]["centroid_mm"][2]
    assert f"/studies/{course[2].series.study_id}/?z={z_mm}" in text
    assert "doubles in 45 days" in text


def test_more_scans_cost_no_more_queries(browser, patient, course, django_assert_max_num_queries):
    def queries():
        with django_assert_max_num_queries(40) as taken:
            browser.get(patient_page(patient))
        return len(taken)

    browser.get(patient_page(patient))
    before, last = queries(), course[-1]
    for day in (60, 80, 100):
        later = scan(patient, day, 3.0)
        compare(last, later, ("stable", 1, 1, None))
        last = later
    assert queries() == before


def test_two_scans_of_one_day_follow_each_other(patient):
    first, second = scan(patient, 0, 4.0), scan(patient, 0)
    compare(first, second, ("resolved", None, 1, None))
    then, now = trend(patient)
    (lesion,) = lanes(patient)[0]
    assert lesion.between(then, now) == "resolved"


def test_an_open_timeline_is_told_of_a_comparison(browser, patient, course):
    seen = browser.get(patient_page(patient)).context["seen"]
    news = {"seen": seen}, {"HX-Request": "true"}
    assert browser.get(patient_page(patient), news[0], headers=news[1]).status_code == 204
    Comparison.objects.filter(analysis=course[1]).update(state="FAILED", change=None)
    assert browser.get(patient_page(patient), news[0], headers=news[1]).status_code == 200
