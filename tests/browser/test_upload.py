"""Uploads by hand that ask something back: whose scan it is, and which site it goes to."""

import os
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect
from playwright.sync_api import Error as PlaywrightError

from analysis.piecewise import PIECE_BYTES
from tests.browser.browser import chromium, log_in
from tests.dicom_series import make_series
from tests.servers import wait_until
from tests.stack import Stack, zipped

WORKED_OFF_WITHIN_MS = 60_000
SENT_WITHIN_MS = 30_000
SECOND_SITE = """
from django.contrib.auth.models import User
from patients.models import Site
second, _ = Site.objects.get_or_create(code="second", defaults={"name": "Second hospital"})
second.users.add(User.objects.get(username="radiologist"))
"""


@pytest.fixture
def scan(tmp_path: Path) -> list[Path]:
    """Slices of somebody who is none of the demo's patients; too few to be analysed."""
    return make_series(tmp_path / "scan", slices=6, PatientName="Some^Body", PatientID=f"SOME-{tmp_path.name}")


def _send(page: Page, files: list[Path]) -> None:
    page.locator("input[type=file]:not([webkitdirectory])").set_input_files(files)


def test_a_scan_of_somebody_else_is_stored_only_when_a_click_says_so(stack: Stack, worker: None, scan: list[Path]):
    patient = stack.get("/api/v1/patients/?search=DEMO-01")["results"][0]["id"]
    with chromium(webgl=False) as browser:
        page = browser.new_page()
        log_in(page, stack.url)
        page.goto(f"{stack.url}/patients/{patient}/")
        status = page.locator("#upload-status")
        time_points = page.locator("[data-study]")
        before = time_points.count()

        _send(page, scan)
        expect(status).to_contain_text("Is it really a scan of this patient?", timeout=WORKED_OFF_WITHIN_MS)
        expect(time_points).to_have_count(before)
        page.get_by_role("button", name="No, discard it").click()
        expect(status).to_contain_text("were discarded")
        expect(status).to_be_focused()  # the button is gone
        expect(time_points).to_have_count(before)

        _send(page, scan)
        page.get_by_role("button", name="Yes, store it with this patient").click(timeout=WORKED_OFF_WITHIN_MS)
        expect(status).to_contain_text("6 stored", timeout=WORKED_OFF_WITHIN_MS)
        expect(time_points).to_have_count(before + 1)


