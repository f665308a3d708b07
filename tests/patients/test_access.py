"""Users see the rows of their own sites only, in every model that belongs to a site."""

import pytest
from django.apps import apps
from django.http import Http404

from analysis.models import Analysis
from patients.access import visible, visible_or_404
from patients.models import Instance, Patient, Series, Site, Study, Upload


@pytest.fixture
def rows(site):
    patient = Patient.objects.create(site=site, patient_id="1")
    study = Study.objects.create(patient=patient, study_instance_uid="1.2")
    series = Series.objects.create(study=study, series_instance_uid="1.2.3")
    instance = Instance.objects.create(series=series, site=site, sop_instance_uid="1.2.3.4", sha256="0" * 64)
    return [
        site, patient, study, series, instance,
        Upload.objects.create(site=site), Analysis.objects.create(series=series),
    ]  # fmt: skip


def test_users_see_the_rows_of_their_sites(rows, user):
    for row in rows:
        assert list(visible(type(row), user)) == [row]
        assert visible_or_404(type(row), user, row.pk) == row


def test_rows_of_other_sites_do_not_exist_for_a_user(rows, stranger):
    for row in rows:
        assert row not in visible(type(row), stranger)
        with pytest.raises(Http404):
            visible_or_404(type(row), stranger, row.pk)


def test_a_user_of_no_site_sees_nothing(rows, django_user_model):
    nobody = django_user_model.objects.create_user("new")
    for row in rows:
        assert not visible(type(row), nobody).exists()


def test_a_user_of_two_sites_sees_each_row_once(rows, site, user):
    Site.objects.create(code="second", name="Second").users.add(user)
    for row in rows[1:]:
        assert visible(type(row), user).count() == 1


def test_every_model_of_a_site_names_its_way_to_it():
    models = [*apps.get_app_config("patients").get_models(), *apps.get_app_config("analysis").get_models()]
    exempt = {
        "Membership",
        "NetworkSet",
        "SavedFilter",
        "UploadPart",
        "WorkerSeen",
    }  # reached through their parent, or of no site
    assert {model.__name__ for model in models if not hasattr(model, "SITE_PATH")} == exempt
