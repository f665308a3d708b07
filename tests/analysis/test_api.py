"""The REST API: the same objects and actions as the pages, for the user's own sites only."""

import datetime
import json
import subprocess
import sys

import pytest
from django.core.files.base import ContentFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from analysis.models import Analysis
from patients.models import Patient, Series, Study, Upload
from tests.analysis.finished import FINDINGS, finished_analysis
from tests.conftest import ROOT

UPLOADS = "/api/v1/uploads/"


@pytest.fixture
def analysis(site):
    patient = Patient.objects.create(site=site, patient_id="0193", patient_name="Doe^Jane")
    study = Study.objects.create(patient=patient, study_instance_uid="1.2", study_date="2020-03-05")
    series = Series.objects.create(study=study, series_instance_uid="1.2.3", usable=True)
    study.chosen_series = series
    study.save()
    return Analysis.objects.create(series=series, state="DONE", report={"slices": []}, corona_score_cm3=12.5)


def test_lists_are_paginated(api, analysis):
    for kind in ("patients", "studies", "series", "uploads", "analyses", "findings"):
        answer = api.get(f"/api/v1/{kind}/").json()
        assert set(answer) == {"count", "next", "previous", "results"}
        assert answer["count"] == (0 if kind in ("uploads", "findings") else 1)


def test_findings_are_listed_of_one_analysis_study_or_patient(api, site, tmp_path):
    patient = Patient.objects.create(site=site, patient_id="1")
    ill = finished_analysis(patient, tmp_path / "1", date=datetime.date(2020, 3, 5), activation_cm2={5: 9.0})
    finished_analysis(patient, tmp_path / "2", date=datetime.date(2020, 3, 9), activation_cm2={5: 9.0})
    assert api.get(f"/api/v1/findings/?patient={patient.pk}").json()["count"] == 4
    assert api.get(f"/api/v1/findings/?study={ill.series.study_id}").json()["count"] == 2
    first, second = api.get(f"/api/v1/findings/?analysis={ill.pk}").json()["results"]
    assert (first["patient"], first["study"], first["analysis"]) == (patient.pk, ill.series.study_id, ill.pk)
    assert {name: first[name] for name in FINDINGS[0]} == FINDINGS[0]
    assert (first["number"], second["number"], second["calcified"]) == (1, 2, True)


def test_findings_of_other_sites_are_not_listed(client, stranger, site, tmp_path):
    patient = Patient.objects.create(site=site, patient_id="1")
    finished_analysis(patient, tmp_path, date=datetime.date(2020, 3, 5), activation_cm2={5: 9.0})
    client.force_login(stranger)
    assert client.get("/api/v1/findings/").json()["count"] == 0


def test_a_list_of_findings_takes_as_many_queries_for_many_as_for_one(api, site, tmp_path, django_assert_num_queries):
    patient = Patient.objects.create(site=site, patient_id="1")
    finished_analysis(patient, tmp_path / "1", date=datetime.date(2020, 3, 5), activation_cm2={5: 9.0})
    api.get("/api/v1/findings/")  # the first request of a session asks more
    with CaptureQueriesContext(connection) as one:
        api.get("/api/v1/findings/")
    finished_analysis(patient, tmp_path / "2", date=datetime.date(2020, 3, 9), activation_cm2={5: 9.0})
    with django_assert_num_queries(len(one)):
        api.get("/api/v1/findings/")


def test_other_sites_rows_are_not_found(client, stranger, analysis):
    client.force_login(stranger)
    series = analysis.series
    for address in (
        f"patients/{series.study.patient_id}/", f"patients/{series.study.patient_id}/trend/",
        f"studies/{series.study_id}/", f"series/{series.pk}/", f"analyses/{analysis.pk}/",
        f"analyses/{analysis.pk}/report.pdf", f"analyses/{analysis.pk}/results.csv",
    ):  # fmt: skip
        assert client.get(f"/api/v1/{address}").status_code == 404, address
    assert client.get("/api/v1/patients/").json()["count"] == 0
    assert client.post(f"/api/v1/analyses/{analysis.pk}/retry/").status_code == 404


