"""Lesions followed through a patient's course."""

import datetime
import re

import pytest
from django.utils import timezone

from analysis import lesions
from analysis.lesions import Became, comparisons, followed
from analysis.models import Analysis, Comparison, Finding, FindingReview
from analysis.pipeline import lesion_change
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
        kind = "mass" if ml >= 4 else "nodule"
        Finding.objects.create(analysis=analysis, number=number, **(FINDINGS[0] | {"volume_ml": ml, "kind": kind}))
    return analysis


def compare(prior, now, *lesions):
    """``lesions``: (status, number now, number then, doubling time[, whether it is cut off])."""
    named = ("status", "number", "prior_number", "doubling_time_days", "cut")
    change = {"lesions": [dict(zip(named, each, strict=False)) for each in lesions]}
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
        [one and (one.status, one.finding and one.finding.volume_ml) for _, one, _ in lesion.along(points).cells]
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

    def became(lesion):
        return [lesion.between(*two) for two in ((first, second), (second, third), (first, third))]

    large, new, small = lanes(patient)[0]
    assert became(large) == [Became("shrunk"), Became("grown"), Became("shrunk")]  # 4, 2 and 3 ml
    assert became(new) == [Became("new"), Became("part of another"), None]
    assert became(small) == [Became("resolved"), None, Became("resolved")]


def test_what_a_scan_left_open_is_said_of_that_scan_alone(patient):
    """The second scan shows dense tissue where the first has a finding, and the third has one again."""
    runs = [scan(patient, day, *volumes) for day, volumes in ((0, [4.0]), (9, []), (20, [3.0]), (30, [1.0]))]
    compare(runs[0], runs[1], ("unclear", None, 1, None))
    compare(runs[1], runs[2], ("unclear", 1, None, None))
    compare(runs[2], runs[3], ("shrunk", 1, 1, None))
    lesions, seen = lanes(patient)
    first, second, third, fourth = trend(patient)
    assert seen == [
        [("", 4.0), ("unclear", None), None, None],
        [None, ("", None), ("unclear", 3.0), ("shrunk", 1.0)],
    ]
    shown = [[one and one.instead for _, one, _ in lesion.along(trend(patient)).cells] for lesion in lesions]
    assert shown == [["", "unclear", None, None], [None, "unclear", "", ""]]
    before, after = lesions
    assert before.between(first, second) == after.between(second, third) == Became("unclear")
    assert before.between(first, fourth) == after.between(first, fourth) == Became("unclear", second)
    assert after.between(second, fourth) == Became("unclear")
    assert after.between(third, fourth) == Became("shrunk")


def test_volumes_of_a_lesion_that_the_end_of_a_scan_cuts_are_not_compared(patient):
    """The third scan ends in it; the comparison with the second looked at what both hold."""
    runs = [scan(patient, day, ml) for day, ml in ((0, 4.0), (9, 4.0), (20, 1.0), (30, 1.5))]
    compare(runs[0], runs[1], ("stable", 1, 1, None, False))
    compare(runs[1], runs[2], ("stable", 1, 1, None, True))
    compare(runs[2], runs[3], ("cut off", 1, 1, None, True))
    (lesion,) = lanes(patient)[0]
    first, second, third, fourth = trend(patient)
    assert lesion.between(first, second) == lesion.between(second, third) == Became("stable")
    assert lesion.between(third, fourth) == lesion.between(first, third) == lesion.between(first, fourth)
    assert lesion.between(first, fourth) == Became("cut off")


def test_nothing_is_said_of_a_scan_that_was_not_compared(patient, course):
    Comparison.objects.filter(analysis=course[2]).update(state="QUEUED", change=None)
    first, second, third = trend(patient)
    (large,) = [lesion for lesion in lanes(patient)[0] if lesion.largest_ml == 4]
    assert large.between(first, second) == Became("shrunk")
    assert large.between(first, third) == large.between(second, third) == Became("not compared")


def test_a_lesion_is_named_as_it_is_on_the_scans_that_are_shown(patient, course):
    first, second, third = trend(patient)
    large = lanes(patient)[0][0]

    def kinds(*points):
        return [finding.kind for finding in large.along(points).findings]

    assert kinds(first, second, third) == ["mass", "nodule", "nodule"]
    assert kinds(second, third) == ["nodule", "nodule"]


