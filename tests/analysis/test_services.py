"""From received files to a queued analysis, and what users may ask for afterwards."""

from pathlib import Path

import pytest
from botocore.exceptions import EndpointConnectionError
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone
from pydicom import dcmread
from pydicom.uid import JPEG2000Lossless

from analysis import queue, series_choice, services, tasks
from analysis.models import PRIORITY_BATCH, PRIORITY_USER, Analysis
from analysis.trend import trend
from analysis.viewer_scan import scan_of
from patients.models import Patient, Series, Study, Upload
from tests.analysis.received import finish, receive, with_new_identifiers, without_identifier_in_the_dataset
from tests.dicom_series import SAGITTAL, chest_hu, halve_image, make_series

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_upload_leads_to_one_queued_analysis(site, user, tmp_path):
    upload = receive(site, make_series(tmp_path / "ct"), user=user)
    analysis = Analysis.objects.get()
    study = Study.objects.get()
    assert (upload.state, upload.progress) == ("done", 1)
    assert (upload.studies, upload.analyses) == ([study.pk], [analysis.pk])
    assert [(s["used"], s["reason"]) for s in upload.series] == [(True, "")]
    assert (analysis.state, analysis.series, analysis.slice_count) == ("QUEUED", study.chosen_series, 12)


def test_a_localiser_among_the_slices_is_left_out(site, tmp_path):
    shared = {"StudyInstanceUID": "1.2.826.1", "SeriesInstanceUID": "1.2.826.2"}
    paths = make_series(tmp_path / "ct", **shared)
    localiser = {"orientation": SAGITTAL, "ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}
    upload = receive(site, [*paths, *make_series(tmp_path / "localiser", slices=1, **localiser, **shared)])
    series = Series.objects.get()
    assert (series.usable, len(upload.analyses)) == (True, 1)
    assert series.instances.filter(z_mm=None).count() == 1
    assert len(scan_of(series, None)["slices"]) == 12


def test_a_half_image_does_not_take_the_place_of_the_whole_one(site, tmp_path):
    paths = make_series(tmp_path / "ct", transfer_syntax_uid=JPEG2000Lossless)
    halve_image(paths[4], tmp_path / "half.dcm")
    upload = receive(site, [tmp_path / "half.dcm", *paths])
    assert [file["outcome"] for file in upload.files] == ["refused", *["stored"] * 12]
    assert upload.files[0]["reason"] == "The image cannot be decoded: it is damaged. Send it again from the source."
    assert len(upload.analyses) == 1


def test_received_files_are_forgotten_once_worked_off(site, tmp_path):
    upload = receive(site, make_series(tmp_path / "ct"))
    assert not upload.parts.exists()
    assert default_storage.listdir(f"uploads/{upload.pk}")[1] == []


def test_positions_and_spacing_are_kept_with_the_series(site, tmp_path):
    receive(site, make_series(tmp_path / "ct", spacing_mm=(2.5, 4, 4)))
    series = Series.objects.get()
    assert series.slice_spacing_mm == pytest.approx(2.5)
    z_mm = list(series.instances.values_list("z_mm", flat=True))
    assert z_mm == sorted(z_mm, reverse=True)
    assert z_mm[0] - z_mm[-1] == pytest.approx(2.5 * 11)


def test_the_same_files_again_lead_to_the_same_analysis(site, tmp_path):
    paths = make_series(tmp_path / "ct")
    first, again = receive(site, paths), receive(site, paths)
    assert again.analyses == first.analyses
    assert again.studies == first.studies
    assert {file["outcome"] for file in again.files} == {"already_stored"}


def test_a_person_who_sends_what_batch_work_queued_goes_before_it(site, user, tmp_path):
    paths = make_series(tmp_path / "ct")
    receive(site, paths)
    assert Analysis.objects.get().priority == PRIORITY_BATCH
    receive(site, paths, user=user)
    assert Analysis.objects.get().priority == PRIORITY_USER
    receive(site, paths)
    assert Analysis.objects.get().priority == PRIORITY_USER


def test_new_slices_of_an_analysed_series_queue_a_new_run_and_keep_the_old(site, tmp_path):
    paths = make_series(tmp_path / "ct", slices=14)
    receive(site, paths[:12])
    Analysis.objects.update(state="DONE", report={})
    upload = receive(site, paths[12:])
    old, new = Analysis.objects.order_by("pk")
    assert (old.state, old.superseded) == ("DONE", True)
    assert (new.state, new.slice_count, new.superseded) == ("QUEUED", 14, False)
    assert upload.analyses == [new.pk]


def test_new_slices_before_the_run_starts_need_no_second_run(site, tmp_path):
    paths = make_series(tmp_path / "ct", slices=14)
    receive(site, paths[:12])
    receive(site, paths[12:])
    assert Analysis.objects.get().slice_count == 14


def test_the_thinnest_smooth_series_stands_for_the_study(site, tmp_path):
    study = {"StudyInstanceUID": "1.2.826.1"}
    for name, spacing, kernel in [("thick", 5, "B30f"), ("sharp", 1, "B70f"), ("smooth", 1, "B30f")]:
        paths = make_series(tmp_path / name, spacing_mm=(spacing, 4, 4), ConvolutionKernel=kernel, **study)
        upload = receive(site, paths)
    assert Study.objects.get().chosen_series == Series.objects.get(convolution_kernel="B30f", slice_spacing_mm=1)
    assert upload.series[0]["used"]


def test_an_upload_does_not_change_the_series_a_user_chose(site, tmp_path):
    study = {"StudyInstanceUID": "1.2.826.1"}
    receive(site, make_series(tmp_path / "thick", spacing_mm=(5, 4, 4), **study))
    services.choose_series(Study.objects.get(), Series.objects.get())
    receive(site, make_series(tmp_path / "thin", spacing_mm=(1, 4, 4), **study))
    assert Study.objects.get().chosen_series.slice_spacing_mm == 5


def test_a_chosen_series_that_became_unusable_is_not_used_and_gets_no_run(site, tmp_path):
    paths = make_series(tmp_path / "ct")
    receive(site, paths)
    services.choose_series(Study.objects.get(), Series.objects.get())
    upload = receive(site, with_new_identifiers(paths))
    (series,) = upload.series
    assert not series["used"]
    assert "12 slices lie where another one lies" in series["reason"]
    assert upload.analyses == []
    assert [run.state for run in Analysis.objects.all()] == ["CANCELLED"]


def test_a_result_counts_on_though_the_series_is_sent_again_with_other_identifiers(site, tmp_path):
    paths = make_series(tmp_path / "ct")
    receive(site, paths)
    receive(site, make_series(tmp_path / "thick", spacing_mm=(5, 4, 4), StudyInstanceUID="1.2"))
    analysis = Analysis.objects.order_by("pk").first()
    finish(analysis)
    upload = receive(site, with_new_identifiers(paths))
    assert {file["outcome"] for file in upload.files} == {"stored"}
    assert upload.analyses == [analysis.pk]
    assert analysis.series.study.chosen_series == analysis.series
    point = next(point for point in trend(Patient.objects.get()) if point.study == analysis.series.study)
    assert (point.analysis, point.corona_score_cm3, point.pending) == (analysis, 12.0, None)
    (series,) = upload.series
    assert series["used"]
    assert "still counts" in series["reason"]
    assert "what came later is not used: 12 slices lie" in series["reason"]


def test_a_result_counts_on_though_another_series_of_the_study_is_usable(site, tmp_path):
    study = {"StudyInstanceUID": "1.2.826.1"}
    paths = make_series(tmp_path / "thin", **study)
    receive(site, paths)
    finish(Analysis.objects.get())
    receive(site, with_new_identifiers(paths) + make_series(tmp_path / "thick", spacing_mm=(5, 4, 4), **study))
    assert Study.objects.get().chosen_series == Analysis.objects.get().series


def test_a_run_under_way_keeps_its_series_chosen(site, tmp_path):
    paths = make_series(tmp_path / "ct")
    receive(site, paths)
    running = queue.claim_next()
    assert receive(site, with_new_identifiers(paths)).analyses == [running.pk]
    assert Study.objects.get().chosen_series == running.series


def test_a_result_that_was_lost_from_its_study_comes_back_with_the_next_upload(site, tmp_path):
    paths = make_series(tmp_path / "ct")
    receive(site, paths)
    finish(Analysis.objects.get())
    receive(site, with_new_identifiers(paths))
    Study.objects.update(chosen_series=None)
    receive(site, paths)
    assert Study.objects.get().chosen_series == Analysis.objects.get().series


def test_missing_slices_of_an_analysed_series_are_analysed_once_all_are_there(site, tmp_path):
    paths = make_series(tmp_path / "ct", slices=24)
    receive(site, paths[:12])
    finish(Analysis.objects.get())
    assert "missing" in receive(site, paths[14:]).series[0]["reason"]
    assert [run.state for run in Analysis.objects.all()] == ["DONE"]
    receive(site, paths[12:14])
    assert [(run.state, run.slice_count) for run in Analysis.objects.all()] == [("QUEUED", 24), ("DONE", 12)]


def test_a_series_with_a_result_can_be_chosen_again(site, tmp_path):
    study = {"StudyInstanceUID": "1.2.826.1"}
    paths = make_series(tmp_path / "thin", **study)
    receive(site, paths)
    finish(Analysis.objects.get())
    receive(site, with_new_identifiers(paths) + make_series(tmp_path / "thick", spacing_mm=(5, 4, 4), **study))
    thin, thick = Series.objects.order_by("pk")
    services.choose_series(Study.objects.get(), thick)
    services.choose_series(Study.objects.get(), thin)
    assert Study.objects.get().chosen_series == thin
    assert not thin.analyses.filter(state="QUEUED").exists()


def test_a_failed_analysis_of_a_series_that_became_unusable_is_not_retried(site, tmp_path):
    receive(site, make_series(tmp_path / "ct"))
    Analysis.objects.update(state="FAILED")
    Series.objects.update(usable=False, reason="3 slices are missing.")
    with pytest.raises(services.Refusal, match="cannot be analysed: 3 slices are missing"):
        services.retry(Analysis.objects.get())


def test_choosing_another_series_queues_its_analysis(site, tmp_path):
    study = {"StudyInstanceUID": "1.2.826.1"}
    receive(site, make_series(tmp_path / "thin", spacing_mm=(1, 4, 4), **study))
    receive(site, make_series(tmp_path / "thick", spacing_mm=(5, 4, 4), **study))
    thick = Series.objects.get(slice_spacing_mm=5)
    services.choose_series(Study.objects.get(), thick)
    assert Analysis.objects.get(state="QUEUED").series == thick
    assert Analysis.objects.get(state="CANCELLED").series != thick


def test_a_better_series_that_comes_later_takes_the_place_of_one_that_still_waits(site, tmp_path):
    study = {"StudyInstanceUID": "1.2.826.1"}
    receive(site, make_series(tmp_path / "thick", spacing_mm=(5, 4, 4), **study))
    receive(site, make_series(tmp_path / "thin", spacing_mm=(1, 4, 4), **study))
    by_spacing = {run.series.slice_spacing_mm: run.state for run in Analysis.objects.all()}
    assert by_spacing == {5: "CANCELLED", 1: "QUEUED"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"slices": 9}, "9 slices"),
        ({"hu": chest_hu().clip(0, 100)}, "No lung"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "localiser"),
        ({"GantryDetectorTilt": 12}, "tilt"),
    ],
)
def test_an_unusable_series_is_stored_with_its_reason_and_not_analysed(site, tmp_path, arguments, words):
    upload = receive(site, make_series(tmp_path / "ct", **arguments))
    assert {file["outcome"] for file in upload.files} == {"stored"}
    (series,) = upload.series
    assert not series["used"]
    assert words in series["reason"]
    assert (upload.state, upload.analyses) == ("done", [])
    assert not Analysis.objects.exists()


