"""Runs of the pipeline as the services lead them: tried again, made again, given up, and how far they are."""

import pytest
from django.utils import timezone

from analysis import queue, services, storage, tasks
from analysis.models import PRIORITY_USER, Analysis
from analysis.pipeline.series import read_header
from analysis.trend import trend
from patients.models import Patient, Series, Study
from tests.analysis.received import finish, receive, with_new_identifiers, without_identifier_in_the_dataset
from tests.dicom_series import make_series

pytestmark = pytest.mark.django_db(transaction=True)


def test_only_a_failed_analysis_is_retried(site, tmp_path):
    receive(site, make_series(tmp_path / "ct"))
    analysis = Analysis.objects.get()
    with pytest.raises(services.Refusal):
        services.retry(analysis)
    Analysis.objects.update(state="FAILED", error="x", attempt=3)
    services.retry(analysis)
    analysis.refresh_from_db()
    assert (analysis.state, analysis.error, analysis.attempt) == ("QUEUED", "", 0)


@pytest.mark.parametrize(
    ("state", "words"),
    [("QUEUED", "is waiting"), ("RUNNING", "is running"), ("DONE", "its result counts"), ("FAILED", "try that one")],
)
def test_a_failed_analysis_is_not_retried_where_a_newer_run_counts(site, tmp_path, state, words):
    receive(site, make_series(tmp_path / "ct"))
    Analysis.objects.update(state="FAILED", error="x")
    failed = Analysis.objects.get()
    Analysis.objects.create(series=failed.series, state=state, report={})
    with pytest.raises(services.Refusal, match=words):
        services.retry(failed)
    failed.refresh_from_db()
    assert failed.state == "FAILED"


def test_a_failed_analysis_is_retried_where_the_newer_run_was_cancelled(site, tmp_path):
    receive(site, make_series(tmp_path / "ct"))
    Analysis.objects.update(state="FAILED", error="x")
    failed = Analysis.objects.get()
    Analysis.objects.create(series=failed.series, state="CANCELLED")
    services.retry(failed)
    failed.refresh_from_db()
    assert failed.state == "QUEUED"


def test_a_done_analysis_is_made_again_and_counts_until_the_new_one_is_done(site, tmp_path):
    receive(site, make_series(tmp_path / "ct"))
    old = Analysis.objects.get()
    finish(old)
    new = services.reanalyse(Study.objects.get())
    assert (new.state, new.series, new.slice_count, new.priority) == ("QUEUED", old.series, 12, PRIORITY_USER)
    (point,) = trend(Patient.objects.get())
    assert (point.analysis, point.pending) == (old, new)
    with pytest.raises(services.Refusal, match="waiting or running already"):
        services.reanalyse(Study.objects.get())
    finish(new)
    (point,) = trend(Patient.objects.get())
    assert point.analysis == new
    assert Analysis.objects.filter(pk=old.pk, state="DONE", superseded=True).exists()


def test_what_cannot_be_analysed_is_not_analysed_again(site, tmp_path):
    paths = make_series(tmp_path / "ct")
    receive(site, paths[:5])
    with pytest.raises(services.Refusal, match="No series of this CT is chosen"):
        services.reanalyse(Study.objects.get())
    receive(site, paths[5:])
    finish(Analysis.objects.get())
    receive(site, with_new_identifiers(paths))
    with pytest.raises(services.Refusal, match="cannot be analysed: 12 slices lie"):
        services.reanalyse(Study.objects.get())


def test_a_stored_image_that_is_gone_ends_the_run_at_once(site, tmp_path, caplog):
    paths = make_series(tmp_path / "ct")
    receive(site, paths)
    Series.objects.get().instances.first().file.delete(save=False)
    tasks.do(queue.claim_next())
    analysis = Analysis.objects.get()
    assert (analysis.state, analysis.error) == ("FAILED", storage.IMAGE_GONE)
    assert "FileNotFoundError" in caplog.text
    (series,) = receive(site, paths[1:]).series
    assert (series["used"], series["reason"]) == (False, storage.IMAGE_GONE)


def test_storage_out_of_reach_is_tried_again_then_given_up(site, tmp_path, monkeypatch):
    receive(site, make_series(tmp_path / "ct"))

    def out_of_reach(path):
        raise OSError("input/output error")

    monkeypatch.setattr(services, "read_header", out_of_reach)
    for attempt in (1, 2, 3):
        tasks.do(queue.claim_next())
        analysis = Analysis.objects.get()
        assert (analysis.state, analysis.attempt) == ("RUNNING", attempt)  # until its lease runs out
        Analysis.objects.update(lease_until=timezone.now())
        queue.sweep()
    analysis = Analysis.objects.get()
    assert (analysis.state, analysis.attempt) == ("FAILED", 3)
    assert "interrupted 3 times" in analysis.error


def test_the_reports_slices_carry_the_stored_identifiers(site, tmp_path):
    receive(site, without_identifier_in_the_dataset(make_series(tmp_path / "ct")))
    series = Series.objects.get()
    with storage.local_images(series.instances.all()) as paths:
        read = [read_header(path).sop_instance_uid for path in paths]
    assert read == list(series.instances.values_list("sop_instance_uid", flat=True))


@pytest.fixture
def clock(monkeypatch):
    """The seconds that the services see pass: ``clock[0] += 1``."""
    seconds = [1000.0]
    monkeypatch.setattr(services.time, "monotonic", lambda: seconds[0])
    return seconds


def test_a_new_stage_is_written_at_once_however_soon_it_comes(clock):
    written = []
    tell = services._throttled(lambda stage, fraction: written.append((stage, fraction)))
    tell("reading", 0.0)
    tell("reading", 0.1)  # too soon after the last
    tell("lungs", 0.25)
    tell("slices", 0.5)
    tell("slices", 0.6)
    assert written == [("reading", 0.0), ("lungs", 0.25), ("slices", 0.5)]


def test_progress_within_a_stage_is_written_twice_a_second_at_most(clock):
    written = []
    tell = services._throttled(written.append)
    for percent in range(100):
        tell(percent / 100)
        clock[0] += 0.125
    assert written[0] == 0
    assert len(written) == 25