def test_lesions_begin_anew_where_scans_are_not_compared_yet(patient, course):
    Comparison.objects.filter(analysis=course[1]).update(state="QUEUED", change=None)
    _, seen = lanes(patient)
    assert seen == [[None, ("", 2.0), ("grown", 3.0)], [None, ("", 1.0), ("part of another", None)]]


def page_of(browser, patient):
    return " ".join(browser.get(patient_page(patient)).content.decode().split())


def test_the_table_names_lesions_with_their_numbers_and_leads_to_their_slices(browser, patient, course):
    text = page_of(browser, patient)
    z_mm = FINDINGS[0]["centroid_mm"][2]
    assert f"/studies/{course[2].series.study_id}/?z={z_mm}&amp;finding=1" in text
    assert "doubles in 45 days" in text
    first = text.partition("<tbody>")[2].partition("</tr>")[0]
    assert "Mass" in first
    assert re.findall(r">(#\d|\d\.\d\d)</span>", first) == ["#1", "4.00", "#2", "2.00", "#1", "3.00"]


def test_the_table_marks_what_a_reader_rejected_and_keeps_it(browser, patient, course, user):
    assert "rejected by a reader" not in page_of(browser, patient)
    FindingReview.objects.create(analysis=course[1], number=2, present=False, user=user)
    text = page_of(browser, patient)
    assert text.count("rejected by a reader") == 1
    assert '<span class="is-rejected">2.00</span>' in text


def test_a_lesion_is_marked_as_new_where_it_appeared_alone(browser, patient, course):
    text = page_of(browser, patient)
    assert re.findall(r'>([\d.]+)</span></a> <span class="lane-new">(.*?)</span>', text) == [("1.00", "new")]


def test_the_smaller_lesions_can_be_opened(browser, patient, course, monkeypatch):
    assert "smaller one" not in page_of(browser, patient)
    monkeypatch.setattr(lesions, "OPEN", 1)
    text = page_of(browser, patient)
    open_rows, _, closed = text[text.index('id="lesions-title"') :].partition("<details")
    assert ">and 2 smaller or unclear ones</summary>" in closed
    assert ("4.00" in open_rows, "4.00" in closed) == (True, False)
    assert (">1.00<" in open_rows, ">1.00<" in closed) == (False, True)


def test_small_ones_that_one_scan_alone_outlines_are_folded(browser, patient):
    first, second = scan(patient, 0, 0.29, 0.31, 0.2), scan(patient, 9, 0.22)
    said = ("unclear", None, 1, None), ("unclear", None, 2, None), ("stable", 1, 3, None)
    compare(first, second, *said)
    _, seen = lanes(patient)
    unclear = [[("", ml), ("unclear", None)] for ml in (0.31, 0.29)]
    assert seen == [unclear[0], [("", 0.2), ("stable", 0.22)], unclear[1]]
    text = page_of(browser, patient)
    open_rows, _, closed = text[text.index('id="lesions-title"') :].partition("<details")
    assert [ml in open_rows for ml in (">0.31<", ">0.20<", ">0.29<")] == [True, True, False]
    assert ">and 1 smaller or unclear one</summary>" in closed


def test_where_all_are_small_and_unclear_they_stand_open(browser, patient):
    first, second = scan(patient, 0, 0.29), scan(patient, 9)
    compare(first, second, ("unclear", None, 1, None))
    text = page_of(browser, patient)
    assert ">0.29<" in text[text.index('id="lesions-title"') :].partition("<details")[0]


def test_more_scans_cost_no_more_queries(browser, patient, course, user, django_assert_max_num_queries):
    def queries():
        with django_assert_max_num_queries(40) as taken:
            browser.get(patient_page(patient))
        return len(taken)

    browser.get(patient_page(patient))
    before, last = queries(), course[-1]
    for day in (60, 80, 100):
        later = scan(patient, day, 3.0)
        compare(last, later, ("stable", 1, 1, None))
        FindingReview.objects.create(analysis=later, number=1, present=False, user=user)
        last = later
    assert queries() == before


