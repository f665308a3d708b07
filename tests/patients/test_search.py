"""Patients are found by what people type."""

import importlib

import pytest
from django.apps import apps
from django.db import connection

from patients.models import Patient
from patients.search import matching


@pytest.fixture
def patient(site):
    return Patient.objects.create(site=site, patient_id="Kl-0193", patient_name="MÜLLER^HANS JÜRGEN")


def found(text):
    return list(matching(Patient.objects.all(), text))


@pytest.mark.parametrize(
    "typed",
    [
        "", "müller", "Müller", "MÜLLER", "muller", "Mu\u0308ller", "Müller, Hans", "hans müller", "Müller^Hans",
        "Hans\0 jurgen", "kl-01", "0193", "müller,hans,kl-0193", "üll",
    ],
)  # fmt: skip
def test_a_patient_is_found_whatever_the_case_the_accents_and_the_punctuation(patient, typed):
    assert found(typed) == [patient]


@pytest.mark.parametrize("typed", ["Müller, Otto", "0194", "ürgenh", "%", "_"])
def test_every_word_must_be_there(patient, typed):
    assert found(typed) == []


def test_a_plainly_written_name_is_found_by_its_accents_too(site):
    patient = Patient.objects.create(site=site, patient_id="1", patient_name="Weiss^Jose")
    assert found("José Weiß") == [patient]


def test_other_scripts_of_the_name_are_found(site):
    patient = Patient.objects.create(site=site, patient_id="1", patient_name="Yamada^Tarou=山田^太郎=やまだ^たろう")
    assert found("山田 太郎") == found("やまだ") == found("tarou") == [patient]


def test_a_changed_name_is_found_and_the_old_one_not(patient):
    patient.patient_name = "Schmidt^Hans"
    patient.save(update_fields=["patient_name"])
    assert (found("schmidt"), found("müller")) == ([patient], [])


def test_patients_of_before_are_found_after_the_migration(patient):
    Patient.objects.update(search_text="")
    migration = importlib.import_module("patients.migrations.0003_patient_search_text")
    migration.fill(apps, connection.schema_editor())
    assert found("müller") == [patient]


def test_the_administration_searches_alike(patient, client, django_user_model):
    client.force_login(django_user_model.objects.create_superuser("root"))
    for typed, count in (("Müller, Hans", 1), ("Müller, Otto", 0)):
        answer = client.get("/admin/patients/patient/", {"q": typed})
        assert answer.context["cl"].result_count == count