def test_slices_that_share_one_identifier_are_explained_per_series(site, tmp_path):
    upload = receive(site, make_series(tmp_path / "ct", SOPInstanceUID="1.2.3.4"))
    assert "same identifier (SOP Instance UID)" in upload.series[0]["reason"]
    assert "All 12 slices" in upload.series[0]["reason"]


def test_missing_slices_that_arrive_later_make_the_series_usable(site, tmp_path):
    paths = make_series(tmp_path / "ct", slices=20)
    assert "missing" in receive(site, paths[:8] + paths[11:]).series[0]["reason"]
    assert receive(site, paths[8:11]).series[0]["used"]
    assert Analysis.objects.get().slice_count == 20


def test_a_good_series_is_used_though_a_bad_one_comes_with_it(site, tmp_path):
    good, bad = make_series(tmp_path / "good"), make_series(tmp_path / "bad", slices=5)
    upload = receive(site, good + bad)
    assert sorted(series["used"] for series in upload.series) == [False, True]
    assert len(upload.analyses) == 1


def test_another_patients_scan_waits_for_confirmation(site, user, tmp_path):
    patient = Patient.objects.create(site=site, patient_id="7", patient_name="Other^Person")
    upload = receive(site, make_series(tmp_path / "ct"), patient=patient)
    assert upload.state == "needs_confirmation"
    assert "patient ID and name" in upload.reason
    assert not Study.objects.exists()
    services.confirm(upload, user=user)
    tasks.do(queue.claim(Upload, upload.pk))
    upload.refresh_from_db()
    assert upload.state == "done"
    assert Study.objects.get().patient == patient


