"""The viewer's first image, and the viewer of a PC without a graphics card."""

import io

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, Route, expect

from tests.browser.browser import chromium, log_in
from tests.browser.test_walk import _coloured_pixels
from tests.stack import Stack


def _screen(page: Page) -> np.ndarray:
    """Grey values of what is on show."""
    shot = page.locator("[data-ct]").screenshot()
    return np.asarray(Image.open(io.BytesIO(shot)).convert("L"), dtype=float)


@pytest.mark.parametrize("webgl", [True, False])
def test_the_servers_image_and_the_viewers_lie_at_the_same_place(stack: Stack, study: str, webgl: bool):
    held: list[Route] = []
    with chromium(webgl=webgl) as browser:
        page = browser.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        log_in(page, stack.url)
        page.route("**/chunks/ct.*.js", lambda route: held.append(route))
        page.goto(study)
        viewer = page.locator("[data-viewer]")
        expect(viewer).to_have_attribute("data-shown", "true")
        expect(page.locator(".still")).to_be_visible()
        assert _coloured_pixels(page) > 100
        first, heat = _screen(page), _coloured_pixels(page)
        (library,) = held
        library.continue_()
        expect(viewer).to_have_attribute("data-ready", "true", timeout=60_000)
        expect(page.locator(".still")).to_have_count(0)
        expect(page.locator("[data-loading]")).to_be_hidden(timeout=60_000)
        page.wait_for_timeout(300)
        second = _screen(page)
        assert first.mean() > 20  # no black pane
        assert np.abs(second - first).mean() < 3
        assert _coloured_pixels(page) == pytest.approx(heat, rel=0.02)
        page.keyboard.press("2")
        expect(page.locator("[data-corner=window]")).to_have_text("W 400 · L 40 HU")
        page.wait_for_timeout(300)
        assert np.abs(_screen(page) - second).mean() > 10
        assert complaints == []
