"""Upload → analysis → result with real processes, on each database, broker and storage.

These run the released networks on a synthetic scan.
"""

import contextlib
from pathlib import Path

import boto3
import kombu
import psycopg
import pytest

from tests import servers
from tests.servers import wait_until
from tests.stack import Stack, running_stack, zipped

SHA256 = 64  # letters of a hash, by which images are named
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


def test_upload_leads_to_a_result(scan: bytes, tmp_path: Path):
    """By a broker of its own; the tests below do the same on the other backends, and more."""
    with backend(RABBITMQ) as environment, running_stack(tmp_path, environment) as stack:
        wait_until(lambda: stack.session.get(f"{stack.url}/readyz").status_code == 200, 60, "readiness")
        upload = _worked_off(stack, scan)
        _result_is_whole(stack, upload)
        pdf = stack.session.get(f"{stack.url}/api/v1/analyses/{upload['analyses'][0]}/report.pdf")
        assert pdf.content.startswith(b"%PDF-")
        _services_were_used(RABBITMQ, stack, environment, [upload])


def _worked_off(stack: Stack, scan: bytes) -> dict:
    upload = stack.finished_upload(stack.upload(scan))
    assert upload["state"] == "done", upload
    return upload


def _result_is_whole(stack: Stack, upload: dict) -> None:
    (pk,) = upload["analyses"]
    analysis = stack.finished_analysis(pk)
    assert analysis["state"] == "DONE", analysis["error"]
    assert analysis["report"]["suspected"] is True
    assert analysis["report"]["corona_score_cm3"] > 0
    table = stack.session.get(f"{stack.url}/api/v1/analyses/{pk}/results.csv")
    assert "corona_score_cm3" in table.text


def _services_were_used(kind: str, stack: Stack, environment: dict[str, str], uploads: list[dict]) -> None:
    """Seen from outside: a renamed variable would fall back to the embedded default, and all else would pass."""
    data = Path(stack.environment["DATA_DIR"])
    database, broker, files = kind == SERVICES, kind in (SERVICES, RABBITMQ), kind == S3
    assert (data / "coronatrend.sqlite3").exists() != database
    assert any((data / "broker/control").iterdir()) != broker
    assert any(path.is_file() for path in (data / "files").rglob("*")) != files
    if database:
        with psycopg.connect(environment["DATABASE_URL"]) as connection:
            assert connection.execute("SELECT DISTINCT state FROM analysis_analysis").fetchall() == [("DONE",)]
    if broker:
        with kombu.Connection(environment["CELERY_BROKER_URL"]) as connection:
            assert _worker_listens(kind, connection)
    if files:
        names = _names_in_bucket(environment)
        images = {
            Path(name).stem[:SHA256] for name in names if name.endswith(".dcm")
        }  # two names after a second attempt
        assert len(images) == sum(len(upload["files"]) for upload in uploads)
        assert sum("heatmap" in name for name in names) == len(uploads)


def _worker_listens(kind: str, connection: kombu.Connection) -> bool:
    """A worker takes its messages from this broker's queue."""
    if kind == SERVICES:  # it waits in a blocking read
        clients = connection.default_channel.client.client_list()
        return any(client["cmd"] == "brpop" for client in clients)
    return connection.default_channel.queue_declare("celery", passive=True).consumer_count == 1


def _names_in_bucket(environment: dict[str, str]) -> list[str]:
    client = boto3.client(
        "s3",
        endpoint_url=environment["STORAGE_S3_ENDPOINT_URL"],
        region_name=environment["STORAGE_S3_REGION"],
        aws_access_key_id=environment["STORAGE_S3_ACCESS_KEY"],
        aws_secret_access_key=environment["STORAGE_S3_SECRET_KEY"],
    )
    return [item["Key"] for item in client.list_objects_v2(Bucket=environment["STORAGE_S3_BUCKET"])["Contents"]]


def test_a_follow_up_is_compared_with_the_scan_before(exams: list[Path], tmp_path: Path):
    """On object storage, from where a worker has to fetch both scans."""
    with backend(S3) as environment, running_stack(tmp_path, environment) as stack:
        uploads = []
        for exam in exams:
            uploads.append(_worked_off(stack, zipped(exam)))
            _result_is_whole(stack, uploads[-1])
        wait_until(lambda: _comparison(stack)["state"] not in ("QUEUED", "RUNNING"), 120, "the comparison")
        comparison = _comparison(stack)
        assert (comparison["state"], comparison["days"], comparison["analysis"]) == (
            "DONE",
            10,
            *uploads[-1]["analyses"],
        )
        change = comparison["change"]
        assert change["lung_overlap"] > 0.95
        assert change["better_ml"] > 5 * change["worse_ml"]  # all opacities halved
        assert stack.session.get(f"{stack.url}/comparisons/{comparison['id']}/map/").ok
        _services_were_used(S3, stack, environment, uploads)


def _comparison(stack: Stack) -> dict:
    (comparison,) = stack.get("/api/v1/comparisons/")["results"]
    return comparison


@pytest.mark.parametrize("kind", [EMBEDDED, SERVICES])
def test_a_killed_workers_analysis_is_finished_once_by_the_next(kind: str, scan: bytes, tmp_path: Path):
    with backend(kind) as environment, running_stack(tmp_path, environment) as stack:
        upload = _worked_off(stack, scan)
        (pk,) = upload["analyses"]
        wait_until(lambda: _works(stack, pk), 60, "the analysis to be under way")
        stack.kill_worker()
        assert stack.get(f"/api/v1/analyses/{pk}/")["state"] == "RUNNING"
        stack.start_worker()
        _result_is_whole(stack, upload)
        assert stack.get("/api/v1/analyses/")["count"] == 1
        assert _attempts(stack, pk) == 2
        _services_were_used(kind, stack, environment, [upload])


def _works(stack: Stack, pk: int) -> bool:
    seen = stack.get(f"/api/v1/analyses/{pk}/")
    return seen["state"] == "RUNNING" and seen["stage"] != ""


def _attempts(stack: Stack, pk: int) -> int:
    code = f"from analysis.models import Analysis; print(Analysis.objects.get(pk={pk}).attempt)"
    return int(stack.python(code))
