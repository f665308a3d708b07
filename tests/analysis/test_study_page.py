"""The page of one CT: its numbers, its slices, and what its buttons do."""

import datetime
import gzip
import io
from zoneinfo import ZoneInfo

import pydicom
import pytest
from django.core.files.base import ContentFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pypdf import PdfReader

from analysis.models import Analysis, SliceCorrection
from patients.models import Instance, Series, Site, Study
from tests.analysis.finished import SLICES, finished_analysis
from tests.analysis.pages import DAY, HTMX, patient_page, question, study_page


def test_the_3d_view_of_a_result_without_lungs_says_why_it_is_empty(browser, analysis):
    words = "this result is of an older version, which kept no outline of the lungs"
    assert words not in browser.get(study_page(analysis)).content.decode()
    Analysis.objects.update(lungs_map="")
    page = browser.get(study_page(analysis)).content.decode()
    assert words in page
    assert "Lungs in 3D" not in page


def test_an_idle_study_page_shows_a_run_that_begins_elsewhere(browser, analysis):
    asked = question(browser, study_page(analysis))
    Analysis.objects.create(series=analysis.series, state="RUNNING", stage="lungs", progress=0.3)
    answer = browser.get(asked, headers=HTMX)
    text = answer.content.decode()
    assert answer.status_code == 200
    assert 'id="headline" hx-swap-oob="true"' in text
    assert "Finding the lungs" in text
    assert "A newer analysis is on its way" in text


def test_an_open_study_page_is_loaded_anew_for_another_result_or_series_only(browser, patient, analysis, tmp_path):
    asked = question(browser, study_page(analysis))
    finished_analysis(patient, tmp_path / "other", date=DAY + datetime.timedelta(days=3))
    assert "HX-Trigger" not in browser.get(asked, headers=HTMX).headers
    newer = Analysis.objects.create(series=analysis.series, state="DONE", report=analysis.report)
    assert browser.get(asked, headers=HTMX).headers["HX-Trigger"] == "result-changed"
    newer.delete()
    study = analysis.series.study
    study.chosen_series = Series.objects.create(study=study, series_instance_uid="9.2", usable=True)
    study.save()
    assert browser.get(asked, headers=HTMX).headers["HX-Trigger"] == "result-changed"


def test_the_opacity_stands_beside_the_score_by_region(browser, analysis):
    text = " ".join(browser.get(study_page(analysis)).content.decode().split())
    assert "12.4 %</span> of the lungs" in text
    assert "3.1 % dense, severity 4 of 24" in text
    assert '<th scope="row">Lower</th><td class="number">49.8 %</td><td class="number">0.0 %</td>' in text


def test_findings_are_listed_with_place_size_and_confidence(browser, analysis):
    text = browser.get(study_page(analysis)).text
    assert "<strong>1. Part-solid nodule</strong>" in text
    measures = "14.2\xa0×\xa011.0\xa0mm, 1.21\xa0ml, −312\xa0HU"  # which no line end parts
    assert f"left lung, upper third, {measures}, confidence 0.97" in text
    assert "<strong>2. Solid nodule, calcified</strong>" in text
    assert 'data-finding-z="-124.0"' in text


def test_no_findings_is_not_the_same_as_not_looked_for(browser, analysis):
    analysis.report["findings"] = []
    analysis.save()
    assert "No nodule or focal opacity was outlined by itself" in browser.get(study_page(analysis)).content.decode()
    analysis.report["findings"] = None
    analysis.save()
    assert "Not looked for by the networks of that time." in browser.get(study_page(analysis)).content.decode()


def test_a_result_of_earlier_networks_says_that_its_opacity_was_not_measured(browser, analysis):
    analysis.report["opacity"] = None
    analysis.opacity_map = ""
    analysis.save()
    page = browser.get(study_page(analysis))
    assert "not measured by the networks of that time" in page.content.decode()
    assert page.context["scan"]["opacity_map"] is None
    assert browser.get(reverse("pages:opacity_map", args=[analysis.pk])).status_code == 404


def test_a_result_of_an_earlier_version_is_shown_with_what_it_has(browser, analysis):
    for name in ("slice_threshold", "software_version", "method"):
        del analysis.report[name]
    analysis.report |= {"opacity": None, "findings": None}
    analysis.opacity_map = analysis.findings_map = ""
    analysis.opacity_percent = None
    analysis.save()
    analysis.findings.all().delete()
    for address in (study_page(analysis), patient_page(analysis.series.study.patient)):
        assert browser.get(address).status_code == 200
    for name in ("report_pdf", "results_csv"):
        assert browser.get(reverse(name, args=[analysis.pk])).status_code == 200


