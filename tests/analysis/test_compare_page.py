"""Time points side by side: which are shown, how they are matched, and what stands with them."""

import datetime
import re
from itertools import pairwise

import pytest
from django.core.files.base import ContentFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from analysis import finding_reviews
from analysis.formats import date_text
from analysis.lesions import Became
from analysis.models import Analysis, Comparison, Finding
from tests.analysis.finished import finished_analysis
from tests.analysis.pages import DAY, HTMX, patient_page
from tests.analysis.test_comparisons import CHANGE


@pytest.fixture
def three(patient, tmp_path):
    days = (0, 9, 20)
    return [
        finished_analysis(
            patient, tmp_path / str(day), date=DAY + datetime.timedelta(days=day), activation_cm2={5: 9.0}
        )
        for day in days
    ]


def compare(browser, patient, **query):
    return browser.get(reverse("pages:compare", args=[patient.pk]), query)


def shown(browser, patient, **query):
    context = compare(browser, patient, **query).context
    return context and [pane.point.analysis.pk for pane in context["panes"]]


def registered(now, prior):
    """A comparison that lays each lung slice 10 mm further down in the earlier CT."""
    lung = [each["z_mm"] - 10 if each["probability"] is not None else None for each in now.report["slices"]]
    row = Comparison.objects.create(
        analysis=now, prior=prior, days=9, state="DONE", change=CHANGE | {"prior_z_mm": lung}
    )
    row.change_map.save("change.gz", ContentFile(b""))
    return row


def words(page):
    return " ".join(page.content.decode().split())


def test_the_last_two_results_stand_side_by_side_or_those_named_the_earliest_first(browser, patient, three):
    first, second, third = (each.pk for each in three)
    studies = [each.series.study_id for each in three]
    assert shown(browser, patient) == [second, third]
    assert shown(browser, patient, study=[studies[2], studies[0]]) == [first, third]
    assert shown(browser, patient, study=[*studies, "", studies[1]]) == [first, second, third]
    twice = "A CT that was chosen twice is shown once"
    assert twice in words(compare(browser, patient, study=[studies[2], studies[2]]))
    assert twice not in words(compare(browser, patient, study=[*studies, ""]))
    assert shown(browser, patient, study=studies[1]) == [first, second]
    assert shown(browser, patient, study=studies[0]) == [first, second]
    for wrong in ("999", "x"):
        assert compare(browser, patient, study=[studies[0], wrong]).status_code == 404, wrong


def test_it_says_why_a_ct_shown_is_to_be_checked(browser, patient, three):
    flags = [{"code": "dense_unmarked", "message": "Dense tissue.", "severe": True}]
    Analysis.objects.filter(pk=three[1].pk).update(quality=flags)
    assert f"Check the CT of {date_text(DAY + datetime.timedelta(days=9))}: Dense tissue." in words(
        compare(browser, patient)
    )
    others = [each.series.study_id for each in (three[0], three[2])]
    assert "Dense tissue." not in words(compare(browser, patient, study=others))


def test_it_says_where_the_results_were_made_in_different_ways(browser, patient, three):
    assert "different versions of the networks" not in compare(browser, patient).content.decode()
    Analysis.objects.filter(pk=three[2].pk).update(method_version=None)
    assert "different versions of the networks or of the measuring" in compare(browser, patient).content.decode()


def test_at_most_four_stand_side_by_side(browser, patient, three, tmp_path):
    for day in (30, 40):
        finished_analysis(patient, tmp_path, date=DAY + datetime.timedelta(days=day), activation_cm2={5: 9.0})
    studies = list(patient.studies.order_by("study_date").values_list("pk", flat=True))
    page = compare(browser, patient, study=studies[1:])
    assert [pane.point.study.pk for pane in page.context["panes"]] == studies[1:]
    assert page.context["choices"][-1] is not None  # no field to add another
    assert compare(browser, patient, study=studies).status_code == 404


def test_each_ct_says_how_it_is_matched_and_shows_the_change_against_the_one_before(browser, patient, three):
    first, second, third = three
    middle = registered(third, second)
    studies = [each.series.study_id for each in three]
    page = compare(browser, patient, study=studies)
    assert [pane.match and pane.match.registrations for pane in page.context["panes"]] == [0, 1, None]
    assert "Matched by height in the lungs" in words(page)
    assert "Matched by registration of the lungs" in words(page)
    assert [pane.as_json["change_map"] for pane in page.context["panes"]][:2] == [None, None]
    assert reverse("pages:change_map", args=[middle.pk]) in words(page)

    registered(second, first)
    page = compare(browser, patient, study=studies)
    assert "Matched by registration of the lungs, through 1 CT between" in words(page)
    assert all(pane.as_json["change_map"] for pane in page.context["panes"][1:])
    assert words(page).count("120 ml newly opaque or denser") == 2
    apart = compare(browser, patient, study=[studies[0], studies[2]])
    assert [pane.match and pane.match.registrations for pane in apart.context["panes"]] == [2, None]
    assert not apart.context["has_change_map"]
    assert "the amount of opacity is not compared" in words(apart)


