"""A user before the pages, and a patient with one result."""

import pytest

from patients.models import Patient, Upload
from tests.analysis.finished import finished_analysis
from tests.analysis.pages import DAY


@pytest.fixture
def browser(client, user):
    client.force_login(user)
    return client


@pytest.fixture
def patient(site):
    return Patient.objects.create(site=site, patient_id="0193", patient_name="Doe^Jane")


@pytest.fixture
def analysis(patient, tmp_path):
    return finished_analysis(patient, tmp_path, date=DAY, activation_cm2={5: 12.0, 6: 8.0})


@pytest.fixture
def held(site, user, patient):
    """An upload whose scan is not of the patient named."""
    state = Upload.State.NEEDS_CONFIRMATION
    return Upload.objects.create(site=site, user=user, patient=patient, state=state, reason="Please check: another ID")


@pytest.fixture
def api(client, user):
    """A client that is logged in as a user of the site."""
    client.force_login(user)
    return client
