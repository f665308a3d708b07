"""The administration: staff see their own sites, and what the program writes is looked at only."""

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from analysis.models import Analysis, WorkerSeen
from patients.models import Patient, Series, Site, Study, Upload

SITES_MODELS = (Site, Patient, Study, Series, Upload, Analysis)


@pytest.fixture
def rows(site):
    """One row of each model at ``site``, and one of each at another."""
    return {each: rows_at(each) for each in (site, Site.objects.create(code="south", name="South hospital"))}


def rows_at(site):
    patient = Patient.objects.create(site=site, patient_id="1")
    study = Study.objects.create(patient=patient, study_instance_uid="1.2")
    series = Series.objects.create(study=study, series_instance_uid="1.2.3")
    return [site, patient, study, series, Upload.objects.create(site=site), Analysis.objects.create(series=series)]


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
            assert staff.get(page(row, action)).status_code == 302, row
    assert "South" not in staff.get(reverse("admin:patients_patient_changelist")).content.decode()


def test_superusers_see_all_rows(admin_client, rows):
    assert [len(listed(admin_client, model)) for model in SITES_MODELS] == [2] * len(SITES_MODELS)


def test_staff_cannot_move_a_row_to_another_site(staff, rows):
    (site, patient, study, *_), (other_site, other_patient, *_) = rows.values()
    answer = staff.post(page(patient), {"patient_id": "1", "site": other_site.pk})
    assert "site" in answer.context["adminform"].errors
    answer = staff.post(page(study), {"study_instance_uid": "1.2", "patient": other_patient.pk})
    assert "patient" in answer.context["adminform"].errors
    assert staff.post(page(patient), {"patient_id": "2", "site": site.pk}).status_code == 302
    patient.refresh_from_db()
    assert (patient.patient_id, patient.site) == ("2", site)


def test_what_the_program_writes_is_not_edited(admin_client, rows, site):
    *_, upload, analysis = rows[site]
    for row in (upload, analysis, WorkerSeen.objects.create(hostname="worker")):
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