def test_lesions_stand_with_their_number_and_volume_in_each_ct(browser, patient, three):
    _, second, third = three
    registered(third, second)
    page = compare(browser, patient)
    rows = page.context["lesions"]
    seen = [
        [one and one.finding and (one.finding.number, one.finding.volume_ml) for _, one, _ in lane.cells]
        for lane, _ in rows
    ]
    assert seen == [[(2, 0.2), (1, 1.214)], [(1, 1.214), None]]
    assert [became.status for _, became in rows] == ["grown", "resolved"]
    assert [words(page).count(f">#{number}</span>") for number in (1, 2)] == [2, 1]
    studies = [each.series.study_id for each in three]
    rows = compare(browser, patient, study=studies).context["lesions"]
    assert [[one and one.status for _, one, _ in lane.cells] for lane, _ in rows] == [
        [None, "", "grown"],
        [None, "", "resolved"],
    ]
    assert [became.status for _, became in rows] == ["grown", "resolved"]  # since the earliest CT that has it


def test_a_lesion_is_named_as_it_is_on_the_cts_shown(browser, patient, three):
    """A mass in the first two, a larger nodule in the third."""
    first, second, third = three
    grown = CHANGE["lesions"][0] | {"prior_number": 1}
    for now, prior in ((second, first), (third, second)):
        row = registered(now, prior)
        row.change["lesions"] = [grown]
        row.save()
    Finding.objects.filter(analysis__in=[first, second], number=1).update(kind="mass")
    Finding.objects.filter(analysis=third, number=1).update(volume_ml=90.0)
    studies = [each.series.study_id for each in three]
    for chosen, said in ((studies[:2], "Mass"), (studies[1:], "Nodule")):
        assert f'<th scope="row">{said}<br>' in words(compare(browser, patient, study=chosen))


def test_a_lesion_that_a_reader_rejected_is_marked_and_keeps_its_volume(browser, patient, three, user):
    registered(three[2], three[1])
    finding_reviews.say_of(three[2], user=user, number=1, present=False)
    page = words(compare(browser, patient))
    assert page.count("rejected by a reader") == 1
    assert '<span class="is-rejected">1.21</span>' in page


def directly(browser, patient, *studies):
    address = reverse("pages:compare_directly", args=[patient.pk])
    return browser.post(address, dict(zip(("then", "now"), studies, strict=False)))


def test_cts_that_do_not_follow_each_other_are_compared_directly_where_a_user_asks(browser, patient, three):
    """The CT between lost sight of a lesion that both have."""
    first, second, third = three
    studies = [each.series.study_id for each in three]
    lost, found = ({"status": "unclear", "number": now, "prior_number": then} for now, then in ((None, 1), (1, None)))
    for now, prior, lesion in ((second, first, lost), (third, second, found)):
        row = registered(now, prior)
        row.change["lesions"] = [CHANGE["lesions"][0] | lesion]
        row.save()
    page = compare(browser, patient, study=[studies[0], studies[2]])
    assert [became for _, became in page.context["lesions"]] == [Became("unclear", page.context["points"][1])] * 2
    assert words(page).count("on 14 Mar 2020: unclear, not outlined") == 2
    assert "Compare these two directly" in words(page)

    answer = directly(browser, patient, studies[2], studies[0])  # in whatever order they are named
    assert (answer.status_code, answer.headers["HX-Trigger"]) == (204, "comparison-queued")
    (row,) = Comparison.objects.filter(analysis=third, prior=first)
    assert (row.state, row.days) == ("QUEUED", 20)
    assert "Being compared" in words(compare(browser, patient, study=[studies[0], studies[2]]))
    row.state, row.change = "DONE", CHANGE | {"lesions": [CHANGE["lesions"][0] | {"prior_number": 1}]}
    row.save()
    page = compare(browser, patient, study=[studies[0], studies[2]])
    assert [became for _, became in page.context["lesions"]] == [Became("stable")]
    assert "120 ml newly opaque or denser" in words(page)
    assert "directly" not in words(page)
    assert len(compare(browser, patient, study=studies).context["lesions"]) == 2  # by neighbours, as on the timeline


def test_only_two_results_of_the_patient_are_compared_directly(browser, client, stranger, patient, three):
    studies = [each.series.study_id for each in three]
    for named in ([], studies[:1], [studies[0], studies[0]], [studies[0], 999]):
        assert directly(browser, patient, *named).status_code == 404
    client.force_login(stranger)
    assert directly(client, patient, studies[0], studies[2]).status_code == 404
    assert not Comparison.objects.exists()


