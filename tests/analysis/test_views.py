"""The pages' answers: who sees what, and what lists and timelines say."""

import datetime
import re
from pathlib import Path

import pytest
from django.urls import reverse

from analysis import finding_reviews, page_urls, views
from analysis.models import Analysis, Comparison, SavedFilter
from patients.models import Patient, PatientEvent, Series, Study, Upload
from tests.analysis.finished import finished_analysis
from tests.analysis.pages import DAY, HTMX, patient_page, question, study_page


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
        reverse("pages:instance_image", args=[series.instances.first().pk]),
        reverse("pages:thumbnail", args=[analysis.pk, analysis.pk]),
        reverse("pages:upload_status", args=[upload.pk]),
    ]


def actions(analysis, upload):
    return [
        (reverse("pages:retry", args=[analysis.pk]), {}),
        (reverse("pages:choose_series", args=[analysis.series.study_id]), {"series": analysis.series_id}),
        (reverse("pages:reanalyse", args=[analysis.series.study_id]), {}),
        (reverse("pages:date_study", args=[analysis.series.study_id]), {"date": "2020-01-01"}),
        (reverse("pages:symptom_onset", args=[analysis.series.study.patient_id]), {"symptom_onset": "2020-02-20"}),
        (reverse("pages:add_event", args=[analysis.series.study.patient_id]), {"date": "2020-02-20", "text": "Fever"}),
        (reverse("pages:decide_upload", args=[upload.pk, "confirm"]), {}),
        (reverse("pages:decide_upload", args=[upload.pk, "discard"]), {}),
    ]


def test_without_log_in_every_page_leads_to_it(client, analysis, held):
    plain = [
        reverse(f"pages:{name}") for name in ("home", "worklist_csv", "patients", "upload", "new_patient", "about")
    ]
    for address in [*addresses(analysis, held), *plain]:
        assert client.get(address).headers["Location"].startswith("/accounts/login/"), address
    for address, fields in actions(analysis, held):
        assert client.post(address, fields).headers["Location"].startswith("/accounts/login/"), address


def test_htmx_without_log_in_is_told_so_and_changes_nothing(client, analysis, held):
    for address in [*addresses(analysis, held), reverse("pages:home"), reverse("pages:patients")]:
        answer = client.get(address, headers=HTMX)
        assert (answer.status_code, answer.content) == (401, b""), address
    for address, fields in actions(analysis, held):
        assert client.post(address, fields, headers=HTMX).status_code == 401, address
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
    assert "Doe" not in client.get(reverse("pages:patients")).content.decode()


def test_every_page_opens_with_its_numbers(browser, analysis, held):
    for address in addresses(analysis, held):
        assert browser.get(address).status_code in (200, 286), address
    assert "10.0 cm³" in browser.get(reverse("pages:study", args=[analysis.series.study_id])).content.decode()
    assert "10.0 cm³" in browser.get(reverse("pages:patient", args=[analysis.series.study.patient_id])).content.decode()
    assert "10.0 cm³" in browser.get(reverse("pages:home")).content.decode()
    assert "10.0 cm³" in browser.get(reverse("pages:patients")).content.decode()


def test_the_list_is_searched_by_every_word_of_name_or_id(browser, site, patient):
    Patient.objects.create(site=site, patient_id="77", patient_name="Roe^Richard")
    for words, found in (("", 2), ("doe", 1), ("jane 0193", 1), ("jane roe", 0), ("7", 1), ("do\0", 1)):
        answer = browser.get(reverse("pages:patients"), {"q": words})
        assert len(answer.context["rows"]) == found, words


def test_a_patient_made_by_hand_takes_the_upload_on_its_page(browser, site):
    address = reverse("pages:new_patient")
    assert address in browser.get(reverse("pages:patients")).content.decode()
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
    for address in (reverse("pages:home"), reverse("pages:patients"), reverse("pages:patient", args=[evil.pk])):
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


def test_an_open_page_that_shows_all_there_is_costs_few_queries_and_no_chart(
    browser, patient, tmp_path, monkeypatch, django_assert_max_num_queries
):
    for day in range(4):
        finished_analysis(patient, tmp_path / str(day), date=DAY + datetime.timedelta(days=day))
    study = reverse("pages:study", args=[Study.objects.first().pk])
    asked = [
        question(browser, page)
        for page in (reverse("pages:home"), reverse("pages:patients"), patient_page(patient), study)
    ]
    monkeypatch.setattr(views, "trend_figures", None)
    for address in asked:
        with django_assert_max_num_queries(11):
            assert browser.get(address, headers=HTMX).status_code == 204


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
        reverse("pages:patients"),
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


def test_the_browser_keeps_images_for_an_hour_and_pages_not_at_all(browser, analysis):
    scan = browser.get(study_page(analysis)).context["scan"]
    for address in (scan["slices"][0]["file"], scan["heatmap"]["address"]):
        answer = browser.get(address)
        assert answer.headers["Cache-Control"] == "private, max-age=3600"
        assert "Cookie" in answer.headers["Vary"]  # who logs in next asks anew
    assert "no-store" in browser.get(study_page(analysis)).headers["Cache-Control"]


