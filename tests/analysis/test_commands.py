"""``manage.py import_dicom``, ``reanalyse`` and ``demo``, as a user calls them."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
import requests
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command

from analysis.checks import WEIGHTS, WEIGHTS_DIR
from analysis.management.commands import seed_demo
from analysis.management.commands.demo import Command
from analysis.models import PRIORITY_BATCH, Analysis
from analysis.phantoms.demo import DEMO_PATIENTS
from analysis.pipeline.weights import sha256_of
from patients import ingest
from patients.models import Instance, Membership, Patient, Site, Study, Upload
from tests.analysis.finished import finished_analysis
from tests.conftest import ROOT
from tests.dicom_series import make_series
from tests.servers import free_port, wait_until
from tests.stack import zipped


def import_dicom(*arguments: object) -> dict:
    output = StringIO()
    call_command("import_dicom", *map(str, arguments), "--json", stdout=output)
    return json.loads(output.getvalue())


@pytest.mark.django_db(transaction=True)
def test_import_takes_folders_files_and_zips_and_prints_the_upload(site, tmp_path):
    make_series(tmp_path / "exam" / "series")
    single = make_series(tmp_path / "single", slices=1)[0]
    make_series(tmp_path / "to_zip")
    (tmp_path / "scan.zip").write_bytes(zipped(tmp_path / "to_zip"))
    upload = import_dicom(tmp_path / "exam", single, tmp_path / "scan.zip", "--site", site.code)
    assert upload["state"] == "done"
    assert [file["outcome"] for file in upload["files"]] == ["stored"] * 25
    assert upload["files"][0]["name"] == "exam/series/0000.dcm"
    assert sorted(series["used"] for series in upload["series"]) == [False, True, True]
    assert len(upload["analyses"]) == Analysis.objects.filter(state="QUEUED", priority=PRIORITY_BATCH).count() == 2


@pytest.mark.django_db(transaction=True)
def test_import_exits_1_when_nothing_was_stored(site, tmp_path):
    (tmp_path / "notes.txt").write_text("not an image")
    with pytest.raises(SystemExit) as exit_:
        call_command("import_dicom", str(tmp_path / "notes.txt"), "--site", site.code, stdout=StringIO())
    assert exit_.value.code == 1
    assert not Instance.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_import_goes_on_after_a_passing_fault_without_a_worker(site, tmp_path, monkeypatch, settings):
    settings.JOB_LEASE_SECONDS = 0.2
    make_series(tmp_path / "exam")
    store, calls = ingest.store, []

    def out_of_reach_at_first(*arguments):
        calls.append(arguments)
        if len(calls) == 1:
            raise OSError("storage out of reach")
        return store(*arguments)

    monkeypatch.setattr(ingest, "store", out_of_reach_at_first)
    upload = import_dicom(tmp_path / "exam", "--site", site.code)
    assert (upload["state"], len(calls)) == ("done", 2)


@pytest.mark.parametrize(
    ("site_code", "path", "words"), [("nowhere", ".", "Known sites: north"), ("north", "no/such", "neither")]
)
@pytest.mark.django_db(transaction=True)
def test_import_says_what_is_wrong_with_its_arguments(site, site_code, path, words):
    with pytest.raises(CommandError, match=words):
        call_command("import_dicom", path, "--site", site_code)


@pytest.mark.django_db(transaction=True)
def test_reanalyse_queues_what_other_networks_made(site, tmp_path):
    south = Site.objects.create(code="south", name="South hospital")
    old, new, elsewhere = (
        finished_analysis(Patient.objects.create(site=where, patient_id=str(number)), tmp_path / str(number), date=None)
        for number, where in enumerate((site, site, south))
    )
    new.model_versions = [{"name": name, "version": "1", "sha256": sha256_of(WEIGHTS_DIR / name)} for name in WEIGHTS]
    new.save()

    def reanalyse(*arguments):
        output = StringIO()
        call_command("reanalyse", *arguments, stdout=output)
        return output.getvalue()

    assert "1 queued" in reanalyse("--site", "north")
    queued = Analysis.objects.filter(state="QUEUED", priority=PRIORITY_BATCH)
    assert [run.series for run in queued] == [old.series]
    said = reanalyse()
    assert f"{old.series.study}: An analysis of this CT is waiting" in said
    assert "1 queued" in said
    assert {run.series for run in queued.all()} == {old.series, elsewhere.series}


@pytest.mark.django_db
def test_seeding_the_demo_again_adds_nothing_and_keeps_what_was_changed(monkeypatch):
    monkeypatch.setenv("DEMO_PASSWORD", "a-demo-password-1")
    call_command("seed_demo", no_scans=True)
    users = get_user_model().objects
    Patient.objects.filter(patient_id="DEMO-01").update(patient_name="Renamed^By a user")
    rows = [Site, Membership, Patient, get_user_model()]
    before = [set(model.objects.values_list("pk", flat=True)) for model in rows]
    hashes = set(users.values_list("username", "password"))
    assert [len(pks) for pks in before] == [1, 3, 4, 3]
    call_command("seed_demo", no_scans=True)
    assert [set(model.objects.values_list("pk", flat=True)) for model in rows] == before
    assert Patient.objects.get(patient_id="DEMO-01").patient_name == "Renamed^By a user"
    assert set(users.values_list("username", "password")) == hashes  # nobody is logged out


@pytest.mark.django_db(transaction=True)
def test_scans_of_the_demo_that_are_there_are_not_made_again(monkeypatch, tmp_path):
    monkeypatch.setenv("DEMO_PASSWORD", "a-demo-password-1")
    call_command("seed_demo", no_scans=True)
    for patient in DEMO_PATIENTS:
        row = Patient.objects.get(patient_id=patient.header.patient_id)
        for day in patient.days:
            date = (patient.first_scan + timedelta(days=day)).date()
            Study.objects.create(patient=row, study_instance_uid=f"1.{row.pk}.{day}", study_date=date)
    monkeypatch.setattr(seed_demo, "write_demo", None)
    call_command("seed_demo")
    assert Upload.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_scans_of_other_synthetic_patients_do_not_stand_for_those_of_the_demo(monkeypatch):
    monkeypatch.setenv("DEMO_PASSWORD", "a-demo-password-1")
    call_command("seed_demo", no_scans=True)
    site = Site.objects.get()
    phantom = Patient.objects.create(site=site, patient_id="PHANTOM-1", synthetic=True)
    for patient in [phantom, Patient.objects.get(patient_id="DEMO-01")]:
        for number in range(20):
            Study.objects.create(patient=patient, study_instance_uid=f"1.{number}", study_date="2026-01-12")
    made = []
    monkeypatch.setattr(seed_demo, "write_demo", lambda folder: made.append(folder) or [])
    call_command("seed_demo")
    assert made


@pytest.mark.django_db
@pytest.mark.parametrize("command", ["seed_demo", "demo"])
def test_the_demo_does_not_touch_a_real_database(monkeypatch, django_user_model, command):
    monkeypatch.setenv("DATABASE_URL", "postgres://real@db/coronatrend")
    admin = django_user_model.objects.create_user("admin", password="the-real-password")
    with pytest.raises(CommandError, match="DEMO_ON_DATABASE_URL=1"):
        call_command(command)
    admin.refresh_from_db()
    assert admin.check_password("the-real-password")
    assert not admin.is_superuser
    assert not Site.objects.exists()


@pytest.mark.django_db
def test_the_demo_runs_on_a_database_that_is_named_as_its_own(monkeypatch):
    monkeypatch.setenv("DEMO_PASSWORD", "a-demo-password-1")
    monkeypatch.setenv("DATABASE_URL", "postgres://demo@db/demo")
    monkeypatch.setenv("DEMO_ON_DATABASE_URL", "1")
    call_command("seed_demo", no_scans=True)
    assert Site.objects.exists()


def test_the_demo_serves_and_ctrl_c_stops_all_of_it_while_it_makes_its_patients(tmp_path: Path):
    port = free_port()
    data_dir, temporary = tmp_path / "data", tmp_path / "tmp"
    temporary.mkdir()
    environment = {
        **os.environ, "DATA_DIR": str(data_dir), "TMPDIR": str(temporary), "PORT": str(port),
        "DEMO_PASSWORD": "a-demo-password-1", "http_proxy": f"http://127.0.0.1:{free_port()}", "no_proxy": "",
    }  # fmt: skip
    with (tmp_path / "errors").open("w") as errors, subprocess.Popen(
        [sys.executable, str(ROOT / "manage.py"), "demo"],
        cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True,
    ) as demo:  # fmt: skip
        try:
            assert demo.stdout
            lines = iter(demo.stdout.readline, "")
            assert next(line for line in lines if line.startswith("ready:")) == f"ready: http://127.0.0.1:{port}\n"
            assert "clinician" in next(lines)
            assert _logs_in(f"http://127.0.0.1:{port}", "clinician", "a-demo-password-1")
            wait_until(lambda: _making_patients(data_dir), 60, "the patients to be made")
            demo.send_signal(signal.SIGINT)
            time.sleep(0.2)
            demo.send_signal(signal.SIGINT)
            assert demo.wait(30) == 0
        finally:
            demo.kill()
    wait_until(lambda: not _processes_of(data_dir), 10, "all processes to end")
    assert list(temporary.iterdir()) == []
    said = (tmp_path / "errors").read_text()
    assert "Traceback" not in said
    assert "leaked" not in said


def _making_patients(data_dir: Path) -> bool:
    """Both processes of the pool are there."""
    return sum("multiprocessing.spawn" in command for command in _processes_of(data_dir)) == 2


def test_the_demo_says_when_its_patients_could_not_be_made():
    demo = Command()
    demo.stopping, said = False, []

    class Screen:
        def write(self, text: str) -> None:
            said.append(text)
            demo.stopping = True

    demo.stderr = Screen()
    with subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"]) as seeding:
        demo._watch([], seeding=seeding)
    assert "exit status 3" in said[0]


def _logs_in(url: str, user: str, password: str) -> bool:
    session = requests.Session()
    session.trust_env = False
    session.get(f"{url}/accounts/login/")
    form = {"login": user, "password": password, "csrfmiddlewaretoken": session.cookies["csrftoken"]}
    session.post(f"{url}/accounts/login/", form, headers={"Referer": url})
    return session.get(f"{url}/api/v1/patients/").status_code == 200


def _processes_of(data_dir: Path) -> list[str]:
    """Living processes that were started with this DATA_DIR (Linux)."""
    marker = f"DATA_DIR={data_dir}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if marker in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes().decode())
        except OSError:  # it ended meanwhile
            continue
    return found
