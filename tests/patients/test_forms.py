"""Patients made by hand."""

from datetime import date, timedelta

import pytest
from django.utils import timezone

from patients.forms import NewPatientForm
from patients.models import Patient, Site


def test_a_patient_is_made_at_the_users_site_as_files_would_name_it(site, user):
    typed = {"patient_id": " 01  93 ", "patient_name": "Doe,  Jane Ann", "birth_date": "1960-03-05", "sex": "F"}
    patient = NewPatientForm(typed, user=user).save()
    assert (patient.site, patient.patient_id, patient.patient_name) == (site, "01 93", "Doe^Jane Ann")
    assert (patient.birth_date, patient.sex, patient.synthetic) == (date(1960, 3, 5), "F", False)


def test_the_id_alone_is_enough(user):
    assert NewPatientForm({"patient_id": "7"}, user=user).save().patient_name == ""


def test_an_id_that_is_known_at_the_site_is_refused_whatever_its_issuer(site, user):
    Patient.objects.create(site=site, patient_id="7", issuer_of_patient_id="A")
    errors = NewPatientForm({"patient_id": "7"}, user=user).errors
    assert errors == {"patient_id": ["A patient with this ID is known at North hospital already: upload the CT there."]}


@pytest.mark.parametrize("born", ["1066-10-14", str(timezone.localdate() + timedelta(days=2)), "x"])
def test_a_birth_date_that_makes_no_sense_is_refused(user, born):
    assert "birth_date" in NewPatientForm({"patient_id": "7", "birth_date": born}, user=user).errors


def test_a_user_of_several_sites_names_one_of_them(user, stranger):
    second = Site.objects.create(code="second", name="Second")
    second.users.add(user)
    assert NewPatientForm({"patient_id": "7"}, user=user).errors == {"site": ["Name one of your sites."]}
    assert "site" in NewPatientForm({"patient_id": "7", "site": "south"}, user=user).errors
    assert NewPatientForm({"patient_id": "7", "site": "second"}, user=user).save().site == second
