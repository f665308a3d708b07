"""``manage.py export_corrections``: the newest word of readers, and images that name no patient."""

import csv
import datetime
from dataclasses import replace
from io import StringIO

import nibabel
import numpy as np
import pytest
from django.contrib.auth import get_user_model
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from pydicom import dcmread
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from analysis.corrections_export import KEPT
from analysis.models import Analysis, SliceCorrection
from analysis.pipeline.decoding import decode
from analysis.pipeline.nifti import LPS_TO_RAS
from analysis.pipeline.pixels import read_volume
from analysis.pipeline.series import check_series, find_series, read_header
from analysis.storage import read_map
from analysis.training import corrections
from patients.models import Instance, Patient, Series, Site, Study
from tests.analysis.finished import SLICES, finished_analysis
from tests.analysis.pages import DAY
from tests.analysis.received import receive, without_identifier_in_the_dataset
from tests.dicom_series import make_series

pytestmark = pytest.mark.django_db

NAMING = {
    "PatientName": "Doe^Jane", "PatientID": "DOE-0193", "OtherPatientNames": "Roe^Jane", "PatientComments": "Jane Doe",
    "PatientBirthDate": "19600101", "InstitutionName": "North hospital", "ReferringPhysicianName": "Doc^Jane",
    "OperatorsName": "Op^Jane", "ImageComments": "Jane", "ContrastBolusAgent": "given by Jane Doe",
    "SeriesDescription": "Thorax Doe Jane",
}  # fmt: skip
SYNTAXES = (
    ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, RLELossless,
    JPEG2000Lossless,
)  # fmt: skip


