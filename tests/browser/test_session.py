"""The session ends while a page is open: nothing that was typed or said is lost unseen."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.browser import chromium, log_in
from tests.stack import PASSWORD, Stack

POLLS = "**/studies/*/?seen=*"


@pytest.fixture
def opened(stack: Stack, study: str) -> Iterator[Page]:
    """The page of a CT, which a clinician reads; it is not loaded anew, and the browser asks nothing."""
    with chromium(webgl=False) as browser:
        page = browser.new_page()
        asked: list[str] = []
        page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
        log_in(page, stack.url)
        page.goto(study)
        page.evaluate("window.loadedOnce = true")
        yield page
        assert asked == []


def _end_session(page: Page) -> None:
    page.context.clear_cookies(name="sessionid")


def _notice(page: Page) -> Locator:
    return page.get_by_role("alert").filter(has_text="clinician is not logged in any more")


def _log_in_in_another_tab(page: Page, user: str) -> None:
    with page.expect_popup() as popup:
        _notice(page).get_by_role("link", name="Log in").click()
    tab = popup.value
    tab.fill("input[name=login]", user)
    tab.fill("input[name=password]", PASSWORD)
    tab.get_by_role("button", name="Log in").click()
    expect(tab.get_by_role("heading", name="Worklist")).to_be_visible()
    tab.close()


def test_a_report_typed_when_the_session_ends_is_saved_after_a_log_in_in_another_tab(opened: Page):
    reading = opened.locator("#reading")
    impression = reading.get_by_label("Impression", exact=True)
    impression.fill("Two small opacities.")
    _end_session(opened)
    expect(_notice(opened)).to_be_in_viewport()
    reading.get_by_role("button", name="Save draft").click()
    expect(_notice(opened).get_by_role("link")).to_be_focused()
    opened.wait_for_timeout(3500)  # several questions of the page
    expect(opened.get_by_text("The server does not answer")).to_be_hidden()
    expect(impression).to_have_value("Two small opacities.")

    _log_in_in_another_tab(opened, "clinician")
    expect(_notice(opened)).to_be_hidden()
    assert opened.evaluate("window.loadedOnce")
    reading.get_by_role("button", name="Save draft").click()
    expect(opened.get_by_text("The draft is saved.")).to_be_visible()
    expect(impression).to_have_value("Two small opacities.")


def test_what_one_reader_typed_is_not_saved_under_the_name_of_another(opened: Page):
    reading = opened.locator("#reading")
    reading.get_by_label("Impression", exact=True).fill("Two small opacities.")
    _end_session(opened)
    _log_in_in_another_tab(opened, "radiologist")
    opened.wait_for_timeout(1500)
    expect(_notice(opened)).to_be_visible()
    reading.get_by_role("button", name="Save draft").click()
    opened.wait_for_timeout(500)
    expect(reading.get_by_label("Impression", exact=True)).to_have_value("Two small opacities.")
    assert opened.evaluate("window.loadedOnce")


def test_a_reason_that_is_typed_for_a_finding_keeps_the_page_too(opened: Page):
    opened.locator("#finding-reason").fill("A vessel")
    _end_session(opened)
    expect(_notice(opened)).to_be_visible()
    assert opened.evaluate("window.loadedOnce")


def test_a_decision_that_is_not_saved_keeps_the_page_too(opened: Page):
    opened.locator("#reading").get_by_label("Not suspected", exact=True).check()
    _end_session(opened)
    expect(_notice(opened)).to_be_visible()
    assert opened.evaluate("window.loadedOnce")


def test_a_word_on_a_finding_that_comes_after_the_session_is_said_not_to_be_done(opened: Page):
    opened.route(POLLS, lambda route: route.abort())  # else the page would know before the click
    _end_session(opened)
    opened.locator("#finding-1-no").click()
    undone = opened.get_by_role("alert").filter(has_text="This was not done")
    expect(undone).to_be_in_viewport()
    expect(_notice(opened)).to_be_in_viewport()
    opened.unroute(POLLS)
    opened.wait_for_timeout(2500)
    expect(undone).to_be_in_viewport()
    assert opened.evaluate("window.loadedOnce")


def test_a_map_that_is_asked_for_after_the_session_is_said_to_be_missing(opened: Page):
    expect(opened.locator("[data-viewer]")).to_have_attribute("data-ready", "true", timeout=30_000)
    opened.route(POLLS, lambda route: route.fulfill(status=204))
    opened.route("**/lungs_map/", lambda route: route.fulfill(body="half a map"))
    lungs = opened.locator("[data-outline-switch=lungs]")
    lungs.click()
    expect(opened.get_by_text("The outline of the lungs could not be loaded (error 200).")).to_be_visible()
    opened.unroute("**/lungs_map/")
    lungs.click()
    _end_session(opened)
    lungs.click()
    expect(opened.get_by_text("The outline of the lungs could not be loaded (error 401).")).to_be_visible()