def test_a_user_of_two_sites_says_which_and_sees_it_in_the_list(stack: Stack, worker: None, scan: list[Path]):
    stack.python(SECOND_SITE)
    with chromium(webgl=False) as browser:
        page = browser.new_page()
        log_in(page, stack.url, "radiologist")
        page.goto(f"{stack.url}/upload/")
        status = page.locator("#upload-status")
        _send(page, scan)
        expect(status).to_contain_text("Nothing was sent: choose the site first")
        page.get_by_label("Site").select_option("Second hospital")
        _send(page, scan)
        expect(status).to_contain_text("6 stored", timeout=WORKED_OFF_WITHIN_MS)
        page.goto(stack.url)
        expect(page.get_by_role("columnheader", name="Site")).to_be_visible()
        row = page.get_by_role("row").filter(has_text="Body Some")
        expect(row.filter(has_text="Second hospital")).to_have_count(1)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A zip that is sent in four pieces; none of its files is a scan."""
    (tmp_path / "large").mkdir()
    (tmp_path / "large" / "noise.bin").write_bytes(os.urandom(3 * PIECE_BYTES))
    (tmp_path / "large.zip").write_bytes(zipped(tmp_path / "large"))
    return tmp_path / "large.zip"


class Line:
    """Counts the bytes that reach the server, and breaks after a number of requests with pieces."""

    def __init__(self, page: Page, breaks_after: int) -> None:
        self.bytes, self.requests, self.breaks_after = 0, 0, breaks_after
        page.route("**/pieces/", self.carry)

    def carry(self, route: Route) -> None:
        if self.requests == self.breaks_after:
            route.abort("connectionfailed")
            return
        self.requests += 1
        self.bytes += len(route.request.post_data_buffer or b"")
        route.continue_()


def test_a_broken_connection_costs_one_piece(stack: Stack, worker: None, large: Path):
    with chromium(webgl=False) as browser:
        page = browser.new_page()
        log_in(page, stack.url)
        page.goto(f"{stack.url}/upload/")
        line = Line(page, breaks_after=2)
        _send(page, [large])
        expect(page.locator("[data-upload-words]")).to_contain_text(
            "The connection is broken. 8.4 MB of 13 MB", timeout=SENT_WITHIN_MS
        )
        line.breaks_after = -1
        expect(page.locator("#upload-status")).to_contain_text("1 not stored", timeout=WORKED_OFF_WITHIN_MS)
        assert large.stat().st_size < line.bytes < large.stat().st_size + 4000


def _send_until_the_line_breaks(browser: BrowserContext, stack: Stack, files: list[Path]) -> None:
    """Three requests arrive, and then the page is closed."""
    page = browser.new_page()
    log_in(page, stack.url)
    page.goto(f"{stack.url}/upload/")
    Line(page, breaks_after=3)
    _send(page, files)
    expect(page.locator("[data-upload-words]")).to_contain_text("The connection is broken", timeout=SENT_WITHIN_MS)
    page.close()


def test_files_chosen_again_on_a_page_opened_anew_are_sent_from_where_it_broke(stack: Stack, worker: None, large: Path):
    small = large.with_name("small")
    small.write_text("no scan")
    with chromium(webgl=False) as browser:
        _send_until_the_line_breaks(browser, stack, [small, large])
        page = browser.new_page()
        page.goto(f"{stack.url}/upload/")
        status = page.locator("#upload-status")
        expect(status).to_contain_text("60 % arrived")
        line = Line(page, breaks_after=-1)
        _send(page, [large, small])
        expect(status).to_contain_text("2 not stored", timeout=WORKED_OFF_WITHIN_MS)
        assert line.requests == 1


def test_a_cancelled_upload_leaves_nothing(stack: Stack, large: Path):
    with chromium(webgl=False) as browser:
        page = browser.new_page()
        log_in(page, stack.url)
        page.goto(f"{stack.url}/upload/")
        Line(page, breaks_after=1)
        _send(page, [large])
        expect(page.locator("[data-upload-words]")).to_contain_text("The connection is broken", timeout=SENT_WITHIN_MS)
        with page.expect_response("**/discard/"):
            page.get_by_role("button", name="Cancel").click()
        expect(page.locator("#upload-status")).to_contain_text("Cancelled: nothing was stored.")
        assert stack.get("/api/v1/uploads/")["results"][0]["state"] == "failed"
        page.reload()
        expect(page.locator("#upload-status")).to_be_empty()


def test_an_upload_that_is_cancelled_while_it_is_announced_leaves_nothing(stack: Stack, tmp_path: Path):
    (tmp_path / "note.txt").write_text("no scan")
    with chromium(webgl=False) as browser:
        page = browser.new_page()
        log_in(page, stack.url)
        page.goto(f"{stack.url}/upload/")
        held: list[Route] = []
        page.route("**/announce/", lambda route: held.append(route))
        _send(page, [tmp_path / "note.txt"])
        wait_until(lambda: page.wait_for_timeout(100) or held, 20, "the announcement")
        page.get_by_role("button", name="Cancel").click()
        with page.expect_response("**/discard/"):
            held[0].continue_()
        expect(page.locator("#upload-status")).to_contain_text("Cancelled: nothing was stored.")
        page.reload()
        expect(page.locator("#upload-status")).to_be_empty()


def test_what_became_of_one_upload_stays_beside_the_next_and_after_a_reload(stack: Stack, worker: None, tmp_path: Path):
    for name in ("first.txt", "second.txt"):
        (tmp_path / name).write_text(f"no scan, {name}")
    with chromium(webgl=False) as browser:
        page = browser.new_page()
        log_in(page, stack.url)
        page.goto(f"{stack.url}/upload/")
        status = page.locator("#upload-status")
        for name in ("first.txt", "second.txt"):
            _send(page, [tmp_path / name])
            expect(status).to_contain_text(name, timeout=WORKED_OFF_WITHIN_MS)
        assert status.inner_text().index("second.txt") < status.inner_text().index("first.txt")
        page.reload()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        before = page.locator(".uploads-before details")
        before.first.locator("summary").click()
        expect(before.first).to_contain_text("second.txt")
        before.nth(1).locator("summary").click()
        expect(before.nth(1)).to_contain_text("first.txt")
        assert len([address for address in asked if "/uploads/" in address]) == 2  # each when it is unfolded


def test_an_upload_that_is_cancelled_when_all_had_come_is_not_said_to_be_forgotten(
    stack: Stack, worker: None, tmp_path: Path
):
    (tmp_path / "note.txt").write_text("no scan")
    with chromium(webgl=False) as browser:
        page = browser.new_page()
        log_in(page, stack.url)
        page.goto(f"{stack.url}/upload/")
        came = []
        page.route("**/pieces/", lambda route: came.append(route.fetch().status))  # its answer is never told
        _send(page, [tmp_path / "note.txt"])
        expect(page.locator("[data-upload-words]")).to_contain_text("Sending 1 file")
        wait_until(lambda: page.wait_for_timeout(100) or came, 20, "the last piece to come")
        page.get_by_role("button", name="Cancel").click()
        expect(page.locator("#upload-status")).to_contain_text("1 not stored", timeout=WORKED_OFF_WITHIN_MS)


def test_files_of_a_folder_are_told_apart_and_others_wait_until_they_are_sent(
    stack: Stack, worker: None, tmp_path: Path
):
    for folder in ("series 1", "series 2"):
        (tmp_path / "exam" / folder).mkdir(parents=True)
        (tmp_path / "exam" / folder / "IM0001").write_text("no scan")
    with chromium(webgl=False) as browser:
        page = browser.new_page()
        log_in(page, stack.url)
        page.goto(f"{stack.url}/upload/")
        status = page.locator("#upload-status")
        sending, asked = [], []
        page.route("**/api/v1/uploads/announce/", lambda route: sending.append(route))
        page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))

        page.locator("input[webkitdirectory]").set_input_files(tmp_path / "exam")
        expect(page.locator("[data-upload-words]")).to_contain_text("2 files")
        _send(page, [tmp_path / "exam" / "series 1" / "IM0001"])
        expect(status).to_contain_text("Not taken: other files are still being sent")
        with pytest.raises(PlaywrightError):
            page.goto(stack.url, timeout=2000)
        assert asked == ["beforeunload"]

        assert len(sending) == 1
        sending[0].continue_()
        expect(status).to_contain_text("2 not stored", timeout=WORKED_OFF_WITHIN_MS)
        for folder in ("series 1", "series 2"):
            expect(status).to_contain_text(f"exam/{folder}/IM0001")
        page.goto(stack.url)
        assert asked == ["beforeunload"]


def test_a_folder_and_a_zip_are_dropped_together(stack: Stack, worker: None, scan: list[Path], tmp_path: Path):
    packed = tmp_path / "packed.zip"
    packed.write_bytes(zipped(make_series(tmp_path / "other", slices=3, PatientID=f"DROP-{tmp_path.name}")[0].parent))
    with chromium(webgl=False) as browser:
        page = browser.new_page()
        log_in(page, stack.url)
        page.goto(f"{stack.url}/upload/")
        page.evaluate("scrollTo(0, 0)")
        drop(page, [scan[0].parent, packed])
        expect(page.locator("[data-drop-zone]")).to_be_in_viewport()
        status = page.locator("#upload-status")
        expect(status).to_contain_text("9 stored", timeout=WORKED_OFF_WITHIN_MS)


def drop(page: Page, paths: list[Path]) -> None:
    """As from the desktop: the browser itself opens files and folders."""
    box = page.locator("[data-drop-zone]").bounding_box()
    assert box
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    at = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    devtools = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        devtools.send("Input.dispatchDragEvent", {"type": kind, "data": data, **at})


def test_an_empty_folder_and_one_that_cannot_be_read_are_said(stack: Stack, tmp_path: Path):
    (tmp_path / "empty" / "inside").mkdir(parents=True)
    with chromium(webgl=False) as browser:
        page = browser.new_page()
        log_in(page, stack.url)
        page.goto(f"{stack.url}/upload/")
        status = page.locator("#upload-status")
        drop(page, [tmp_path / "empty"])
        expect(status).to_contain_text("Nothing was sent: there is no file in what you dropped.")
        page.evaluate(UNREADABLE)
        drop(page, [tmp_path / "empty"])
        expect(status).to_contain_text("Nothing was sent: a file or folder among these cannot be read.")


UNREADABLE = """
const file = (_, fail) => fail(new DOMException('No.', 'NotReadableError'))
DataTransferItem.prototype.webkitGetAsEntry = () => ({ isFile: true, fullPath: '/one', file })
"""


def test_files_of_one_name_in_another_order_are_sent_from_where_it_broke(stack: Stack, worker: None, large: Path):
    small = large.parent / "other" / large.name
    small.parent.mkdir()
    small.write_text("no scan")
    with chromium(webgl=False) as browser:
        _send_until_the_line_breaks(browser, stack, [small, large])
        page = browser.new_page()
        page.goto(f"{stack.url}/upload/")
        line = Line(page, breaks_after=-1)
        _send(page, [large, small])
        expect(page.locator("#upload-status")).to_contain_text("2 not stored", timeout=WORKED_OFF_WITHIN_MS)
        assert line.requests == 2  # the small one and two pieces had come


ODD_NAMES = """
names => {
  const transfer = new DataTransfer()
  for (const name of names) transfer.items.add(new File(['no scan, ' + name.length], name))
  const input = document.querySelector('input[type=file]:not([webkitdirectory])')
  input.files = transfer.files
  input.dispatchEvent(new Event('change'))
}
"""


def test_files_of_odd_names_are_sent(stack: Stack, worker: None):
    """One of more than 200 signs, which would be cut amid one of two code units, and one of a blank alone."""
    with chromium(webgl=False) as browser:
        page = browser.new_page()
        log_in(page, stack.url)
        page.goto(f"{stack.url}/upload/")
        status = page.locator("#upload-status")
        page.evaluate(ODD_NAMES, ["🫁" * 210 + "x", " "])
        expect(status).to_contain_text("2 not stored", timeout=WORKED_OFF_WITHIN_MS)
        expect(status).to_contain_text("🫁" * 199 + "x")


def test_what_the_server_says_of_one_file_is_shown(stack: Stack, tmp_path: Path):
    (tmp_path / "note.txt").write_text("no scan")
    with chromium(webgl=False) as browser:
        page = browser.new_page()
        log_in(page, stack.url)
        page.goto(f"{stack.url}/upload/")
        refused = {"files": [{}, {"name": ["This field may not be blank."]}]}
        page.route("**/announce/", lambda route: route.fulfill(status=400, json=refused))
        _send(page, [tmp_path / "note.txt"])
        expect(page.locator("#upload-status")).to_contain_text("This field may not be blank.")
