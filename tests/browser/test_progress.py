"""What happens to an analysis shows in the open pages by itself, within two seconds."""

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.browser import chromium, log_in
from tests.browser.viewing import drag, measurements, open_viewer
from tests.dicom_series import make_series
from tests.servers import wait_until
from tests.stack import Stack

WITHIN_SECONDS = 2
ANSWERS = 3
"""So many answers' time is granted on top: some 0.1 s, and more only where other work starves the machine."""
COURSE = [
    ({"state": "RUNNING"}, "Starting"),  # queued and begun elsewhere, while the page lay idle
    ({"stage": "reading", "progress": 0.07}, "Reading the images 7 %"),
    ({"stage": "slices", "progress": 0.5}, "Looking at each slice 50 %"),
    ({"progress": 0.93}, "Looking at each slice 93 %"),
    ({"state": "FAILED", "error": "The disk was full."}, "ailed"),
]


@pytest.fixture(scope="module")
def analysis(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The waiting analysis of a small scan."""
    folder = tmp_path_factory.mktemp("scan")
    make_series(folder, PatientName="Moving^Words", PatientID="MOVING-1")
    upload = json.loads(stack.manage("import_dicom", str(folder), "--site", "demo", "--json"))
    return stack.get(f"/api/v1/analyses/{upload['analyses'][0]}/")


def _write(stack: Stack, pk: int, **columns: Any) -> None:
    """Into the database past the product, as a worker elsewhere would; no worker of the stack holds attempt 99."""
    columns["attempt"] = 99
    assignments = ", ".join(f"{name} = :{name}" for name in columns)
    path = Path(stack.environment["DATA_DIR"]) / "coronatrend.sqlite3"
    with closing(sqlite3.connect(path, timeout=30)) as database, database:
        database.execute(f"UPDATE analysis_analysis SET {assignments} WHERE id = :id", columns | {"id": pk})


def _answer_seconds(page: Page) -> float:
    """What the browser waits for one page from the server now."""
    clock = "async () => { const t = performance.now(); await fetch('/'); return performance.now() - t }"
    return page.evaluate(clock) / 1000


def _wait_for_words(page: Page, selector: str, words: str, until: float) -> None:
    page.wait_for_function(
        "([selector, words]) => document.querySelector(selector)?.innerText.replace(/\\s+/g, ' ').includes(words)",
        arg=[selector, words],
        timeout=max(1, (until - time.monotonic()) * 1000),
    )


@pytest.mark.alone
def test_a_run_is_followed_on_every_page_within_two_seconds_without_a_reload(
    stack: Stack, analysis: dict[str, Any]
) -> None:
    _write(stack, analysis["id"], state="CANCELLED")
    study = stack.get(f"/api/v1/studies/{analysis['study']}/")
    places = {
        "/": f"[data-study='{study['id']}'] .state",
        "/patients/": f"[data-patient='{study['patient']}'] .state",
        f"/patients/{study['patient']}/": f"[data-study='{study['id']}']",
        f"/studies/{study['id']}/": "#headline",
    }
    with chromium(webgl=False) as browser:
        pages = {address: browser.new_page() for address in places}
        log_in(pages["/"], stack.url)
        for address, page in pages.items():
            page.goto(stack.url + address)
            page.evaluate("window.loadedOnce = true")
        page.wait_for_timeout(1100)  # idle pages, past their first question
        for columns, words in COURSE:
            granted = WITHIN_SECONDS + ANSWERS * _answer_seconds(pages["/"])
            _write(stack, analysis["id"], **columns)
            until = time.monotonic() + granted
            for address, selector in places.items():
                _wait_for_words(pages[address], selector, words, until)
        for address, page in pages.items():
            assert page.evaluate("window.loadedOnce"), f"{address} was loaded anew"


def test_the_first_result_comes_to_a_page_on_which_something_was_measured(
    stack: Stack, analysis: dict[str, Any]
) -> None:
    _write(stack, analysis["id"], state="RUNNING")
    with chromium(webgl=False) as browser:
        page = browser.new_page()
        log_in(page, stack.url)
        open_viewer(page, f"{stack.url}/studies/{analysis['study']}/")
        page.evaluate("window.loadedOnce = true")
        page.keyboard.press("d")
        drag(page, (0.3, 0.5), (0.4, 0.5))
        wait_until(lambda: measurements(page) == 1, 10, "the length")
        page.route("**/?seen=*", lambda route: route.fulfill(status=204, headers={"HX-Trigger": "result-changed"}))
        page.wait_for_function("() => !window.loadedOnce", timeout=10_000)


def test_a_page_whose_session_has_ended_shows_the_log_in_page(stack: Stack) -> None:
    with chromium(webgl=False) as browser:
        page = browser.new_page()
        log_in(page, stack.url)
        browser.clear_cookies()
        page.wait_for_url(f"{stack.url}/accounts/login/**", timeout=10_000)


def test_a_page_says_that_it_may_be_old_as_long_as_the_server_does_not_answer(stack: Stack) -> None:
    with chromium(webgl=False) as browser:
        page = browser.new_page()
        log_in(page, stack.url)
        notice = page.get_by_text("The server does not answer: what you see may be old.")
        browser.set_offline(True)
        expect(notice).to_be_visible(timeout=10_000)
        browser.set_offline(False)
        expect(notice).to_be_hidden(timeout=10_000)
        for asked in ("**/?page=*", "**/progress/"):
            page.route(asked, lambda route: route.fulfill(status=502))
        expect(notice).to_be_visible(timeout=10_000)


@pytest.mark.parametrize("status", [None, 404, 503])
def test_a_button_that_could_not_act_says_so_until_it_can(
    stack: Stack, analysis: dict[str, Any], status: int | None
) -> None:
    _write(stack, analysis["id"], state="FAILED", error="The disk was full.")
    with chromium(webgl=False) as browser:
        page = browser.new_page()
        log_in(page, stack.url)
        page.goto(f"{stack.url}/studies/{analysis['study']}/")
        page.route("**/retry/", lambda route: route.fulfill(status=status) if status else route.abort())
        page.get_by_role("button", name="Try again").click()
        expect(page.get_by_role("alert").filter(has_text="This was not done")).to_be_in_viewport()
        page.wait_for_timeout(1500)  # what asks by itself is answered, which says nothing of the button
        expect(page.get_by_text("This was not done")).to_be_visible()
        page.unroute("**/retry/")
        page.route("**/retry/", lambda route: route.fulfill(status=204))
        page.get_by_role("button", name="Try again").click()
        expect(page.get_by_text("This was not done")).to_be_hidden()


@pytest.mark.parametrize(("user", "address", "every_ms"), [("clinician", "/", 1000), ("admin", "/system/", 5000)])
def test_a_page_out_of_sight_asks_nothing(stack: Stack, user: str, address: str, every_ms: int) -> None:
    with chromium(webgl=False) as browser:
        page = browser.new_page()
        log_in(page, stack.url, user)
        page.goto(stack.url + address)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        wait_until(lambda: page.wait_for_timeout(100) or asked, 10, "the page to ask")
        page.evaluate("Object.defineProperty(document, 'hidden', { value: true })")
        page.wait_for_timeout(500)
        asked.clear()
        page.wait_for_timeout(every_ms + 1000)
        assert asked == []
