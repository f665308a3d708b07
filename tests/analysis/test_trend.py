"""Order of time points and the Relative Corona score."""

import datetime

import pytest

from analysis.formats import relative_words
from analysis.models import Analysis, Reading
from analysis.trend import trend, trends
from patients.models import Patient, Series, Study
from tests.analysis.finished import signed_reading


@pytest.fixture
def patient(site):
    return Patient.objects.create(site=site, patient_id="1")


def time_point(patient, day, score=None, state="DONE"):
    """A study ``day`` days after 1 March 2020 (None: undated), with one run of its chosen series."""
    uid = f"1.{Study.objects.count() + 1}"
    date = None if day is None else datetime.date(2020, 3, 1) + datetime.timedelta(days=day)
    study = Study.objects.create(patient=patient, study_instance_uid=uid, study_date=date)
    study.chosen_series = Series.objects.create(study=study, series_instance_uid=uid + ".1", usable=True)
    study.save()
    report = {} if state == "DONE" else None
    Analysis.objects.create(series=study.chosen_series, state=state, corona_score_cm3=score, report=report)
    return study


def seen(patient):
    return [(p.days_since_first, p.corona_score_cm3, p.relative_corona_score) for p in trend(patient)]


def test_relative_score_is_score_over_first_score(patient):
    time_point(patient, 9, 50.0)
    time_point(patient, 0, 200.0)
    time_point(patient, 4, 300.0)
    assert seen(patient) == [(0, 200.0, 1.0), (4, 300.0, 1.5), (9, 50.0, 0.25)]


def test_relative_score_is_not_defined_where_the_first_score_is_0(patient):
    time_point(patient, 0, 0.0)
    time_point(patient, 5, 12.0)
    assert seen(patient) == [(0, 0.0, None), (5, 12.0, None)]


def test_a_change_between_scores_of_healthy_lungs_does_not_count(patient):
    time_point(patient, 0, 2.1)
    time_point(patient, 90, 4.4)
    time_point(patient, 180, 40.0)
    points = trend(patient)
    assert [point.since_first.counts for point in points] == [False, False, True]
    assert relative_words(points[1], points) == "2.10 (both scores are as low as those of healthy lungs)"
    assert relative_words(points[2], points) == "19.05 (risen from as low as in healthy lungs since 1 Mar 2020)"


def test_a_score_that_rose_from_that_of_healthy_lungs_is_said_without_a_percentage(patient):
    time_point(patient, 0, 0.0)
    time_point(patient, 9, 60.0)
    time_point(patient, 18, 90.0)
    points = trend(patient)
    assert [point.since_first.starts_low for point in points] == [False, True, True]
    assert [bool(point.since_prior and point.since_prior.is_known) for point in points] == [False, True, True]
    assert [bool(point.since_prior and point.since_prior.starts_low) for point in points] == [False, True, False]


def test_a_rise_over_the_limit_of_healthy_lungs_within_noise_is_noise(patient):
    time_point(patient, 0, 9.9)
    time_point(patient, 9, 10.2)
    Analysis.objects.update(score_variation=0.05)
    change = trend(patient)[1].since_first
    assert (change.is_noise, change.starts_low) == (True, False)


def test_a_second_ct_of_the_first_day_is_not_the_first_one(patient):
    morning, evening = time_point(patient, 0, 20.0), time_point(patient, 0, 60.0)
    points = trend(patient)
    assert [(point.study, point.is_first, point.since_first.is_known) for point in points] == [
        (morning, True, False),
        (evening, False, True),
    ]


def test_recovery_to_the_score_of_healthy_lungs_counts(patient):
    time_point(patient, 0, 200.0)
    time_point(patient, 30, 4.0)
    time_point(patient, 40, 12.0)
    points = trend(patient)
    assert [point.since_first.counts for point in points] == [True, True, True]
    assert [point.since_first.ends_low for point in points] == [False, True, False]
    assert relative_words(points[1], points).endswith("; as low as in healthy lungs now)")


def test_a_change_no_larger_than_the_noise_is_said_to_be_noise(patient):
    """The logarithm of a quotient of two scores of variation 5 % has a standard deviation of 7.1 %: 14.9 % at most."""
    for day, score in ((0, 200.0), (9, 228.0), (18, 232.0), (27, 170.0), (36, 176.0)):
        time_point(patient, day, score)
    assert not any(point.since_first.is_noise for point in trend(patient))  # not known
    Analysis.objects.update(score_variation=0.05)
    points = trend(patient)
    assert [point.since_first.is_noise for point in points] == [False, True, False, False, True]
    assert relative_words(points[1], points).endswith("; within the measurement noise)")
    assert "noise" not in relative_words(points[2], points)


