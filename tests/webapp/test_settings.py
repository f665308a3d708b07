"""What follows from the settings alone."""

import os
import re
import stat
import subprocess
import sys
from functools import partial

from tests.conftest import ROOT
from webapp import settings

WRITES_ALL = """
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import call_command
from webapp.celery import app
call_command("migrate", verbosity=0)
call_command("collectstatic", interactive=False, verbosity=0)
default_storage.save("instances/ab/scan.dcm", ContentFile(b"a scan"))
app.send_task("analysis.work")
"""


def test_no_other_user_of_the_machine_reads_what_is_kept(tmp_path):
    data_dir = tmp_path / "data"
    data_dir.mkdir(mode=0o755)  # as an operator may have made it
    done = subprocess.run(
        [sys.executable, "-c", f"import django; django.setup(){WRITES_ALL}"],
        cwd=ROOT,
        env={**os.environ, "DATA_DIR": str(data_dir), "DJANGO_SETTINGS_MODULE": "webapp.settings"},
        umask=0o022,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    tops = {path.name: stat.S_IMODE(path.stat().st_mode) for path in data_dir.iterdir()}
    assert {name for name, mode in tops.items() if mode & 0o077} == set()
    assert {"files", "static", "broker", "coronatrend.sqlite3", "secret_key"} <= tops.keys()
    kept = (data_dir / "files").rglob("*")
    assert sorted((path.name, stat.S_IMODE(path.stat().st_mode)) for path in kept) == [
        ("ab", 0o700),
        ("instances", 0o700),
        ("scan.dcm", 0o600),
    ]


def test_a_data_folder_made_at_the_first_start_is_closed_to_others(tmp_path):
    data_dir = tmp_path / "not" / "yet"
    command = [sys.executable, "-c", "import webapp.settings"]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "DATA_DIR": str(data_dir)}, umask=0o022, check=True)
    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700


def test_processes_that_start_together_share_one_secret_key(tmp_path):
    command = [sys.executable, "-c", "import webapp.settings as s; print(s.SECRET_KEY)"]
    environment = {**os.environ, "DATA_DIR": str(tmp_path / "data")}
    start = partial(subprocess.Popen, command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    started = [start() for _ in range(4)]
    keys = {process.communicate()[0].strip() for process in started}
    assert len(keys) == 1
    assert len(keys.pop()) > 50
    assert [path.name for path in (tmp_path / "data").glob("tmp*")] == []


def test_a_secret_key_made_by_another_process_meanwhile_counts(tmp_path, monkeypatch):
    (tmp_path / "secret_key").write_text("the other's key")
    monkeypatch.setattr(settings, "DATA_DIR", tmp_path)
    monkeypatch.setattr(settings.Path, "exists", lambda path: False)  # as it was a moment ago
    assert settings._kept_secret_key() == "the other's key"


def test_the_readme_lists_every_choice_that_the_settings_read():
    read = set(re.findall(r'\benv\.\w+\(\s*"([A-Z0-9_]+)"', (ROOT / "webapp" / "settings.py").read_text()))
    listed = set(re.findall(r"`([A-Z0-9_]+)(?:=1)?`", (ROOT / "README.md").read_text()))
    assert "DATABASE_URL" in read
    assert read <= listed
