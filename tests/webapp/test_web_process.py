"""The web process stays light and tells whether it is ready."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
from django.core.files.base import ContentFile

from analysis.models import NetworkSet
from tests.conftest import ROOT
from tests.network_sets import kept_set
from tests.servers import s3_bucket
from webapp import health

LOADS_ALL = """
import sys, django
django.setup()
from django.urls import get_resolver
from webapp.wsgi import application
get_resolver().url_patterns
assert "analysis.api.views" in sys.modules and "analysis.page_urls" in sys.modules
heavy = {name.split(".")[0] for name in sys.modules} & {"torch", "torchvision"}
sys.exit(f"imported: {heavy}" if heavy else 0)
"""


def test_the_web_process_never_imports_torch():
    done = subprocess.run(
        [sys.executable, "-c", "import os; os.environ['DJANGO_SETTINGS_MODULE']='webapp.settings'" + LOADS_ALL],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_healthz_answers_without_log_in(client):
    assert client.get("/healthz").status_code == 200


@pytest.fixture
def clock(monkeypatch):
    """The time of /readyz, which forgets what was seen before; tests may move it."""
    now = [1000.0]
    health._seen.cache_clear()
    monkeypatch.setattr(health, "time", SimpleNamespace(monotonic=lambda: now[0]))
    yield now
    health._seen.cache_clear()


def test_readyz_looks_once_in_some_seconds(client, db, clock, monkeypatch):
    looked = []
    monkeypatch.setitem(health.CHECKS, "storage", lambda: looked.append(1) or "ok")
    for _ in range(5):
        assert client.get("/readyz").json()["storage"] == "ok"
    assert len(looked) == 1
    clock[0] += health.LOOKED_EVERY_SECONDS
    client.get("/readyz")
    assert len(looked) == 2


def test_readyz_names_what_is_missing(client, db, clock):
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["worker"] == "no worker seen lately"
    assert answer.json()["database"] == answer.json()["broker"] == answer.json()["storage"] == "ok"


def test_readyz_is_200_once_a_worker_was_seen(client, db, clock):
    from analysis.models import WorkerSeen

    WorkerSeen.objects.create(hostname="worker")
    answer = client.get("/readyz")
    assert (answer.status_code, set(answer.json().values())) == (200, {"ok"})


def test_readyz_says_that_the_active_networks_are_not_as_they_were_added(client, db, clock, settings, tmp_path):
    def weights():
        clock[0] += health.LOOKED_EVERY_SECONDS
        return client.get("/readyz").json()["weights"]

    settings.MODELS_ROOT = tmp_path
    network_set = kept_set("north-1", active=True)
    assert weights() == "ok"
    (network_set.folder / "nodules.json").write_text("changed")
    assert weights() == "changed since they were added"
    network_set.folder.rename(tmp_path / "moved")
    assert weights().startswith("missing: lung_unet.safetensors, ")
    NetworkSet.objects.update(active=False)
    assert weights() == "ok"


def with_files_at(settings, location):
    settings.STORAGES = {**settings.STORAGES, "default": {**settings.STORAGES["default"]}}
    settings.STORAGES["default"]["OPTIONS"] = {"location": location, "allow_overwrite": True}


def test_readyz_writes_and_reads_the_storage_and_leaves_nothing(client, db, clock, settings, tmp_path):
    with_files_at(settings, tmp_path / "files")
    assert client.get("/readyz").json()["storage"] == "ok"
    assert list((tmp_path / "files").iterdir()) == []


def test_readyz_sees_a_storage_that_cannot_be_written(client, db, clock, settings, tmp_path):
    (tmp_path / "file").touch()
    with_files_at(settings, tmp_path / "file" / "files")
    assert client.get("/readyz").json()["storage"] == "NotADirectoryError"


def test_readyz_sees_a_storage_that_keeps_nothing(client, db, clock, monkeypatch):
    monkeypatch.setattr("django.core.files.storage.FileSystemStorage._open", lambda *_: ContentFile(b""))
    assert client.get("/readyz").json()["storage"] == "does not give back what was written"


def test_readyz_sees_a_missing_bucket(tmp_path):
    with s3_bucket() as bucket:
        there = bucket["STORAGE_S3_BUCKET"]
        seen = {
            name: subprocess.run(
                [sys.executable, "manage.py", "shell", "-c", "from webapp.health import _storage; print(_storage())"],
                cwd=ROOT,
                env={**os.environ, **bucket, "STORAGE_S3_BUCKET": name},
                capture_output=True,
                text=True,
            )
            for name in (there, "nowhere")
        }
    assert seen[there].stdout.strip().endswith("ok"), seen[there].stderr
    assert "NoSuchBucket" in seen["nowhere"].stderr


def test_everything_else_asks_for_log_in(client, db):
    for address in ("/", "/patients/1/", "/studies/1/", "/upload/"):
        answer = client.get(address)
        assert answer.status_code == 302, address
        assert answer.url.startswith("/accounts/login/")
    assert client.get("/api/v1/patients/").status_code in (401, 403)
    assert client.get("/api/schema/").status_code in (401, 403)


def test_nobody_signs_up(client, db):
    client.post(
        "/accounts/signup/", {"username": "x", "password1": "a-long-password-x", "password2": "a-long-password-x"}
    )
    from django.contrib.auth import get_user_model

    assert not get_user_model().objects.exists()


def test_pages_carry_the_security_headers(client, db):
    headers = client.get("/accounts/login/").headers
    assert "script-src 'self' 'wasm-unsafe-eval'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
