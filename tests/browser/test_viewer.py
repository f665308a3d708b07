"""The viewer's first image, the viewer of a PC without a graphics card, and the tools."""

import io
import json
import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, Route, expect

from tests.browser.browser import chromium, complaints_of, log_in, moved
from tests.browser.test_accessibility import axe_faults
from tests.browser.viewing import (
    DRAWN_WITHIN_S,
    SMALL,
    coloured_pixels,
    drag,
    lose_graphics_card,
    measured,
    measurements,
    open_viewer,
    press,
    reading,
    said,
    viewer,
)
from tests.servers import wait_until
from tests.stack import Stack


def test_the_heat_map_is_drawn_however_late_it_comes(stack: Stack, study: str):
    held: list[Route] = []
    with chromium(webgl=False) as browser:
        page = browser.new_page()
        log_in(page, stack.url)
        page.route("**/heatmap/", lambda route: held.append(route))
        page.goto(study)
        expect(page.locator(".still")).to_be_visible()
        expect(page.locator("[data-loading]")).to_be_hidden(timeout=60_000)  # Cornerstone did not wait for it
        assert page.locator("[data-viewer]").get_attribute("data-ready") is None
        (heatmap,) = held
        heatmap.continue_()
        expect(page.locator("[data-viewer]")).to_have_attribute("data-ready", "true", timeout=60_000)
        assert coloured_pixels(page) > 100


def _screen(page: Page) -> np.ndarray:
    """Grey values of what is on show."""
    shot = page.locator("[data-ct]").screenshot()
    return np.asarray(Image.open(io.BytesIO(shot)).convert("L"), dtype=float)


@pytest.mark.parametrize("webgl", [True, False])
def test_the_servers_image_and_the_viewers_lie_at_the_same_place(stack: Stack, study: str, webgl: bool):
    held: list[Route] = []
    with chromium(*SMALL, webgl=webgl) as browser:
        page = browser.new_page()
        complaints = complaints_of(page)
        log_in(page, stack.url)
        page.route("**/chunks/ct.*.js", lambda route: held.append(route))
        page.goto(study)
        viewer = page.locator("[data-viewer]")
        expect(viewer).to_have_attribute("data-shown", "true")
        expect(page.locator(".still")).to_be_visible()
        assert coloured_pixels(page) > 100
        first, heat = _screen(page), coloured_pixels(page)
        (library,) = held
        library.continue_()
        expect(viewer).to_have_attribute("data-ready", "true", timeout=60_000)
        expect(page.locator(".still")).to_have_count(0)
        expect(page.locator("[data-loading]")).to_be_hidden(timeout=60_000)
        page.wait_for_timeout(300)
        second = _screen(page)
        assert first.mean() > 20  # no black pane
        assert np.abs(second - first).mean() < 3
        assert coloured_pixels(page) == pytest.approx(heat, rel=0.02)
        page.keyboard.press("2")
        expect(page.locator("[data-corner=window]")).to_have_text("W 400 · L 40 HU")
        page.wait_for_timeout(300)
        assert np.abs(_screen(page) - second).mean() > 10
        assert complaints == []


@pytest.mark.parametrize("webgl", [True, False])
def test_over_the_image_lies_what_belongs_to_it_where_the_next_slice_cannot_be_loaded(
    stack: Stack, study: str, webgl: bool
):
    with chromium(*SMALL, webgl=webgl) as browser:
        page = browser.new_page()
        log_in(page, stack.url)
        page.route(_file_of_slice(page, study, 4), lambda route: route.abort())
        open_viewer(page, study)
        place = page.locator("[data-viewer]")
        said = page.locator("[data-viewer-message]")
        expect(place).to_have_attribute("data-slice-index", "5")
        heat = coloured_pixels(page)
        assert heat > 100
        page.keyboard.press("ArrowDown")
        expect(place).to_have_attribute("data-slice-index", "6")
        page.keyboard.press("ArrowUp")
        expect(place).to_have_attribute("data-slice-index", "5")
        said.evaluate("said => said.textContent = ''")
        page.keyboard.press("ArrowUp")
        expect(said).to_have_text("Slice 5 could not be loaded. Reload the page to try again.")
        page.keyboard.press("h")
        assert coloured_pixels(page) == 0
        page.keyboard.press("h")
        assert coloured_pixels(page) == heat  # slice 5 has none
        expect(place).to_have_attribute("data-slice-index", "5")
        expect(page.locator("[data-corner=slice]")).to_have_text("Slice 6 / 20")
        page.keyboard.press("ArrowUp")  # past it
        expect(place).to_have_attribute("data-slice-index", "3")


