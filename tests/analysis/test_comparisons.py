"""Comparisons of a patient's results: which are queued, what a worker makes of them, how pages and API show them."""

import datetime
import gzip
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from django.core.files.base import ContentFile
from django.urls import reverse
from django.utils import timezone

from analysis import comparisons, lesions, queue, services, storage, tasks
from analysis.formats import date_text
from analysis.models import Analysis, Comparison
from analysis.pipeline import lesion_change
from analysis.trend import trend
from analysis.words import LESION_STATUS
from patients import removal
from patients.models import Patient, Study
from tests.analysis.finished import FINDINGS, finished_analysis
from tests.analysis.pages import DAY

pytestmark = pytest.mark.django_db(transaction=True)

CHANGE = {
    "lesions": [
        {
            "status": "grown",
            "number": 1,
            "prior_number": 2,
            "centroid_mm": [60.5, -20.0, -125.0],
            "volume_ml": 1.214,
            "prior_volume_ml": 0.607,
            "volume_change_percent": 100.0,
            "doubling_time_days": 30.0,
            "part_of": None,
            "kind": "nodule",
            "lung": "left",
            "zone": "upper",
        },
        {
            "status": "resolved",
            "number": None,
            "prior_number": 1,
            "centroid_mm": [-50.0, 10.0, -160.0],
            "volume_ml": None,
            "prior_volume_ml": 0.2,
            "volume_change_percent": None,
            "doubling_time_days": None,
            "part_of": None,
            "kind": "nodule",
            "lung": "left",
            "zone": "upper",
        },
        {
            "status": "part of another",
            "number": None,
            "prior_number": 3,
            "centroid_mm": [61.0, -20.0, -125.0],
            "volume_ml": None,
            "prior_volume_ml": 0.3,
            "volume_change_percent": None,
            "doubling_time_days": None,
            "part_of": 1,
            "kind": "nodule",
            "lung": "left",
            "zone": "upper",
        },
    ],
    "worse_ml": 120.4,
    "better_ml": 0.0,
    "unchanged_ml": 80.2,
    "lung_overlap": 0.97,
    "lung_volume_factor": 1.4,
    "quality": [
        {
            "code": "breath_differs",
            "message": "The lungs have 1.5 times their former volume: a different depth of breath changes densities "
            "and volumes by itself.",
        }
    ],
    "software_version": "0.9",
}


@pytest.fixture
def later(patient, analysis, tmp_path):
    """A result thirty days after ``analysis``."""
    return finished_analysis(patient, tmp_path, date=DAY + datetime.timedelta(days=30), activation_cm2={4: 4.0})


def pairs():
    return {(one.prior, one.analysis, one.days) for one in Comparison.objects.all()}


def work_off(comparison):
    tasks.do(queue.claim(Comparison, comparison.pk))
    comparison.refresh_from_db()
    return comparison


def test_each_result_is_compared_with_the_one_before_it(patient, analysis, later, tmp_path):
    between = finished_analysis(patient, tmp_path, date=DAY + datetime.timedelta(days=10))
    comparisons.queue_for(patient)
    assert pairs() == {(analysis, between, 10), (between, later, 20)}
    comparisons.queue_for(patient)
    assert Comparison.objects.count() == 2


def test_a_result_that_comes_in_between_makes_new_pairs_and_old_ones_stay(patient, analysis, later, tmp_path):
    comparisons.queue_for(patient)
    between = finished_analysis(patient, tmp_path, date=DAY + datetime.timedelta(days=10))
    comparisons.queue_for(patient)
    assert pairs() == {(analysis, later, 30), (analysis, between, 10), (between, later, 20)}


def test_two_that_do_not_follow_each_other_are_compared_once_where_a_user_asks(patient, analysis, later, tmp_path):
    between = finished_analysis(patient, tmp_path, date=DAY + datetime.timedelta(days=10))
    first, _, last = trend(patient)
    comparisons.queue_directly(first, last)
    comparisons.queue_directly(first, last)
    assert pairs() == {(analysis, later, 30)}
    Comparison.objects.update(state="FAILED", error="x")
    comparisons.queue_directly(first, last)
    assert Comparison.objects.get().state == "QUEUED"
    Comparison.objects.update(state="FAILED", error="x")
    comparisons.queue_for(patient)
    assert pairs() == {(analysis, later, 30), (analysis, between, 10), (between, later, 20)}
    assert Comparison.objects.get(prior=analysis, analysis=later).state == "FAILED"  # until a user asks again
    assert len(lesions.of_neighbours(trend(patient))) == 2  # which the timeline shows
    Study.objects.filter(pk=later.series.study_id).update(study_date=DAY + datetime.timedelta(days=60))
    comparisons.queue_for(patient)
    assert pairs() == {(analysis, later, 60), (analysis, between, 10), (between, later, 50)}


def test_one_result_alone_and_one_without_a_date_are_not_compared(patient, analysis, tmp_path):
    finished_analysis(patient, tmp_path, date=None)
    comparisons.queue_for(patient)
    assert not Comparison.objects.exists()


