"""Throw-away servers for tests: each on a free loopback port, as a non-root user, in its own folder."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

START_WITHIN_SECONDS = 60
UNPRIVILEGED: dict[str, Any] = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.getuid() == 0 else {}


def program(name: str) -> str:
    """The path of an installed program; else the test is skipped, or fails under REQUIRE_SERVICES=1."""
    debian = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))  # Debian keeps these off the PATH
    path = str(debian[-1]) if debian else shutil.which(name)
    if path:
        return path
    missing = f"{name} is not installed"
    if os.environ.get("REQUIRE_SERVICES") == "1":
        pytest.fail(f"{missing}, and REQUIRE_SERVICES=1 asks for it")
    pytest.skip(missing)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def postgresql() -> Iterator[str]:
    """A DATABASE_URL."""
    initdb, postgres, createdb = program("initdb"), program("postgres"), program("createdb")
    port = free_port()
    with _folder() as folder:
        data = folder / "data"
        subprocess.run(
            [initdb, "--pgdata", data, "--username", "tester", "--auth", "trust", "--no-sync"],
            check=True, stdout=subprocess.DEVNULL, cwd=folder, **UNPRIVILEGED,
        )  # fmt: skip
        command = [postgres, "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", folder, "-c", "fsync=off"]
        with _running(command, folder, lambda: _accepts(port)):
            subprocess.run([createdb, "-h", "127.0.0.1", "-p", str(port), "-U", "tester", "coronatrend"], check=True)
            yield f"postgres://tester@127.0.0.1:{port}/coronatrend"


@contextmanager
def redis() -> Iterator[str]:
    """A CELERY_BROKER_URL."""
    server, port = program("redis-server"), free_port()
    with _folder() as folder:
        command = [server, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        with _running(command, folder, lambda: _accepts(port)):
            yield f"redis://127.0.0.1:{port}/0"


@contextmanager
def rabbitmq() -> Iterator[str]:
    """A CELERY_BROKER_URL."""
    server, epmd, port, epmd_port = program("rabbitmq-server"), program("epmd"), free_port(), free_port()
    with _folder() as folder:
        environment = {
            "HOME": str(folder),
            "PATH": os.environ["PATH"],
            "RABBITMQ_NODENAME": f"coronatrend{port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(epmd_port),
            "RABBITMQ_BASE": str(folder),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
        }
        name_server = [epmd, "-port", str(epmd_port), "-address", "127.0.0.1"]  # else Erlang leaves one behind
        with (
            _running(name_server, folder, lambda: _accepts(epmd_port)),
            _running([server], folder, lambda: _accepts(port), environment),
        ):
            yield f"amqp://guest:guest@127.0.0.1:{port}//"


@contextmanager
def s3_bucket() -> Iterator[dict[str, str]]:
    """STORAGE_S3_* variables for a bucket of moto's S3 server."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=free_port(), verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        settings = {
            "STORAGE_S3_BUCKET": f"scans-{port}",  # moto's servers of one process share what they hold
            "STORAGE_S3_ENDPOINT_URL": f"http://{host}:{port}",
            "STORAGE_S3_REGION": "us-east-1",
            "STORAGE_S3_ACCESS_KEY": "tester",
            "STORAGE_S3_SECRET_KEY": "tester",
        }
        boto3.client(
            "s3", endpoint_url=settings["STORAGE_S3_ENDPOINT_URL"], region_name="us-east-1",
            aws_access_key_id="tester", aws_secret_access_key="tester",
        ).create_bucket(Bucket=settings["STORAGE_S3_BUCKET"])  # fmt: skip
        yield settings
    finally:
        server.stop()


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="service-"))
    try:
        if UNPRIVILEGED:
            shutil.chown(folder, UNPRIVILEGED["user"], UNPRIVILEGED["group"])
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _running(
    command: list[Any], folder: Path, ready: Callable[[], bool], environment: dict[str, str] | None = None
) -> Iterator[None]:
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, stdout=output, stderr=output, env=environment, start_new_session=True, **UNPRIVILEGED
        )
    try:
        wait_until(ready, START_WITHIN_SECONDS, f"{command[0]} to accept connections", process)
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(
    ready: Callable[[], Any], seconds: float, what: str, process: "subprocess.Popen[bytes] | None" = None
) -> Any:
    """The first truthy answer of ``ready``; the test fails if there is none in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := ready():
            return answer
        if process is not None and process.poll() is not None:
            pytest.fail(f"waited for {what}: it ended with exit status {process.returncode}")
        time.sleep(0.1)
    pytest.fail(f"waited {seconds} s for {what}")
