"""Claims, leases and the sweeper, on the real database."""

import time
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.db import OperationalError
from django.db import connection as django_connection
from django.utils import timezone

from analysis import queue
from analysis.models import PRIORITY_BATCH, Analysis
from patients.models import Patient, Series, Study, Upload

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def series(site):
    study = Study.objects.create(patient=Patient.objects.create(site=site, patient_id="1"), study_instance_uid="1.2")
    return Series.objects.create(study=study, series_instance_uid="1.2.3")


@pytest.fixture
def queued(series):
    return Analysis.objects.create(series=series)


def expire(job):
    type(job).objects.filter(pk=job.pk).update(lease_until=timezone.now() - timedelta(seconds=1))


def test_a_job_is_claimed_once(queued):
    assert queue.claim_next() == queued
    assert queue.claim_next() is None


def test_a_claim_counts_the_attempt_and_takes_a_lease(queued, settings):
    job = queue.claim_next()
    assert (job.state, job.attempt) == ("RUNNING", 1)
    assert job.lease_until > timezone.now() + timedelta(seconds=settings.JOB_LEASE_SECONDS - 5)


def test_people_go_before_batch_work_then_uploads_before_analyses_then_the_oldest(site, user, series):
    others = [Series.objects.create(study=series.study, series_instance_uid=f"9.{n}") for n in range(2)]
    batch_upload = Upload.objects.create(site=site)
    batch = Analysis.objects.create(series=others[0], priority=PRIORITY_BATCH)
    second = Analysis.objects.create(series=others[1])
    Analysis.objects.filter(pk=second.pk).update(created_at=timezone.now() + timedelta(seconds=9))
    first = Analysis.objects.create(series=series)
    upload = Upload.objects.create(site=site, user=user)
    assert [queue.claim_next() for _ in range(6)] == [upload, first, second, batch_upload, batch, None]


def test_the_lease_is_renewed_again_after_the_database_was_away(queued, settings, monkeypatch):
    settings.JOB_LEASE_SECONDS = 0.4
    job = queue.claim_next()
    held, closed, calls = queue.held, [], []

    def away_at_first(job):
        calls.append(job)
        if len(calls) == 1:
            raise OperationalError("server closed the connection")
        return held(job)

    monkeypatch.setattr(queue, "held", away_at_first)
    connection = SimpleNamespace(close=lambda: (closed.append(len(calls)), django_connection.close()))
    monkeypatch.setattr(queue, "connection", connection)
    with queue.lease(job):
        until = time.monotonic() + 5
        while len(calls) < 3 and time.monotonic() < until:
            time.sleep(0.02)
    assert closed[0] == 1  # the broken connection is dropped before the next try
    queued.refresh_from_db()
    assert queued.lease_until > job.lease_until


def test_a_late_worker_writes_nothing(queued):
    late = queue.claim_next()
    expire(late)
    queue.sweep()
    newer = queue.claim_next()
    assert newer.attempt == 2
    with pytest.raises(queue.LeaseLost):
        queue.write(late, stage="lungs")
    queue.fail(late, "late")
    newer.refresh_from_db()
    assert (newer.state, newer.error) == ("RUNNING", "")


def test_the_sweeper_leaves_living_workers_alone(queued):
    job = queue.claim_next()
    queue.sweep()
    job.refresh_from_db()
    assert job.state == "RUNNING"


@pytest.mark.parametrize(("attempt", "newer_waits"), [(1, False), (1, True), (3, False)])
def test_a_lease_that_is_renewed_while_the_sweeper_looks_is_left_alone(queued, attempt, newer_waits):
    seen = queue.claim_next()
    Analysis.objects.update(attempt=attempt)
    seen.refresh_from_db()
    if newer_waits:
        Analysis.objects.create(series=queued.series)
    queue.give_back(seen)
    queued.refresh_from_db()
    assert (queued.state, queued.attempt) == ("RUNNING", attempt)


def test_the_lease_is_renewed_while_the_work_goes_on(queued, settings):
    settings.JOB_LEASE_SECONDS = 0.4
    job = queue.claim_next()
    with queue.lease(job):
        before = Analysis.objects.get().lease_until
        for _ in range(50):
            if Analysis.objects.get().lease_until > before:
                break
            time.sleep(0.05)
    assert Analysis.objects.get().lease_until > before


def test_a_job_that_kills_its_workers_is_given_up(queued, settings):
    for _ in range(settings.JOB_MAX_ATTEMPTS):
        expire(queue.claim_next())
        queue.sweep()
    queued.refresh_from_db()
    assert queued.state == "FAILED"
    assert "interrupted 3 times" in queued.error


def test_a_dead_workers_run_is_cancelled_where_a_newer_one_waits(queued):
    dead = queue.claim_next()
    newer = Analysis.objects.create(series=queued.series)
    expire(dead)
    queue.sweep()
    dead.refresh_from_db()
    assert dead.state == "CANCELLED"
    assert queue.claim_next() == newer


def test_a_dead_workers_upload_is_worked_off_again(site):
    upload = Upload.objects.create(site=site)
    expire(queue.claim_next())
    queue.sweep()
    assert queue.claim_next() == upload


def test_a_worker_is_woken_for_a_job_whose_message_was_lost(queued, settings):
    messages = Path(settings.DATA_DIR) / "broker/messages"
    before = len(list(messages.iterdir()))
    queue.sweep()
    assert len(list(messages.iterdir())) == before  # it has not waited long yet
    Analysis.objects.update(enqueued_at=timezone.now() - timedelta(hours=1))
    queue.sweep()
    assert len(list(messages.iterdir())) == before + 1