def corrected(study, days):
    study.dated_by_hand = True
    study.save()
    services.date_study(study, DAY + datetime.timedelta(days=days))
    return Comparison.objects.get()


def test_a_corrected_date_has_the_comparison_made_anew(patient, analysis, later):
    comparisons.queue_for(patient)
    name = storage.default_storage.save("comparisons/old.gz", ContentFile(b"old"))
    Comparison.objects.update(state="DONE", change=CHANGE, change_map=name, attempt=2)
    comparison = corrected(later.series.study, 60)
    assert (comparison.days, comparison.state, comparison.attempt) == (60, "QUEUED", 0)
    assert (comparison.change, comparison.change_map.name) == (None, "")
    assert not storage.default_storage.exists(name)


def test_a_worker_that_compares_while_the_date_is_corrected_writes_nothing(patient, analysis, later):
    comparisons.queue_for(patient)
    late = queue.claim(Comparison, Comparison.objects.get().pk)
    corrected(later.series.study, 60)
    queue.claim(Comparison, late.pk)
    with pytest.raises(queue.LeaseLost):
        queue.write(late, progress=0.5)


def test_what_the_worker_makes_is_stored_with_its_map(patient, analysis, later):
    """The slices of both are alike, so nothing moved; the first result has opacities on slices 5 and 6, the second on
    slice 4: what is on the next slice is the same, as slices say no better where it ends."""
    comparisons.queue_for(patient)
    comparison = work_off(Comparison.objects.get())
    assert (comparison.state, comparison.error, comparison.progress) == ("DONE", "", 1)
    assert [one["status"] for one in comparison.change["lesions"]] == ["stable"] * len(FINDINGS)
    assert comparison.change["lung_overlap"] > 0.98
    marked = np.frombuffer(gzip.decompress(comparison.change_map.read()), np.uint8).reshape(-1, 256, 256)
    assert marked.shape[0] == 20
    assert comparison.change["better_ml"] > 0 == comparison.change["worse_ml"]
    assert (marked[6] == 2).any()
    assert not (marked == 1).any()


def test_a_result_of_an_older_version_ends_in_a_sentence(patient, analysis, later):
    Analysis.objects.filter(pk=analysis.pk).update(lungs_map="")
    comparisons.queue_for(patient)
    comparison = work_off(Comparison.objects.get())
    assert (comparison.state, comparison.error) == ("FAILED", storage.TOO_OLD.format(day=date_text(DAY)))


def test_a_failed_comparison_is_tried_again_with_the_next_result(patient, analysis, later):
    comparisons.queue_for(patient)
    Comparison.objects.update(state="FAILED", error="x", attempt=3)
    comparisons.queue_for(patient)
    comparison = Comparison.objects.get()
    assert (comparison.state, comparison.error, comparison.attempt) == ("QUEUED", "", 0)


def test_a_user_has_a_failed_comparison_tried_again_and_no_other(patient, analysis, later):
    comparisons.queue_for(patient)
    Comparison.objects.update(state="FAILED", error="x", attempt=3, priority=10)
    comparison = Comparison.objects.get()
    comparisons.again(comparison)
    comparison.refresh_from_db()
    assert (comparison.state, comparison.error, comparison.attempt, comparison.priority) == ("QUEUED", "", 0, 0)
    assert work_off(comparison).state == "DONE"
    comparisons.again(comparison)
    comparison.refresh_from_db()
    assert comparison.state == "DONE"


def test_a_late_workers_comparison_leaves_no_file(patient, analysis, later):
    comparisons.queue_for(patient)
    late = queue.claim(Comparison, Comparison.objects.get().pk)
    Comparison.objects.update(attempt=2)
    with pytest.raises(queue.LeaseLost):
        storage.save_change(late, SimpleNamespace(to_json=lambda: CHANGE), np.zeros((3, 256, 256), np.uint8))
    assert storage.default_storage.listdir(f"comparisons/{late.pk}/1") == ([], [])


def test_the_words_know_every_status():
    statuses = {
        lesion_change.NEW,
        lesion_change.GROWN,
        lesion_change.STABLE,
        lesion_change.SHRUNK,
        lesion_change.RESOLVED,
    }
    instead = {lesion_change.PART, lesion_change.UNCLEAR, lesion_change.ABSENT, lesion_change.CUT}
    assert set(LESION_STATUS) == statuses | instead


def test_the_web_process_imports_neither_torch_nor_simpleitk():
    code = (
        "import django, sys; django.setup(); from django.urls import reverse; reverse('pages:home');"
        "assert not {'torch', 'SimpleITK'} & set(sys.modules)"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, env=os.environ | {"DJANGO_SETTINGS_MODULE": "webapp.settings"}
    )


def test_a_comparison_of_a_dead_worker_goes_to_the_next(patient, analysis, later):
    comparisons.queue_for(patient)
    dead = queue.claim_next()
    assert isinstance(dead, Comparison)
    Comparison.objects.update(lease_until=timezone.now() - datetime.timedelta(days=1))
    queue.sweep()
    again = queue.claim_next()
    assert (again, again.attempt) == (dead, 2)