def test_two_scans_of_one_day_follow_each_other(patient):
    first, second = scan(patient, 0, 4.0), scan(patient, 0)
    compare(first, second, ("resolved", None, 1, None))
    then, now = trend(patient)
    (lesion,) = lanes(patient)[0]
    assert lesion.between(then, now) == Became("resolved")


def test_an_open_timeline_is_told_of_a_comparison(browser, patient, course):
    seen = browser.get(patient_page(patient)).context["seen"]
    news = {"seen": seen}, {"HX-Request": "true"}
    assert browser.get(patient_page(patient), news[0], headers=news[1]).status_code == 204
    Comparison.objects.filter(analysis=course[1]).update(state="FAILED", change=None)
    assert browser.get(patient_page(patient), news[0], headers=news[1]).status_code == 200


def test_pages_call_a_lesion_grown_from_the_factor_on_that_comparisons_do():
    assert lesions.SIGNIFICANT == lesion_change.SIGNIFICANT


def test_what_is_new_or_grown_is_counted_of_each_result_against_the_one_before(patient, course, user):
    first, second, third = course
    compare(first, third, ("new", 1, None, None), ("new", 2, None, None))  # which do not follow each other
    other = scan(patient, 40, 3.0)  # of which nothing is shown
    compare(other, third, ("new", 1, None, None), ("new", 2, None, None))
    Study.objects.filter(pk=other.series.study_id).update(study_date=None)
    long_ago = timezone.now() - datetime.timedelta(days=1)
    Comparison.objects.filter(prior__in=[first, other], analysis=third).update(created_at=long_ago)
    assert lesions.news(trend(patient)) == {second.pk: {"new": 1}, third.pk: {"grown": 1}}
    FindingReview.objects.create(analysis=third, user=user, number=1, present=False)
    Comparison.objects.filter(analysis=second).update(state="FAILED")
    assert lesions.news(trend(patient)) == {third.pk: {}}


def test_the_page_says_what_is_new_or_grown_at_its_time_point(browser, patient, course):
    page = browser.get(patient_page(patient)).content.decode()
    said = [re.sub(r"\s+", " ", re.sub("<[^>]*>", "", each)) for each in page.split('<li class="time-point"')[1:]]
    assert "Lesions:" not in said[0]
    assert "Lesions: 1 new since the CT before" in said[1]
    assert "Lesions: 1 grown since the CT before" in said[2]


def test_news_of_a_second_ct_on_one_day_stand_on_the_page_too(browser, patient):
    first, second = scan(patient, 0, 1.0), scan(patient, 0, 1.0, 2.0)
    compare(first, second, ("stable", 1, 1, None), ("new", 2, None, None))
    assert "Lesions: 1 new" in browser.get(patient_page(patient)).content.decode()


def test_the_page_says_the_course_of_the_largest_lesion_that_the_newest_ct_has_whole(browser, patient, user):
    first, second = scan(patient, 0, 4.0, 0.5, 9.0), scan(patient, 90, 6.0, 1.0)
    compare(first, second, ("grown", 1, 1, None), ("grown", 2, 2, None), ("resolved", None, 3, None))

    def said() -> str:
        page = browser.get(patient_page(patient)).content.decode()
        return re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", page)).partition("Largest lesion on the newest CT ")[2][:40]

    assert said().startswith("Mass, 4.00 → 6.00 ml, +50 %")
    FindingReview.objects.create(analysis=second, user=user, number=1, present=False)
    assert said().startswith("Nodule, 0.50 → 1.00 ml, +100 %")
    change = {"lesions": [{"status": "grown", "number": 2, "prior_number": 2, "doubling_time_days": None, "cut": True}]}
    Comparison.objects.update(change=change)
    assert said() == ""


def test_the_largest_lesion_may_be_one_that_is_new(browser, patient, user):
    first, second = scan(patient, 0, 0.1), scan(patient, 9, 40.0, 0.2)
    compare(first, second, ("new", 1, None, None), ("grown", 2, 1, 30.0))

    def said() -> str:
        page = browser.get(patient_page(patient)).content.decode()
        return re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", page)).partition("Largest lesion on the newest CT ")[2]

    assert said().startswith("Mass, 40.00 ml, new")
    FindingReview.objects.create(analysis=second, user=user, number=1, present=False)
    assert said().startswith("Nodule, 0.10 → 0.20 ml, +100 %")
