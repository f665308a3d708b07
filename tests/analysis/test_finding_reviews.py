"""What readers say of findings: on the page, in the report and the export, through the API."""

import csv
import html
import math
import re
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.urls import reverse

from analysis.finding_reviews import mark, reviewed, reviewed_change, say_of
from analysis.impression import proposed
from analysis.models import Analysis, Comparison, FindingReview
from analysis.report_images import thumbnail
from analysis.services import Refusal
from analysis.trend import trend
from tests.analysis.finished import FINDINGS, finished_analysis
from tests.analysis.pages import DAY, HTMX, study_page
from tests.analysis.test_comparisons import CHANGE
from tests.analysis.test_report_pdf import text_of

PLACE = [30.0, -12.0, -130.0]


@pytest.fixture
def findings_address(analysis):
    return reverse("pages:review_findings", args=[analysis.pk])


def test_a_reader_rejects_a_finding_marks_another_and_the_result_stays(analysis, user):
    say_of(analysis, user=user, number=1, present=False, reason=" A vessel ")
    mark(analysis, user=user, centroid_mm=PLACE, long_axis_mm=11.26)
    first, second, own = reviewed(analysis)
    assert (first.present, first.review.reason, first.finding["texture"]) == (False, "A vessel", "part-solid")
    assert (second.present, second.review) == (True, None)
    assert (own.number, own.finding, own.centroid_mm, own.long_axis_mm) == (3, None, PLACE, 11.3)
    before = analysis.report
    analysis.refresh_from_db()
    assert analysis.report == before
    assert analysis.findings.count() == 2


def test_the_worklist_says_of_a_mass_that_it_is_one(analysis, user, browser):
    def said():
        return ">mass</strong>" in browser.get(reverse("pages:home")).text

    assert not said()
    analysis.findings.filter(number=1).update(kind="mass", long_axis_mm=45.0)
    assert said()
    say_of(analysis, user=user, number=1, present=False)
    assert not said()


def test_the_worklist_counts_what_readers_leave_and_add_and_names_the_largest(analysis, user, browser):
    def counted():
        (row,) = browser.get(reverse("pages:home")).context["rows"]
        return row.findings.count, row.findings.largest_mm

    first_mm, second_mm = (each["long_axis_mm"] for each in FINDINGS)
    assert first_mm > second_mm
    assert counted() == (2, first_mm)
    say_of(analysis, user=user, number=1, present=True)
    assert counted() == (2, first_mm)
    say_of(analysis, user=user, number=1, present=False)
    assert counted() == (1, second_mm)
    seen = browser.get(reverse("pages:home")).context["seen"]
    mark(analysis, user=user, centroid_mm=PLACE, long_axis_mm=8)
    assert counted() == (2, 8)
    assert browser.get(reverse("pages:home"), {"seen": seen}, headers=HTMX).status_code == 200
    say_of(analysis, user=user, number=3, present=False)
    say_of(analysis, user=user, number=2, present=False)
    assert counted() == (0, None)


def test_the_newest_word_counts_and_all_are_kept(analysis, user):
    mark(analysis, user=user, centroid_mm=PLACE, long_axis_mm=8)
    for present in (False, True, False):
        say_of(analysis, user=user, number=3, present=present)
    *_, own = reviewed(analysis)
    assert (own.present, own.centroid_mm, own.long_axis_mm) == (False, PLACE, 8.0)
    assert FindingReview.objects.count() == 4
    mark(analysis, user=user, centroid_mm=PLACE, long_axis_mm=9)  # a withdrawn one keeps its number
    assert [each.number for each in reviewed(analysis)] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("place", "long_axis_mm", "words"),
    [
        (PLACE, 0.4, "between 1 and 300 mm"),
        (PLACE, 301, "between 1 and 300 mm"),
        (PLACE, float("nan"), "between 1 and 300 mm"),
        ([0, 0, 300], 9, "outside the slices"),
        ([float("nan"), 0, -130], 9, "outside the slices"),
        ([0, float("inf"), -130], 9, "outside the slices"),
        ([1e9, 0, -130], 9, "outside the slices"),
    ],
)
def test_a_mark_without_sense_is_refused(analysis, user, place, long_axis_mm, words):
    with pytest.raises(Refusal, match=words):
        mark(analysis, user=user, centroid_mm=place, long_axis_mm=long_axis_mm)
    assert not FindingReview.objects.exists()


