"""Comparisons of a patient's results, of neighbours in time and of others on request: queued, tried again, made."""

from itertools import combinations
from typing import Any

from django.db import transaction
from django.db.models.signals import post_delete
from django.dispatch import receiver
from django.utils import timezone

from patients.models import Patient

from . import queue, storage
from .models import PRIORITY_USER, Analysis, Comparison
from .trend import TimePoint, compared, trend


def queue_for(patient: Patient) -> None:
    """Queue the comparison of each result with the one before it in time where there is none or it failed; and any of
    two current results where a date between which it lies was corrected (doubling times change)."""
    with transaction.atomic():
        Patient.objects.select_for_update().get(pk=patient.pk)  # two results at a time would not see each other
        neighbours = list(compared(trend(patient)))
        results = [before for before, _ in neighbours[:1]] + [now for _, now in neighbours]
        rows = Comparison.objects.filter(analysis__in=[point.analysis for point in results])
        there = {(row.prior_id, row.analysis_id): row for row in rows.defer("change")}
        for before, now in combinations(results, 2):
            row = there.get((before.analysis.pk, now.analysis.pk))
            if (before, now) in neighbours or (row and row.days != _days(before, now)):
                _queue(before, now, now.analysis.priority)


def queue_directly(before: TimePoint, now: TimePoint) -> None:
    """Queue the comparison of two results of a patient that do not follow each other, for a user who asks."""
    with transaction.atomic():
        _queue(before, now, PRIORITY_USER)


def _queue(before: TimePoint, now: TimePoint, priority: int) -> None:
    days = _days(before, now)
    comparison, is_new = Comparison.objects.get_or_create(
        analysis=now.analysis, prior=before.analysis, defaults={"days": days, "priority": priority}
    )
    if is_new:
        queue.wake()
    elif comparison.days != days or comparison.state == Comparison.State.FAILED:
        _anew(comparison, days)


def _days(before: TimePoint, now: TimePoint) -> int:
    return (now.date - before.date).days


def again(comparison: Comparison) -> None:
    """A user asks to try a failed comparison again; one that waits, works or is done stays as it is."""
    with transaction.atomic():
        failed = Comparison.objects.filter(pk=comparison.pk, state=Comparison.State.FAILED)
        if failed.update(priority=PRIORITY_USER):
            _anew(comparison, comparison.days)


def _anew(comparison: Comparison, days: int) -> None:
    file = comparison.change_map
    row = Comparison.objects.filter(pk=comparison.pk)
    row.exclude(state=Comparison.State.RUNNING).update(attempt=0)  # else its worker would take the next run for its own
    row.update(
        state=Comparison.State.QUEUED,
        days=days,
        change=None,
        change_map="",
        error="",
        enqueued_at=timezone.now(),
        finished_at=None,
    )
    if file:
        transaction.on_commit(lambda: file.storage.delete(file.name), robust=True)
    queue.wake()


@receiver(post_delete, sender=Analysis)
def _compare_neighbours(instance: Analysis, **signal: Any) -> None:
    """The results before and after one that was deleted, with its CT or alone, follow each other now."""
    patients = Patient.objects.filter(pk=instance.series.study.patient_id)
    transaction.on_commit(lambda: [queue_for(patient) for patient in patients.all()], robust=True)


def compare(comparison: Comparison) -> None:
    """Work out what changed between two results and store it (the worker's part)."""
    current, prior = storage.read_scan(comparison.analysis), storage.read_scan(comparison.prior)
    queue.write(comparison, progress=0.3)
    from .pipeline.change import compare as changes  # imports SimpleITK: only a worker comes here

    change, labels, _ = changes(current, prior, comparison.days)
    storage.save_change(comparison, change, labels)
