"""Readers' words on slices, through the API."""

import datetime

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from analysis.models import Analysis, SliceCorrection
from patients.models import Patient
from tests.analysis.finished import finished_analysis

UPLOADS = "/api/v1/uploads/"


@pytest.fixture
def ill(site, tmp_path):
    """A result with positive slices, and the address of what readers say of it."""
    patient = Patient.objects.create(site=site, patient_id="1")
    analysis = finished_analysis(patient, tmp_path, date=datetime.date(2020, 3, 5), activation_cm2={5: 9.0})
    return analysis, f"/api/v1/analyses/{analysis.pk}/corrections/"


def test_a_reader_overrules_a_slice_and_the_result_stays(api, ill, user):
    analysis, address = ill
    said = {"sop_instance_uid": "1.2.1.1.5", "abnormal": False, "reason": "A vessel"}
    answer = api.post(address, said, content_type="application/json")
    assert answer.status_code == 201
    assert answer.json() == {**answer.json(), **said, "analysis": analysis.pk, "user": "ward"}
    before = analysis.report
    analysis.refresh_from_db()
    assert (analysis.report, analysis.corona_score_cm3) == (before, 4.5)
    assert SliceCorrection.objects.get().user == user


def test_a_reader_changes_their_mind_and_both_words_are_kept(api, ill):
    _, address = ill
    for abnormal in (False, True):
        api.post(address, {"sop_instance_uid": "1.2.1.1.5", "abnormal": abnormal}, content_type="application/json")
    listed = api.get(address).json()
    assert (listed["count"], listed["next"]) == (2, None)
    assert [each["abnormal"] for each in listed["results"]] == [True, False]


@pytest.mark.parametrize(
    ("said", "status", "words"),
    [
        ({"sop_instance_uid": "9.9", "abnormal": True}, 409, "not part of the result"),
        ({"sop_instance_uid": "1.2.1.1.5"}, 400, "required"),
        ({"abnormal": True}, 400, "required"),
        ({"sop_instance_uid": "1.2.1.1.5", "abnormal": "perhaps"}, 400, "boolean"),
        ({"sop_instance_uid": "1.2.1.1.5", "abnormal": True, "reason": "x" * 501}, 400, "500"),
    ],
)
def test_a_correction_that_makes_no_sense_is_refused_in_a_sentence(api, ill, said, status, words):
    answer = api.post(ill[1], said, content_type="application/json")
    assert (answer.status_code, words in str(answer.json())) == (status, True)
    assert not SliceCorrection.objects.exists()


def test_a_form_that_does_not_say_what_the_slice_is_does_not_call_it_normal(api, ill):
    assert api.post(ill[1], {"sop_instance_uid": "1.2.1.1.5"}).status_code == 400
    assert not SliceCorrection.objects.exists()


def test_an_analysis_without_a_result_cannot_be_corrected(api, ill):
    analysis, address = ill
    Analysis.objects.filter(pk=analysis.pk).update(state="RUNNING")
    answer = api.post(address, {"sop_instance_uid": "1.2.1.1.5", "abnormal": True}, content_type="application/json")
    assert (answer.status_code, "no result yet" in answer.json()["detail"]) == (409, True)


def test_a_stranger_neither_sees_nor_makes_corrections(client, stranger, ill):
    client.force_login(stranger)
    said = {"sop_instance_uid": "1.2.1.1.5", "abnormal": True}
    assert client.get(ill[1]).status_code == 404
    assert client.post(ill[1], said, content_type="application/json").status_code == 404
    client.logout()
    assert client.post(ill[1], said, content_type="application/json").status_code in (401, 403)
    assert not SliceCorrection.objects.exists()


def test_corrections_of_users_who_left_are_listed_without_a_name(api, ill):
    SliceCorrection.objects.create(analysis=ill[0], sop_instance_uid="1.2.1.1.5", abnormal=True)
    assert api.get(ill[1]).json()["results"][0]["user"] is None


def test_a_list_of_corrections_takes_as_many_queries_for_many_as_for_one(api, ill, user, django_assert_num_queries):
    analysis, address = ill
    said = {"analysis": analysis, "abnormal": True, "user": user}
    SliceCorrection.objects.create(sop_instance_uid="1.2.1.1.5", **said)
    api.get(address)  # the first request of a session asks more
    with CaptureQueriesContext(connection) as one:
        api.get(address)
    for index in range(20):
        SliceCorrection.objects.create(sop_instance_uid=f"1.2.1.1.{index}", **said)
    with django_assert_num_queries(len(one)):
        assert api.get(address).json()["count"] == 21
