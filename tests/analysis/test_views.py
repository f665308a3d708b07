"""The pages' answers: who sees what, what the moving parts say, what the buttons do."""

import datetime
import gzip
import html
import io
import re

import pydicom
import pytest
from django.core.files.base import ContentFile
from django.urls import reverse

from analysis import services, views
from analysis.models import Analysis
from patients.models import Instance, Patient, Series, Study, Upload
from tests.analysis.finished import SLICES, finished_analysis

DAY = datetime.date(2020, 3, 5)
HTMX = {"HX-Request": "true"}


@pytest.fixture
def browser(client, user):
    client.force_login(user)
    return client


@pytest.fixture
def patient(site):
    return Patient.objects.create(site=site, patient_id="0193", patient_name="Doe^Jane")


@pytest.fixture
def analysis(patient, tmp_path):
    return finished_analysis(patient, tmp_path, date=DAY, activation_cm2={5: 12.0, 6: 8.0})


def patient_page(patient):
    return reverse("pages:patient", args=[patient.pk])


def study_page(analysis):
    return reverse("pages:study", args=[analysis.series.study_id])


@pytest.fixture
def held(site, user, patient):
    """An upload whose scan is not of the patient named."""
    state = Upload.State.NEEDS_CONFIRMATION
    return Upload.objects.create(site=site, user=user, patient=patient, state=state, reason="Please check: another ID")


def addresses(analysis, upload):
    series = analysis.series
    return [
        reverse("pages:patient", args=[series.study.patient_id]),
        reverse("pages:study", args=[series.study_id]),
        reverse("pages:analysis_progress", args=[analysis.pk]),
        reverse("pages:heatmap", args=[analysis.pk]),
        reverse("pages:opacity_map", args=[analysis.pk]),
        reverse("pages:findings_map", args=[analysis.pk]),
        reverse("pages:instance_file", args=[series.instances.first().pk]),
        reverse("pages:upload_status", args=[upload.pk]),
    ]


def actions(analysis, upload):
    return [
        (reverse("pages:retry", args=[analysis.pk]), {}),
        (reverse("pages:choose_series", args=[analysis.series.study_id]), {"series": analysis.series_id}),
        (reverse("pages:reanalyse", args=[analysis.series.study_id]), {}),
        (reverse("pages:date_study", args=[analysis.series.study_id]), {"date": "2020-01-01"}),
        (reverse("pages:decide_upload", args=[upload.pk, "confirm"]), {}),
        (reverse("pages:decide_upload", args=[upload.pk, "discard"]), {}),
    ]


def test_without_log_in_every_page_leads_to_it(client, analysis, held):
    plain = [reverse(f"pages:{name}") for name in ("home", "upload", "new_patient", "about")]
    for address in [*addresses(analysis, held), *plain]:
        assert client.get(address).headers["Location"].startswith("/accounts/login/"), address
    for address, fields in actions(analysis, held):
        assert client.post(address, fields).headers["Location"].startswith("/accounts/login/"), address


def test_a_moving_part_without_log_in_makes_the_page_load_anew(client, analysis, held):
    for address in [*addresses(analysis, held), reverse("pages:home")]:
        answer = client.get(address, headers=HTMX)
        assert (answer.status_code, answer.headers.get("HX-Refresh"), answer.content) == (204, "true", b""), address
    for address, fields in actions(analysis, held):
        assert client.post(address, fields, headers=HTMX).headers.get("HX-Refresh") == "true", address
    held.refresh_from_db()
    assert held.state == Upload.State.NEEDS_CONFIRMATION


def test_other_sites_pages_files_and_buttons_do_not_exist(client, stranger, analysis, held):
    client.force_login(stranger)
    for address in addresses(analysis, held):
        assert client.get(address).status_code == 404, address
    for address, fields in actions(analysis, held):
        assert client.post(address, fields).status_code == 404, address
    held.refresh_from_db()
    assert held.state == Upload.State.NEEDS_CONFIRMATION
    assert "Doe" not in client.get(reverse("pages:home")).content.decode()