def test_on_slices_that_lean_a_mark_lies_by_its_height_along_their_normal(patient, user, tmp_path):
    leaning = finished_analysis(
        patient, tmp_path, date=DAY, activation_cm2={5: 12.0}, first_z_mm=-1500, lean_degrees=10
    )
    sine, cosine = math.sin(math.radians(10)), math.cos(math.radians(10))
    for height_mm, is_taken in ((-1500.0, True), (-1595.0, True), (-1480.0, False), (-1615.0, False)):
        place = [0.0, 150.0, (height_mm + 150 * sine) / cosine]
        if is_taken:
            mark(leaning, user=user, centroid_mm=place, long_axis_mm=9)
        else:
            with pytest.raises(Refusal, match="outside the slices"):
                mark(leaning, user=user, centroid_mm=place, long_axis_mm=9)


def test_only_findings_of_a_result_are_reviewed(analysis, user):
    with pytest.raises(Refusal, match="no such finding"):
        say_of(analysis, user=user, number=3, present=True)
    Analysis.objects.filter(pk=analysis.pk).update(state="RUNNING")
    analysis.refresh_from_db()
    for act in (
        lambda: say_of(analysis, user=user, number=1, present=True),
        lambda: mark(analysis, user=user, centroid_mm=PLACE, long_axis_mm=9),
    ):
        with pytest.raises(Refusal, match="no result yet"):
            act()


def test_a_run_without_a_result_has_no_list_to_write_in(browser, analysis, findings_address):
    Analysis.objects.filter(pk=analysis.pk).update(state="RUNNING")
    assert browser.post(findings_address, {"review": "1 no"}, headers=HTMX).status_code == 404


def test_findings_that_nobody_looked_for_are_not_said_to_be_none(analysis, user):
    analysis.report["findings"] = None
    analysis.save()
    mark(analysis, user=user, centroid_mm=PLACE, long_axis_mm=9)
    assert "one that a reader marked" in text_of(analysis)
    say_of(analysis, user=user, number=1, present=False)
    assert "not looked for by the networks" in text_of(analysis)


@pytest.fixture
def compared(patient, analysis, tmp_path):
    """A comparison with ``analysis``, in which finding 2 grew to finding 1."""
    later = finished_analysis(patient, tmp_path / "later", date=DAY + timedelta(days=9), activation_cm2={5: 3.0})
    return Comparison.objects.create(analysis=later, prior=analysis, days=9, state="DONE", change=CHANGE)


def test_rejected_findings_do_not_count_as_lesions(patient, compared, user):
    assert "1 grown" in text_of(compared.analysis)
    say_of(compared.analysis, user=user, number=1, present=False)
    points = trend(patient)
    text = proposed(points[1], compared)[bool(points[1].analysis.suspected)]
    assert "1 grown" not in text
    assert "1 resolved" in text
    assert "1 grown" not in text_of(compared.analysis)
    assert "1 that a reader rejected on one of the two CTs is not counted." in text_of(compared.analysis)


def test_the_findings_of_both_cts_are_reviewed_and_the_newest_word_counts(compared, user):
    def rejected():
        return [(each["rejected"], each["rejected_then"]) for each in reviewed_change(compared)["lesions"]]

    nothing = [(False, False)] * 3
    assert rejected() == nothing
    for number in (1, 2):  # of the CT before: the first is resolved, the second has grown
        say_of(compared.prior, user=user, number=number, present=False)
    assert rejected() == [(False, True), (False, True), (False, False)]
    say_of(compared.analysis, user=user, number=1, present=False)
    assert rejected()[0] == (True, True)
    for analysis, number in ((compared.prior, 1), (compared.prior, 2), (compared.analysis, 1)):
        say_of(analysis, user=user, number=number, present=True)
    assert rejected() == nothing
    assert compared.change == CHANGE


def test_the_page_marks_lesions_that_a_reader_rejected(browser, compared, user):
    """With the answer to that word too."""
    say_of(compared.prior, user=user, number=1, present=False)
    address = reverse("pages:review_findings", args=[compared.analysis.pk])
    answer = browser.post(address, {"review": "1 no"}, headers=HTMX).content.decode()
    page = browser.get(study_page(compared.analysis)).content.decode()
    for text, swapped in ((answer, 'hx-swap-oob="true"'), (page, "")):
        panel = " ".join(text[text.index('id="since-last"') :].partition("</section>")[0].split())
        assert swapped in panel
        assert "Lesions: 1 part of another. 2 that a reader rejected on one of the two CTs are not counted." in panel
        grown, resolved, part = panel.split("<li")[1:]
        assert "is-rejected" in grown
        assert "Finding 1: grown" in grown
        assert "Rejected by a reader</span>" in grown
        assert "is-rejected" in resolved
        assert "Rejected by a reader on the CT before" in resolved
        assert "ejected" not in part