def test_a_patient_is_deleted_with_comparisons_and_their_files(patient, analysis, later):
    comparisons.queue_for(patient)
    comparison = work_off(Comparison.objects.get())
    name = comparison.change_map.name
    assert storage.default_storage.exists(name)
    removal.delete(Patient.objects.filter(pk=patient.pk))
    assert not Comparison.objects.exists()
    assert not storage.default_storage.exists(name)


def test_the_cts_before_and_after_a_deleted_one_are_compared(
    patient, analysis, later, tmp_path, django_capture_on_commit_callbacks
):
    last = finished_analysis(patient, tmp_path / "last", date=DAY + datetime.timedelta(days=30))
    comparisons.queue_for(patient)
    with django_capture_on_commit_callbacks(execute=True):
        removal.delete(Study.objects.filter(pk=later.series.study_id))
    (left,) = Comparison.objects.all()
    assert (left.prior, left.analysis, left.days) == (analysis, last, 30)


@pytest.fixture
def compared(patient, analysis, later):
    comparisons.queue_for(patient)
    Comparison.objects.update(state="DONE", change=CHANGE)
    return Comparison.objects.get()


def test_the_study_page_says_what_changed_since_the_last_scan(browser, compared):
    page = browser.get(reverse("pages:study", args=[compared.analysis.series.study_id])).content.decode()
    assert f"Since {date_text(DAY)}" in page
    assert "Lesions: 1 grown, 1 resolved, 1 part of another." in page
    assert "120 ml newly opaque or denser and 0 ml cleared or less dense beyond 3 mm, 80 ml as before" in page
    assert "Finding 1: grown" in page
    assert "#2 0.61 ml → #1 1.21 ml, +100 %, volume doubling time 30 days" in page
    assert "0.20 ml → –" in page
    assert "Resolved: nodule, left lung, upper third" in page
    assert "Merged or fell apart, see finding 1: nodule" in page
    assert "a different depth of breath" in page
    assert "Check the CT of" not in page


def test_the_study_page_says_why_the_scan_before_is_to_be_checked(browser, compared):
    flags = [{"code": "dense_unmarked", "message": "Dense tissue.", "severe": True}]
    Analysis.objects.filter(pk=compared.prior_id).update(quality=flags)
    page = browser.get(reverse("pages:study", args=[compared.analysis.series.study_id])).content.decode()
    assert f"Check the CT of {date_text(DAY)}: Dense tissue." in page


def test_the_first_time_point_has_nothing_to_be_compared_with(browser, compared):
    page = browser.get(reverse("pages:study", args=[compared.prior.series.study_id]))
    assert page.context["comparison"] is None
    assert "<h2>Since" not in page.content.decode()


def test_an_open_page_gets_the_comparison_when_it_is_there(browser, compared):
    address = reverse("pages:study", args=[compared.analysis.series.study_id])
    Comparison.objects.update(state="RUNNING", change=None)
    page = browser.get(address)
    assert f"Being compared with the CT of {date_text(DAY)}" in page.content.decode()
    asked = {name: page.context[name] for name in ("on_show", "seen")} | {"said": page.context["said_by_others"]}
    assert browser.get(address, asked, headers={"HX-Request": "true"}).status_code == 204
    Comparison.objects.update(state="DONE", change=CHANGE, change_map="comparisons/x.gz")
    answer = browser.get(address, asked, headers={"HX-Request": "true"})
    assert not answer.has_header("HX-Trigger")  # images and numbers stay as they are
    assert "Finding 1: grown" in answer.content.decode()
    assert 'id="since-last" hx-swap-oob="true"' in answer.content.decode()
    assert reverse("pages:change_map", args=[compared.pk]) in answer.content.decode()


def test_a_comparison_that_failed_says_why(browser, compared):
    Comparison.objects.update(state="FAILED", change=None, error=storage.TOO_OLD)
    page = browser.get(reverse("pages:study", args=[compared.analysis.series.study_id])).content.decode()
    assert storage.TOO_OLD in page
    assert reverse("pages:compare_again", args=[compared.pk]) in page


def test_comparison_and_map_are_for_the_users_of_the_site_alone(client, compared, patient, user, stranger):
    work_off_map = storage.default_storage.save("comparisons/x.gz", ContentFile(gzip.compress(b"\1")))
    Comparison.objects.update(change_map=work_off_map)
    address = reverse("pages:change_map", args=[compared.pk])
    client.force_login(stranger)
    assert client.get(address).status_code == 404
    assert client.get("/api/v1/comparisons/").json()["results"] == []
    client.force_login(user)
    assert client.get(address)["Content-Encoding"] == "gzip"
    (listed,) = client.get(f"/api/v1/comparisons/?patient={patient.pk}").json()["results"]
    assert (listed["patient"], listed["days"], listed["change"]) == (patient.pk, 30, CHANGE)
    assert client.get(f"/api/v1/comparisons/?analysis={compared.prior_id}").json()["results"] == []