def _file_of_slice(page: Page, study: str, index: int) -> str:
    """The address of the DICOM file of a slice."""
    page.goto(study, wait_until="domcontentloaded")
    return f"**{json.loads(page.locator('#scan').text_content() or '')['slices'][index]['file']}"


def test_where_the_graphics_card_is_lost_no_image_stays_and_the_page_says_so(stack: Stack, study: str):
    with viewer(stack, study, webgl=True, size=SMALL) as page:
        page.keyboard.press("ArrowDown")
        expect(page.locator("[data-viewer]")).to_have_attribute("data-slice-index", "6")
        expect(page.locator("[data-ct]")).to_be_visible()
        lose_graphics_card(page)
        expect(page.locator("[data-viewer-message]")).to_contain_text("has lost the graphics card")
        page.keyboard.press("ArrowUp")
        for hidden in ("[data-ct]", "[data-overlay=heatmap]", "[data-corner=slice]"):
            expect(page.locator(hidden)).to_be_hidden()
        page.reload()  # a card that was lost is too weak: slices are drawn without it from now on
        expect(page.locator("[data-viewer]")).to_have_attribute("data-ready", "true", timeout=60_000)
        expect(page.locator("[data-corner=slice]")).to_be_visible()
        page.get_by_role("button", name="3D", exact=True).click()
        expect(page.locator("[data-viewer-message]")).to_contain_text("draws without a graphics card")


def test_the_viewer_speaks_german_where_the_page_does(stack: Stack, study: str):
    with chromium(webgl=False) as browser:
        page = browser.new_page()
        complaints = complaints_of(page)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        log_in(page, stack.url)
        open_viewer(page, study)
        assert [url for url in asked if "/words/" in url] == []  # English pages ask for none
        page.context.add_cookies([{"name": "django_language", "value": "de", "url": stack.url}])
        open_viewer(page, study)
        expect(page.locator("html")).to_have_attribute("lang", "de")
        rows = page.locator(".viewer-bar-top > *:not(dialog)").evaluate_all(
            "tools => new Set(tools.map((tool) => tool.offsetTop + tool.offsetHeight / 2)).size"
        )
        assert rows == 1  # of tools, as in English
        expect(page.locator("[data-corner=slice]")).to_have_text("Schicht 6 / 20")
        expect(page.locator("[data-corner=z]")).to_have_text("z −125,0 mm")
        expect(page.locator("[data-corner=result]")).to_have_text("positiv, Wahrsch. 0,90")
        expect(page.locator("[data-strip]")).to_have_attribute(
            "aria-valuetext", "Schicht 6 von 20, positiv, Wahrsch. 0,90"
        )
        expect(page.locator("[data-correction-ai]")).to_have_text("KI: auffällig (Wahrscheinlichkeit 0,90).")
        page.locator("[data-correction] button[value=normal]").click()
        expect(page.locator("[data-correction-reader]")).to_have_text(
            re.compile(r"^clinician: unauffällig \(\d{2}\.\d{2}\.\d{4}\)$")
        )
        chart = page.locator("[data-chart-canvas]")
        expect(chart.locator(".xtitle")).to_have_text("Tage seit dem ersten CT")
        page.reload()
        assert len([url for url in asked if "/words/de/" in url]) == 2
        assert page.evaluate(TRANSFERRED) == 0  # the browser has kept them
        assert complaints == []


TRANSFERRED = "performance.getEntriesByType('resource').find(({ name }) => name.includes('/words/')).transferSize"