def test_a_comparison_that_failed_says_why_and_is_tried_again(browser, patient, three):
    said = "The lungs of the two scans could not be laid over each other: compare them by eye."
    failed = Comparison.objects.create(analysis=three[2], prior=three[1], days=11, state="FAILED", error=said)
    page = words(compare(browser, patient))
    assert said in page
    assert "do not follow each other" not in page
    again = reverse("pages:compare_again", args=[failed.pk])
    assert f'hx-post="{again}"' in page
    answer = browser.post(again)
    assert (answer.status_code, answer.headers["HX-Trigger"]) == (204, "comparison-queued")
    page = words(compare(browser, patient))
    assert "Being compared" in page
    assert "until the CTs are compared" in page
    assert again not in page


def test_an_open_page_hears_when_what_it_waits_for_is_compared(browser, patient, three):
    address = reverse("pages:compare", args=[patient.pk])
    assert "hx-get" not in words(browser.get(address))
    row = Comparison.objects.create(analysis=three[2], prior=three[1], days=11, state="RUNNING")
    page = words(browser.get(address, {"study": three[2].series.study_id}))
    assert f'hx-get="{address}?study={three[2].series.study_id}"' in page
    asked = {"waiting": re.search(r"""hx-vals='{"waiting": "([^"]+)"}'""", page)[1]}
    assert browser.get(address, asked, headers=HTMX).status_code == 204
    Comparison.objects.filter(pk=row.pk).update(state="DONE", change=CHANGE)
    answer = browser.get(address, asked, headers=HTMX)
    assert (answer.status_code, answer.headers["HX-Trigger"]) == (286, "comparison-done")


def test_an_open_page_waits_for_comparisons_of_the_cts_between_those_shown_alone(browser, patient, three):
    address = reverse("pages:compare", args=[patient.pk])
    Comparison.objects.create(analysis=three[1], prior=three[0], days=9, state="RUNNING")
    last_two, all_three = three[1:], (three[0], three[2])
    for shown, waits in ((last_two, False), (all_three, True)):
        page = browser.get(address, {"study": [each.series.study_id for each in shown]})
        assert bool(page.context["waiting"]) is waits


def test_marks_and_rejections_of_readers_are_drawn(browser, patient, three, user):
    finding_reviews.say_of(three[2], user=user, number=1, present=False)
    for number in (3, 4):
        finding_reviews.mark(three[2], user=user, centroid_mm=[30.0, -12.0, -130.0], long_axis_mm=10.0 + number)
    finding_reviews.say_of(three[2], user=user, number=3, present=False)
    before, now = (pane.as_json["scan"] for pane in compare(browser, patient).context["panes"])
    assert (before["rejected"], before["marks"]) == ([], [])
    assert (now["rejected"], now["marks"]) == (
        [1, 3],
        [{"centroid_mm": [30.0, -12.0, -130.0], "long_axis_mm": 14.0}],
    )


def test_with_one_result_there_is_nothing_to_compare(browser, patient, analysis):
    assert browser.get(reverse("pages:compare", args=[patient.pk])).status_code == 404
    assert "Compare CTs" not in browser.get(patient_page(patient)).content.decode()


def test_the_comparison_belongs_to_the_site(client, stranger, patient, three):
    client.force_login(stranger)
    assert client.get(reverse("pages:compare", args=[patient.pk])).status_code == 404
    failed = Comparison.objects.create(analysis=three[2], prior=three[1], days=11, state="FAILED")
    assert client.post(reverse("pages:compare_again", args=[failed.pk])).status_code == 404
    failed.refresh_from_db()
    assert failed.state == "FAILED"


def test_many_time_points_take_as_many_queries_as_two(
    browser, patient, three, user, tmp_path, django_assert_num_queries
):
    for prior, now in pairwise(three):
        registered(now, prior)
    studies = [each.series.study_id for each in three]
    compare(browser, patient)  # writes the session
    with CaptureQueriesContext(connection) as neighbours:
        compare(browser, patient, study=studies[1:])
    later = [
        finished_analysis(patient, tmp_path, date=DAY + datetime.timedelta(days=day), activation_cm2={5: 9.0})
        for day in (30, 40, 50)
    ]
    for prior, now in pairwise([three[2], *later]):
        registered(now, prior)
    for each in (*three, *later):
        finding_reviews.say_of(each, user=user, number=1, present=False)
        each.corrections.create(sop_instance_uid=each.report["slices"][3]["sop_instance_uid"], abnormal=True, user=user)
    studies += [each.series.study_id for each in later]
    for apart in ([studies[0], studies[-1]], [*studies[:3], studies[-1]]):
        with django_assert_num_queries(len(neighbours)):
            compare(browser, patient, study=apart)