def test_a_token_opens_the_api(client, user, analysis):
    from rest_framework.authtoken.models import Token

    token = Token.objects.create(user=user)
    answer = client.get("/api/v1/patients/", headers={"Authorization": f"Token {token}"})
    assert answer.json()["count"] == 1


def test_no_answer_is_kept_by_the_browser(api, analysis):
    for address in ("patients/", f"patients/{analysis.series.study.patient_id}/", "patients/0/"):
        assert api.get(f"/api/v1/{address}").headers["Cache-Control"] == "private, no-store"


def test_patients_are_searched_by_name_and_id(api, analysis):
    for words, found in (("doe", 1), ("019", 1), ("jane doe", 1), ("jane roe", 0), ("do\0", 1)):
        assert api.get("/api/v1/patients/", {"search": words}).json()["count"] == found


def test_a_patient_is_made_and_takes_an_upload(api, site, stranger):
    answer = api.post("/api/v1/patients/", {"patient_id": "55", "patient_name": "Roe^Rita", "birth_date": "1960-03-05"})
    assert answer.status_code == 201
    made = answer.json()
    assert (made["site"], made["patient_id"], made["studies"]) == ("north", "55", [])
    assert api.post(UPLOADS, {"files": ContentFile(b"x", name="a"), "patient": made["id"]}).status_code == 202
    for fields, named in (
        ({"patient_id": "55"}, "patient_id"),
        ({}, "patient_id"),
        ({"patient_id": "56", "site": "south"}, "site"),
    ):
        answer = api.post("/api/v1/patients/", fields, content_type="application/json")
        assert (answer.status_code, list(answer.json())) == (400, [named])
    assert Patient.objects.count() == 1


def test_the_trend_has_the_contracts_fields(api, analysis):
    (point,) = api.get(f"/api/v1/patients/{analysis.series.study.patient_id}/trend/").json()["points"]
    assert point == {
        "study": analysis.series.study_id,
        "analysis": analysis.pk,
        "date": "2020-03-05",
        "days_since_first": 0,
        "corona_score_cm3": 12.5,
        "relative_corona_score": 1.0,
    }


def test_an_upload_is_answered_at_once_and_kept(api, user, site):
    answer = api.post(UPLOADS, {"files": [ContentFile(b"x", name="a.dcm"), ContentFile(b"y", name="b.dcm")]})
    assert answer.status_code == 202
    assert answer.json()["state"] == "received"
    upload = Upload.objects.get(pk=answer.json()["id"])
    assert (upload.site, upload.user) == (site, user)
    assert [part.name for part in upload.parts.all()] == ["a.dcm", "b.dcm"]


def test_hundreds_of_files_fit_in_one_request(api):
    files = [ContentFile(b"x", name=f"{n}.dcm") for n in range(400)]
    assert api.post(UPLOADS, {"files": files}).status_code == 202
    assert Upload.objects.get().parts.count() == 400


@pytest.mark.parametrize("by_token", [False, True])
def test_too_many_files_are_refused_in_a_sentence(user, settings, by_token):
    from rest_framework.authtoken.models import Token

    settings.DATA_UPLOAD_MAX_NUMBER_FILES = 3
    client = Client(enforce_csrf_checks=True)
    if by_token:
        headers = {"Authorization": f"Token {Token.objects.create(user=user)}"}
    else:
        client.force_login(user)
        client.get("/upload/")
        headers = {"X-CSRFToken": client.cookies["csrftoken"].value}
    files = [ContentFile(b"x", name=str(n)) for n in range(4)]
    answer = client.post(UPLOADS, {"files": files}, headers=headers)
    assert answer.status_code == 400
    assert "more than" in answer.json()["files"][0]
    assert not Upload.objects.exists()