def test_both_reports_and_the_numbers_are_offered(browser, analysis):
    page = browser.get(study_page(analysis)).content.decode()
    pages = []
    assert "The report is one page for the ward, more where readers wrote a lot. The full report adds" in page
    for address in ("report.pdf", "report.pdf?pages=all"):
        whole = f"/api/v1/analyses/{analysis.pk}/{address}"
        assert f'href="{whole}" download' in page
        answer = browser.get(whole)
        pages.append(len(PdfReader(io.BytesIO(answer.content)).pages))
        assert answer["Content-Type"] == "application/pdf"
    assert pages[0] == 1 < pages[1]
    assert f'filename="corona-report-{analysis.pk}-full.pdf"' in answer["Content-Disposition"]
    assert f'href="/api/v1/analyses/{analysis.pk}/results.csv" download' in page


def test_other_pages_than_those_of_the_report_are_refused(browser, analysis):
    answer = browser.get(f"/api/v1/analyses/{analysis.pk}/report.pdf?pages=2")
    assert answer.status_code == 400
    assert answer.json() == {"pages": ["Enter one of: ward, all."]}
    german = browser.get(answer.wsgi_request.get_full_path(), headers={"Accept-Language": "de"})
    assert german.json() == {"pages": ["Geben Sie eines davon ein: ward, all."]}


def test_the_viewer_gets_the_slices_head_to_feet_with_their_planes(browser, analysis):
    scan = browser.get(reverse("pages:study", args=[analysis.series.study_id])).context["scan"]
    assert len(scan["slices"]) == SLICES
    assert [one["plane"] for one in scan["slices"]] == list(range(SLICES))
    assert scan["slices"][5]["positive"] is True
    assert scan["slices"][0]["probability"] is None
    for name in ("heatmap", "opacity_map", "findings_map"):
        values = gzip.decompress(browser.get(scan[name]["address"]).getvalue())
        assert len(values) == SLICES * scan[name]["size"] ** 2
    file = browser.get(scan["slices"][0]["file"]).getvalue()
    assert file[128:132] == b"DICM"


def test_the_viewer_keeps_to_the_slices_of_the_result_where_later_files_do_not_fit(browser, site, analysis):
    series = analysis.series
    asked = question(browser, study_page(analysis))
    twice = Instance(series=series, site=site, sop_instance_uid="9.9", sha256="1" * 64, file="x.dcm", z_mm=999)
    twice.save()
    Series.objects.filter(pk=series.pk).update(usable=False, reason="1 slice lies where another one lies.")
    page = browser.get(study_page(analysis))
    slices = page.context["scan"]["slices"]
    assert [one["plane"] for one in slices] == list(range(SLICES))
    assert [one["z_mm"] for one in slices] == [one["z_mm"] for one in analysis.report["slices"]]
    assert "came later is not used: 1 slice lies where another one lies." in page.content.decode()
    assert "1 slice lies where another one lies." in browser.get(asked, headers=HTMX).content.decode()


def test_the_viewer_gets_an_old_file_with_the_start_it_needs(browser, analysis):
    instance = analysis.series.instances.first()
    whole = instance.file.read()
    instance.file.storage.save(instance.file.name, ContentFile(whole[132:]))
    answer = browser.get(reverse("pages:instance_file", args=[instance.pk]))
    served = answer.getvalue()
    assert int(answer.headers["Content-Length"]) == len(served)
    assert pydicom.dcmread(io.BytesIO(served)).PixelData == pydicom.dcmread(io.BytesIO(whole)).PixelData


def test_the_viewer_gets_the_newest_word_of_a_reader_beside_the_ais(browser, analysis, user):
    said = {"analysis": analysis, "sop_instance_uid": "1.2.1.1.5", "user": user}
    SliceCorrection.objects.create(abnormal=True, **said)
    SliceCorrection.objects.create(abnormal=False, reason="</script> A vessel", **said)
    page = browser.get(study_page(analysis))
    fifth, sixth = page.context["scan"]["slices"][5:7]
    correction = fifth["correction"]
    assert (correction["abnormal"], correction["reason"], correction["user"]) == (False, "</script> A vessel", "ward")
    assert (fifth["positive"], fifth["probability"], sixth["correction"]) == (True, 0.9, None)
    text = page.content.decode()
    assert f'data-correction="/api/v1/analyses/{analysis.pk}/corrections/"' in text
    assert "</script> A vessel" not in text
    assert "10.0 cm³" in text  # the score stays the AI's


