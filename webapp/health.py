"""``/healthz``: the process answers. ``/readyz``: all that an analysis needs is there."""

import secrets
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from functools import lru_cache

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.utils.translation import gettext_noop

from analysis import network_sets
from analysis.models import WorkerSeen

from .celery import app

BROKER_TIMEOUT_SECONDS = 2
WORKER_SILENT_AFTER = timedelta(
    seconds=3 * settings.JOB_SWEEP_SECONDS
)  # each says once in JOB_SWEEP_SECONDS that it lives
LOOKED_EVERY_SECONDS = 3  # anybody may ask, and looking writes to the storage; in between, the last answer stands


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return "ok"


def _broker() -> str:
    with app.connection_for_write(connect_timeout=BROKER_TIMEOUT_SECONDS) as broker:
        broker.ensure_connection(max_retries=1, interval_start=0, timeout=BROKER_TIMEOUT_SECONDS)
    return "ok"


def _storage() -> str:
    """Write a small file under a name of its own, read it back and delete it."""
    written = secrets.token_bytes(16)
    name = default_storage.save(f"readyz-{uuid.uuid4()}", ContentFile(written))
    try:
        with default_storage.open(name) as file:
            read = file.read()
    finally:
        default_storage.delete(name)
    return "ok" if read == written else gettext_noop("does not give back what was written")


def _weights() -> str:
    return network_sets.fault(network_sets.active()) or "ok"


def _worker() -> str:
    lately = timezone.now() - WORKER_SILENT_AFTER
    return "ok" if WorkerSeen.objects.filter(seen_at__gte=lately).exists() else gettext_noop("no worker seen lately")


CHECKS: dict[str, Callable[[], str]] = {
    gettext_noop("database"): _database,
    gettext_noop("broker"): _broker,
    gettext_noop("storage"): _storage,
    gettext_noop("weights"): _weights,
    gettext_noop("worker"): _worker,
}


def _run(check: Callable[[], str]) -> str:
    try:
        return check()
    except Exception as error:  # any fault of a service means "not ready", named by its kind alone
        return type(error).__name__


@login_not_required
def healthz(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok"})


@lru_cache(maxsize=1)
def _seen(_period: int) -> dict[str, str]:
    return {name: _run(check) for name, check in CHECKS.items()}


def seen() -> dict[str, str]:
    """For each service "ok", or a few words on its fault, as of the last seconds."""
    return _seen(int(time.monotonic() / LOOKED_EVERY_SECONDS))


@login_not_required
def readyz(request: HttpRequest) -> JsonResponse:
    services = seen()
    return JsonResponse(services, status=200 if set(services.values()) == {"ok"} else 503)
