"""Claiming, leasing and returning background jobs. The database is the truth, messages only wake.

A claim is a conditional update, so of many workers one gets the row. While it works, a thread
renews the lease; a worker that dies leaves a lease that runs out, and :func:`sweep` gives the job
to the next one. Every later write names the attempt, so a late worker changes nothing.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from botocore.exceptions import BotoCoreError, ClientError
from celery import current_app
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Case, F, QuerySet, When
from django.utils import timezone
from django.utils.translation import gettext_noop

from patients.models import Upload

from .models import PRIORITY_BATCH, PRIORITY_USER, Analysis, Comparison

logger = logging.getLogger(__name__)

TASK = "analysis.work"  # by name, so that the web process does not import what the worker needs
GIVEN_UP = gettext_noop(
    "The computation was interrupted {n} times and was given up. Try again; if it happens again, tell your IT."
)

# Storage or database out of reach: worth another attempt.
PASSING_FAULTS = (OSError, OperationalError, InterfaceError, BotoCoreError, ClientError)

Task = Upload | Analysis | Comparison

MODELS: tuple[type[Task], ...] = (Upload, Analysis, Comparison)  # of jobs as urgent as each other the first goes first
WAITING = {Upload: Upload.State.RECEIVED, Analysis: Analysis.State.QUEUED, Comparison: Comparison.State.QUEUED}
URGENCY = {
    Upload: Case(When(user=None, then=PRIORITY_BATCH), default=PRIORITY_USER),
    Analysis: F("priority"),
    Comparison: F("priority"),
}
WORKING = {Upload: Upload.State.WORKING, Analysis: Analysis.State.RUNNING, Comparison: Comparison.State.RUNNING}


class LeaseLost(Exception):
    """Another worker owns the job now, or it was cancelled: stop, and write nothing."""


def wake() -> None:
    """Wake a worker once the current transaction is committed."""
    transaction.on_commit(lambda: current_app.send_task(TASK), robust=True)


def _waiting(model: type[Task]) -> QuerySet:
    """The most urgent first: a person's before batch work, then by age."""
    rows = model._default_manager.filter(state=WAITING[model]).annotate(urgency=URGENCY[model])
    return rows.order_by("urgency", "created_at", "pk")


def anything_waits() -> bool:
    return any(_waiting(model).exists() for model in MODELS)


def claim(model: type[Task], pk: object) -> Task | None:
    """Claim one waiting job; None where another worker was quicker."""
    now = timezone.now()
    mine = model._default_manager.filter(pk=pk, state=WAITING[model]).update(
        state=WORKING[model],
        attempt=F("attempt") + 1,
        lease_until=now + timedelta(seconds=settings.JOB_LEASE_SECONDS),
        progress=0,
        **({"started_at": now, "stage": ""} if model is Analysis else {}),
    )
    return model._default_manager.get(pk=pk) if mine else None


def claim_next() -> Task | None:
    """Claim the most urgent waiting job: people's uploads, their analyses and comparisons, then those of batch work."""
    while heads := [job for model in MODELS if (job := _waiting(model).only("pk").first())]:
        most_urgent = min(heads, key=lambda job: job.urgency)
        if job := claim(type(most_urgent), most_urgent.pk):
            return job
    return None


def held(job: Task) -> QuerySet:
    """The job's row, if this attempt still holds it: every write of a worker goes through this."""
    return type(job)._default_manager.filter(pk=job.pk, state=WORKING[type(job)], attempt=job.attempt)


def write(job: Task, **values: object) -> None:
    """Update the job's row; LeaseLost where another attempt holds it."""
    if not held(job).update(**values):
        raise LeaseLost


@contextmanager
def lease(job: Task) -> Iterator[None]:
    """Renew the job's lease from a thread while the body works."""
    done = threading.Event()

    def renew() -> None:
        while not done.wait(settings.JOB_LEASE_SECONDS / 4):
            try:
                held(job).update(lease_until=timezone.now() + timedelta(seconds=settings.JOB_LEASE_SECONDS))
            except Exception:
                logger.exception("could not renew the lease of %s", job)
                connection.close()  # a broken one would never heal
        connection.close()

    thread = threading.Thread(target=renew, name=f"lease of {job}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def give_back(job: Task) -> None:
    """Return a job whose lease ran out to the queue, or give it up after too many attempts.

    Nothing happens where the lease was renewed after the job was read: its worker lives.
    """
    with transaction.atomic():
        abandoned = held(job).filter(lease_until__lt=timezone.now())
        if job.attempt >= settings.JOB_MAX_ATTEMPTS:
            _fail(abandoned, job, GIVEN_UP.format(n=job.attempt))
        elif isinstance(job, Analysis) and _waiting(Analysis).filter(series=job.series_id).exists():
            abandoned.update(state=Analysis.State.CANCELLED, finished_at=timezone.now())
        elif abandoned.update(state=WAITING[type(job)], lease_until=None, enqueued_at=timezone.now()):
            wake()


def fail(job: Task, sentence: str) -> None:
    """End a job with a sentence for a clinician."""
    _fail(held(job), job, sentence)


def _fail(row: QuerySet, job: Task, sentence: str) -> None:
    if isinstance(job, (Analysis, Comparison)):
        row.update(state=job.State.FAILED, error=sentence, finished_at=timezone.now(), lease_until=None)
    elif row.update(state=Upload.State.FAILED, reason=sentence, lease_until=None):
        job.forget_parts()  # nobody can ask for them again: the user sends them anew


def sweep() -> None:
    """Return jobs of dead workers, and wake a worker for those whose message may be lost."""
    now = timezone.now()
    for model in MODELS:
        for job in model._default_manager.filter(state=WORKING[model], lease_until__lt=now):
            logger.warning("the lease of %s ran out in attempt %d", job, job.attempt)
            give_back(job)
        stale = now - timedelta(seconds=2 * settings.JOB_SWEEP_SECONDS)
        if _waiting(model).filter(enqueued_at__lt=stale).update(enqueued_at=now):
            wake()