def test_an_empty_file_is_no_fault_of_the_request(api):
    assert api.post(UPLOADS, {"files": ContentFile(b"", name="empty.dcm")}).status_code == 202


def test_an_upload_without_files_is_refused(api):
    assert api.post(UPLOADS, {}).status_code == 400


def test_a_user_of_several_sites_names_one(api, user, site):
    from patients.models import Site

    second = Site.objects.create(code="second", name="Second")
    second.users.add(user)
    answer = api.post(UPLOADS, {"files": ContentFile(b"x", name="a")})
    assert answer.status_code == 400
    assert "north" in str(answer.json())
    assert api.post(UPLOADS, {"files": ContentFile(b"x", name="a"), "site": "second"}).status_code == 202
    assert Upload.objects.get().site == second


def test_another_sites_patient_cannot_be_named(client, stranger, analysis):
    client.force_login(stranger)
    patient = analysis.series.study.patient_id
    answer = client.post(UPLOADS, {"files": ContentFile(b"x", name="a"), "patient": patient})
    assert answer.status_code == 400


def test_confirm_and_discard_only_where_asked(api, site, user):
    upload = Upload.objects.create(site=site, state="needs_confirmation")
    assert api.post(f"{UPLOADS}{upload.pk}/confirm/").json()["state"] == "received"
    upload.refresh_from_db()
    assert upload.confirmed_by == user.get_username()
    assert api.post(f"{UPLOADS}{upload.pk}/confirm/").status_code == 409
    assert api.post(f"{UPLOADS}{upload.pk}/discard/").status_code == 409


def test_a_stranger_can_neither_confirm_nor_discard(client, stranger, site):
    upload = Upload.objects.create(site=site, state="needs_confirmation")
    client.force_login(stranger)
    for decision in ("confirm", "discard"):
        assert client.post(f"{UPLOADS}{upload.pk}/{decision}/").status_code == 404
        upload.refresh_from_db()
        assert (upload.state, upload.confirmed_by) == ("needs_confirmation", "")


def test_a_failed_analysis_is_retried_a_done_one_not(api, analysis):
    assert api.post(f"/api/v1/analyses/{analysis.pk}/retry/").status_code == 409
    Analysis.objects.update(state="FAILED", report=None)
    assert api.post(f"/api/v1/analyses/{analysis.pk}/retry/").json()["state"] == "QUEUED"


def test_a_study_is_analysed_again(api, analysis, client, stranger):
    address = f"/api/v1/studies/{analysis.series.study_id}/reanalyse/"
    answer = api.post(address)
    assert (answer.status_code, answer.json()["state"], answer.json()["report"]) == (202, "QUEUED", None)
    answer = api.post(address)
    assert (answer.status_code, "waiting or running" in answer.json()["detail"]) == (409, True)
    client.force_login(stranger)
    assert client.post(address).status_code == 404


def test_the_series_of_a_study_is_chosen(api, analysis, client, stranger):
    study = analysis.series.study
    other = Series.objects.create(study=study, series_instance_uid="1.2.4", usable=True, slice_count=40)
    address = f"/api/v1/studies/{study.pk}/choose_series/"
    answer = api.post(address, {"series": other.pk})
    assert (answer.status_code, answer.json()["chosen_series"], answer.json()["chosen_by_hand"]) == (
        200,
        other.pk,
        True,
    )
    assert other.analyses.get().state == "QUEUED"
    unusable = Series.objects.create(study=study, series_instance_uid="1.2.5", usable=False, reason="9 slices.")
    answer = api.post(address, {"series": unusable.pk})
    assert (answer.status_code, "9 slices." in answer.json()["detail"]) == (409, True)
    assert api.post(address, {"series": 0}).status_code == 400
    client.force_login(stranger)
    assert client.post(address, {"series": other.pk}).status_code == 400
    own = Study.objects.create(
        patient=Patient.objects.create(site=stranger.sites.get(), patient_id="1"), study_instance_uid="9"
    ).series.create(series_instance_uid="9.1", usable=True)
    assert client.post(address, {"series": own.pk}).status_code == 404