def test_the_page_lists_what_was_said(browser, analysis, findings_address):
    answer = browser.post(findings_address, {"review": "1 no", "reason": "A vessel"}, headers=HTMX)
    text = " ".join(answer.content.decode().split())
    assert 'data-rejected="1 "' in text
    assert "ward: no finding (A vessel)" in text
    assert 'data-said="Saved for finding 1: no finding."' in text
    browser.post(findings_address, {"review": "add", "at": "30 -12 -130", "long_axis_mm": "11.3"}, headers=HTMX)
    browser.post(findings_address, {"review": "2 yes"}, headers=HTMX)
    text = " ".join(browser.get(study_page(analysis)).content.decode().split())
    assert "3. Marked by a reader" in text
    assert 'data-own data-finding-mm="11.3"' in text
    assert "data-said" not in text
    assert "ward: agreed" in text


def test_a_browser_without_scripts_comes_back_to_the_list(browser, analysis, findings_address):
    answer = browser.post(findings_address, {"review": "add"})
    assert answer.headers["Location"] == f"{study_page(analysis)}#findings"
    assert "Measure the finding first" in browser.get(study_page(analysis)).content.decode()


@pytest.mark.parametrize("review", ["", "1", "one yes", "1 perhaps"])
def test_what_no_button_sends_is_not_found(browser, findings_address, review):
    assert browser.post(findings_address, {"review": review}).status_code == 404


def test_strangers_cannot_review(client, stranger, analysis, findings_address):
    client.force_login(stranger)
    assert client.post(findings_address, {"review": "1 no"}).status_code == 404
    assert client.get(f"/api/v1/analyses/{analysis.pk}/finding-reviews/").status_code == 404
    assert not FindingReview.objects.exists()


def test_rejected_findings_leave_the_proposed_text_and_the_report(patient, analysis, user):
    say_of(analysis, user=user, number=1, present=False)
    say_of(analysis, user=user, number=2, present=True)
    mark(analysis, user=user, centroid_mm=PLACE, long_axis_mm=11.3)
    points = trend(patient)
    (line,) = [
        each
        for each in proposed(points[0], None)[bool(points[0].analysis.suspected)].splitlines()
        if each.startswith("Focal")
    ]
    assert line == (
        "Focal findings: one that a reader marked (11.3 mm); Solid nodule, calcified, right lung, lower third "
        "(7.1 × 6.8 mm)."
    )
    text = text_of(analysis)
    assert "one that a reader marked (11.3 mm)" in text
    assert "confidence 0.81, a reader agrees" in text
    assert "1 finding of the networks rejected by a reader" in text
    assert "Part-solid nodule" not in text


def test_reviews_are_made_and_listed_through_the_api(api, analysis):
    address = f"/api/v1/analyses/{analysis.pk}/finding-reviews/"
    said = {"number": 1, "present": False, "reason": "A vessel"}
    answer = api.post(address, said, content_type="application/json")
    assert (answer.status_code, answer.json()) == (201, {**answer.json(), **said, "user": "ward"})
    new = {"centroid_mm": PLACE, "long_axis_mm": 9.0}
    assert api.post(address, new, content_type="application/json").json()["number"] == 3
    assert [each["number"] for each in api.get(address).json()["results"]] == [3, 1]
    for wrong, status in (
        ({"number": 9, "present": True}, 409),
        ({"number": 1}, 400),
        ({"present": True}, 400),
        ({**said, **new}, 400),
        ({"centroid_mm": [1, 2], "long_axis_mm": 9}, 400),
    ):
        assert api.post(address, wrong, content_type="application/json").status_code == status, wrong


