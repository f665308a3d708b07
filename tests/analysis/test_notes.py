"""What users say of a patient's course: the first symptoms, and what happened when."""

import datetime

from django.urls import reverse

from patients.models import PatientEvent
from tests.analysis.pages import patient_page


def test_the_first_symptoms_are_kept_and_forgotten(browser, patient, analysis):
    address = reverse("pages:symptom_onset", args=[patient.pk])
    page = browser.post(address, {"symptom_onset": "2020-02-28"}, follow=True)
    patient.refresh_from_db()
    assert patient.symptom_onset == datetime.date(2020, 2, 28)
    assert page.context["figures"]["onset"]["absolute"]["data"][1]["x"] == [6]  # of 5 March
    assert "Since onset" in page.content.decode()
    browser.post(address, {"symptom_onset": ""})
    patient.refresh_from_db()
    assert patient.symptom_onset is None


def test_a_note_stands_in_list_and_chart_until_it_is_removed(browser, user, patient, analysis):
    note = {"date": "2020-03-09", "text": "  Steroids \n begun "}
    page = browser.post(reverse("pages:add_event", args=[patient.pk]), note, follow=True)
    (event,) = PatientEvent.objects.all()
    assert (event.text, event.user) == ("Steroids begun", user)
    assert "Steroids begun" in page.content.decode()
    (words,) = page.context["figures"]["days"]["absolute"]["layout"]["annotations"]
    assert (words["text"], words["hovertext"], words["x"]) == ("1", "Steroids begun", 4)
    browser.post(reverse("pages:forget_event", args=[event.pk]))
    assert not PatientEvent.objects.exists()


def test_days_that_cannot_be_are_refused_with_a_sentence(browser, patient):
    patient.birth_date = datetime.date(1960, 3, 5)
    patient.save()
    tomorrow = datetime.date.today() + datetime.timedelta(days=2)
    for day, words in (
        (tomorrow, "yet to come"),
        ("1959-01-01", "before the patient&#x27;s birth"),
        ("", "Say on which day."),
        ("soon", "Enter a valid date."),
    ):
        note = {"date": day, "text": "Fever"}
        page = browser.post(reverse("pages:add_event", args=[patient.pk]), note, follow=True)
        assert words in page.content.decode(), day
    page = browser.post(reverse("pages:add_event", args=[patient.pk]), {"date": "2020-01-01", "text": " "}, follow=True)
    assert "Say what happened." in page.content.decode()
    browser.post(reverse("pages:symptom_onset", args=[patient.pk]), {"symptom_onset": tomorrow})
    patient.refresh_from_db()
    assert patient.symptom_onset is None
    assert not PatientEvent.objects.exists()
    assert browser.get(patient_page(patient)).status_code == 200


def test_notes_of_other_sites_are_not_removed(client, stranger, patient):
    event = PatientEvent.objects.create(patient=patient, date="2020-03-01", text="Fever")
    client.force_login(stranger)
    assert client.post(reverse("pages:forget_event", args=[event.pk])).status_code == 404
    assert PatientEvent.objects.exists()
