"""Upload → analysis → result with real processes, on each database, broker and storage.

These run the released networks on a synthetic scan.
"""

import contextlib
from pathlib import Path

import pytest

from tests import servers
from tests.servers import wait_until
from tests.stack import Stack, running_stack, zipped

EMBEDDED, SERVICES, RABBITMQ, S3 = "SQLite and files", "PostgreSQL and Redis", "RabbitMQ", "S3 storage"


@contextlib.contextmanager
def backend(kind: str):
    """The environment of a stack; servers run while the context is open."""
    with contextlib.ExitStack() as stack:
        environment = {}
        if kind == SERVICES:
            environment["DATABASE_URL"] = stack.enter_context(servers.postgresql())
            environment["CELERY_BROKER_URL"] = stack.enter_context(servers.redis())
        if kind == RABBITMQ:
            environment["CELERY_BROKER_URL"] = stack.enter_context(servers.rabbitmq())
        if kind == S3:
            environment.update(stack.enter_context(servers.s3_bucket()))
        yield environment


@pytest.fixture(scope="module")
def scan(exams: list[Path]) -> bytes:
    """A zipped synthetic series with opacities."""
    return zipped(exams[0])


@pytest.mark.parametrize("kind", [EMBEDDED, SERVICES, RABBITMQ, S3])
def test_upload_leads_to_a_result(kind: str, scan: bytes, tmp_path: Path):
    with backend(kind) as environment, running_stack(tmp_path, environment) as stack:
        wait_until(lambda: stack.session.get(f"{stack.url}/readyz").status_code == 200, 60, "readiness")
        upload = stack.finished_upload(stack.upload(scan))
        assert upload["state"] == "done", upload
        (pk,) = upload["analyses"]
        analysis = stack.finished_analysis(pk)
        assert analysis["state"] == "DONE", analysis["error"]
        assert analysis["report"]["suspected"] is True
        assert analysis["report"]["corona_score_cm3"] > 0
        pdf = stack.session.get(f"{stack.url}/api/v1/analyses/{pk}/report.pdf")
        assert pdf.content.startswith(b"%PDF-")
        table = stack.session.get(f"{stack.url}/api/v1/analyses/{pk}/results.csv")
        assert "corona_score_cm3" in table.text


@pytest.mark.parametrize("kind", [EMBEDDED, SERVICES])
def test_a_killed_workers_analysis_is_finished_once_by_the_next(kind: str, scan: bytes, tmp_path: Path):
    with backend(kind) as environment, running_stack(tmp_path, environment) as stack:
        (pk,) = stack.finished_upload(stack.upload(scan))["analyses"]
        wait_until(lambda: _works(stack, pk), 60, "the analysis to be under way")
        stack.kill_worker()
        assert stack.get(f"/api/v1/analyses/{pk}/")["state"] == "RUNNING"
        stack.start_worker()
        analysis = stack.finished_analysis(pk)
        assert analysis["state"] == "DONE", analysis["error"]
        assert stack.get("/api/v1/analyses/")["count"] == 1
        assert _attempts(stack, pk) == 2


def _works(stack: Stack, pk: int) -> bool:
    seen = stack.get(f"/api/v1/analyses/{pk}/")
    return seen["state"] == "RUNNING" and seen["stage"] != ""


def _attempts(stack: Stack, pk: int) -> int:
    code = f"from analysis.models import Analysis; print(Analysis.objects.get(pk={pk}).attempt)"
    return int(stack.manage("shell", "--verbosity", "0", "--command", code))
