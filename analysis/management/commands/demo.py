"""``manage.py demo``: web server, worker and synthetic patients on this machine, until Ctrl-C."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from .seed_demo import USERS, demo_password, refuse_a_real_database

READY_WITHIN_SECONDS = 120
STOP_WITHIN_SECONDS = 15
LOOK_EVERY_SECONDS = 0.5
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Process = subprocess.Popen[bytes]
_open_url = urllib.request.build_opener(urllib.request.ProxyHandler({})).open  # no proxy leads to this machine


class Command(BaseCommand):
    help = "Serve the demo on http://127.0.0.1:$PORT (8000), with a worker and synthetic patients."

    def handle(self, **options: Any) -> None:
        refuse_a_real_database()
        port = int(os.environ.get("PORT", "8000"))
        _ask_for_port(port)
        call_command("migrate", verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)
        call_command("seed_demo", no_scans=True)
        self.stopping = False
        for number in STOP_SIGNALS:
            signal.signal(number, self._note_stop)
        started: list[Process] = []
        with tempfile.TemporaryDirectory(prefix="coronatrend-demo-", ignore_cleanup_errors=True) as temporary:
            try:
                self._serve(port, temporary, started)
            finally:
                _stop(started)

    def _note_stop(self, *_: Any) -> None:
        """Nothing is raised, so a second Ctrl-C cannot cut the stopping short."""
        self.stopping = True

    def _serve(self, port: int, temporary: str, started: list[Process]) -> None:
        """Start all, into the list; return when asked to stop. CommandError where a server does not live."""
        for command in _servers(port):
            started.append(_start(command, temporary))
        servers = started.copy()
        url = f"http://127.0.0.1:{port}"
        self._wait_until_ready(url, servers)
        if self.stopping:
            return
        self.stdout.write(f"ready: {url}")
        self.stdout.write(f"log in as {', '.join(USERS)} with the password {demo_password()}")
        self.stdout.flush()
        started.append(_start([sys.executable, "manage.py", "seed_demo"], temporary))
        self._watch(servers, seeding=started[-1])
        self.stdout.write("stopping")

    def _wait_until_ready(self, url: str, servers: list[Process]) -> None:
        end = time.monotonic() + READY_WITHIN_SECONDS
        seen = ""
        while not self.stopping:
            _all_alive(servers)
            try:
                with _open_url(f"{url}/readyz", timeout=5):
                    return
            except urllib.error.HTTPError as error:
                seen = error.read().decode()
            except OSError as error:
                seen = str(error)
            if time.monotonic() > end:
                raise CommandError(f"Not ready after {READY_WITHIN_SECONDS} s: {seen}")
            time.sleep(LOOK_EVERY_SECONDS)

    def _watch(self, servers: list[Process], *, seeding: Process) -> None:
        """Until asked to stop. Without the seeding the demo serves on, with the patients it has."""
        seeds = True
        while not self.stopping:
            _all_alive(servers)
            if seeds and seeding.poll() is not None:
                seeds = False
                if seeding.returncode:
                    self.stderr.write(
                        f"Not all synthetic patients were made: seed_demo ended with exit status {seeding.returncode}. "
                        "The next start makes those that are missing."
                    )
            time.sleep(LOOK_EVERY_SECONDS)


def _servers(port: int) -> list[list[str]]:
    python = sys.executable
    return [
        [python, "-m", "gunicorn", "webapp.wsgi", "--bind", f"127.0.0.1:{port}", "--threads", "8",
         "--timeout", "300", "--log-level", "warning"],
        [python, "-m", "celery", "--app", "webapp", "worker", "--concurrency", "2", "--loglevel", "warning"],
    ]  # fmt: skip


def _ask_for_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise CommandError(f"Port {port} is in use: stop what uses it, or set PORT to another one.") from None


def _start(command: list[str], temporary: str) -> Process:
    """Start in a process group of its own, so that Ctrl-C reaches this process alone and it stops them in order.

    ``temporary``: the folder for the process's temporary files, which may be of patients.
    """
    environment = {**os.environ, "DATA_DIR": str(settings.DATA_DIR), "TMPDIR": temporary}
    return subprocess.Popen(command, cwd=settings.BASE_DIR, env=environment, start_new_session=True)


def _all_alive(servers: list[Process]) -> None:
    for process in servers:
        if process.poll() is not None:
            raise CommandError(f"{' '.join(process.args[1:4])} ended with exit status {process.returncode}.")


def _stop(started: list[Process]) -> None:
    """Ask the leader of each process group, who ends its own processes in order; then kill what is left of the group.

    The database survives that.
    """
    for process in started:
        process.terminate()
    end = time.monotonic() + STOP_WITHIN_SECONDS
    for process in started:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.1, end - time.monotonic()))
    for process in started:
        with suppress(ProcessLookupError, PermissionError):  # nobody is left in it; macOS says the latter then
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