def test_a_result_is_set_against_the_one_before_it_too(patient):
    time_point(patient, 0, 200.0)
    time_point(patient, 4, state="FAILED")
    time_point(patient, 9, 300.0)
    time_point(patient, 12, 30.0)
    time_point(patient, None, 90.0)
    points = trend(patient)
    assert [point.since_prior and point.since_prior.factor for point in points] == [None, None, 1.5, 0.1, None]


def test_relative_scores_wait_for_the_first_time_point(patient):
    time_point(patient, 0, state="RUNNING")
    time_point(patient, 5, 12.0)
    assert seen(patient) == [(0, None, None), (5, 12.0, None)]


def test_a_failed_first_study_is_not_the_first_time_point(patient):
    time_point(patient, 0, state="FAILED")
    time_point(patient, 5, 12.0)
    assert seen(patient) == [(None, None, None), (0, 12.0, 1.0)]


def test_undated_studies_stand_at_the_end_and_are_no_point(patient):
    time_point(patient, None, 80.0)
    time_point(patient, 3, 40.0)
    assert seen(patient) == [(0, 40.0, 1.0), (None, 80.0, None)]


def test_two_studies_of_one_day_are_ordered_by_time(patient):
    late, early = time_point(patient, 0, 1.0), time_point(patient, 0, 2.0)
    Study.objects.filter(pk=late.pk).update(study_time=datetime.time(15))
    Study.objects.filter(pk=early.pk).update(study_time=datetime.time(9))
    assert [p.study for p in trend(patient)] == [early, late]


def test_the_old_result_stands_while_a_newer_run_works(patient):
    study = time_point(patient, 0, 10.0)
    Analysis.objects.create(series=study.chosen_series, state="RUNNING")
    (point,) = trend(patient)
    assert point.corona_score_cm3 == 10.0
    assert point.pending.state == "RUNNING"


def test_the_old_result_stands_beside_a_newer_run_that_failed(patient):
    study = time_point(patient, 0, 10.0)
    failed = Analysis.objects.create(series=study.chosen_series, state="FAILED")
    (point,) = trend(patient)
    assert (point.corona_score_cm3, point.failed) == (10.0, failed)
    Analysis.objects.create(series=study.chosen_series, state="DONE", corona_score_cm3=12.0, report={})
    (point,) = trend(patient)
    assert (point.corona_score_cm3, point.failed) == (12.0, None)


def test_a_failed_run_without_an_older_result_is_the_analysis_itself(patient):
    time_point(patient, 0, state="FAILED")
    (point,) = trend(patient)
    assert (point.analysis.state, point.failed) == ("FAILED", None)


def test_a_cancelled_run_speaks_for_nothing(patient):
    study = time_point(patient, 0, state="FAILED")
    Analysis.objects.create(series=study.chosen_series, state="CANCELLED")
    time_point(patient, 1, state="CANCELLED")
    first, second = trend(patient)
    assert first.analysis.state == "FAILED"
    assert second.analysis is None


def test_runs_of_series_that_were_not_chosen_do_not_count(patient):
    study = time_point(patient, 0, 10.0)
    other = Series.objects.create(study=study, series_instance_uid="9.9", usable=True)
    Analysis.objects.create(series=other, state="DONE", corona_score_cm3=99.0, report={})
    assert seen(patient) == [(0, 10.0, 1.0)]


def test_what_a_reader_signed_last_counts_before_the_networks(patient, user):
    first, second = time_point(patient, 0, 1.0), time_point(patient, 5, 2.0)
    Analysis.objects.update(suspected=True)
    run = first.chosen_series.analyses.get()
    signed_reading(run, user, suspected=True)
    newest = signed_reading(run, user, version=2, suspected=False)
    Reading.objects.create(study=second, analysis=second.chosen_series.analyses.get(), version=1, suspected=False)
    assert [(point.signed, point.overruled, point.suspected) for point in trend(patient)] == [
        (newest, False, False),
        (None, None, True),
    ]


def test_many_patients_take_as_many_queries_as_one(patient, site, django_assert_num_queries):
    patients = [patient] + [Patient.objects.create(site=site, patient_id=str(n)) for n in range(2, 6)]
    for each in patients:
        time_point(each, 0, 1.0)
        time_point(each, 5, 2.0)
    with django_assert_num_queries(3):
        assert all(len(points) == 2 for points in trends(patients).values())
