"""One running product for all browser tests; its worker starts with the first test that needs one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.browser.browser import chromium, complaints_of, log_in
from tests.stack import Stack, running_stack, zipped

MAKE_RESULT = """
from pathlib import Path
from analysis.models import Analysis
from patients.models import Patient, Site
from tests.analysis.finished import finished_analysis
site = Site.objects.get(code="demo")
patient = Patient.objects.create(site=site, patient_id={folder!r}[-60:], patient_name="Doe^Cora")
finished_analysis(patient, Path({folder!r}), date="2020-03-05", activation_cm2={{5: 12.0, 6: 8.0}})
print("study", Analysis.objects.latest("pk").series.study_id)
"""


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("stack"), worker=False) as stack:
        yield stack


@pytest.fixture(scope="session")
def worker(stack: Stack) -> None:
    stack.start_worker()


@pytest.fixture(scope="module")
def logged_in(stack: Stack) -> Iterator[BrowserContext]:
    """A browser where the clinician is logged in, for all tests of a file."""
    with chromium(webgl=False) as browser:
        page = browser.new_page()
        log_in(page, stack.url)
        page.close()
        yield browser


@pytest.fixture
def page(logged_in: BrowserContext) -> Iterator[Page]:
    """An empty tab of it; at the end the browser must not have complained."""
    page = logged_in.new_page()
    complaints = complaints_of(page)
    yield page
    page.close()
    assert complaints == []


@pytest.fixture
def study(stack: Stack, tmp_path: Path) -> str:
    """The address of a CT whose slices 6 and 7 the AI calls abnormal."""
    said = stack.python(MAKE_RESULT.format(folder=str(tmp_path)))
    return f"{stack.url}/studies/{said.split()[-1]}/"


@pytest.fixture(scope="module")
def analysed(stack: Stack, worker: None, exams: list[Path]) -> str:
    """The address of a CT with findings."""
    (pk,) = stack.finished_upload(stack.upload(zipped(exams[0])))["analyses"]
    return f"{stack.url}/studies/{stack.finished_analysis(pk)['study']}/"