def export(folder, *arguments):
    output, errors = StringIO(), StringIO()
    call_command("export_corrections", str(folder), *arguments, stdout=output, stderr=errors)
    with (folder / "corrections.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file)), output.getvalue(), errors.getvalue()


def say(analysis, index, abnormal, **fields):
    uid = analysis.report["slices"][index]["sop_instance_uid"]
    return SliceCorrection.objects.create(analysis=analysis, sop_instance_uid=uid, abnormal=abnormal, **fields)


def analysed(site, paths):
    """A result of a series as it was received, without a run of the pipeline."""
    receive(site, paths)
    series = Series.objects.get()
    uids = series.instances.values_list("sop_instance_uid", flat=True)
    report = {"slices": [{"sop_instance_uid": uid} for uid in uids]}
    return Analysis.objects.create(series=series, state="DONE", report=report)


def test_the_newest_word_on_a_slice_is_exported_with_the_whole_series(analysis, user, tmp_path):
    say(analysis, 5, False, user=user, reason="Vessel, says Dr Jane")
    say(analysis, 5, True)
    say(analysis, 6, False)
    rows, said, _ = export(tmp_path / "out")
    assert [(row["sop_instance_uid"], row["abnormal"]) for row in rows] == [("1.2.1.1.5", "1"), ("1.2.1.1.6", "0")]
    assert {row["series_instance_uid"] for row in rows} == {"1.2.1.1"}
    assert list(rows[0]) == ["patient", "series_instance_uid", "sop_instance_uid", "abnormal"]
    assert said == "2 corrected slices and 0 findings in 1 series of 1 patients, 0 series left out\n"
    names = sorted(path.name for path in (tmp_path / "out" / "1.2.1.1").iterdir())
    assert names == [*(f"{number:04d}.dcm" for number in range(1, SLICES + 1)), "opacity_found.nii.gz"]
    headers = check_series(find_series(tmp_path / "out" / "1.2.1.1")).headers
    assert [header.sop_instance_uid for header in headers] == [f"1.2.1.1.{index}" for index in range(SLICES)]


def test_the_outlines_of_the_networks_lie_on_the_series_for_a_reader_to_mend(analysis, tmp_path):
    say(analysis, 5, True)
    export(tmp_path / "out")
    folder = tmp_path / "out" / "1.2.1.1"
    volume = read_volume(check_series(find_series(folder)))
    written = nibabel.load(folder / "opacity_found.nii.gz")
    assert np.allclose(written.affine, LPS_TO_RAS @ volume.affine_lps)
    labels = np.asarray(written.dataobj).transpose(2, 1, 0)
    stored = read_map(analysis.opacity_map)
    assert labels.shape == volume.hu.shape
    assert [index for index in range(SLICES) if labels[index].any()] == np.flatnonzero(stored.any((1, 2))).tolist()
    assert set(np.unique(labels)) == set(np.unique(stored))
    (mended := folder / "opacity.nii.gz").write_bytes((folder / "opacity_found.nii.gz").read_bytes())
    outlined = corrections._opacity(mended, volume)
    assert outlined.any((1, 2)).tolist() == stored.any((1, 2)).tolist()


def test_a_word_on_a_newer_result_of_the_series_counts(analysis, tmp_path):
    say(analysis, 5, True)
    newer = Analysis.objects.create(series=analysis.series, state="DONE", report=analysis.report)
    say(newer, 5, False)
    rows, *_ = export(tmp_path / "out")
    assert [row["abnormal"] for row in rows] == ["0"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_the_pipeline_reads_the_export_as_it_reads_the_original(site, tmp_path, syntax):
    elements = {"PixelPaddingValue": 0, "PixelPaddingRangeLimit": 60, "PatientAge": "060Y"}
    paths = make_series(tmp_path / "ct", transfer_syntax_uid=syntax, **elements)
    say(analysed(site, paths), 3, True)
    (row,), *_ = export(tmp_path / "out")
    exported = sorted((tmp_path / "out" / row["series_instance_uid"]).iterdir())
    check_series(find_series(exported[0].parent))
    for original, copy in zip(paths, exported, strict=True):
        left_behind = {"path": copy, "series_description": "", "age_years": None}
        assert read_header(copy) == replace(read_header(original), **left_behind)
        assert np.array_equal(decode(copy, "copy"), decode(original, "original"))


@pytest.mark.django_db(transaction=True)
def test_files_without_preamble_or_identifier_of_the_slice_get_both(site, tmp_path):
    paths = without_identifier_in_the_dataset(make_series(tmp_path / "ct"))
    for path in paths:
        path.write_bytes(path.read_bytes()[132:])
    analysis = analysed(site, paths)
    say(analysis, 3, True)
    (row,), *_ = export(tmp_path / "out")
    copies = sorted((tmp_path / "out" / row["series_instance_uid"]).iterdir())
    headers = check_series(find_series(copies[0].parent)).headers
    assert row["sop_instance_uid"] in [header.sop_instance_uid for header in headers]
    assert all(copy.read_bytes()[128:132] == b"DICM" for copy in copies)


@pytest.mark.django_db(transaction=True)
def test_nothing_that_names_the_patient_is_exported(site, tmp_path):
    def hidden(_, dataset):
        dataset.preamble = b"Jane Doe".ljust(128, b"\0")
        dataset.file_meta.SourceApplicationEntityTitle = "JANE"
        dataset.private_block(0x0011, "JANE", create=True).add_new(1, "LO", "Doe^Jane")
        for keyword, value in NAMING.items():
            setattr(dataset, keyword, value)
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{dataset.InstanceNumber}"

    paths = make_series(tmp_path / "ct", SeriesInstanceUID="1.2.3", change=hidden)
    say(analysed(site, paths), 3, True, reason="Jane Doe coughs")
    (row,), said, errors = export(tmp_path / "out")
    for path in (tmp_path / "out").rglob("*"):
        if path.is_file():
            content = path.read_bytes().lower()
            assert not [word for word in (b"jane", b"doe", b"north", b"19600101", b"20200305") if word in content], path
    assert not any("jane" in text.lower() for text in (said, errors))
    exported = dcmread(tmp_path / "out" / row["series_instance_uid"] / "0001.dcm")
    written = {"PatientID", "SOPInstanceUID", "SeriesInstanceUID", "PatientIdentityRemoved", "DeidentificationMethod"}
    assert {element.keyword for element in exported} <= {*KEPT, *written, "ContrastBolusAgent"}
    assert (exported.PatientID, exported.ContrastBolusAgent) == (row["patient"], "YES")


def test_a_patient_is_the_same_code_in_every_export_and_no_other_patients(analysis, site, tmp_path):
    other = Patient.objects.create(site=site, patient_id="2")
    second = finished_analysis(other, tmp_path, date=DAY)
    third = finished_analysis(other, tmp_path, date=DAY + datetime.timedelta(days=9))
    for each in (analysis, second, third):
        say(each, 5, True)
    rows, *_ = export(tmp_path / "out")
    codes = {row["series_instance_uid"]: row["patient"] for row in rows}
    assert codes["1.2.2.1"] == codes["1.2.3.1"] != codes["1.2.1.1"]
    assert export(tmp_path / "again")[0] == rows
    Patient.objects.filter(pk=other.pk).update(patient_name="Renamed")
    assert export(tmp_path / "renamed")[0] == rows


def test_one_site_is_exported_alone(analysis, tmp_path):
    south = Site.objects.create(code="south", name="South hospital")
    elsewhere = finished_analysis(Patient.objects.create(site=south, patient_id="0193"), tmp_path, date=DAY)
    for each in (analysis, elsewhere):
        say(each, 5, True)
    rows, *_ = export(tmp_path / "out", "--site", "south")
    assert [row["series_instance_uid"] for row in rows] == [elsewhere.series.series_instance_uid]
    with pytest.raises(CommandError, match="Known sites: north, south"):
        export(tmp_path / "nowhere", "--site", "nowhere")


def test_a_series_that_two_sites_hold_is_one_of_one_patient(analysis, tmp_path):
    south = Site.objects.create(code="south", name="South hospital")
    patient = Patient.objects.create(site=south, patient_id="0193")
    study = Study.objects.create(patient=patient, study_instance_uid="1.2.1")
    series = Series.objects.create(study=study, series_instance_uid="1.2.1.1")
    for each in analysis.series.instances.all():
        Instance.objects.create(
            series=series, site=south, sop_instance_uid=each.sop_instance_uid, sha256=each.sha256, file=each.file.name
        )
    say(analysis, 5, True)
    say(Analysis.objects.create(series=series, state="DONE", report=analysis.report), 6, False)
    rows, said, _ = export(tmp_path / "out")
    assert len({row["patient"] for row in rows}) == 1
    assert said.startswith("2 corrected slices and 0 findings in 1 series of 1 patients")
    assert len(find_series(tmp_path / "out" / "1.2.1.1")) == SLICES


@pytest.mark.parametrize("uid", ["../../outside", "DOE^JANE", "1.2.3/4"])
def test_an_identifier_that_is_no_uid_becomes_one(analysis, tmp_path, uid):
    Series.objects.update(series_instance_uid=uid)
    say(analysis, 5, True)
    (row,), *_ = export(tmp_path / "deep" / "out")
    assert row["series_instance_uid"].startswith("1.2.826")
    assert len(find_series(tmp_path / "deep" / "out" / row["series_instance_uid"])) == SLICES
    assert sorted(path.name for path in (tmp_path / "deep").iterdir()) == ["out"]


def test_a_series_with_a_missing_image_is_left_out_and_the_others_are_not(analysis, site, tmp_path):
    other = finished_analysis(Patient.objects.create(site=site, patient_id="2"), tmp_path, date=DAY)
    for each in (analysis, other):
        say(each, 5, True)
    default_storage.delete(analysis.series.instances.last().file.name)
    rows, said, errors = export(tmp_path / "out")
    assert [row["series_instance_uid"] for row in rows] == [other.series.series_instance_uid]
    assert "1 series left out" in said
    assert errors.startswith("1.2.1.1 was left out: A stored image of this series is missing")
    assert not (tmp_path / "out" / "1.2.1.1").exists()


@pytest.mark.django_db(transaction=True)
def test_images_with_burned_in_text_are_left_out(site, tmp_path):
    say(analysed(site, make_series(tmp_path / "ct", BurnedInAnnotation="YES")), 3, True)
    rows, said, errors = export(tmp_path / "out")
    assert (rows, "burned-in text" in errors) == ([], True)
    assert said == "0 corrected slices and 0 findings in 0 series of 0 patients, 1 series left out\n"


def test_a_folder_that_holds_something_is_left_as_it_is(analysis, tmp_path):
    say(analysis, 5, True)
    (tmp_path / "out").mkdir()
    export(tmp_path / "out")  # empty
    before = sorted(tmp_path.rglob("*"))
    for taken in (tmp_path / "out", tmp_path / "out" / "corrections.csv"):
        with pytest.raises(CommandError, match="nothing was written"):
            call_command("export_corrections", str(taken))
    assert sorted(tmp_path.rglob("*")) == before


def test_a_word_outlives_the_account_of_the_reader(analysis, user, tmp_path):
    say(analysis, 5, True, user=user)
    get_user_model().objects.all().delete()
    rows, *_ = export(tmp_path / "out")
    assert len(rows) == 1