def test_a_patient_with_a_birth_date_opens_before_the_first_result(browser, site):
    patient = Patient.objects.create(site=site, patient_id="1", birth_date=datetime.date(1960, 3, 5))
    assert browser.get(patient_page(patient)).status_code == 200
    study = Study.objects.create(patient=patient, study_instance_uid="9", study_date=DAY)
    study.chosen_series = Series.objects.create(study=study, series_instance_uid="9.1", usable=True)
    study.save()
    Analysis.objects.create(series=study.chosen_series)
    for address in (
        patient_page(patient),
        reverse("pages:study", args=[study.pk]),
        reverse("pages:home"),
        reverse("pages:patients"),
    ):
        assert browser.get(address).status_code == 200, address


@pytest.mark.parametrize("other", ["networks", "method"])
def test_the_chart_says_that_its_points_were_made_in_different_ways(browser, patient, analysis, tmp_path, other):
    later = finished_analysis(patient, tmp_path / "later", date=DAY + datetime.timedelta(days=7))
    pages = (study_page(analysis), patient_page(patient))
    for page in pages:
        assert "different versions of the networks" not in browser.get(page).content.decode()
    networks, method = {"model_versions": [later.model_versions[0] | {"sha256": "f" * 64}]}, {"method_version": None}
    Analysis.objects.filter(pk=later.pk).update(**(networks if other == "networks" else method))
    for page in pages:
        assert "different versions of the networks" in browser.get(page).content.decode()


def test_what_stands_against_a_result_is_said_on_timeline_chart_and_list(browser, patient, analysis):
    for address in (patient_page(patient), reverse("pages:home"), reverse("pages:patients")):
        text = browser.get(address).content.decode()
        assert "note: thick slices" in text
        assert analysis.report["quality"][0]["message"] in text
        assert "Check</span>" not in text
    chart = browser.get(patient_page(patient)).context["figures"]["days"]["absolute"]
    assert "note: thick slices" in str(chart)
    Analysis.objects.update(quality=[])
    for address in (patient_page(patient), reverse("pages:home"), reverse("pages:patients")):
        assert "note:" not in browser.get(address).content.decode()


def test_a_result_with_a_severe_flag_is_marked_check_wherever_its_decision_stands(browser, patient, analysis):
    flag = {"code": "lungs_cut_off", "message": "The lungs are cut off.", "severe": True}
    Analysis.objects.update(quality=[flag], needs_check=True, report=analysis.report | {"quality": [flag]})
    for address in (patient_page(patient), reverse("pages:home"), reverse("pages:patients"), study_page(analysis)):
        assert "Check</span>" in browser.get(address).content.decode()
    page = browser.get(study_page(analysis)).content.decode()
    assert "<strong>Check:</strong> The lungs are cut off." in page
    assert "Show slice" not in page


def test_the_reason_to_check_stands_beside_the_decision_and_leads_to_its_slice(browser, analysis):
    flag = {"code": "dense_unmarked", "message": "Dense tissue.", "severe": True, "slice_number": 6}
    Analysis.objects.update(quality=[flag], needs_check=True, report=analysis.report | {"quality": [flag]})
    page = browser.get(study_page(analysis)).content.decode()
    z_mm = analysis.report["slices"][5]["z_mm"]
    reason = re.search(r'<dd class="small check-reason">Dense tissue. <button [^>]*data-finding-z="(.+?)">(.*?)<', page)
    assert (float(reason[1]), reason[2]) == (z_mm, "Show slice 6")


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


def test_a_change_within_the_noise_is_said_and_the_band_explained(browser, patient, analysis, tmp_path):
    page = browser.get(patient_page(patient)).content.decode()
    assert "easurement noise" not in page  # of one time point nothing is drawn
    finished_analysis(patient, tmp_path, date=DAY + datetime.timedelta(days=9), activation_cm2={5: 12.0, 6: 8.5})
    page = browser.get(patient_page(patient)).content.decode()
    assert "within noise" in page
    assert "Measurement noise: where 95 % of the scores" in page


def test_two_scores_of_healthy_lungs_show_no_change(browser, patient, tmp_path):
    for days, activation_cm2 in ((0, 4.0), (30, 8.4)):  # of one slice of 5 mm: 2.0 and 4.2 cm³
        date = DAY + datetime.timedelta(days=days)
        finished_analysis(patient, tmp_path / str(days), date=date, activation_cm2={5: activation_cm2})
    text = browser.get(reverse("pages:patients")).content.decode()
    assert "as low as healthy lungs" in text
    assert "110 %" not in text


def test_a_rise_from_the_score_of_healthy_lungs_is_shown_without_a_percentage(browser, patient, tmp_path):
    for days, activation_cm2 in ((0, None), (9, {5: 120.0})):
        date = DAY + datetime.timedelta(days=days)
        result = finished_analysis(patient, tmp_path / str(days), date=date, activation_cm2=activation_cm2)
        if activation_cm2 is None:
            Analysis.objects.filter(pk=result.pk).update(corona_score_cm3=0.0)
    for address in (reverse("pages:home"), reverse("pages:patients"), patient_page(patient)):
        page = browser.get(address).text
        assert page.count("from as low as healthy lungs") >= 1, address
        assert "change-up" in page


