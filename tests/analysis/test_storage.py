"""Results as rows and files."""

import datetime
import gzip
from importlib import import_module
from types import SimpleNamespace

import numpy as np
import pytest
from django.apps import apps
from django.core.files.base import ContentFile
from django.db.models.fields.files import FieldFile
from storages.backends.s3 import S3Storage

from analysis import queue, storage
from analysis.models import Analysis
from analysis.pipeline.headers import UnusableSeries
from analysis.pipeline.report import Finding, Method, ModelVersion, Opacity, QualityFlag, Report, Severity
from patients.models import Instance, Patient, Series, Study
from tests.analysis.finished import finished_analysis
from tests.servers import s3_bucket

NAMES = ("there.dcm", "gone.dcm")
FLAG = {"code": "noise", "message": "The images are noisy.", "severe": False, "slice_number": None}
MODEL = {"name": "lung-unet", "version": "1.0", "sha256": "ab" * 32}


@pytest.fixture
def running(site):
    study = Study.objects.create(patient=Patient.objects.create(site=site, patient_id="1"), study_instance_uid="1.2")
    return queue.claim(Analysis, Analysis.objects.create(series=study.series.create(series_instance_uid="1.2.3")).pk)


def result():
    report = Report(
        series_instance_uid="1.2.3",
        slices=(),
        lung_volume_ml=4000.0,
        positive_ratio=0.5,
        threshold=0.1,
        slice_threshold=0.3,
        suspected=True,
        corona_score_cm3=12.5,
        corona_score_paper_cm3=20.0,
        score_variation=0.04,
        opacity=Opacity(12.5, 3.0, (), Severity(6, 24)),
        findings=(Finding("nodule", "solid", (1.0, 2.0, 3.0), 0.5, 9.9, 9.1, 20.0, False, 0.9, "left", "upper"),),
        quality=(QualityFlag(**FLAG),),
        models=(ModelVersion(**MODEL),),
        method=Method(3, -750.0, 8.0, 4.0, 0.5, -200.0),
        software_version="1.0",
        seconds={},
    )
    heatmap, opacity = np.zeros((2, 3, 512, 512), dtype=np.uint8)
    opacity[1, 100:300, 200:400] = 2
    findings = np.zeros((3, 512, 512), dtype=np.uint16)
    findings[2, 0:20, 0:20] = 1
    lungs = opacity > 0
    return SimpleNamespace(report=report, heatmap=heatmap, opacity=opacity, findings=findings, lungs=lungs)


@pytest.mark.django_db(transaction=True)
def test_a_result_stands_in_the_row_with_its_flags_and_networks(running):
    storage.save_result(running, result())
    row = Analysis.objects.get()
    assert (row.state, row.corona_score_cm3, row.score_variation, row.suspected) == ("DONE", 12.5, 0.04, True)
    assert (row.quality, row.model_versions, row.method_version) == ([FLAG], [MODEL], 3)
    assert storage.read_map(row.heatmap).shape == (3, 256, 256)
    assert row.opacity_percent == 12.5
    labels = np.frombuffer(gzip.decompress(row.opacity_map.read()), np.uint8).reshape(3, 256, 256)
    assert set(np.unique(labels)) == {0, 2}
    assert (labels[1] == 2).sum() == 100 * 100
    (finding,) = row.findings.all()
    assert (finding.number, finding.centroid_mm, finding.lung, finding.volume_ml) == (1, [1.0, 2.0, 3.0], "left", 0.5)
    assert np.frombuffer(gzip.decompress(row.findings_map.read()), np.uint8).sum() == 10 * 10
    assert np.frombuffer(gzip.decompress(row.lungs_map.read()), np.uint8).sum() == 100 * 100


@pytest.mark.django_db(transaction=True)
def test_a_late_workers_result_leaves_no_file(running):
    Analysis.objects.update(attempt=2)
    with pytest.raises(queue.LeaseLost):
        storage.save_result(running, result())
    for name in storage.MAPS:
        assert not storage.default_storage.exists(f"analyses/{running.pk}/1/{name}.gz")


def test_an_image_that_object_storage_does_not_hold_makes_the_series_unusable(tmp_path):
    with s3_bucket() as bucket:
        options = {name.removeprefix("STORAGE_S3_").lower(): value for name, value in bucket.items()}
        s3 = S3Storage(bucket_name=options.pop("bucket"), region_name=options.pop("region"), **options)
        s3.save("there.dcm", ContentFile(b"pixels"))
        there, gone = (FieldFile(Instance(), SimpleNamespace(storage=s3, attname="file"), name) for name in NAMES)
        with storage.local_images([SimpleNamespace(file=there)]) as (path,):
            assert path.read_bytes() == b"pixels"
        images = storage.local_images([SimpleNamespace(file=there), SimpleNamespace(file=gone)])
        with pytest.raises(UnusableSeries, match="stored image of this series is missing"):
            images.__enter__()


@pytest.mark.django_db
def test_older_results_get_their_flags_and_networks_from_the_report(site, tmp_path):
    patient = Patient.objects.create(site=site, patient_id="1")
    done = finished_analysis(patient, tmp_path, date=datetime.date(2020, 3, 5))
    Analysis.objects.create(series=Series.objects.get())
    Analysis.objects.update(quality=[], model_versions=[])
    import_module("analysis.migrations.0002_quality_and_model_versions").fill_from_reports(apps, None)
    done.refresh_from_db()
    assert (done.quality, done.model_versions) == (done.report["quality"], done.report["models"])
