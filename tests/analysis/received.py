"""Scans as a worker finds them: received and worked off, and files with odd identifiers."""

from django.core.files.base import ContentFile
from pydicom import dcmread
from pydicom.uid import generate_uid

from analysis import queue, services, tasks
from analysis.models import Analysis
from patients.models import Upload


def receive(site, paths, **named):
    """The upload after a worker has done its part."""
    files = [ContentFile(path.read_bytes(), name=path.name) for path in paths]
    upload = services.receive(files, site=site, **named)
    tasks.do(queue.claim(Upload, upload.pk))
    upload.refresh_from_db()
    return upload


def with_new_identifiers(paths):
    """The same slices as an anonymiser sends them a second time: other SOP Instance UIDs in the same series."""
    for path in paths:
        dataset = dcmread(path)
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        dataset.save_as(path)
    return paths


def finish(analysis):
    Analysis.objects.filter(pk=analysis.pk).update(state="DONE", report={"slices": []}, corona_score_cm3=12.0)


def without_identifier_in_the_dataset(paths):
    """The SOP Instance UID stands in the file meta alone, as some converters leave it."""
    for path in paths:
        dataset = dcmread(path)
        del dataset.SOPInstanceUID
        dataset.save_as(path)
    return paths
