"""Deleting rows with the files they point to, whatever model of the project these belong to."""

from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any
from uuid import UUID

from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import FileField, Model, QuerySet
from django.db.models.deletion import Collector

from .models import Patient, Study, Upload


def delete(rows: QuerySet[Any]) -> None:
    """Delete rows with all that belongs to them and, after the commit, their files that no other row points to.

    An upload goes with the patient it was sent to, and with the last of its studies: its row names their files.
    """
    with transaction.atomic():
        if rows.model is Patient:
            _delete(Upload.objects.filter(patient__in=rows))
        _delete(rows)
        _delete(Upload.objects.filter(pk__in=list(_uploads_without_study())))


def _uploads_without_study() -> Iterator[UUID]:
    left = set(Study.objects.values_list("pk", flat=True))
    for pk, studies in Upload.objects.exclude(studies=[]).values_list("pk", "studies"):
        if left.isdisjoint(studies):
            yield pk


def _delete(rows: QuerySet[Any]) -> None:
    collector = Collector(using=rows.db, origin=rows)
    collector.collect(rows)
    doomed = [model._default_manager.filter(pk__in=[row.pk for row in own]) for model, own in collector.data.items()]
    files = {file for some in (*doomed, *collector.fast_deletes) for file in _files(some)}
    uploads = [row.pk for row in collector.data.get(Upload, ())]
    collector.delete()
    for model, field, name in files:
        transaction.on_commit(partial(_delete_file, model, field, name), robust=True)
    for pk in uploads:
        transaction.on_commit(partial(_delete_collisions, pk), robust=True)


def _files(rows: QuerySet[Any]) -> Iterator[tuple[type[Model], FileField, str]]:
    for field in rows.model._meta.get_fields():
        if isinstance(field, FileField):
            for name in rows.values_list(field.name, flat=True):
                if name:
                    yield rows.model, field, name


def _delete_file(model: type[Model], field: FileField, name: str) -> None:
    """Scans that were sent to two sites share their files, which are named by their content."""
    if not model._default_manager.filter(**{field.name: name}).exists():
        field.storage.delete(name)


def _delete_collisions(upload: UUID) -> None:
    folder = f"collisions/{upload}"  # where patients/ingest.py keeps them
    with suppress(FileNotFoundError):
        for name in default_storage.listdir(folder)[1]:
            default_storage.delete(f"{folder}/{name}")