@pytest.mark.parametrize("webgl", [True, False])
def test_lengths_ellipses_and_points_are_measured(stack: Stack, study: str, webgl: bool):
    """The image shows 384 mm; a lung of -850 HU lies around (0.29, 0.5) of it."""
    with viewer(stack, study, webgl=webgl, size=SMALL) as page:
        height = page.locator("[data-ct]").bounding_box()["height"]
        bar = page.locator("[data-scale-bar]").bounding_box()["width"]
        assert bar == pytest.approx(50 / 384 * height, abs=1)

        page.keyboard.press("d")
        drag(page, (0.2, 0.25), (0.7, 0.25))
        found = reading(page, r"([\d.]+) mm")
        assert float(found) == pytest.approx(0.5 * 384, abs=3)
        page.keyboard.press("e")
        drag(page, (0.29, 0.5), (0.34, 0.58))
        found = reading(page, r"Mean: (−?\d+)")
        assert int(found.replace("−", "-")) == pytest.approx(-850, abs=10)
        page.keyboard.press("p")
        drag(page, (0.5, 0.7), (0.5, 0.7))  # clear of what stands beside the others
        wait_until(lambda: measurements(page) == 3, DRAWN_WITHIN_S, "the third measurement")
        found = reading(page, r"\d HU(−?\d+) HU$")  # behind the ellipse's
        assert int(found.replace("−", "-")) == pytest.approx(40, abs=45)

        for left in (2, 1, 0):
            page.keyboard.press("Delete")
            wait_until(lambda left=left: measurements(page) == left, DRAWN_WITHIN_S, f"{left} measurements to be left")
        assert measured(page) == ""


def test_keys_do_what_the_mouse_does(stack: Stack, study: str):
    """The image shows 384 mm; a lung of -850 HU lies around (0.29, 0.5) of it."""
    with viewer(stack, study) as page:
        bar = page.locator("[data-scale-bar]")
        width = bar.bounding_box()["width"]
        page.locator(".screen").focus()
        page.keyboard.press("+")
        wait_until(lambda: bar.bounding_box()["width"] == pytest.approx(1.2 * width, abs=0.2), 10, "the zoom")
        page.keyboard.press("-")
        wait_until(lambda: bar.bounding_box()["width"] == pytest.approx(width, abs=0.2), 10, "the zoom back")
        before = _screen(page)
        page.keyboard.press("Shift+ArrowRight")
        wait_until(lambda: np.abs(_screen(page)[:, 140:440] - before[:, 100:400]).mean() < 3, 10, "the image to move")
        page.keyboard.press("r")
        page.keyboard.press("i")
        page.keyboard.press("u")
        expect(page.locator("[data-corner=window]")).to_have_text("W 1550 · L −575 HU")

        height = page.locator("[data-ct]").bounding_box()["height"]
        page.get_by_role("button", name="Length").click()  # which keeps neither the focus nor Enter
        page.keyboard.press("Enter")
        expect(page.locator(".cursor")).to_be_visible()
        expect(page.locator(".cursor-words")).to_contain_text("Enter sets the beginning and the end")
        page.keyboard.press("Enter")
        press(page, "Shift+ArrowRight", 9)
        press(page, "ArrowRight", 10)
        page.keyboard.press("Enter")
        assert float(said(page, r"^([\d.]+) mm$")) == pytest.approx(100 / height * 384, abs=1)
        expect(page.locator("[data-add-finding]")).to_be_enabled()
        on_offer = page.locator("[data-add-words]").inner_text()
        page.keyboard.press("Enter")
        press(page, "Shift+ArrowDown", 2)
        wait_until(lambda: measurements(page) == 2, 10, "the begun length")
        page.wait_for_timeout(200)
        expect(page.locator("[data-add-words]")).to_have_text(on_offer)  # not what is begun
        page.keyboard.press("Escape")  # leaves, with what was begun
        expect(page.locator(".cursor")).to_have_count(0)
        wait_until(lambda: measurements(page) == 1, 10, "the begun length to go")
        expect(page.locator("[data-add-words]")).to_have_text(on_offer)
        page.keyboard.press("d")
        drag(page, (0.3, 0.3), (0.4, 0.3))
        expect(page.locator("[data-add-words]")).not_to_have_text(on_offer)
        page.keyboard.press("Delete")
        expect(page.locator("[data-add-words]")).to_have_text(on_offer)  # the one that is left

        page.get_by_role("button", name="Abnormal").focus()
        page.keyboard.press("e")
        page.keyboard.press("Enter")
        press(page, "Shift+ArrowLeft", round(0.21 * height / 10))
        page.keyboard.press("Enter")
        press(page, "Shift+ArrowRight", 2)
        press(page, "Shift+ArrowDown", 3)
        page.keyboard.press("Enter")
        assert int(said(page, r"Mean: (−?\d+)").replace("−", "-")) == pytest.approx(-850, abs=10)
        page.keyboard.press("p")
        page.keyboard.press("Enter")
        page.keyboard.press("Enter")
        assert int(said(page, r"^(−?\d+) HU$").replace("−", "-")) == pytest.approx(40, abs=45)
        page.keyboard.press("Escape")
        page.keyboard.press("ArrowDown")  # the slices' again
        expect(page.locator("[data-viewer]")).to_have_attribute("data-slice-index", "6")