def test_a_discarded_upload_leaves_nothing_behind(site, user, tmp_path):
    patient = Patient.objects.create(site=site, patient_id="7")
    upload = receive(site, make_series(tmp_path / "ct"), patient=patient)
    services.discard(upload)
    assert not Study.objects.exists()
    assert not upload.parts.exists()
    with pytest.raises(services.Refusal):
        services.confirm(upload, user=user)


def test_an_upload_of_which_nothing_could_be_stored_has_failed(site, tmp_path):
    (tmp_path / "notes.txt").write_text("not an image")
    upload = receive(site, [tmp_path / "notes.txt"])
    assert upload.state == "failed"
    assert upload.files[0]["outcome"] == "refused"


def test_an_upload_of_what_computers_add_says_that_it_held_no_file(site, tmp_path):
    (tmp_path / ".DS_Store").write_bytes(b"x")
    upload = receive(site, [tmp_path / ".DS_Store"])
    assert (upload.state, upload.files, upload.reason) == ("failed", [], services.NO_FILES)


def test_nothing_received_is_refused(site):
    with pytest.raises(services.Refusal, match="Nothing was received"):
        services.receive([], site=site)


def test_what_came_before_a_broken_off_reception_is_not_kept(site, settings):
    def kept():
        return {path for path in (Path(settings.DATA_DIR) / "files/uploads").rglob("*") if path.is_file()}

    def broken_off():
        yield ContentFile(b"x", name="first.dcm")
        assert len(kept()) == len(before) + 1
        raise OSError("the connection was lost")

    before = kept()
    with pytest.raises(OSError, match="lost"):
        services.receive(broken_off(), site=site)
    assert kept() == before
    assert not Upload.objects.exists()


