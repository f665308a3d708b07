"""Uploads that end in something to look at: the question whose scan it is, and files that are not stored."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page

from tests.dicom_series import make_series
from tests.stack import Stack, zipped

WORK_OFF = """
from analysis.management.commands.import_dicom import work_off
from patients.models import Upload
work_off(Upload.objects.get(pk={pk!r}))
"""
DISCARD = """
from analysis.services import discard
from patients.models import Upload
discard(Upload.objects.get(pk={pk!r}))
"""


@contextmanager
def scan_of_somebody_else(stack: Stack, patient: int, folder: Path) -> Iterator[None]:
    """Inside, the patient's page and the one for uploads ask whose scan it is; at the end it is discarded."""
    make_series(folder, slices=3, PatientName="Some^Body", PatientID="SOME-BODY")
    upload = stack.upload(zipped(folder), patient=patient)["id"]
    _work_off(stack, upload)
    yield
    stack.python(DISCARD.format(pk=upload))


def send_what_is_refused(stack: Stack, page: Page, folder: Path) -> None:
    """The page for uploads, with what became of a scan one of whose files is cut short, and of a letter."""
    cut, *_ = paths = make_series(folder, slices=3, PatientName="Cut^Short", PatientID="CUT-SHORT")
    cut.write_bytes(cut.read_bytes()[:-1000])
    letter = folder / "letter.txt"
    letter.write_text("Dear colleague")
    page.goto(f"{stack.url}/upload/")
    page.locator("input[type=file]:not([webkitdirectory])").set_input_files([*paths, letter])
    sent = page.locator("#upload-status > [data-upload-state]:not([data-upload-state=needs_confirmation])")
    _work_off(stack, sent.get_attribute("id").removeprefix("upload-"))
    sent.locator(".outcomes").first.wait_for(timeout=60_000)  # beside it what waits for an answer


def _work_off(stack: Stack, upload: str) -> None:
    """Here, unless a worker is quicker."""
    stack.python(WORK_OFF.format(pk=upload))