def test_corrections_cost_the_page_one_query_however_many(browser, analysis, user, django_assert_num_queries):
    browser.get(study_page(analysis))  # the first page of a session writes its time
    with CaptureQueriesContext(connection) as without:
        browser.get(study_page(analysis))
    for index in range(SLICES):
        uid = f"1.2.1.1.{index}"
        SliceCorrection.objects.create(analysis=analysis, sop_instance_uid=uid, abnormal=True, user=user)
    with django_assert_num_queries(len(without)):
        browser.get(study_page(analysis))


def test_a_ct_without_a_result_has_nothing_to_overrule(browser, analysis):
    Analysis.objects.update(state="FAILED")
    assert "data-correction" not in browser.get(study_page(analysis)).content.decode().replace("-legend", "")


def test_a_study_without_a_usable_series_says_why(browser, patient):
    study = Study.objects.create(patient=patient, study_instance_uid="9", study_date=DAY)
    Series.objects.create(study=study, series_instance_uid="9.1", usable=False, reason="Only 4 slices were received.")
    text = browser.get(reverse("pages:study", args=[study.pk])).content.decode()
    assert "Not analysed" in text
    assert text.count("Only 4 slices were received.") == 2  # where the images would be, and beside the series


def test_progress_stops_the_polling_once_the_run_is_over(browser, analysis):
    waiting = Analysis.objects.create(series=analysis.series, state="RUNNING", progress=0.4)
    going_on = browser.get(reverse("pages:analysis_progress", args=[waiting.pk]))
    assert (going_on.status_code, going_on.headers.get("HX-Trigger")) == (200, None)
    assert "40" in going_on.content.decode()
    over = browser.get(reverse("pages:analysis_progress", args=[analysis.pk]))
    assert (over.status_code, over.headers["HX-Trigger"]) == (286, "analysis-finished")


def test_a_failed_analysis_is_tried_again_by_the_button(browser, analysis):
    failed = Analysis.objects.create(series=analysis.series, state="FAILED", error="The disk was full.")
    answer = browser.post(reverse("pages:retry", args=[failed.pk]), headers=HTMX)
    assert answer.headers["HX-Refresh"] == "true"
    assert Analysis.objects.filter(series=analysis.series, state="QUEUED").exists()


def test_a_failed_newer_analysis_stands_beside_the_older_result_until_it_is_tried_again(browser, patient, analysis):
    failed = Analysis.objects.create(
        series=analysis.series, state="FAILED", error="The disk was full.", slice_count=SLICES + 4
    )
    again = reverse("pages:retry", args=[failed.pk])
    study, timeline, home = study_page(analysis), patient_page(patient), reverse("pages:home")
    text = browser.get(study).content.decode()
    assert "10.0 cm³" in text
    assert "A newer analysis of 24 slices failed: The disk was full." in text
    assert again in text
    for address in (timeline, home):
        text = browser.get(address).content.decode()
        assert "10.0 cm³" in text
        assert "Newer analysis failed" in text
    browser.post(again, headers=HTMX)
    for address in (study, timeline, home):
        assert "ewer analysis failed" not in browser.get(address).content.decode()
    assert "A newer analysis is on its way" in browser.get(study).content.decode()


def test_an_open_page_notices_that_a_newer_analysis_failed(browser, patient, analysis):
    newer = Analysis.objects.create(series=analysis.series, state="RUNNING")
    asked = [question(browser, page) for page in (study_page(analysis), patient_page(patient))]
    Analysis.objects.filter(pk=newer.pk).update(state="FAILED", error="The disk was full.")
    for address in asked:
        assert "ewer analysis" in browser.get(address, headers=HTMX).content.decode()


def test_what_cannot_be_tried_again_is_said(browser, analysis):
    browser.post(reverse("pages:retry", args=[analysis.pk]), headers=HTMX)
    page = browser.get(reverse("pages:study", args=[analysis.series.study_id]))
    assert [str(message) for message in page.context["messages"]]
    assert not Analysis.objects.filter(series=analysis.series, state="QUEUED").exists()


def test_a_done_analysis_is_made_again_by_the_button(browser, analysis):
    again = reverse("pages:reanalyse", args=[analysis.series.study_id])
    assert again in browser.get(study_page(analysis)).content.decode()
    text = browser.post(again, follow=True).content.decode()
    assert "A newer analysis is on its way" in text
    assert "waiting or running already" in browser.post(again, follow=True).content.decode()
    assert Analysis.objects.filter(series=analysis.series, state="QUEUED").count() == 1