def test_every_page_opens_with_its_numbers(browser, analysis, held):
    for address in addresses(analysis, held):
        assert browser.get(address).status_code in (200, 286), address
    assert "10.0 cm³" in browser.get(reverse("pages:study", args=[analysis.series.study_id])).content.decode()
    assert "10.0 cm³" in browser.get(reverse("pages:patient", args=[analysis.series.study.patient_id])).content.decode()
    assert "10.0 cm³" in browser.get(reverse("pages:home")).content.decode()


def test_the_list_is_searched_by_every_word_of_name_or_id(browser, site, patient):
    Patient.objects.create(site=site, patient_id="77", patient_name="Roe^Richard")
    for words, found in (("", 2), ("doe", 1), ("jane 0193", 1), ("jane roe", 0), ("7", 1), ("do\0", 1)):
        answer = browser.get(reverse("pages:home"), {"q": words})
        assert len(answer.context["rows"]) == found, words


def test_a_patient_made_by_hand_takes_the_upload_on_its_page(browser, site):
    address = reverse("pages:new_patient")
    assert address in browser.get(reverse("pages:home")).content.decode()
    assert "Patient ID" in browser.get(address).content.decode()
    page = browser.post(address, {"patient_id": "55", "patient_name": "Roe, Rita"}, follow=True)
    patient = Patient.objects.get(site=site, patient_id="55")
    assert page.context["patient"] == patient
    assert f'name="patient" value="{patient.pk}"' in page.content.decode()
    again = browser.post(address, {"patient_id": "55"}).content.decode()
    assert "is known at North hospital already" in again
    assert Patient.objects.count() == 1


def test_a_user_without_a_site_makes_no_patient(client, django_user_model):
    client.force_login(django_user_model.objects.create_user("new", password="a-long-test-password"))
    assert "You belong to no site yet" in client.get(reverse("pages:new_patient")).content.decode()
    client.post(reverse("pages:new_patient"), {"patient_id": "55"})
    assert not Patient.objects.exists()


def test_names_are_never_taken_for_html(browser, site):
    evil = Patient.objects.create(site=site, patient_id="<b>9", patient_name="<script>alert(1)</script>")
    for address in (reverse("pages:home"), reverse("pages:patient", args=[evil.pk])):
        assert "<script>alert" not in browser.get(address).content.decode()
        assert "<b>9" not in browser.get(address).content.decode()


def test_a_fragment_that_has_not_changed_is_not_sent_again(browser, analysis):
    address = reverse("pages:patient", args=[analysis.series.study.patient_id])
    seen = browser.get(address).context["seen"]
    assert browser.get(address, {"seen": seen}, headers=HTMX).status_code == 204
    Analysis.objects.create(series=analysis.series)
    changed = browser.get(address, {"seen": seen}, headers=HTMX)
    assert changed.status_code == 200
    assert "<html" not in changed.content.decode()


def question(browser, address):
    """What the open page asks every second, as its own markup says."""
    page = browser.get(address).content.decode()
    return html.unescape(re.search(r'hx-get="([^"]*seen=[^"]*)" hx-trigger="every 1s', page)[1])


def test_an_open_page_that_shows_all_there_is_costs_few_queries_and_no_chart(
    browser, patient, tmp_path, monkeypatch, django_assert_max_num_queries
):
    for day in range(4):
        finished_analysis(patient, tmp_path / str(day), date=DAY + datetime.timedelta(days=day))
    study = reverse("pages:study", args=[Study.objects.first().pk])
    asked = [question(browser, page) for page in (reverse("pages:home"), patient_page(patient), study)]
    monkeypatch.setattr(views, "trend_figures", None)
    for address in asked:
        with django_assert_max_num_queries(6):
            assert browser.get(address, headers=HTMX).status_code == 204


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