def test_reviewed_findings_are_exported_with_their_series(analysis, user, tmp_path):
    say_of(analysis, user=user, number=1, present=False, reason="Vessel, says Dr Jane")
    mark(analysis, user=user, centroid_mm=PLACE, long_axis_mm=11.3)
    call_command("export_corrections", str(tmp_path / "out"))
    with (tmp_path / "out" / "findings.csv").open(newline="", encoding="utf-8") as file:
        rejected, own = csv.DictReader(file)
    assert (rejected["found_by"], rejected["present"], rejected["long_axis_mm"]) == ("networks", "0", "14.24")
    assert (own["found_by"], own["present"], own["x_mm"], own["z_mm"]) == ("reader", "1", "30.0", "-130.0")
    series = tmp_path / "out" / own["series_instance_uid"]
    assert len(list(series.glob("*.dcm"))) == 20
    assert "Jane" not in (tmp_path / "out" / "findings.csv").read_text()


def test_viewer_and_thumbnail_begin_with_the_largest_finding_that_counts(browser, patient, user, tmp_path):
    analysis = finished_analysis(patient, tmp_path, date=DAY)
    upper, lower = (analysis.report["slices"][index]["z_mm"] for index in (4, 13))
    middle = (analysis.report["slices"][1]["z_mm"] + analysis.report["slices"][-2]["z_mm"]) / 2
    mark(analysis, user=user, centroid_mm=[30.0, 0.0, upper], long_axis_mm=9.0)
    larger = mark(analysis, user=user, centroid_mm=[30.0, 0.0, lower], long_axis_mm=12.0)

    def shown() -> tuple[float | None, bytes, str]:
        page = browser.get(reverse("pages:patient", args=[patient.pk])).content.decode()
        (address,) = re.findall(r'src="([^"]*thumbnail[^"]*)"', page)
        scan = browser.get(study_page(analysis)).context["scan"]
        return scan["instead_z_mm"], browser.get(html.unescape(address)).content, address

    begins = [shown()]
    for number in (larger.number, larger.number - 1):
        say_of(analysis, user=user, number=number, present=False)
        begins.append(shown())
    assert [z_mm for z_mm, *_ in begins] == [lower, upper, None]
    assert [jpeg for _, jpeg, _ in begins] == [thumbnail(analysis, z_mm) for z_mm in (lower, upper, middle)]
    assert len({address for *_, address in begins}) == 3  # what a browser keeps for an hour is not shown


def test_of_a_ct_with_positive_slices_no_finding_takes_the_lead(browser, analysis):
    assert browser.get(study_page(analysis)).context["scan"]["instead_z_mm"] is None


def test_without_a_finding_they_begin_with_the_slice_to_check(browser, patient, tmp_path):
    analysis = finished_analysis(patient, tmp_path, date=DAY)
    flag = {"code": "ball_unmarked", "message": "A ball.", "severe": True, "slice_number": 7}
    Analysis.objects.filter(pk=analysis.pk).update(quality=[flag, flag | {"slice_number": 3}])
    scan = browser.get(study_page(analysis)).context["scan"]
    assert scan["instead_z_mm"] == analysis.report["slices"][6]["z_mm"]
    text = text_of(analysis)
    assert "Slice to check (no slice is positive)" in text
    assert "Slice 7 of 20" in text


def test_a_finding_that_the_networks_doubt_is_called_uncertain_until_a_reader_agrees(analysis, user):
    doubted = FINDINGS[0] | {"confidence": 0.3}
    Analysis.objects.filter(pk=analysis.pk).update(report=analysis.report | {"findings": [doubted]})
    analysis.refresh_from_db()
    (point,) = trend(analysis.series.study.patient)
    assert "(14.2 × 11.0 mm), uncertain." in proposed(point, None)[True]
    say_of(analysis, user=user, number=1, present=True)
    assert "(14.2 × 11.0 mm)." in proposed(point, None)[True]


def test_thumbnails_leave_the_slice_that_a_reader_calls_normal(browser, patient, user, tmp_path):
    analysis = finished_analysis(patient, tmp_path, date=DAY, activation_cm2={4: 9.0, 13: 5.0})
    slices = analysis.report["slices"]

    def shown() -> tuple[bytes, str]:
        page = browser.get(reverse("pages:patient", args=[patient.pk])).text
        (address,) = re.findall(r'src="([^"]*thumbnail[^"]*)"', page)
        return browser.get(html.unescape(address)).content, address

    before, address = shown()
    assert before == thumbnail(analysis, slices[4]["z_mm"])
    analysis.corrections.create(user=user, sop_instance_uid=slices[4]["sop_instance_uid"], abnormal=False)
    after, new_address = shown()
    assert after == thumbnail(analysis, slices[13]["z_mm"]) != before
    assert new_address != address  # what a browser keeps for an hour is not shown