def test_choosing_another_series_queues_its_analysis(browser, analysis):
    study = analysis.series.study
    other = Series.objects.create(study=study, series_instance_uid="9.2", usable=True, slice_count=40)
    browser.post(reverse("pages:choose_series", args=[study.pk]), {"series": other.pk})
    study.refresh_from_db()
    assert study.chosen_series == other
    assert other.analyses.get().state == "QUEUED"


@pytest.mark.parametrize("named", ["", "x", "999999", "-1"])
def test_choosing_no_series_is_not_found(browser, analysis, named):
    address = reverse("pages:choose_series", args=[analysis.series.study_id])
    assert browser.post(address, {"series": named}).status_code == 404


def test_an_undated_study_asks_for_its_date_and_joins_the_trend(browser, patient, tmp_path):
    study = finished_analysis(patient, tmp_path, date=None, activation_cm2={5: 9.0}).series.study
    page = reverse("pages:study", args=[study.pk])
    assert "When was it taken?" in browser.get(page).content.decode()
    browser.post(reverse("pages:date_study", args=[study.pk]), {"date": "2020-03-09"})
    study.refresh_from_db()
    assert study.study_date == datetime.date(2020, 3, 9)
    answer = browser.get(page)
    assert "When was it taken?" not in answer.content.decode()
    assert [point.days_since_first for point in answer.context["points"]] == [0]


@pytest.mark.parametrize(
    ("day", "words"),
    [
        ("", "year, month and day"),
        ("9/3/2020", "year, month and day"),
        ("2999-01-01", "yet to come"),
        ("0020-03-09", "no CT before 1970"),
    ],
)
def test_a_date_that_makes_no_sense_is_refused(browser, patient, tmp_path, day, words):
    study = finished_analysis(patient, tmp_path, date=None).series.study
    answer = browser.post(reverse("pages:date_study", args=[study.pk]), {"date": day}, follow=True)
    assert words in answer.content.decode()
    study.refresh_from_db()
    assert study.study_date is None


def test_a_day_is_yet_to_come_by_the_clock_of_the_site(browser, site, patient, tmp_path):
    """East and west of the date line it is never the same day."""
    study = finished_analysis(patient, tmp_path, date=None).series.study
    address = reverse("pages:study", args=[study.pk])
    east = datetime.datetime.now(ZoneInfo("Pacific/Kiritimati")).date()
    for zone, dated in (("Etc/GMT+12", None), ("Pacific/Kiritimati", east)):
        Site.objects.update(time_zone=zone)
        assert (f'max="{east}"' in browser.get(address).content.decode()) == (dated is not None)
        browser.post(reverse("pages:date_study", args=[study.pk]), {"date": str(east)})
        study.refresh_from_db()
        assert study.study_date == dated


def test_a_date_that_a_user_entered_can_be_corrected(browser, patient, tmp_path):
    study = finished_analysis(patient, tmp_path, date=None, activation_cm2={5: 9.0}).series.study
    address = reverse("pages:date_study", args=[study.pk])
    browser.post(address, {"date": "2020-03-09"})
    asked = question(browser, patient_page(patient))
    page = browser.get(reverse("pages:study", args=[study.pk])).content.decode()
    assert "correct it" in page
    assert 'value="2020-03-09"' in page
    browser.post(address, {"date": "2020-03-10"})
    study.refresh_from_db()
    assert study.study_date == datetime.date(2020, 3, 10)
    assert "10 Mar 2020" in browser.get(asked, headers=HTMX).content.decode()


def test_a_date_from_the_files_is_not_changed(browser, analysis):
    study = analysis.series.study
    assert "correct it" not in browser.get(study_page(analysis)).content.decode()
    address = reverse("pages:date_study", args=[study.pk])
    assert (
        "The files of this CT say when" in browser.post(address, {"date": "2020-01-01"}, follow=True).content.decode()
    )
    study.refresh_from_db()
    assert study.study_date == DAY


def test_a_ct_whose_files_name_another_patient_says_so(browser, analysis):
    sentence = "On 1 Mar 2020, clinician stored it here although the scan carries another name than this patient."
    study = analysis.series.study
    type(study).objects.filter(pk=study.pk).update(accepted_mismatch=sentence)
    assert sentence in browser.get(study_page(analysis)).content.decode()
    timeline = browser.get(reverse("pages:patient", args=[study.patient_id])).content.decode()
    assert "name another patient" in timeline