def test_pages_take_as_many_queries_for_many_time_points_as_for_two(
    browser, patient, tmp_path, django_assert_max_num_queries
):
    def add(days):
        for day in days:
            finished_analysis(patient, tmp_path / str(day), date=DAY + datetime.timedelta(days=day))

    def queries(address):
        with django_assert_max_num_queries(100) as taken:
            assert browser.get(address).status_code == 200
        return len(taken)

    add((0, 4))
    browser.get(reverse("pages:upload"))  # the first page writes the session's time
    study = Study.objects.first()
    pages = [
        reverse("pages:home"),
        reverse("pages:patient", args=[patient.pk]),
        reverse("pages:study", args=[study.pk]),
    ]
    before = [queries(address) for address in pages]
    add((8, 12, 16))
    assert [queries(address) for address in pages] == before


def test_a_first_score_of_0_leaves_the_relative_score_not_defined(browser, patient, tmp_path):
    first = finished_analysis(patient, tmp_path / "1", date=DAY)
    second = finished_analysis(patient, tmp_path / "2", date=DAY + datetime.timedelta(days=7), activation_cm2={5: 9.0})
    assert first.corona_score_cm3 == 0
    for study in (first.series.study, second.series.study):
        answer = browser.get(reverse("pages:study", args=[study.pk]))
        assert "not defined" in answer.content.decode()
        assert not answer.context["relative_defined"]
    text = browser.get(reverse("pages:patient", args=[patient.pk])).content.decode()
    assert "not defined" in text
    assert "inf" not in [word.strip(' <>",') for word in text.lower().split()]


def test_the_opacity_stands_beside_the_score_by_region(browser, analysis):
    text = " ".join(browser.get(study_page(analysis)).content.decode().split())
    assert "12.4 %</span> of the lungs" in text
    assert "3.1 % dense, severity 4 of 24" in text
    assert '<th scope="row">Lower</th><td class="number">49.8 %</td><td class="number">0.0 %</td>' in text


def test_findings_are_listed_with_place_size_and_confidence(browser, analysis):
    text = " ".join(browser.get(study_page(analysis)).content.decode().split())
    assert "Part-solid nodule, left lung, upper third" in text
    assert "14.2 × 11.0 mm, 1.21 ml, −312 HU, confidence 0.97" in text
    assert "Solid nodule, calcified, right lung, lower third" in text
    assert 'data-finding-z="-124.0"' in text


def test_no_findings_is_not_the_same_as_not_looked_for(browser, analysis):
    analysis.report["findings"] = []
    analysis.save()
    assert "No nodule or focal opacity of 4 mm or more was found." in browser.get(study_page(analysis)).content.decode()
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
    for name in ("slice_threshold", "software_version"):
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


def test_an_upload_says_that_the_result_counts_though_its_files_do_not_fit(browser, site, user, analysis):
    row = {"id": analysis.series_id, "series_instance_uid": "1", "used": True, "reason": "The result still counts."}
    upload = Upload.objects.create(site=site, user=user, state=Upload.State.DONE, series=[row])
    text = browser.get(reverse("pages:upload_status", args=[upload.pk])).content.decode()
    assert "The result still counts." in text


def test_the_viewer_gets_an_old_file_with_the_start_it_needs(browser, analysis):
    instance = analysis.series.instances.first()
    whole = instance.file.read()
    instance.file.storage.save(instance.file.name, ContentFile(whole[132:]))
    answer = browser.get(reverse("pages:instance_file", args=[instance.pk]))
    served = answer.getvalue()
    assert int(answer.headers["Content-Length"]) == len(served)
    assert pydicom.dcmread(io.BytesIO(served)).PixelData == pydicom.dcmread(io.BytesIO(whole)).PixelData