def test_a_second_ct_of_one_day_shows_its_change(browser, patient, tmp_path):
    for number, area_cm2 in enumerate((40.0, 120.0)):
        finished_analysis(patient, tmp_path / str(number), date=DAY, activation_cm2={5: area_cm2})
    page = browser.get(patient_page(patient)).text
    assert page.count("first CT</span>") == 2  # on the first one's card; since when on the other's
    assert "200 %" in browser.get(reverse("pages:patients")).text


def test_an_open_page_of_a_patient_shows_what_others_note_and_reject(browser, patient, analysis, user):
    address = patient_page(patient)

    def changed(seen: str) -> str:
        """The new fingerprint; "" where the page shows all."""
        part = browser.get(address, {"seen": seen}, headers=HTMX)
        return "" if part.status_code == 204 else re.search(r"seen=(\w+)", part.text)[1]

    seen = changed("none")
    assert changed(seen) == ""
    PatientEvent.objects.create(patient=patient, date=DAY, text="Fever")
    part = browser.get(address, {"seen": seen}, headers=HTMX).text
    assert "Fever" in part.partition('id="notes-list" hx-swap-oob="true"')[2]
    seen = changed(seen)
    finding_reviews.say_of(analysis, user=user, number=1, present=False)
    assert changed(seen)
    seen = changed(seen)
    Patient.objects.filter(pk=patient.pk).update(symptom_onset=DAY)
    assert changed(seen)


def test_a_damaged_stored_file_is_left_out_of_reports_and_not_there_for_the_viewer(browser, analysis):
    for instance in analysis.series.instances.all():
        Path(instance.file.path).write_bytes(b"garbage" * 100)
    for pages in ("", "?pages=all"):
        assert browser.get(reverse("report_pdf", args=[analysis.pk]) + pages).status_code == 200
    for address in (
        reverse("pages:thumbnail", args=[analysis.pk, analysis.pk]),
        reverse("pages:instance_file", args=[instance.pk]),
        reverse("pages:instance_image", args=[instance.pk]),
    ):
        assert browser.get(address).status_code == 404


def test_a_number_that_no_row_can_have_names_nothing(browser, analysis):
    huge = "9" * 30
    choose = reverse("pages:choose_series", args=[analysis.series.study_id])
    assert browser.post(choose, {"series": huge}).status_code == 404
    ticked = {"action": "assign", "study": huge}
    assert (
        "Tick the studies first." in browser.post(reverse("pages:worklist_act"), ticked, follow=True).content.decode()
    )


def test_a_course_whose_first_ct_is_still_at_work_says_no_change_since(browser, patient, analysis, tmp_path):
    finished_analysis(patient, tmp_path / "later", date=DAY + datetime.timedelta(days=3), activation_cm2={5: 12.0})
    page = browser.get(patient_page(patient)).content.decode()
    assert "since the first CT</span>" in page
    Analysis.objects.filter(pk=analysis.pk).update(state="RUNNING", report=None, corona_score_cm3=None)
    page = browser.get(patient_page(patient))
    assert page.status_code == 200
    assert "since the" not in page.content.decode().partition('class="time-points"')[2]


def test_no_address_shows_or_changes_what_is_another_sites(client, stranger, analysis, held):
    comparison = Comparison.objects.create(analysis=analysis, prior=analysis, days=1, state="FAILED")
    event = PatientEvent.objects.create(patient=held.patient, date=DAY, text="Fever")
    owned = {
        "patients": held.patient.pk,
        "studies": analysis.series.study_id,
        "analyses": analysis.pk,
        "comparisons": comparison.pk,
        "instances": analysis.series.instances.first().pk,
        "uploads": held.pk,
        "events": event.pk,
    }
    client.force_login(stranger)
    asked = set()
    for pattern in page_urls.urlpatterns:
        kind, *rest = str(pattern.pattern).split("/")
        if not any("<" in part for part in rest) or kind == "worklist":
            continue
        known = {"pk": owned[kind], "of": analysis.pk, "decision": "confirm"}
        named = {name: known[name] for name in pattern.pattern.converters}
        address = reverse(f"pages:{pattern.name}", kwargs=named)
        answers = {client.get(address).status_code, client.post(address, {"action": "save"}).status_code}
        assert 404 in answers <= {404, 405}, (address, answers)
        asked.add(kind)
    assert asked == set(owned)


def test_a_filter_is_forgotten_by_its_user_alone(client, user, stranger):
    saved = SavedFilter.objects.create(user=user, name="Mine", address="show=mine")
    client.force_login(stranger)
    client.post(reverse("pages:forget_filter", args=[saved.pk]))
    assert SavedFilter.objects.filter(pk=saved.pk).exists()
