"""Which networks analyse: one active set or the released ones, and what follows when that changes."""

import shutil

import pytest
from django.core.management import call_command
from django.db import IntegrityError, transaction

from analysis import network_sets, queue, services, tasks
from analysis.checks import WEIGHTS, WEIGHTS_DIR
from analysis.models import Analysis, NetworkSet
from analysis.trend import trend
from patients.models import Patient, Study
from tests.analysis.finished import finished_analysis
from tests.analysis.received import receive
from tests.dicom_series import make_series
from tests.network_sets import kept_set, write_candidate

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def models_root(settings, tmp_path):
    settings.MODELS_ROOT = tmp_path / "models"
    settings.MODELS_ROOT.mkdir()
    return settings.MODELS_ROOT


def test_without_an_active_set_the_released_networks_analyse():
    kept_set("north-1")
    assert network_sets.active() is None
    assert network_sets.folder_of(None) == WEIGHTS_DIR
    assert (len(network_sets.weights_of(None)), network_sets.fault(None)) == (5, "")


def test_one_set_at_most_is_active_and_says_since_when(user):
    first, second = kept_set("north-1"), kept_set("north-2")
    network_sets.activate(first, user)
    network_sets.activate(second, user)
    active = NetworkSet.objects.get(active=True)
    assert (active, active.activated_by, network_sets.active()) == (second, user, second)
    assert active.activated_at
    with pytest.raises(IntegrityError), transaction.atomic():
        NetworkSet.objects.filter(pk=first.pk).update(active=True)
    network_sets.activate(None, user)
    assert network_sets.active() is None


def test_a_set_stays_active_when_the_user_who_chose_it_is_deleted(user):
    network_sets.activate(kept_set("north-1"), user)
    user.delete()
    assert network_sets.active().activated_by is None


def test_the_active_set_is_found_with_one_query_among_many(user, django_assert_num_queries):
    sets = [kept_set(f"north-{number}") for number in range(5)]
    network_sets.activate(sets[2], user)
    with django_assert_num_queries(1):
        active = network_sets.active()
        assert network_sets.fault(active) == ""
        assert network_sets.weights_of(active) == sets[2].weights


def test_files_that_are_missing_or_were_changed_are_a_fault():
    network_set = kept_set("north-1")
    (network_set.folder / "nodules.json").write_text("changed")
    assert network_sets.fault(network_set) == "changed since they were added"
    (network_set.folder / "nodules.json").unlink()
    assert network_sets.fault(network_set) == "missing: nodules.json"
    network_set.folder.rename(network_set.folder.with_name("moved"))
    assert network_sets.fault(network_set) == "missing: " + ", ".join(WEIGHTS)


def test_a_result_is_outdated_where_others_than_the_active_networks_made_it(site, user, tmp_path):
    by_set, by_released = (
        finished_analysis(Patient.objects.create(site=site, patient_id=number), tmp_path / number, date=None)
        for number in "12"
    )
    network_set = kept_set("north-1")
    by_set.model_versions = network_set.versions
    by_set.save()
    by_released.model_versions = [{"sha256": sha256} for sha256 in network_sets.weights_of(None)]
    by_released.save()
    assert list(services.outdated(Patient.objects.all())) == [by_set.series.study]
    network_sets.activate(network_set, user)
    assert list(services.outdated(Patient.objects.all())) == [by_released.series.study]


def test_a_result_is_outdated_where_it_was_measured_in_another_way(patient, tmp_path):
    result = finished_analysis(patient, tmp_path, date=None)
    result.model_versions = [{"sha256": sha256} for sha256 in network_sets.weights_of(None)]
    result.save()
    assert list(services.outdated([patient])) == []
    Analysis.objects.update(method_version=None)
    assert list(services.outdated([patient])) == [result.series.study]


def test_an_analysis_waits_where_the_folder_of_the_set_is_out_of_reach(site, user, tmp_path, caplog):
    """As on a worker that has not mounted it: three attempts, as for any storage out of reach."""
    network_set = kept_set("north-1")
    network_sets.activate(network_set, user)
    receive(site, make_series(tmp_path / "ct"))
    network_set.folder.rename(tmp_path / "elsewhere")
    tasks.do(queue.claim_next())
    analysis = Analysis.objects.get()
    assert (analysis.state, analysis.attempt) == ("RUNNING", 1)  # until its lease runs out
    assert str(network_set.folder) in caplog.text


@pytest.mark.parametrize("spoil", ["changed", "unusable"])
def test_an_analysis_by_a_set_that_is_not_whole_fails_with_a_sentence(site, user, tmp_path, caplog, spoil):
    network_set = kept_set("north-1")  # whole as far as hashes tell, but nothing that could be loaded
    network_sets.activate(network_set, user)
    receive(site, make_series(tmp_path / "ct"))
    if spoil == "changed":
        shutil.rmtree(network_set.folder)
        write_candidate(network_set.folder)  # which could be loaded
    tasks.do(queue.claim_next())
    analysis = Analysis.objects.get()
    assert (analysis.state, analysis.error) == ("FAILED", services.NO_NETWORKS)
    assert str(network_set.folder) in caplog.text
    network_sets.activate(None, user)
    services.retry(analysis)
    assert Analysis.objects.get().state == "QUEUED"


def test_a_new_set_analyses_again_and_the_old_result_is_kept_with_its_networks(site, user, exams, tmp_path):
    def work():
        tasks.do(queue.claim(Analysis, Analysis.objects.get(state="QUEUED").pk))

    receive(site, sorted(exams[0].iterdir()))
    work()
    old = Analysis.objects.get()
    assert (old.state, old.weights) == ("DONE", network_sets.weights_of(None))
    assert list(services.outdated(Patient.objects.all())) == []

    call_command("add_networks", str(write_candidate(tmp_path / "candidate")), name="north-1", verbosity=0)
    network_set = NetworkSet.objects.get()
    network_sets.activate(network_set, user)
    (study,) = services.outdated(Patient.objects.all())
    services.reanalyse(study)
    (point,) = trend(Patient.objects.get())
    assert point.analysis == old  # counts until the new one is done
    work()

    (point,) = trend(Patient.objects.get())
    new = point.analysis
    assert new != old
    assert (new.state, new.model_versions, new.report["slice_threshold"]) == ("DONE", network_set.versions, 0.125)
    kept = Analysis.objects.get(pk=old.pk)
    assert (kept.state, kept.superseded, kept.report) == ("DONE", True, old.report)
    assert kept.model_versions == old.model_versions != new.model_versions
    assert list(services.outdated(Patient.objects.all())) == []

    network_sets.activate(None, user)
    assert list(services.outdated(Patient.objects.all())) == [Study.objects.get()]
