"""What becomes of each file of an upload, on the real database."""

import datetime
import io
import shutil
import zipfile

import pytest
from django.core.files.storage import default_storage
from pydicom import dcmread
from pydicom.uid import MRImageStorage, generate_uid

from patients.ingest import SEVERAL_PEOPLE, SYNTHETIC_MANUFACTURER, store
from patients.models import Instance, Patient, Series, Study, Upload
from tests.dicom_series import make_series


@pytest.fixture
def upload(site):
    return Upload.objects.create(site=site)


def outcomes(ingested):
    return [outcome.outcome for outcome in ingested.files]


def received(paths):
    return [(path.name, path) for path in paths]


def test_stores_patient_study_series_and_instances(upload, tmp_path):
    paths = make_series(tmp_path / "ct", PatientID="0193", PatientName="Doe^Jane", StudyDate="20200312")
    ingested = store(upload, received(paths))
    assert outcomes(ingested) == ["stored"] * 12
    patient = Patient.objects.get()
    assert (patient.site, patient.patient_id, patient.patient_name) == (upload.site, "0193", "Doe^Jane")
    assert patient.birth_date == datetime.date(1960, 1, 1)
    assert Study.objects.get().study_date == datetime.date(2020, 3, 12)
    assert Series.objects.get().convolution_kernel == "B30f"
    stored = Instance.objects.first()
    with stored.file.open("rb") as file:
        assert (
            file.read() == next(p for p in paths if dcmread(p).SOPInstanceUID == stored.sop_instance_uid).read_bytes()
        )


def test_the_same_files_again_are_already_stored(upload, site, tmp_path):
    paths = make_series(tmp_path / "ct")
    store(upload, received(paths))
    again = store(Upload.objects.create(site=site), received(paths))
    assert outcomes(again) == ["already_stored"] * 12
    assert Instance.objects.count() == 12
    assert set(again.series) == {Series.objects.get().pk}


def test_a_lost_file_is_repaired_by_sending_the_scan_again(upload, site, tmp_path):
    paths = make_series(tmp_path / "ct")
    store(upload, received(paths))
    lost = Instance.objects.get(sop_instance_uid=dcmread(paths[5]).SOPInstanceUID)
    default_storage.delete(lost.file.name)
    again = store(Upload.objects.create(site=site), received(paths))
    assert outcomes(again) == ["already_stored"] * 12
    lost.refresh_from_db()
    with lost.file.open("rb") as file:
        assert file.read() == paths[5].read_bytes()


def test_a_second_attempt_at_one_upload_gives_the_same_outcomes(upload, tmp_path):
    paths = make_series(tmp_path / "ct")
    assert outcomes(store(upload, received(paths))) == outcomes(store(upload, received(paths)))


def test_same_identifier_with_other_content_is_kept_aside(upload, site, tmp_path):
    paths = make_series(tmp_path / "ct")
    store(upload, received(paths))
    changed = dcmread(paths[3])
    changed.PixelData = changed.PixelData[::-1]
    changed.save_as(tmp_path / "changed.dcm")
    other = Upload.objects.create(site=site)
    ingested = store(other, received([tmp_path / "changed.dcm"]))
    assert outcomes(ingested) == ["collision"]
    assert "kept aside" in ingested.files[0].reason
    kept = Instance.objects.get(sop_instance_uid=changed.SOPInstanceUID)
    with kept.file.open("rb") as file:
        assert file.read() == paths[3].read_bytes()  # the first one is never overwritten
    assert len(default_storage.listdir(f"collisions/{other.pk}")[1]) == 1


