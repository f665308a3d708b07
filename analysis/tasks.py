"""What a worker does: one task that takes the next job, and the sweeper thread of each worker."""

import logging
import socket
import threading
from typing import Any

from celery import shared_task
from celery.signals import worker_ready, worker_shutting_down
from django.conf import settings
from django.db import connection
from django.utils import timezone
from django.utils.translation import gettext_noop

from patients.models import Upload

from . import comparisons, piecewise, queue, services
from .models import Comparison, WorkerSeen
from .pipeline.series import UnusableSeries

logger = logging.getLogger(__name__)

UNEXPECTED = gettext_noop(
    "An unexpected error stopped the work. It is logged; try again, and tell your IT if it happens again."
)

_stopping = threading.Event()


@shared_task(name=queue.TASK)
def work() -> None:
    """Do the most urgent job there is, then wake a worker for the next."""
    job = queue.claim_next()
    if job is None:
        return
    do(job)
    if queue.anything_waits():
        queue.wake()


def do(job: queue.Task) -> None:
    """Do a claimed job; whatever befalls it ends in the job's row, not in an exception."""
    logger.info("%s: attempt %d", job, job.attempt)
    try:
        with queue.lease(job):
            if isinstance(job, Upload):
                services.work_off(job)
            elif isinstance(job, Comparison):
                comparisons.compare(job)
            else:
                services.run(job)
    except queue.LeaseLost:
        logger.warning("%s was taken over; attempt %d stops", job, job.attempt)
    except (UnusableSeries, services.NoNetworks) as reason:
        queue.fail(job, str(reason))
    except queue.PASSING_FAULTS:
        # No instant retry: the lease runs out, and the sweeper then gives the job to the next attempt.
        logger.exception("%s: attempt %d met a passing fault", job, job.attempt)
    except Exception:
        logger.exception("%s: attempt %d failed", job, job.attempt)
        queue.fail(job, UNEXPECTED)


def _sweep_until_stopped() -> None:
    hostname = f"{socket.gethostname()}:{threading.get_native_id()}"
    while True:
        try:
            WorkerSeen.objects.update_or_create(hostname=hostname, defaults={"seen_at": timezone.now()})
            queue.sweep()
            piecewise.forget_broken_off()
        except Exception:  # the database may be away for a while; the sweeper outlives that
            logger.exception("the sweep failed")
            connection.close()
        if _stopping.wait(settings.JOB_SWEEP_SECONDS):
            break
    WorkerSeen.objects.filter(hostname=hostname).delete()
    connection.close()


@worker_ready.connect
def start_sweeper(**kwargs: Any) -> None:
    _stopping.clear()
    threading.Thread(target=_sweep_until_stopped, name="sweeper", daemon=True).start()


@worker_shutting_down.connect
def stop_sweeper(**kwargs: Any) -> None:
    _stopping.set()
