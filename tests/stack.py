"""The whole product as real processes: web server, worker, database, broker, in a folder of its own."""

import atexit
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import requests

from tests.servers import free_port, wait_until

ROOT = Path(__file__).resolve().parent.parent
PASSWORD = "a-long-test-password"
MAKE_TOKEN = """
from django.contrib.auth import get_user_model
from rest_framework.authtoken.models import Token
print(Token.objects.create(user=get_user_model().objects.get(username="clinician")).key)
"""


class Stack:
    """``manage.py`` and friends with their own environment; ``worker`` is None until started."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "log"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("STORAGE_", "DATABASE_"))},
            "DATA_DIR": str(folder / "data"),
            "DEMO_PASSWORD": PASSWORD,
            "DEMO_ON_DATABASE_URL": "1",
            "JOB_LEASE_SECONDS": "6",
            "JOB_SWEEP_SECONDS": "1",
            **environment,
        }
        self.web: subprocess.Popen[bytes] | None = None
        self.worker: subprocess.Popen[bytes] | None = None
        self.console: subprocess.Popen[str] | None = None
        self.session = requests.Session()

    def manage(self, *arguments: str) -> str:
        """Run a management command to its end; its output."""
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    def python(self, code: str) -> str:
        """Run ``code`` with the product's models, in one process for all calls; what it printed."""
        if self.console is None:
            self.console = subprocess.Popen(
                [sys.executable, "-m", "tests.console"],
                cwd=ROOT, env=self.environment, text=True, start_new_session=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            )  # fmt: skip
        assert self.console.stdin
        assert self.console.stdout
        print(json.dumps(code), file=self.console.stdin, flush=True)
        answer = json.loads(self.console.stdout.readline())
        assert not answer["error"], answer["error"]
        return answer["printed"]

    def make_data(self) -> None:
        """Tables, static files and the demo's users."""
        self.manage("migrate", "--verbosity", "0")
        self.manage("collectstatic", "--noinput", "--verbosity", "0")
        self.manage("seed_demo", "--no-scans")

    def prepare(self) -> None:
        if "DATABASE_URL" in self.environment:
            self.make_data()
        else:
            shutil.copytree(data_on_sqlite(), self.environment["DATA_DIR"])

    def _start(self, *module: str) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", *module],
                cwd=ROOT, env=self.environment, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def start_web(self) -> None:
        self.web = self._start("gunicorn", "webapp.wsgi", "--bind", f"127.0.0.1:{self.port}", "--threads", "8")
        wait_until(self._answers, 60, "the web server", self.web)

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/healthz", timeout=5).status_code == 200
        except requests.RequestException:
            return False

    def start_worker(self) -> None:
        self.worker = self._start("celery", "--app", "webapp", "worker", "--concurrency", "1", "--loglevel", "info")

    def kill_worker(self) -> None:
        """As a power cut would: the whole process group, at once."""
        assert self.worker
        os.killpg(self.worker.pid, signal.SIGKILL)
        self.worker.wait()

    def log_in(self) -> None:
        token = self.python(MAKE_TOKEN).strip()
        self.session.headers["Authorization"] = f"Token {token}"

    def get(self, path: str) -> Any:
        answer = self.session.get(self.url + path, timeout=60)
        assert answer.status_code == 200, (path, answer.status_code, answer.text[:500])
        return answer.json()

    def upload(self, body: bytes, name: str = "scan.zip", **fields: Any) -> dict[str, Any]:
        answer = self.session.post(
            f"{self.url}/api/v1/uploads/", files={"files": (name, body)}, data=fields, timeout=120
        )
        assert answer.status_code == 202, answer.text[:500]
        return answer.json()

    def finished_upload(self, upload: dict[str, Any]) -> dict[str, Any]:
        def final() -> Any:
            seen = self.get(f"/api/v1/uploads/{upload['id']}/")
            return seen if seen["state"] in ("done", "failed", "needs_confirmation") else None

        return wait_until(final, 120, "the upload to be worked off")

    def finished_analysis(self, pk: int) -> dict[str, Any]:
        def final() -> Any:
            seen = self.get(f"/api/v1/analyses/{pk}/")
            return seen if seen["state"] in ("DONE", "FAILED", "CANCELLED") else None

        return wait_until(final, 180, "the analysis to end")

    def stop(self) -> None:
        for process in (self.web, self.worker, self.console):
            if process and process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@cache
def data_on_sqlite() -> Path:
    """The data folder of a stack that never ran, for others to copy."""
    folder = Path(tempfile.mkdtemp(prefix="coronatrend-data-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    Stack(folder, {}).make_data()
    return folder / "data"


@contextmanager
def running_stack(folder: Path, environment: dict[str, str] | None = None, *, worker: bool = True) -> Iterator[Stack]:
    stack = Stack(folder, environment or {})
    try:
        stack.prepare()
        stack.start_web()
        if worker:
            stack.start_worker()
        stack.log_in()
        yield stack
    finally:
        stack.stop()


def zipped(folder: Path) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder))
    return packed.getvalue()
