"""The administration: staff see their own sites, and what the program writes is looked at only."""

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from analysis import network_sets
from analysis.models import Analysis, FindingReview, NetworkSet, SliceCorrection, WorkerSeen
from patients.models import Patient, Series, Site, Study, Upload
from tests.analysis.finished import signed_reading
from tests.network_sets import kept_set

SITES_MODELS = (Site, Patient, Study, Series, Upload, Analysis, SliceCorrection)


@pytest.fixture
def rows(site):
    """One row of each model at ``site``, and one of each at another."""
    return {each: rows_at(each) for each in (site, Site.objects.create(code="south", name="South hospital"))}


def rows_at(site):
    patient = Patient.objects.create(site=site, patient_id="1")
    study = Study.objects.create(patient=patient, study_instance_uid="1.2")
    series = Series.objects.create(study=study, series_instance_uid="1.2.3")
    analysis = Analysis.objects.create(series=series)
    correction = SliceCorrection.objects.create(analysis=analysis, sop_instance_uid="1.2.3.4", abnormal=True)
    return [site, patient, study, series, Upload.objects.create(site=site), analysis, correction]


@pytest.fixture
def staff(client, user):
    """A user of ``site`` who may do everything in the administration, but is no superuser."""
    user.is_staff = True
    user.save()
    user.user_permissions.set(Permission.objects.all())
    client.force_login(user)
    return client


def page(row, action="change"):
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{action}", args=[row.pk])