def with_two_blanks_in_the_identifier(paths):
    for number, path in enumerate(paths):
        dataset = dcmread(path)
        dataset.SOPInstanceUID = f"1.2  {number}"
        dataset.save_as(path)
    return paths


@pytest.mark.parametrize("made_odd", [without_identifier_in_the_dataset, with_two_blanks_in_the_identifier])
def test_a_series_with_odd_identifiers_is_used(site, tmp_path, made_odd):
    upload = receive(site, made_odd(make_series(tmp_path / "ct")))
    assert [series["used"] for series in upload.series] == [True]
    assert Series.objects.get().instances.filter(z_mm__isnull=True).count() == 0


def test_a_series_that_breaks_the_reader_costs_the_others_nothing(site, tmp_path, monkeypatch, caplog):
    good, bad = make_series(tmp_path / "good", slices=14), make_series(tmp_path / "bad", slices=12)
    judge = series_choice.judge

    def fragile(series, *, clashes):
        if series.instances.count() == 12:
            raise KeyError("odd")
        judge(series, clashes=clashes)

    monkeypatch.setattr(series_choice, "judge", fragile)
    upload = receive(site, bad + good)
    assert upload.state == "done"
    assert {series["used"]: series["reason"] for series in upload.series} == {True: "", False: services.UNREADABLE}
    assert len(upload.analyses) == 1
    assert "KeyError" in caplog.text


def test_slices_that_another_worker_stores_meanwhile_are_looked_at_too(site, tmp_path, monkeypatch):
    paths = make_series(tmp_path / "ct", slices=24)
    check_series = series_choice.check_series

    def while_another_stores(headers):
        monkeypatch.setattr(series_choice, "check_series", check_series)
        receive(site, paths[12:])
        return check_series(headers)

    monkeypatch.setattr(series_choice, "check_series", while_another_stores)
    receive(site, paths[:12])
    series = Series.objects.get()
    assert (series.slice_count, series.usable) == (24, True)
    assert series.instances.filter(z_mm__isnull=True).count() == 0


def test_object_storage_out_of_reach_is_a_passing_fault(site, tmp_path, monkeypatch):
    def out_of_reach(*args):
        raise EndpointConnectionError(endpoint_url="http://storage.example")

    monkeypatch.setattr(services.ingest, "store", out_of_reach)
    upload = receive(site, make_series(tmp_path / "ct"))
    assert upload.state == "working"  # until its lease runs out
    Upload.objects.update(lease_until=timezone.now())
    queue.sweep()
    upload.refresh_from_db()
    assert (upload.state, upload.parts.count()) == ("received", 12)


def test_what_a_failed_upload_brought_is_not_kept(site, tmp_path, monkeypatch):
    monkeypatch.setattr(services.ingest, "store", lambda *args: 1 / 0)
    upload = receive(site, make_series(tmp_path / "ct"))
    assert upload.state == "failed"
    assert not upload.parts.exists()
    assert default_storage.listdir(f"uploads/{upload.pk}")[1] == []
