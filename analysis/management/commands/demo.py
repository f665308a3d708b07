"""``manage.py demo``: web server, worker and synthetic patients on this machine, until Ctrl-C."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from .seed_demo import USERS, demo_password

READY_WITHIN_SECONDS = 120
STOP_WITHIN_SECONDS = 15


class Command(BaseCommand):
    help = "Serve the demo on http://127.0.0.1:$PORT (8000), with a worker and synthetic patients."

    def handle(self, **options: Any) -> None:
        port = int(os.environ.get("PORT", "8000"))
        _ask_for_port(port)
        call_command("migrate", verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)
        call_command("seed_demo", no_scans=True)
        signal.signal(signal.SIGTERM, _interrupt)
        running = [_start(command) for command in _commands(port)]
        seeding: list[subprocess.Popen[bytes]] = []
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_until_ready(url, running)
            self.stdout.write(f"ready: {url}")
            self.stdout.write(f"log in as {', '.join(USERS)} with the password {demo_password()}")
            self.stdout.flush()
            seeding.append(_start([sys.executable, "manage.py", "seed_demo"]))
            _watch(running)
        except KeyboardInterrupt:
            self.stdout.write("stopping")
        finally:
            _stop(seeding + running)


def _commands(port: int) -> list[list[str]]:
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


def _start(command: list[str]) -> subprocess.Popen[bytes]:
    """Start in a process group of its own, so that Ctrl-C reaches this process alone and it stops them in order."""
    return subprocess.Popen(command, start_new_session=True)


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def _wait_until_ready(url: str, running: list[subprocess.Popen[bytes]]) -> None:
    end = time.monotonic() + READY_WITHIN_SECONDS
    while time.monotonic() < end:
        _all_alive(running)
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=5):
                return
        except urllib.error.HTTPError as error:
            seen = error.read().decode()
        except OSError as error:
            seen = str(error)
        time.sleep(0.5)
    raise CommandError(f"Not ready after {READY_WITHIN_SECONDS} s: {seen}")


def _watch(running: list[subprocess.Popen[bytes]]) -> None:
    while True:
        _all_alive(running)
        time.sleep(1)


def _all_alive(running: list[subprocess.Popen[bytes]]) -> None:
    for process in running:
        if process.poll() is not None:
            raise CommandError(f"{' '.join(process.args[1:4])} ended with exit status {process.returncode}.")


def _stop(running: list[subprocess.Popen[bytes]]) -> None:
    """Ask each process group to end; what does not in time is killed (the database survives that)."""
    for process in running:
        if process.poll() is None:
            process.terminate()
    end = time.monotonic() + STOP_WITHIN_SECONDS
    for process in running:
        try:
            process.wait(max(0.1, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
