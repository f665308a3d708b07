"""The viewer under fingers, as the browser itself tells of them."""

from playwright.sync_api import CDPSession, Page, expect

from tests.browser.browser import chromium, complaints_of, log_in
from tests.servers import wait_until
from tests.stack import Stack

STEPS = 10
Finger = tuple[float, float]


def test_one_finger_goes_through_the_slices_and_two_zoom(stack: Stack, study: str) -> None:
    with chromium(390, 844, webgl=False, has_touch=True) as browser:
        page = browser.new_page()
        complaints = complaints_of(page)
        log_in(page, stack.url)
        page.goto(study)
        viewer = page.locator("[data-viewer]")
        expect(viewer).to_have_attribute("data-ready", "true", timeout=60_000)
        devtools = page.context.new_cdp_session(page)
        x, y = _middle(page)
        first = viewer.get_attribute("data-slice-index")
        window = page.locator("[data-corner=window]").inner_text()

        _drag(page, devtools, [((x, y), (x, y + 90))])
        expect(viewer).not_to_have_attribute("data-slice-index", first or "")
        assert page.locator("[data-corner=window]").inner_text() == window

        shown, bar = viewer.get_attribute("data-slice-index"), _scale_bar(page)
        _drag(page, devtools, [((x - 30, y), (x - 90, y)), ((x + 30, y), (x + 90, y))])
        wait_until(lambda: _scale_bar(page) > 1.5 * bar, 10, "the image to be zoomed")
        assert viewer.get_attribute("data-slice-index") == shown
        assert complaints == []


def _middle(page: Page) -> Finger:
    screen = page.locator(".screen")
    screen.scroll_into_view_if_needed()
    box = screen.bounding_box()
    assert box
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def _scale_bar(page: Page) -> float:
    """Length of 5 cm on screen."""
    box = page.locator("[data-scale-bar]").first.bounding_box()
    assert box
    return box["width"]


def _drag(page: Page, devtools: CDPSession, fingers: list[tuple[Finger, Finger]]) -> None:
    """Fingers that go from one place to another together."""
    for step in range(STEPS + 1):
        points = [
            {"x": from_x + (to_x - from_x) * step / STEPS, "y": from_y + (to_y - from_y) * step / STEPS, "id": number}
            for number, ((from_x, from_y), (to_x, to_y)) in enumerate(fingers)
        ]
        kind = "touchMove" if step else "touchStart"
        devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        page.wait_for_timeout(30)
    devtools.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
