"""The pages of uploads: what became of each file, and the question whose scan it is."""

from datetime import date, timedelta

from django.core.files.base import ContentFile
from django.urls import reverse
from django.utils import timezone

from analysis import services
from analysis.models import Analysis
from patients.models import Patient, Series, Study, Upload


def test_an_upload_says_that_the_result_counts_though_its_files_do_not_fit(browser, site, user, analysis):
    row = {"id": analysis.series_id, "series_instance_uid": "1", "used": True, "reason": "The result still counts."}
    upload = Upload.objects.create(site=site, user=user, state=Upload.State.DONE, series=[row])
    text = browser.get(reverse("pages:upload_status", args=[upload.pk])).content.decode()
    assert "The result still counts." in text


def test_a_held_upload_asks_and_confirming_works_it_off_again(browser, held):
    asked = browser.get(reverse("pages:upload_status", args=[held.pk])).content.decode()
    assert "another ID" in asked
    assert "Yes, store it with this patient" in asked
    browser.post(reverse("pages:decide_upload", args=[held.pk, "confirm"]))
    held.refresh_from_db()
    assert (held.state, held.confirmed_by) == (Upload.State.RECEIVED, "ward")


def test_who_confirms_is_named_and_not_who_sent_it(client, held, site, django_user_model):
    other = django_user_model.objects.create_user("night", password="a-long-test-password")
    site.users.add(other)
    client.force_login(other)
    client.post(reverse("pages:decide_upload", args=[held.pk, "confirm"]))
    held.refresh_from_db()
    assert (held.user.get_username(), held.confirmed_by) == ("ward", "night")


def test_one_word_does_not_answer_for_several_people(browser, api, held, patient):
    one, other = ({"patient": patient.pk, "patient_id": name, "patient_name": name, "birth_date": ""} for name in "XY")
    Upload.objects.filter(pk=held.pk).update(held_for=[one, other])
    sentence = "The files held back name several people: discard them and send those of each one alone."
    asked = browser.get(reverse("pages:upload_status", args=[held.pk])).text
    assert sentence in asked
    assert "Yes, store it" not in asked
    browser.post(reverse("pages:decide_upload", args=[held.pk, "confirm"]))
    answer = api.post(reverse("upload-confirm", args=[held.pk]))
    assert (answer.status_code, answer.json()["detail"]) == (409, sentence)
    held.refresh_from_db()
    assert (held.state, held.confirmed_by) == (Upload.State.NEEDS_CONFIRMATION, "")


def test_discarding_a_held_upload_ends_it_and_a_second_decision_changes_nothing(browser, held):
    for decision in ("discard", "confirm"):
        answer = browser.post(reverse("pages:decide_upload", args=[held.pk, decision]))
        assert "discarded" in answer.content.decode()
    held.refresh_from_db()
    assert (held.state, held.confirmed_by) == (Upload.State.DONE, "")


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


def test_of_two_runs_of_an_upload_each_bar_says_whose_it_is(browser, site, user, patient):
    upload = Upload.objects.create(site=site, user=user, state=Upload.State.DONE)
    runs = []
    for uid, day in (("1.1", date(2020, 3, 5)), ("1.2", None)):
        study = Study.objects.create(patient=patient, study_instance_uid=uid, study_date=day)
        series = Series.objects.create(study=study, series_instance_uid=f"{uid}.1", usable=True)
        runs.append(Analysis.objects.create(series=series))
    address = reverse("pages:upload_status", args=[upload.pk])
    Upload.objects.filter(pk=upload.pk).update(analyses=[run.pk for run in runs])
    both = browser.get(address).text
    assert f"{patient.display_name}, CT of 5 Mar 2020" in both
    assert f"{patient.display_name}, CT of unknown date" in both
    Upload.objects.filter(pk=upload.pk).update(analyses=[runs[0].pk])
    assert "CT of" not in browser.get(address).text


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
    answer = browser.get(reverse("pages:patient", args=[patient.pk]))
    assert (list(answer.context["waiting"]), answer.context["finished"]) == ([], [(upload, 0)])
    assert Upload.objects.get(pk=upload.pk).held_for == []


def test_the_page_of_the_patient_asks_about_what_was_sent_elsewhere_and_would_go_there(browser, site, user, patient):
    held_for = [{"patient": patient.pk, "patient_id": "X9", "patient_name": "Roe^Jim", "birth_date": "1950-02-03"}]
    upload = Upload.objects.create(site=site, state=Upload.State.NEEDS_CONFIRMATION, held_for=held_for)
    other = Patient.objects.create(site=site, patient_id="2")
    waiting = [browser.get(reverse("pages:patient", args=[each.pk])).context["waiting"] for each in (patient, other)]
    assert waiting == [[upload], []]


def test_the_upload_page_asks_about_all_of_the_site_that_are_held_without_a_patient(browser, site, user, stranger):
    own = Upload.objects.create(site=site, user=user, state=Upload.State.NEEDS_CONFIRMATION)
    imported = Upload.objects.create(site=site, state=Upload.State.NEEDS_CONFIRMATION)
    broken_off = Upload.objects.create(site=site, user=stranger, state=Upload.State.RECEIVING)
    elsewhere = Upload.objects.create(site=stranger.sites.get(), state=Upload.State.NEEDS_CONFIRMATION)
    text = browser.get(reverse("pages:upload")).content.decode()
    assert [str(one.pk) in text for one in (own, imported, broken_off, elsewhere)] == [True, True, False, False]


def test_what_became_of_an_upload_can_be_looked_at_for_a_day(browser, site, user, stranger, patient):
    """On the page of uploads, and of those sent to a patient on the patient's page too."""
    files = [{"name": "a.txt", "outcome": "refused", "reason": "No DICOM."}, {"name": "b", "outcome": "stored"}]

    def made(sender, days=0, **fields):
        created_at = timezone.now() - timedelta(days=days)
        return Upload.objects.create(site=site, user=sender, created_at=created_at, files=files, **fields)

    done = made(user, state=Upload.State.DONE)
    of_patient = made(user, state=Upload.State.FAILED, patient=patient)
    reading = made(user, state=Upload.State.WORKING)
    made(user, days=2, state=Upload.State.DONE), made(stranger, state=Upload.State.DONE)
    page = browser.get(reverse("pages:upload"))
    assert page.context["finished"] == [(of_patient, 1), (done, 1)]
    assert list(page.context["waiting"]) == [reading]
    assert "1 not stored" in page.text
    page = browser.get(reverse("pages:patient", args=[patient.pk]))
    assert (page.context["finished"], list(page.context["waiting"])) == ([(of_patient, 1)], [])


def test_every_page_says_that_an_upload_waits_for_an_answer(browser, held, stranger):
    Upload.objects.create(site=stranger.sites.get(), state=Upload.State.NEEDS_CONFIRMATION)
    assert "(1 waits for an answer)" in browser.get(reverse("pages:home")).text
    services.discard(held)
    assert "waits for an answer" not in browser.get(reverse("pages:home")).text