def test_a_study_without_a_date_is_dated(api, analysis, client, stranger):
    study = analysis.series.study
    address = f"/api/v1/studies/{study.pk}/date/"
    assert api.post(address, {"date": "2020-03-09"}).status_code == 409
    Study.objects.update(study_date=None)
    answer = api.post(address, {"date": "2020-03-09"}).json()
    assert (answer["study_date"], answer["dated_by_hand"]) == ("2020-03-09", True)
    assert api.post(address, {"date": "9/3/2020"}).status_code == 400
    client.force_login(stranger)
    assert client.post(address, {"date": "2020-03-09"}).status_code == 404


def test_lists_are_narrowed_to_a_patient_or_a_study(api, site, analysis):
    other = Study.objects.create(
        patient=Patient.objects.create(site=site, patient_id="2"), study_instance_uid="2", study_date="2020-03-05"
    )
    Analysis.objects.create(series=other.series.create(series_instance_uid="2.1"))
    study = analysis.series.study
    for kind, name, row, found in (
        ("studies", "patient", study.patient_id, study.pk),
        ("series", "study", study.pk, analysis.series_id),
        ("analyses", "study", study.pk, analysis.pk),
    ):
        assert api.get(f"/api/v1/{kind}/").json()["count"] == 2
        assert [each["id"] for each in api.get(f"/api/v1/{kind}/", {name: row}).json()["results"]] == [found]
        assert api.get(f"/api/v1/{kind}/", {name: 10**30}).json()["count"] == 0
        assert api.get(f"/api/v1/{kind}/", {name: "x"}).status_code == 400


def test_exports_of_an_unfinished_analysis_are_not_found(api, analysis):
    Analysis.objects.update(state="RUNNING")
    for name in ("report.pdf", "results.csv"):
        assert api.get(f"/api/v1/analyses/{analysis.pk}/{name}").status_code == 404


def test_lists_take_a_constant_number_of_queries(api, site, django_assert_max_num_queries):
    for number in range(20):
        patient = Patient.objects.create(site=site, patient_id=str(number))
        study = Study.objects.create(patient=patient, study_instance_uid=f"1.{number}")
        Analysis.objects.create(series=Series.objects.create(study=study, series_instance_uid=f"1.{number}.1"))
    api.get("/upload/")  # the first page writes the session's time
    for kind in ("patients", "studies", "series", "analyses"):
        with django_assert_max_num_queries(6):
            assert api.get(f"/api/v1/{kind}/").json()["count"] == 20


def test_the_list_of_analyses_reads_no_reports(api, analysis, django_assert_max_num_queries):
    api.get("/upload/")
    with django_assert_max_num_queries(6) as asked:
        (entry,) = api.get("/api/v1/analyses/").json()["results"]
    assert entry["corona_score_cm3"] == 12.5
    assert not [query["sql"] for query in asked.captured_queries if '"report"' in query["sql"]]
    assert api.get(f"/api/v1/analyses/{analysis.pk}/").json()["report"] == {"slices": []}


def test_the_schema_has_no_warnings():
    command = [sys.executable, "manage.py", "spectacular", "--validate", "--fail-on-warn", "--format", "openapi-json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    paths = json.loads(done.stdout)["paths"]
    for path in ("uploads/", "uploads/{id}/confirm/", "analyses/{id}/report.pdf", "patients/{id}/trend/"):
        assert f"/api/v1/{path}" in paths
    corrections = paths["/api/v1/analyses/{id}/corrections/"]
    assert set(corrections) == {"get", "post"}
    listed = corrections["get"]["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
    assert listed.endswith("/PaginatedSliceCorrectionList")
