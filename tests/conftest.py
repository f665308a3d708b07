"""What all tests share: the real data where it is present, a site with a user."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.utils import translation

from tests.phantom_series import write_exams

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with the real CT data; the test is skipped where it is absent."""
    folder = Path(os.environ.get("CORONATREND_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("the real data is absent: set CORONATREND_DATA to its folder")
    return folder


@pytest.fixture(scope="session")
def exams(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two synthetic exams of one patient as DICOM folders: the second with half of the first's opacities."""
    return write_exams(tmp_path_factory.mktemp("exams"), 0.5)


@pytest.fixture(autouse=True)
def plain_static_files(settings: Any) -> None:
    """Pages of the test client do without a collected manifest."""
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    """A request of the test client leaves its language behind; no other test is to meet it."""
    yield
    translation.deactivate()


@pytest.fixture
def site(db: None) -> Any:
    from patients.models import Site

    return Site.objects.create(code="north", name="North hospital")


@pytest.fixture
def user(site: Any, django_user_model: Any) -> Any:
    """A clinician of ``site``."""
    user = django_user_model.objects.create_user("ward", password="a-long-test-password")
    site.users.add(user)
    return user


@pytest.fixture
def stranger(db: None, django_user_model: Any) -> Any:
    """A clinician of another site."""
    from patients.models import Site

    user = django_user_model.objects.create_user("south", password="a-long-test-password")
    Site.objects.create(code="south", name="South hospital").users.add(user)
    return user