def test_the_browser_keeps_images_for_an_hour_and_pages_not_at_all(browser, analysis):
    scan = browser.get(study_page(analysis)).context["scan"]
    for address in (scan["slices"][0]["file"], scan["heatmap"]["address"]):
        assert browser.get(address).headers["Cache-Control"] == "private, max-age=3600"
    assert "no-store" in browser.get(study_page(analysis)).headers["Cache-Control"]


def test_a_study_without_a_usable_series_says_why(browser, patient):
    study = Study.objects.create(patient=patient, study_instance_uid="9", study_date=DAY)
    Series.objects.create(study=study, series_instance_uid="9.1", usable=False, reason="Only 4 slices were received.")
    text = browser.get(reverse("pages:study", args=[study.pk])).content.decode()
    assert "Not analysed" in text
    assert "Only 4 slices were received." in text


def test_a_patient_with_a_birth_date_opens_before_the_first_result(browser, site):
    patient = Patient.objects.create(site=site, patient_id="1", birth_date=datetime.date(1960, 3, 5))
    assert browser.get(patient_page(patient)).status_code == 200
    study = Study.objects.create(patient=patient, study_instance_uid="9", study_date=DAY)
    study.chosen_series = Series.objects.create(study=study, series_instance_uid="9.1", usable=True)
    study.save()
    Analysis.objects.create(series=study.chosen_series)
    for address in (patient_page(patient), reverse("pages:study", args=[study.pk]), reverse("pages:home")):
        assert browser.get(address).status_code == 200, address


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


def test_the_chart_says_that_its_points_come_from_different_networks(browser, patient, analysis, tmp_path):
    later = finished_analysis(patient, tmp_path / "later", date=DAY + datetime.timedelta(days=7))
    pages = (study_page(analysis), patient_page(patient))
    for page in pages:
        assert "different versions of the networks" not in browser.get(page).content.decode()
    Analysis.objects.filter(pk=later.pk).update(model_versions=[later.model_versions[0] | {"sha256": "f" * 64}])
    for page in pages:
        assert "different versions of the networks" in browser.get(page).content.decode()


def test_what_stands_against_a_result_is_said_on_timeline_chart_and_list(browser, patient, analysis):
    for address in (patient_page(patient), reverse("pages:home")):
        text = browser.get(address).content.decode()
        assert "check: thick slices" in text
        assert analysis.report["quality"][0]["message"] in text
    chart = browser.get(patient_page(patient)).context["figures"]["absolute"]
    assert "check: thick slices" in str(chart)
    Analysis.objects.update(quality=[])
    for address in (patient_page(patient), reverse("pages:home")):
        assert "check:" not in browser.get(address).content.decode()


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


def test_a_held_upload_asks_and_confirming_works_it_off_again(browser, held):
    asked = browser.get(reverse("pages:upload_status", args=[held.pk])).content.decode()
    assert "another ID" in asked
    assert "Yes, store it with this patient" in asked
    browser.post(reverse("pages:decide_upload", args=[held.pk, "confirm"]))
    held.refresh_from_db()
    assert (held.state, held.confirmed) == (Upload.State.RECEIVED, True)


def test_discarding_a_held_upload_ends_it_and_a_second_decision_changes_nothing(browser, held):
    for decision in ("discard", "confirm"):
        answer = browser.post(reverse("pages:decide_upload", args=[held.pk, decision]))
        assert "discarded" in answer.content.decode()
    held.refresh_from_db()
    assert (held.state, held.confirmed) == (Upload.State.DONE, False)


def test_an_unknown_decision_is_not_found(browser, held):
    assert browser.post(reverse("pages:decide_upload", args=[held.pk, "maybe"])).status_code == 404