def test_bad_files_are_refused_each_with_its_own_reason_and_the_rest_is_stored(upload, tmp_path):
    paths = make_series(tmp_path / "ct")
    whole = paths[0].read_bytes()
    mr = dcmread(paths[0])
    mr.SOPClassUID = mr.file_meta.MediaStorageSOPClassUID = MRImageStorage
    mr.Modality = "MR"
    mr.save_as(tmp_path / "mr.dcm")
    packed = tmp_path / "scan.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("notes.txt", "not an image")
        archive.writestr("cut_in_header.dcm", whole[:500])
        archive.writestr("cut_in_pixels.dcm", whole[: len(whole) * 2 // 3])
        archive.writestr("../evil.dcm", whole)
        archive.write(tmp_path / "mr.dcm", "mr.dcm")
        for path in paths:
            archive.write(path, path.name)
    ingested = store(upload, received([packed]))
    refused = {
        outcome.name.split("/")[-1]: outcome.reason for outcome in ingested.files if outcome.outcome == "refused"
    }
    assert set(refused) == {"notes.txt", "cut_in_header.dcm", "cut_in_pixels.dcm", "evil.dcm", "mr.dcm"}
    assert len(set(refused.values())) == 5
    assert all(len(reason) > 20 for reason in refused.values())
    assert "MR" in refused["mr.dcm"]
    assert outcomes(ingested).count("stored") == 12


def test_an_empty_zip_has_its_reason(upload, tmp_path):
    body = io.BytesIO()
    zipfile.ZipFile(body, "w").close()
    (tmp_path / "empty.zip").write_bytes(body.getvalue())
    ingested = store(upload, received([tmp_path / "empty.zip"]))
    assert outcomes(ingested) == ["refused"]
    assert "holds no files" in ingested.files[0].reason


def test_a_truncated_file_does_not_take_the_whole_slices_place(upload, tmp_path):
    paths = make_series(tmp_path / "ct")
    cut = tmp_path / "cut.dcm"
    cut.write_bytes(paths[0].read_bytes()[:-1000])
    assert outcomes(store(upload, received([cut, paths[0]]))) == ["refused", "stored"]


def test_an_undecodable_image_does_not_take_the_whole_ones_place(upload, tmp_path):
    paths = make_series(tmp_path / "ct")
    broken = tmp_path / "broken.dcm"
    shutil.copy(paths[3], broken)
    changed = dcmread(broken)
    changed.PixelData = changed.PixelData[::-1]
    changed.save_as(broken)

    def why_undecodable(path):
        return "It is damaged." if path == broken else ""

    ingested = store(upload, received([broken, paths[3], broken]), why_undecodable=why_undecodable)
    assert outcomes(ingested) == ["refused", "stored", "refused"]
    assert ingested.files[0].reason == "It is damaged."
    assert not ingested.collisions


def test_without_patient_id_the_file_needs_a_named_patient(upload, site, tmp_path):
    paths = make_series(tmp_path / "ct", PatientID="", PatientName="")
    ingested = store(upload, received(paths))
    assert set(outcomes(ingested)) == {"refused"}
    assert "patient ID" in ingested.files[0].reason
    patient = Patient.objects.create(site=site, patient_id="7")
    named = Upload.objects.create(site=site, patient=patient)
    assert set(outcomes(store(named, received(paths)))) == {"stored"}
    assert Study.objects.get().patient == patient


@pytest.mark.parametrize(
    ("elements", "word"),
    [
        ({"PatientID": "OTHER"}, "patient ID"),
        ({"PatientID": "7", "PatientBirthDate": "19500505"}, "birth date"),
        ({"PatientID": "7", "PatientName": "Someone^Else"}, "name"),
    ],
)
def test_another_patients_scan_is_held_back_until_confirmed(site, tmp_path, elements, word):
    patient = Patient.objects.create(
        site=site, patient_id="7", patient_name="TEST^PATIENT", birth_date=datetime.date(1960, 1, 1)
    )
    paths = make_series(tmp_path / "ct", **elements)
    upload = Upload.objects.create(site=site, patient=patient)
    held = store(upload, received(paths))
    assert word in held.mismatch
    assert not Instance.objects.exists()
    upload.confirmed_by = "ward"
    assert set(outcomes(store(upload, received(paths)))) == {"stored"}
    assert Study.objects.get().patient == patient


def test_the_same_person_in_another_spelling_is_not_held_back(site, tmp_path):
    patient = Patient.objects.create(site=site, patient_id="TEST-1", patient_name="TEST^patient ")
    paths = make_series(tmp_path / "ct")
    upload = Upload.objects.create(site=site, patient=patient)
    assert set(outcomes(store(upload, received(paths)))) == {"stored"}


def test_an_image_of_another_patient_of_the_site_is_not_stored_twice(upload, site, tmp_path):
    paths = make_series(tmp_path / "ct")
    store(upload, received(paths))
    other = Patient.objects.create(site=site, patient_id="9")
    again = store(Upload.objects.create(site=site, patient=other, confirmed_by="ward"), received(paths))
    assert set(outcomes(again)) == {"refused"}
    assert "another patient" in again.files[0].reason


def test_an_identifier_used_for_two_patients_is_a_collision_and_leaves_no_empty_patient(upload, site, tmp_path):
    paths = make_series(tmp_path / "ct")
    store(upload, received(paths))
    for path in paths:
        dataset = dcmread(path)
        dataset.PatientID = "renamed"
        dataset.save_as(path)
    other = Upload.objects.create(site=site)
    again = store(other, received(paths))
    assert set(outcomes(again)) == {"collision"}
    assert "another patient" in again.files[0].reason
    assert len(default_storage.listdir(f"collisions/{other.pk}")[1]) == 12
    assert (again.series, again.collisions.total()) == ({}, 0)  # nothing is said of the other patient's series
    assert Patient.objects.count() == 1


def test_slices_that_share_one_sop_instance_uid_collide(upload, tmp_path):
    paths = make_series(tmp_path / "ct", SOPInstanceUID=generate_uid())
    ingested = store(upload, received(paths))
    assert outcomes(ingested) == ["stored"] + ["collision"] * 11
    assert sum(ingested.collisions.values()) == 11


def test_sites_keep_their_patients_apart(upload, stranger, tmp_path):
    paths = make_series(tmp_path / "ct")
    store(upload, received(paths))
    other = Upload.objects.create(site=stranger.sites.get())
    assert set(outcomes(store(other, received(paths)))) == {"stored"}
    assert Patient.objects.count() == 2


def test_a_file_sent_twice_in_one_upload_is_stored_once(upload, tmp_path):
    paths = make_series(tmp_path / "ct")
    ingested = store(upload, received([*paths, paths[0]]))
    assert outcomes(ingested) == ["stored"] * 12 + ["already_stored"]
    assert "twice" in ingested.files[-1].reason
    assert Instance.objects.count() == 12


def test_progress_counts_the_files_of_a_zip(upload, tmp_path):
    paths = make_series(tmp_path / "ct")
    with zipfile.ZipFile(tmp_path / "ct.zip", "w") as archive:
        for path in paths[:8]:
            archive.write(path, path.name)
    seen = []
    store(upload, [("ct.zip", tmp_path / "ct.zip"), *received(paths[8:])], seen.append)
    assert seen == pytest.approx([n / 12 for n in range(1, 13)])


def test_the_same_id_of_another_issuer_is_another_patient(site, tmp_path):
    patient = Patient.objects.create(site=site, patient_id="0193", issuer_of_patient_id="NORTH")
    to_patient = Upload.objects.create(site=site, patient=patient)
    elements = {"PatientID": "0193", "IssuerOfPatientID": "SOUTH"}
    held = store(to_patient, received(make_series(tmp_path / "ct", **elements)))
    assert outcomes(held) == ["refused"] * 12
    assert "issuer" in held.mismatch
    same = store(to_patient, received(make_series(tmp_path / "same", PatientID="0193", IssuerOfPatientID="NORTH")))
    assert outcomes(same) == ["stored"] * 12


@pytest.mark.parametrize(("known", "named"), [("", "NORTH"), ("NORTH", ""), ("NORTH", "NORTH")])
def test_an_issuer_that_is_not_named_splits_no_patient(site, upload, tmp_path, known, named):
    patient = Patient.objects.create(site=site, patient_id="0193", issuer_of_patient_id=known)
    assert outcomes(store(upload, received(make_series(tmp_path, PatientID="0193", IssuerOfPatientID=named)))) == (
        ["stored"] * 12
    )
    assert Study.objects.get().patient == patient == Patient.objects.get()
    assert Patient.objects.get().issuer_of_patient_id == "NORTH"


def test_an_unknown_issuer_joins_nobody_of_another_name_or_one_of_two(site, upload, tmp_path):
    Patient.objects.create(site=site, patient_id="1", patient_name="Roe^Jim")
    for issuer in ("NORTH", "SOUTH"):
        Patient.objects.create(site=site, patient_id="2", issuer_of_patient_id=issuer)
    for patient_id, issuer in (("1", "NORTH"), ("2", "")):
        folder = tmp_path / patient_id
        store(upload, received(make_series(folder, PatientID=patient_id, IssuerOfPatientID=issuer, slices=2)))
        assert Study.objects.latest("pk").patient == Patient.objects.latest("pk")
    assert Patient.objects.count() == 5


def test_the_issuer_of_an_id_that_another_row_has_is_not_taken_over(site, tmp_path):
    unnamed = Patient.objects.create(site=site, patient_id="0193")
    Patient.objects.create(site=site, patient_id="0193", issuer_of_patient_id="NORTH")
    to_unnamed = Upload.objects.create(site=site, patient=unnamed)
    paths = make_series(tmp_path, PatientID="0193", IssuerOfPatientID="NORTH", slices=2)
    assert outcomes(store(to_unnamed, received(paths))) == ["stored"] * 2
    assert Study.objects.get().patient == unnamed


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_date_that_the_first_files_do_not_carry_is_taken_from_later_ones(upload, tmp_path, by_hand):
    paths = make_series(tmp_path, StudyDate=None, StudyTime=None)
    uids = {name: getattr(dcmread(paths[0]), name) for name in ("StudyInstanceUID", "PatientID")}
    store(upload, received(paths))
    if by_hand:
        Study.objects.update(study_date=datetime.date(2020, 1, 1), dated_by_hand=True)
    store(upload, received(make_series(tmp_path / "later", StudyDate="20200312", **uids)))
    store(upload, received(make_series(tmp_path / "other", StudyDate="20200401", **uids)))
    study = Study.objects.get()
    assert (study.study_date, study.dated_by_hand) == (datetime.date(2020, 3, 12), False)
    assert study.study_time is not None


@pytest.mark.parametrize(("patient_is_synthetic", "words"), [(True, "of a person"), (False, "made by a generator")])
def test_synthetic_and_real_scans_do_not_mix_unasked(site, tmp_path, patient_is_synthetic, words):
    patient = Patient.objects.create(site=site, patient_id="0193", synthetic=patient_is_synthetic)
    maker = "TEST" if patient_is_synthetic else SYNTHETIC_MANUFACTURER
    paths = make_series(tmp_path / "ct", PatientID="0193", Manufacturer=maker)
    held = store(Upload.objects.create(site=site), received(paths))
    assert outcomes(held) == ["refused"] * 12
    assert words in held.mismatch
    confirmed = Upload.objects.create(site=site, patient=patient, confirmed_by="ward")
    assert outcomes(store(confirmed, received(paths))) == ["stored"] * 12


def test_files_of_another_name_say_whom_they_name_and_once_confirmed_leave_a_note(site, user, tmp_path):
    patient = Patient.objects.create(site=site, patient_id="0193", patient_name="Doe^Jane")
    paths = make_series(tmp_path / "ct", PatientID="0207", PatientName="Roe^Jim", PatientBirthDate="19500203")
    upload = Upload.objects.create(site=site, user=user, patient=patient)
    ingested = store(upload, received(paths))
    assert set(outcomes(ingested)) == {"refused"}
    named = {"patient_id": "0207", "patient_name": "Roe^Jim", "birth_date": "1950-02-03"}
    assert ingested.held_for == [{"patient": patient.pk, **named, "sex": "O"}]
    upload.confirmed_by = "night"
    assert set(outcomes(store(upload, received(paths)))) == {"stored"}
    note = Study.objects.get(patient=patient).accepted_mismatch
    assert "night stored it here although the scan carries another patient ID and name" in note
    assert "Roe" not in note


@pytest.mark.parametrize(
    ("first", "second", "word"),
    [
        ({"PatientName": "Weber^Hans"}, {"PatientName": "Fischer^Otto"}, "another name"),
        ({"PatientBirthDate": "19540101"}, {"PatientBirthDate": "19600101"}, "another birth date"),
        ({"PatientSex": "F"}, {"PatientSex": "M"}, "another sex"),
    ],
)
@pytest.mark.parametrize("at_once", [True, False])
def test_what_a_record_lacks_comes_from_the_first_file_so_that_another_person_is_held_back(
    site, tmp_path, first, second, word, at_once
):
    nobody = {"PatientName": "", "PatientBirthDate": "", "PatientSex": ""}
    patient = Patient.objects.create(site=site, patient_id="0193")
    one = make_series(tmp_path / "a", PatientID="0193", **(nobody | first))
    other = make_series(tmp_path / "b", PatientID="0193", **(nobody | second))
    for paths in ([*one, *other],) if at_once else (one, other):
        ingested = store(Upload.objects.create(site=site), received(paths))
    assert outcomes(ingested)[-12:] == ["refused"] * 12
    assert word in ingested.mismatch
    assert Study.objects.get().patient == patient
    patient.refresh_from_db()
    said = {"PatientName": patient.patient_name, "PatientSex": patient.sex}
    said["PatientBirthDate"] = f"{patient.birth_date:%Y%m%d}" if patient.birth_date else ""
    assert said == nobody | first


def test_what_another_worker_took_over_meanwhile_counts(site, tmp_path):
    patient = Patient.objects.create(site=site, patient_id="0193")
    stale = Upload.objects.create(site=site, patient=Patient.objects.get(pk=patient.pk))
    Patient.objects.filter(pk=patient.pk).update(patient_name="Weber^Hans")
    paths = make_series(tmp_path / "ct", PatientID="0193", PatientName="Fischer^Otto")
    ingested = store(stale, received(paths))
    assert set(outcomes(ingested)) == {"refused"}
    assert "another name" in ingested.mismatch
    patient.refresh_from_db()
    assert patient.patient_name == "Weber^Hans"


def test_one_person_written_in_two_ways_is_asked_about_once(site, tmp_path):
    patient = Patient.objects.create(site=site, patient_id="0193", patient_name="Doe^Jane")
    said = {"PatientID": "0207", "PatientBirthDate": "19500203"}
    first = make_series(tmp_path / "a", PatientName="Roe^Jim", PatientSex="M", **said)
    second = make_series(tmp_path / "b", PatientName="ROE^JIM", PatientSex="", **said)
    ingested = store(Upload.objects.create(site=site, patient=patient), received([*first, *second]))
    (named,) = ingested.held_for
    assert (named["patient_name"], named["sex"]) == ("Roe^Jim", "M")
    assert ingested.mismatch != SEVERAL_PEOPLE


def test_files_of_several_people_are_said_to_be_so(site, tmp_path):
    patient = Patient.objects.create(site=site, patient_id="0193", patient_name="Doe^Jane")
    slight = make_series(tmp_path / "slight", PatientID="0193", PatientName="Doe^Janet")
    grave = make_series(tmp_path / "grave", PatientID="0207", PatientName="Roe^Jim")
    ingested = store(Upload.objects.create(site=site, patient=patient), received([*slight, *grave]))
    assert (ingested.mismatch, len(ingested.held_for)) == (SEVERAL_PEOPLE, 2)


def test_files_that_fit_leave_no_note(upload, tmp_path):
    store(upload, received(make_series(tmp_path / "ct")))
    assert Study.objects.get().accepted_mismatch == ""
