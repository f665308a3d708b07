"""What tests do with a viewer, and what they see in it."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.browser.browser import chromium, complaints_of, log_in
from tests.servers import wait_until
from tests.stack import Stack

DRAWN_WITHIN_S = 30  # beside other tests
SMALL = (820, 480)  # WebGL without a graphics card takes its time for each pixel
FAR = {0: 60, 1: 30}  # above the letters' orange and the lines' blue; a finding lies over grey

KEEP_CONTEXTS = """
const get = HTMLCanvasElement.prototype.getContext
window.webglContexts = []
HTMLCanvasElement.prototype.getContext = function (name, ...rest) {
  const context = get.call(this, name, ...rest)
  if (context && name.startsWith('webgl')) window.webglContexts.push(context)
  return context
}
"""
"""Remembers what the page draws with, which lies outside of its document."""


def lose_graphics_card(page: Page) -> None:
    page.evaluate("webglContexts.forEach((context) => context.getExtension('WEBGL_lose_context')?.loseContext())")


def open_viewer(page: Page, study: str) -> None:
    page.goto(study)
    expect(page.locator("[data-viewer]")).to_have_attribute("data-ready", "true", timeout=60_000)
    expect(page.locator("[data-loading]")).to_be_hidden(timeout=60_000)


@contextmanager
def viewer(stack: Stack, study: str, *, webgl: bool = False, size: tuple[int, int] = (1440, 900)) -> Iterator[Page]:
    """A page with the viewer of a CT, all slices loaded; in the end nothing may have been complained of."""
    with chromium(*size, webgl=webgl) as browser:
        page = browser.new_page()
        page.add_init_script(KEEP_CONTEXTS)
        complaints = complaints_of(page)
        log_in(page, stack.url)
        open_viewer(page, study)
        yield page
        assert complaints == []


def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Between points in shares of the image, which fills the screen's height."""
    page.locator(".screen").evaluate("screen => screen.scrollIntoView({ block: 'nearest', behavior: 'instant' })")
    box = page.locator("[data-ct]").bounding_box()
    assert box
    left = box["x"] + (box["width"] - box["height"]) / 2
    points = [(left + x * box["height"], box["y"] + y * box["height"]) for x, y in (start, end)]
    page.mouse.move(*points[0])
    page.mouse.down()
    page.mouse.move((points[0][0] + points[1][0]) / 2, (points[0][1] + points[1][1]) / 2)
    page.mouse.move(*points[1])
    page.mouse.up()


def press(page: Page, key: str, times: int) -> None:
    for _ in range(times):
        page.keyboard.press(key)


def said(page: Page, pattern: str) -> str:
    """What screen readers are told."""
    said = page.locator("#announcer")
    return wait_until(
        lambda: re.search(pattern, said.text_content() or ""), DRAWN_WITHIN_S, f"{pattern} to be announced"
    )[1]


def measured(page: Page) -> str:
    return page.locator("[data-ct] .svg-layer").evaluate("layer => layer.textContent")


def reading(page: Page, pattern: str) -> str:
    """What is measured, once it is written beside the drawing."""
    return wait_until(lambda: re.search(pattern, measured(page)), DRAWN_WITHIN_S, pattern)[1]


def measurements(page: Page) -> int:
    drawn = page.locator("[data-ct] .svg-layer [data-annotation-uid]")
    return len(set(drawn.evaluate_all("drawn => drawn.map((one) => one.dataset.annotationUid)")))


def coloured_pixels(page: Page | Locator, overlay: str = "heatmap") -> int:
    """Pixels of an overlay that are not transparent."""
    return page.locator(f"[data-overlay={overlay}]").evaluate(
        """canvas => {
            const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data
            let count = 0
            for (let i = 3; i < pixels.length; i += 4) if (pixels[i] > 0) count++
            return count
        }"""
    )


def plane_picture(page: Page, name: str) -> np.ndarray:
    """Red, green and blue of one of the planes, or of 3D."""
    plane = page.locator(f"[data-plane='{name}']")
    plane.evaluate("plane => plane.scrollIntoView({ block: 'nearest', behavior: 'instant' })")
    box = plane.bounding_box()
    shot = page.screenshot(clip=box, timeout=120_000)  # that of an element waits until nothing moves; 3D takes its time
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB"), dtype=int)


def pixels_of(picture: np.ndarray, strong: int) -> int:
    """Pixels in which one of red (0), green (1) and blue (2) is far stronger than the others."""
    others = np.delete(picture, strong, axis=2).max(axis=2)
    return int((picture[..., strong] > others + FAR[strong]).sum())