def listed(client, model):
    return list(
        client.get(reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")).context["cl"].queryset
    )


def test_staff_see_the_rows_of_their_own_sites(staff, rows, site):
    own, others = rows.values()
    assert [listed(staff, model) for model in SITES_MODELS] == [[row] for row in own]
    for row in own:
        assert staff.get(page(row)).status_code == 200, row
    for row in others:
        for action in ("change", "delete", "history"):
            words_of_a_reader = action == "delete" and isinstance(row, SliceCorrection)  # deleted by nobody
            assert staff.get(page(row, action)).status_code == (403 if words_of_a_reader else 302), row
    assert "South" not in staff.get(reverse("admin:patients_patient_changelist")).content.decode()


def test_superusers_see_all_rows(admin_client, rows):
    assert [len(listed(admin_client, model)) for model in SITES_MODELS] == [2] * len(SITES_MODELS)


def test_staff_cannot_move_a_row_to_another_site(staff, rows):
    (site, patient, *_), (other_site, *_) = rows.values()
    answer = staff.post(page(patient), {"patient_id": "1", "site": other_site.pk})
    assert "site" in answer.context["adminform"].errors
    assert staff.post(page(patient), {"patient_id": "2", "site": site.pk}).status_code == 302
    patient.refresh_from_db()
    assert (patient.patient_id, patient.site) == ("2", site)


def test_what_comparisons_follow_from_is_not_edited(admin_client, rows, site):
    """Whose a CT is, when it was taken and which series stands for it."""
    (_, patient, study, series, *_), (_, other_patient, other_study, *_) = rows.values()
    wanted = {"patient": other_patient.pk, "study_date": "2020-06-29", "chosen_series": series.pk}
    assert admin_client.post(page(study), {"study_instance_uid": "1.2", **wanted}).status_code == 302
    described = {"series_instance_uid": "1.2.3", "slice_count": 12, "kernel": "B30f", "study": other_study.pk}
    assert admin_client.post(page(series), described).status_code == 302
    study.refresh_from_db(), series.refresh_from_db()
    assert (study.patient, study.study_date, study.chosen_series, series.study) == (patient, None, None, study)


def test_what_the_program_writes_is_not_edited(admin_client, rows, site):
    *_, upload, analysis, correction = rows[site]
    for row in (upload, analysis, correction, WorkerSeen.objects.create(hostname="worker")):
        assert admin_client.get(page(row)).status_code == 200
        assert admin_client.post(page(row), {"state": "DONE", "report": "{}"}).status_code == 403
        model = f"{row._meta.app_label}_{row._meta.model_name}"
        assert admin_client.get(reverse(f"admin:{model}_add")).status_code == 403
    analysis.refresh_from_db()
    assert (analysis.state, analysis.report) == ("QUEUED", None)


def test_a_patient_is_deleted_with_all_that_belongs_to_it(admin_client, rows, site):
    patient = rows[site][1]
    admin_client.post(page(patient, "delete"), {"post": "yes"})
    assert not Analysis.objects.filter(series__study__patient__site=site).exists()
    assert not Patient.objects.filter(site=site).exists()


SETS = "/admin/analysis/networkset/"


@pytest.fixture
def sets(db, settings, tmp_path):
    settings.MODELS_ROOT = tmp_path
    return [kept_set("north-1"), kept_set("north-2")]


def choose(client, action, chosen):
    form = {"action": action, "index": 0, "_selected_action": [network_set.pk for network_set in chosen]}
    return client.post(SETS, form, follow=True).content.decode()


def logged():
    return list(LogEntry.objects.order_by("pk").values_list("user__username", "object_repr", "change_message"))


def test_an_administrator_reads_the_card_and_activates_a_set(staff, user, sets):
    first, second = sets
    shown = staff.get(page(first)).content.decode()
    assert "Trained on <em>corrected</em> slices." in shown
    assert first.versions[0]["sha256"] in shown
    assert "The networks north-1 analyse from now on." in choose(staff, "activate", [first])
    assert "The networks north-2 analyse from now on." in choose(staff, "activate", [second])
    active = network_sets.active()
    assert (active, active.activated_by) == (second, user)
    assert "The released networks analyse from now on." in choose(staff, "return_to_released", [first])
    assert network_sets.active() is None
    assert logged() == [
        ("ward", "north-1", "Activated."),
        ("ward", "north-2", "Activated."),
        ("ward", "north-2", "Returned to the released networks."),
    ]
    assert "Returned to the released networks." in staff.get(page(second, "history")).content.decode()


def test_exactly_one_set_is_activated(staff, sets):
    assert "Choose the one set" in choose(staff, "activate", sets)
    assert (network_sets.active(), logged()) == (None, [])


def test_a_set_that_is_not_whole_is_not_activated(staff, user, sets):
    network_sets.activate(sets[1], user)
    (sets[0].folder / "nodules.json").unlink()
    assert "(missing: nodules.json)" in choose(staff, "activate", sets[:1])
    assert (network_sets.active(), logged()) == (sets[1], [])


def test_an_activation_that_cannot_be_logged_does_not_happen(staff, sets, monkeypatch):
    monkeypatch.setattr("django.contrib.admin.models.LogEntryManager.log_actions", None)
    with pytest.raises(TypeError):
        choose(staff, "activate", sets[:1])
    assert network_sets.active() is None


def test_who_may_only_look_at_sets_chooses_none(staff, user, sets):
    user.user_permissions.set(Permission.objects.filter(codename="view_networkset"))
    assert "north-1" in staff.get(SETS).content.decode()
    for action in ("activate", "return_to_released"):
        assert f'value="{action}"' not in choose(staff, action, sets[:1])
    assert (network_sets.active(), logged()) == (None, [])
    user.user_permissions.clear()
    assert staff.get(SETS).status_code == 403


def test_sets_are_neither_edited_nor_deleted(admin_client, sets):
    assert admin_client.post(page(sets[0]), {"name": "other"}).status_code == 403
    assert admin_client.post(page(sets[0], "delete"), {"post": "yes"}).status_code == 403
    choose(admin_client, "delete_selected", sets)
    assert admin_client.get(f"{SETS}add/").status_code == 403
    assert list(NetworkSet.objects.values_list("name", flat=True)) == ["north-2", "north-1"]


def test_many_sets_take_as_many_queries_as_two(staff, user, sets, django_assert_num_queries):
    NetworkSet.objects.update(activated_by=user)
    staff.get(SETS)  # what is asked once in some minutes has been
    with CaptureQueriesContext(connection) as two:
        staff.get(SETS)
    for number in range(3, 8):
        kept_set(f"north-{number}", activated_by=user)
    with django_assert_num_queries(len(two)):
        staff.get(SETS)


def test_what_readers_say_goes_with_its_ct_or_patient_alone(admin_client, analysis, user):
    said = [
        signed_reading(analysis, user),
        FindingReview.objects.create(analysis=analysis, user=user, number=1, present=False, reason="vessel"),
        SliceCorrection.objects.create(analysis=analysis, user=user, sop_instance_uid="1.2.3.4", abnormal=True),
    ]
    for row in said:
        assert admin_client.post(page(row, "delete"), {"post": "yes"}).status_code == 403
        assert type(row).objects.exists()
    study = analysis.series.study
    assert admin_client.post(page(study, "delete"), {"post": "yes"}).status_code == 302
    assert not any(type(row).objects.exists() for row in said)
    assert not Study.objects.filter(pk=study.pk).exists()
    assert admin_client.post(page(study.patient, "delete"), {"post": "yes"}).status_code == 302