def test_refused_files_are_listed_by_their_reason(browser, site, user):
    upload = services.receive([ContentFile(b"x", name="a.txt")], site=site, user=user)
    reason = "This is no DICOM file."
    files = [{"name": name, "outcome": "refused", "reason": reason} for name in ("a.txt", "b.txt")]
    Upload.objects.filter(pk=upload.pk).update(state=Upload.State.FAILED, files=files)
    answer = browser.get(reverse("pages:upload_status", args=[upload.pk]))
    assert answer.context["problems"] == {reason: ["a.txt", "b.txt"]}
    assert "a.txt" in answer.content.decode()
    assert answer.headers["HX-Trigger"] == "upload-finished"


def test_a_stored_file_that_is_gone_is_not_found_and_logged(browser, analysis, caplog):
    instance = analysis.series.instances.first()
    for file, address in (
        (analysis.heatmap, reverse("pages:heatmap", args=[analysis.pk])),
        (instance.file, reverse("pages:instance_file", args=[instance.pk])),
    ):
        file.storage.delete(file.name)
        caplog.clear()
        assert browser.get(address).status_code == 404
        assert "a stored file is gone" in caplog.text


def test_a_held_upload_names_both_patients_and_asks_again_on_a_page_opened_anew(browser, site, user, patient):
    held_for = [{"patient": patient.pk, "patient_id": "X9", "patient_name": "Roe^Jim", "birth_date": "1950-02-03"}]
    upload = Upload.objects.create(
        site=site, user=user, patient=patient, state=Upload.State.NEEDS_CONFIRMATION, held_for=held_for
    )
    address = reverse("pages:upload_status", args=[upload.pk])
    assert address in browser.get(reverse("pages:patient", args=[patient.pk])).content.decode()
    text = browser.get(address).content.decode()
    assert "Jim Roe, ID X9, born 3 Feb 1950" in text
    assert f"{patient.display_name}, ID {patient.patient_id}" in text
    services.discard(upload)
    assert address not in browser.get(reverse("pages:patient", args=[patient.pk])).content.decode()
    assert Upload.objects.get(pk=upload.pk).held_for == []


def test_the_upload_page_asks_again_about_ones_own_held_uploads_without_a_patient(browser, site, user):
    own = Upload.objects.create(site=site, user=user, state=Upload.State.NEEDS_CONFIRMATION)
    others = Upload.objects.create(site=site, state=Upload.State.NEEDS_CONFIRMATION)
    text = browser.get(reverse("pages:upload")).content.decode()
    assert str(own.pk) in text
    assert str(others.pk) not in text


def test_a_ct_whose_files_name_another_patient_says_so(browser, analysis):
    sentence = "On 1 Mar 2020, clinician stored it here although the scan carries another name than this patient."
    study = analysis.series.study
    type(study).objects.filter(pk=study.pk).update(accepted_mismatch=sentence)
    assert sentence in browser.get(study_page(analysis)).content.decode()
    timeline = browser.get(reverse("pages:patient", args=[study.patient_id])).content.decode()
    assert "name another patient" in timeline


def test_a_change_within_the_noise_is_said_and_the_band_explained(browser, patient, analysis, tmp_path):
    page = browser.get(patient_page(patient)).content.decode()
    assert "easurement noise" not in page  # of one time point nothing is drawn
    finished_analysis(patient, tmp_path, date=DAY + datetime.timedelta(days=9), activation_cm2={5: 12.0, 6: 8.5})
    page = browser.get(patient_page(patient)).content.decode()
    assert "within measurement noise" in page
    assert "Measurement noise: where 95 % of the scores" in page


def test_two_scores_of_healthy_lungs_show_no_change(browser, patient, tmp_path):
    for days, activation_cm2 in ((0, 4.0), (30, 8.4)):  # of one slice of 5 mm: 2.0 and 4.2 cm³
        date = DAY + datetime.timedelta(days=days)
        finished_analysis(patient, tmp_path / str(days), date=date, activation_cm2={5: activation_cm2})
    text = browser.get(reverse("pages:home")).content.decode()
    assert "as low as healthy lungs" in text
    assert "110 % higher" not in text
