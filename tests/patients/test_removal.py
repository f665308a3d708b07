"""Deleted rows leave no files behind, and take none that others need."""

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction

from analysis import queue, services, tasks
from analysis.models import Analysis
from patients import removal
from patients.models import Instance, Patient, Series, Site, Study, Upload
from tests.dicom_series import make_series

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def empty_storage(settings, tmp_path):
    settings.STORAGES = {**settings.STORAGES, "default": {**settings.STORAGES["default"]}}
    settings.STORAGES["default"]["OPTIONS"] = {"location": tmp_path / "files", "allow_overwrite": True}
    return tmp_path / "files"


def stored(folder):
    return sorted(path.relative_to(folder).parts[0] for path in folder.rglob("*") if path.is_file())


def receive(site, paths, **named):
    upload = services.receive([ContentFile(path.read_bytes(), name=path.name) for path in paths], site=site, **named)
    tasks.do(queue.claim(Upload, upload.pk))
    upload.refresh_from_db()
    return upload


def finish(analysis):
    analysis.heatmap = default_storage.save(f"analyses/{analysis.pk}/1/heatmap.gz", ContentFile(b"x"))
    analysis.state, analysis.report = "DONE", {}
    analysis.save()


def test_a_patient_goes_with_images_heat_maps_collisions_and_what_waits(site, tmp_path, empty_storage):
    receive(site, make_series(tmp_path / "ct", PatientID="7"))
    finish(Analysis.objects.get())
    twins = make_series(tmp_path / "twins", slices=2, PatientID="7", SOPInstanceUID="1.2.3")
    receive(site, twins)
    patient = Patient.objects.get()
    held = receive(site, make_series(tmp_path / "other", slices=1, PatientID="8"), patient=patient)
    assert held.state == "needs_confirmation"
    kept = receive(site, make_series(tmp_path / "kept", slices=3, PatientID="9"))
    assert set(stored(empty_storage)) == {"instances", "analyses", "collisions", "uploads"}
    removal.delete(Patient.objects.filter(patient_id="7"))
    assert stored(empty_storage) == ["instances"] * 3
    assert (list(Upload.objects.all()), Instance.objects.count()) == ([kept], 3)
    assert not Analysis.objects.exists()


def test_an_image_that_another_site_holds_too_keeps_its_file(site, tmp_path, empty_storage):
    south = Site.objects.create(code="south", name="South hospital")
    paths = make_series(tmp_path / "ct", slices=3)
    receive(site, paths)
    receive(south, paths)
    for where, left in ((site, 3), (south, 0)):
        removal.delete(Patient.objects.filter(site=where))
        assert len(stored(empty_storage)) == left


def test_an_upload_of_two_studies_goes_with_the_last(site, tmp_path):
    first, second = make_series(tmp_path / "first", slices=1), make_series(tmp_path / "second", slices=1)
    receive(site, first + second)
    for left in (1, 0):
        removal.delete(Study.objects.filter(pk=Study.objects.first().pk))
        assert Upload.objects.count() == left


def test_files_stay_where_the_deletion_is_undone(site, tmp_path, empty_storage):
    receive(site, make_series(tmp_path / "ct", slices=3))
    with transaction.atomic():
        removal.delete(Patient.objects.all())
        transaction.set_rollback(True)
    assert len(stored(empty_storage)) == Instance.objects.count() == 3


def test_the_administration_deletes_files_too(admin_client, site, tmp_path, empty_storage):
    receive(site, make_series(tmp_path / "ct", slices=3))
    receive(site, make_series(tmp_path / "more", slices=2))
    series = Series.objects.order_by("pk").first()
    admin_client.post(f"/admin/patients/series/{series.pk}/delete/", {"post": "yes"})
    assert len(stored(empty_storage)) == 2
    action = {"action": "delete_selected", "_selected_action": [Patient.objects.get().pk], "post": "yes"}
    admin_client.post("/admin/patients/patient/", action)
    assert stored(empty_storage) == []