def _colours(page: Page) -> np.ndarray:
    """Red, green and blue of the heat map's strongest pixel."""
    return np.array(
        page.locator("[data-overlay=heatmap]").evaluate(
            """canvas => {
                const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data
                let best = 3
                for (let i = 3; i < pixels.length; i += 4) if (pixels[i] > pixels[best]) best = i
                return [pixels[best - 3], pixels[best - 2], pixels[best - 1]]
            }"""
        )
    )


def test_colours_for_all_eyes_are_kept_by_the_browser(stack: Stack, study: str):
    with viewer(stack, study) as page:
        paper = _colours(page)
        page.locator("[data-colours]").click()
        even = _colours(page)
        assert np.abs(paper - even).max() > 60
        open_viewer(page, study)
        assert (_colours(page) == even).all()
        expect(page.locator("[data-colours]")).to_have_attribute("aria-pressed", "true")


def test_the_image_fills_the_window_with_the_findings_beside_it(stack: Stack, analysed: str):
    with viewer(stack, analysed) as page:
        open_viewer(page, analysed)  # the typeface is there by now
        assert moved(page, ".viewer, .result-column") == []
        findings = page.locator(".findings li:not(.is-rejected) [data-finding]").count()
        expect(page.locator("#findings-title")).to_have_text(re.compile(rf"^Findings {findings}(, \d+ rejected)?$"))
        for (width, height), side in (((1440, 900), 600), ((1920, 1080), 770), ((1536, 2048), 1150)):
            page.set_viewport_size({"width": width, "height": height})
            for place in (".viewer-bar-top", "[data-ct]", ".strip-frame", ".correction", "#findings"):
                box = page.locator(place).bounding_box()
                assert box
                assert box["y"] + box["height"] <= height, f"{place} is cut at {width} x {height}"
            box = page.locator("[data-ct]").bounding_box()
            assert box
            assert min(box["width"], box["height"]) >= side
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.set_viewport_size({"width": 1440, "height": 500})
        shaded = _lowest_row(page)
        page.locator(".findings").evaluate("list => list.scrollTo({ top: list.scrollHeight, behavior: 'instant' })")
        assert _lowest_row(page) > shaded + 10  # the shadow that says that there is more goes at the end
        page.set_viewport_size({"width": 390, "height": 844})
        boxes = [page.locator(place).bounding_box() for place in ("[data-ct]", "#findings")]
        assert boxes[0]
        assert boxes[1]
        assert boxes[0]["width"] > 350
        assert boxes[0]["y"] + boxes[0]["height"] < boxes[1]["y"]
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def _lowest_row(page: Page) -> float:
    """The grey of the lowest pixels of the list of findings, where nothing is written."""
    shot = page.locator(".findings").screenshot()
    return float(np.median(np.asarray(Image.open(io.BytesIO(shot)).convert("L"))[-2]))


CLOSED_WHILE_H_IS_PRESSED = """
const keys = document.querySelector('dialog[open]')
keys.close()
keys.querySelector('button').dispatchEvent(new KeyboardEvent('keydown', { key: 'h', bubbles: true }))
"""
"""A closed dialog's button has the focus until the page is drawn anew, which takes long on a slow PC."""


def test_keys_are_listed_and_the_viewer_fills_the_screen(stack: Stack, study: str):
    with viewer(stack, study) as page:
        page.keyboard.press("?")
        expect(page.get_by_role("dialog", name="Keys and mouse")).to_be_visible()
        assert axe_faults(page) == []
        page.keyboard.press("h")  # the viewer's keys rest meanwhile
        expect(page.locator("[data-heatmap-switch]")).to_have_attribute("aria-pressed", "true")
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
        page.keyboard.press("?")
        page.evaluate(CLOSED_WHILE_H_IS_PRESSED)
        expect(page.locator("[data-heatmap-switch]")).to_have_attribute("aria-pressed", "false")
        page.keyboard.press("v")
        whole = "document.fullscreenElement?.matches('.viewer')"
        wait_until(lambda: page.evaluate(whole), 60, "the viewer to be what the screen shows")
        as_high = "document.fullscreenElement.offsetHeight === innerHeight"
        wait_until(lambda: page.evaluate(as_high), 60, "the viewer to be as high as the window")
        page.keyboard.press("v")
        wait_until(lambda: page.evaluate("document.fullscreenElement === null"), 60, "the page to come back")
