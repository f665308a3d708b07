"""The viewer's first image, the viewer of a PC without a graphics card, and the tools."""

import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from playwright.sync_api import Page, Route, expect

from tests.browser.browser import chromium, complaints_of, log_in
from tests.browser.test_accessibility import axe_faults
from tests.browser.test_walk import _coloured_pixels
from tests.servers import wait_until
from tests.stack import Stack, zipped

DRAWN_WITHIN_S = 30  # beside other tests
SMALL = (820, 480)  # WebGL without a graphics card takes its time for each pixel


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
        assert _coloured_pixels(page) > 100


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


def test_the_viewer_speaks_german_where_the_page_does(stack: Stack, study: str):
    with chromium(webgl=False) as browser:
        page = browser.new_page()
        complaints = complaints_of(page)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        log_in(page, stack.url)
        _open(page, study)
        assert [url for url in asked if "/words/" in url] == []  # English pages ask for none
        page.context.add_cookies([{"name": "django_language", "value": "de", "url": stack.url}])
        _open(page, study)
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


def _open(page: Page, study: str) -> None:
    page.goto(study)
    expect(page.locator("[data-viewer]")).to_have_attribute("data-ready", "true", timeout=60_000)
    expect(page.locator("[data-loading]")).to_be_hidden(timeout=60_000)


@contextmanager
def viewer(stack: Stack, study: str, *, webgl: bool = False, size: tuple[int, int] = (1440, 900)) -> Iterator[Page]:
    """A page with the viewer of a CT, all slices loaded; in the end nothing may have been complained of."""
    with chromium(*size, webgl=webgl) as browser:
        page = browser.new_page()
        complaints = complaints_of(page)
        log_in(page, stack.url)
        _open(page, study)
        yield page
        assert complaints == []


def _drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
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


def _measured(page: Page) -> str:
    return page.locator("[data-ct] .svg-layer").evaluate("layer => layer.textContent")


def _reading(page: Page, pattern: str) -> str:
    """What is measured, once it is written beside the drawing."""
    return wait_until(lambda: re.search(pattern, _measured(page)), DRAWN_WITHIN_S, pattern)[1]


def _measurements(page: Page) -> int:
    drawn = page.locator("[data-ct] .svg-layer [data-annotation-uid]")
    return len(set(drawn.evaluate_all("drawn => drawn.map((one) => one.dataset.annotationUid)")))


@pytest.mark.parametrize("webgl", [True, False])
def test_lengths_ellipses_and_points_are_measured(stack: Stack, study: str, webgl: bool):
    """The image shows 384 mm; a lung of -850 HU lies around (0.29, 0.5) of it."""
    with viewer(stack, study, webgl=webgl, size=SMALL) as page:
        height = page.locator("[data-ct]").bounding_box()["height"]
        bar = page.locator("[data-scale-bar]").bounding_box()["width"]
        assert bar == pytest.approx(50 / 384 * height, abs=1)

        page.keyboard.press("d")
        _drag(page, (0.2, 0.25), (0.7, 0.25))
        found = _reading(page, r"([\d.]+) mm")
        assert float(found) == pytest.approx(0.5 * 384, abs=3)
        page.keyboard.press("e")
        _drag(page, (0.29, 0.5), (0.34, 0.58))
        found = _reading(page, r"Mean: (−?\d+)")
        assert int(found.replace("−", "-")) == pytest.approx(-850, abs=10)
        page.keyboard.press("p")
        _drag(page, (0.5, 0.7), (0.5, 0.7))  # clear of what stands beside the others
        wait_until(lambda: _measurements(page) == 3, DRAWN_WITHIN_S, "the third measurement")
        found = _reading(page, r"\d HU(−?\d+) HU$")  # behind the ellipse's
        assert int(found.replace("−", "-")) == pytest.approx(40, abs=45)

        for left in (2, 1, 0):
            page.keyboard.press("Delete")
            wait_until(lambda left=left: _measurements(page) == left, DRAWN_WITHIN_S, f"{left} measurements to be left")
        assert _measured(page) == ""


def _said(page: Page, pattern: str) -> str:
    """What screen readers are told."""
    said = page.locator("#announcer")
    return wait_until(lambda: re.search(pattern, said.text_content() or ""), 10, f"{pattern} to be announced")[1]


def _press(page: Page, key: str, times: int) -> None:
    for _ in range(times):
        page.keyboard.press(key)


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
        _press(page, "Shift+ArrowRight", 9)
        _press(page, "ArrowRight", 10)
        page.keyboard.press("Enter")
        assert float(_said(page, r"^([\d.]+) mm$")) == pytest.approx(100 / height * 384, abs=1)
        expect(page.locator("[data-add-finding]")).to_be_enabled()
        on_offer = page.locator("[data-add-words]").inner_text()
        page.keyboard.press("Enter")
        _press(page, "Shift+ArrowDown", 2)
        wait_until(lambda: _measurements(page) == 2, 10, "the begun length")
        page.wait_for_timeout(200)
        expect(page.locator("[data-add-words]")).to_have_text(on_offer)  # not what is begun
        page.keyboard.press("Escape")  # leaves, with what was begun
        expect(page.locator(".cursor")).to_have_count(0)
        wait_until(lambda: _measurements(page) == 1, 10, "the begun length to go")
        expect(page.locator("[data-add-words]")).to_have_text(on_offer)
        page.keyboard.press("d")
        _drag(page, (0.3, 0.3), (0.4, 0.3))
        expect(page.locator("[data-add-words]")).not_to_have_text(on_offer)
        page.keyboard.press("Delete")
        expect(page.locator("[data-add-words]")).to_have_text(on_offer)  # the one that is left

        page.get_by_role("button", name="Abnormal").focus()
        page.keyboard.press("e")
        page.keyboard.press("Enter")
        _press(page, "Shift+ArrowLeft", round(0.21 * height / 10))
        page.keyboard.press("Enter")
        _press(page, "Shift+ArrowRight", 2)
        _press(page, "Shift+ArrowDown", 3)
        page.keyboard.press("Enter")
        assert int(_said(page, r"Mean: (−?\d+)").replace("−", "-")) == pytest.approx(-850, abs=10)
        page.keyboard.press("p")
        page.keyboard.press("Enter")
        page.keyboard.press("Enter")
        assert int(_said(page, r"^(−?\d+) HU$").replace("−", "-")) == pytest.approx(40, abs=45)
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
        _open(page, study)
        assert (_colours(page) == even).all()
        expect(page.locator("[data-colours]")).to_have_attribute("aria-pressed", "true")


@pytest.fixture(scope="module")
def analysed(stack: Stack, worker: None, exams: list[Path]) -> str:
    """The address of a CT with findings."""
    (pk,) = stack.finished_upload(stack.upload(zipped(exams[0])))["analyses"]
    return f"{stack.url}/studies/{stack.finished_analysis(pk)['study']}/"


MOVED = """new Promise((tell) => {
    const moved = []
    new PerformanceObserver((list) => {
        for (const { sources } of list.getEntries()) moved.push(...sources.map(({ node }) => node))
    }).observe({ type: 'layout-shift', buffered: true })
    const elements = () => moved.map((node) => (node?.closest ? node : node?.parentElement))
    const fixed = (element) => element?.closest('.viewer, .result-column') && !element.closest('.corner')
    setTimeout(() => tell(elements().filter(fixed).map((element) => element.outerHTML.slice(0, 80))), 200)
})"""
"""What of the viewer and of the result beside it moved while the page was loaded, but for the texts over the image."""


def test_the_image_fills_the_window_with_the_findings_beside_it(stack: Stack, analysed: str):
    with viewer(stack, analysed) as page:
        _open(page, analysed)  # the typeface is there by now
        assert page.evaluate(MOVED) == []
        findings = page.locator("[data-finding]").count()
        expect(page.locator("#findings-title")).to_have_text(f"Findings {findings}")
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


def test_a_finding_under_the_pointer_is_singled_out(stack: Stack, analysed: str):
    with viewer(stack, analysed) as page:
        finding = page.locator("[data-finding]").first
        finding.click()
        page.mouse.move(0, 0)
        page.locator(".screen").focus()
        wait_until(lambda: _coloured_pixels(page, "findings") > 10, 10, "the outline of the finding")
        page.wait_for_timeout(300)
        thin = _coloured_pixels(page, "findings")
        finding.hover()
        assert _coloured_pixels(page, "findings") > 1.5 * thin
        page.mouse.move(0, 0)
        assert _coloured_pixels(page, "findings") == thin


def test_a_reader_rejects_a_finding_and_marks_another(stack: Stack, analysed: str):
    with viewer(stack, analysed) as page:
        found = page.locator("[data-finding]").count()
        page.locator("[data-finding]").first.click()
        wait_until(lambda: _coloured_pixels(page, "findings") > 10, 10, "the outline of the finding")
        reason = page.locator("#finding-reason")
        reason.fill("A vessel")
        reason.press("Enter")  # says nothing of any finding
        page.wait_for_timeout(300)
        expect(page.locator("#findings [aria-pressed=true]")).to_have_count(0)
        page.get_by_role("button", name="Finding 1: reject").click()
        expect(page.locator("#findings .is-rejected")).to_contain_text("clinician: no finding (A vessel)")
        wait_until(lambda: _coloured_pixels(page, "findings") == 0, 10, "its outline to go")

        expect(page.locator("[data-add-finding]")).to_be_disabled()
        page.keyboard.press("d")
        _drag(page, (0.3, 0.5), (0.36, 0.5))
        expect(page.locator("[data-add-words]")).to_contain_text("What you measured")
        assert _coloured_pixels(page, "marks") == 0
        page.locator("[data-add-finding]").click()
        expect(page.locator("[data-finding]")).to_have_count(found + 1)
        expect(page.locator("[data-add-finding]")).to_be_disabled()  # not once more
        wait_until(lambda: _coloured_pixels(page, "marks") > 10, 10, "the ring of the reader's mark")
        page.keyboard.press("PageDown")
        wait_until(lambda: _coloured_pixels(page, "marks") == 0, 10, "the ring to stay on its slices")
        page.locator("[data-own]").click()
        wait_until(lambda: _coloured_pixels(page, "marks") > 10, 10, "the mark's slice")
        page.get_by_role("button", name=f"Finding {found + 1}: withdraw").click()
        wait_until(lambda: _coloured_pixels(page, "marks") == 0, 10, "the ring to go")
        page.get_by_role("button", name="Finding 1: agree").click()
        expect(page.locator("#findings .is-rejected")).to_have_count(1)
        assert axe_faults(page) == []


def test_keys_are_listed_and_the_viewer_fills_the_screen(stack: Stack, study: str):
    with viewer(stack, study) as page:
        page.keyboard.press("?")
        expect(page.get_by_role("dialog", name="Keys and mouse")).to_be_visible()
        assert axe_faults(page) == []
        page.keyboard.press("h")  # the viewer's keys rest meanwhile
        expect(page.locator("[data-heatmap-switch]")).to_have_attribute("aria-pressed", "true")
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
        page.keyboard.press("v")
        height = "document.fullscreenElement?.matches('.viewer') && document.fullscreenElement.offsetHeight"
        wait_until(lambda: page.evaluate(f"({height}) === innerHeight"), 10, "the viewer to fill the screen")
        page.keyboard.press("v")
        wait_until(lambda: page.evaluate("document.fullscreenElement === null"), 10, "the page to come back")


def _plane(page: Page, name: str) -> np.ndarray:
    """Red, green and blue of one of the planes, or of 3D."""
    plane = page.locator(f"[data-plane='{name}']")
    plane.evaluate("plane => plane.scrollIntoView({ block: 'nearest', behavior: 'instant' })")
    box = plane.bounding_box()
    shot = page.screenshot(clip=box, timeout=120_000)  # that of an element waits until nothing moves; 3D takes its time
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB"), dtype=int)


FAR = {0: 60, 1: 30}  # above the letters' orange and the lines' blue; a finding lies over grey


def _count(picture: np.ndarray, strong: int) -> int:
    """Pixels in which one of red (0), green (1) and blue (2) is far stronger than the others."""
    others = np.delete(picture, strong, axis=2).max(axis=2)
    return int((picture[..., strong] > others + FAR[strong]).sum())


def _cross(page: Page, plane: str) -> list[list[int]]:
    """Where the lines of the other planes begin and end on one."""
    lines = page.locator(f"[data-plane='{plane}'] svg line")
    ends = "lines => lines.map(line => ['x1', 'y1', 'x2', 'y2'].map(name => Math.round(line.getAttribute(name))))"
    return lines.evaluate_all(ends)


def test_planes_cross_at_a_finding_and_the_lungs_turn_in_3d(stack: Stack, analysed: str, exams: list[Path]):
    with viewer(stack, analysed, webgl=True, size=SMALL) as page:
        place = page.locator("[data-viewer]")
        page.keyboard.press("g")
        page.keyboard.press("m")
        _dragging_is(page, "Cross")
        page.keyboard.press("z")  # while the volume is built
        expect(place).to_have_attribute("data-volume", "ready", timeout=60_000)
        page.keyboard.press("m")  # changes nothing
        _dragging_is(page, "Zoom")
        page.keyboard.press("x")
        expect(page.locator(".screen")).to_have_accessible_name(re.compile("^CT in three planes"))
        page.wait_for_timeout(1000)
        with_heat = _plane(page, "axial")
        assert with_heat.std() > 20  # no empty pane
        assert _count(with_heat, 0) > 50
        page.keyboard.press("h")
        wait_until(lambda: _count(_plane(page, "axial"), 0) == 0, 20, "the heat map to go from the planes")

        finding = page.locator("[data-finding]").first
        z_mm = float(finding.get_attribute("data-finding-z") or "")
        finding.click()
        page.wait_for_timeout(1000)
        for name in ("axial", "coronal", "sagittal"):
            assert _count(_plane(page, name), 1) > 3, f"the finding is not on the {name} plane"
        page.keyboard.press("f")
        wait_until(lambda: _count(_plane(page, "axial"), 1) == 0, 20, "the finding to go from the planes")
        page.keyboard.press("f")

        crossed = [_cross(page, name) for name in ("axial", "coronal")]
        box = page.locator("[data-plane='axial']").bounding_box()
        assert box
        page.mouse.click(box["x"] + 0.35 * box["width"], box["y"] + 0.6 * box["height"])
        for name, before in zip(("axial", "coronal"), crossed, strict=True):
            wait_until(
                lambda name=name, before=before: _cross(page, name) != before, 20, f"the lines on the {name} plane"
            )

        _planes_say_where_they_are_and_are_measured(page, exams[0])
        expect(page.locator("[data-strip]")).to_be_hidden()  # what is said of slices is not meant for planes
        expect(page.locator("[data-correction]")).to_be_hidden()
        page.keyboard.press("t")
        wait_until(lambda: _count(_plane(page, "3d"), 1) > 20, 120, "the findings in 3D")
        assert _count(_plane(page, "3d"), 0) > 20, "no red for the opacities"
        turned = _plane(page, "3d")
        box = page.locator("[data-plane='3d']").bounding_box()
        assert box
        page.mouse.move(box["x"] + 200, box["y"] + 100)
        page.mouse.down()
        page.mouse.move(box["x"] + 300, box["y"] + 100)
        page.mouse.up()
        wait_until(lambda: np.abs(_plane(page, "3d") - turned).mean() > 1, 60, "the lungs to turn")
        page.keyboard.press("r")
        sides = page.locator(".plane-3d .side")
        expect(sides).to_have_text(["R", "L", "H", "F"])
        _press(page, "ArrowRight", 5)  # half a quarter turn and a bit: the patient's right side comes to the front
        expect(sides).to_have_text(["P", "A", "H", "F"], timeout=60_000)
        turned = _plane(page, "3d")
        page.keyboard.press("+")
        wait_until(lambda: np.abs(_plane(page, "3d") - turned).mean() > 0.5, 60, "the lungs to come nearer")
        page.locator("input[name=clip]").fill("100")
        wait_until(lambda: _count(_plane(page, "3d"), 1) == 0, 60, "all to be cut away")
        page.keyboard.press("r")
        expect(page.locator("input[name=clip]")).to_have_value("0")
        wait_until(lambda: _count(_plane(page, "3d"), 1) > 0, 60, "what was cut away to come back")

        page.keyboard.press("s")
        slices = json.loads(page.locator("#scan").text_content() or "")["slices"]
        nearest = min(range(len(slices)), key=lambda index: abs(slices[index]["z_mm"] - z_mm))
        expect(place).to_have_attribute("data-slice-index", str(nearest))
        _dragging_is(page, "Pan")  # as before the planes
        page.keyboard.press("d")
        _drag(page, (0.3, 0.5), (0.4, 0.5))
        wait_until(lambda: _measurements(page) == 1, 10, "the length")
        page.keyboard.press("Delete")  # the measurement, not the lines of the planes
        wait_until(lambda: _measurements(page) == 0, 10, "the measurement to go")
        expect(page.locator("[data-add-finding]")).to_be_disabled()
        assert axe_faults(page) == []


def _dragging_is(page: Page, tool: str) -> None:
    expect(page.locator("[data-drag][aria-pressed=true]")).to_have_accessible_name(tool)


def _planes_say_where_they_are_and_are_measured(page: Page, scan: Path) -> None:
    for name, letters in (("axial", "RLAP"), ("coronal", "RLHF"), ("sagittal", "APHF")):
        sides = page.locator(f".plane:has([data-plane='{name}']) .side")
        expect(sides).to_have_text(list(letters))
    axial = page.locator("[data-plane='axial']").bounding_box()
    bar = page.locator(".plane:has([data-plane='axial']) .scale-bar").bounding_box()
    assert axial
    assert bar
    page.locator(".plane:has([data-plane='coronal'])").focus()
    x, y, z = _cross_mm(page)
    for key, there in (("ArrowRight", [x + 1, y, z]), ("ArrowDown", [x + 1, y, z - 1])):
        page.keyboard.press(key)
        wait_until(lambda there=there: _cross_mm(page) == pytest.approx(there, abs=0.11), 10, f"{key} to act")
    page.keyboard.press("PageDown")  # through the plane, away from the eye
    wait_until(lambda: _cross_mm(page) == pytest.approx([x + 1, y + 10, z - 1], abs=0.11), 10, "Page Down to act")
    said = _said(page, r"^x .+ mm \(LPS\), (−?\d+) HU$")
    assert int(said.replace("−", "-")) in _hu_around(scan, *_cross_mm(page))
    one = pydicom.dcmread(next(path for path in scan.rglob("*") if path.is_file()))
    front, back = one.ImagePositionPatient[1], one.ImagePositionPatient[1] + (one.Rows - 1) * one.PixelSpacing[0]
    for key, there in (("End", back), ("Home", front)):
        page.keyboard.press(key)
        wait_until(lambda there=there: _cross_mm(page)[1] == pytest.approx(there, abs=0.11), 10, f"{key} to act")

    page.keyboard.press("d")
    page.mouse.move(axial["x"] + 0.3 * axial["width"], axial["y"] + 0.7 * axial["height"])
    page.mouse.down()
    page.mouse.move(axial["x"] + 0.4 * axial["width"], axial["y"] + 0.7 * axial["height"])
    page.mouse.move(axial["x"] + 0.5 * axial["width"], axial["y"] + 0.7 * axial["height"])
    page.mouse.up()
    drawn = page.locator("[data-plane='axial'] .svg-layer")
    length = wait_until(lambda: re.search(r"([\d.]+) mm", drawn.text_content() or ""), 20, "the length on the plane")[1]
    assert float(length) == pytest.approx(0.2 * axial["width"] * 50 / bar["width"], abs=2)
    page.keyboard.press("Delete")
    wait_until(lambda: "mm" not in (drawn.text_content() or ""), 10, "the length to go")
    _a_cursor_measures_on_a_plane(page)
    page.keyboard.press("x")


def _a_cursor_measures_on_a_plane(page: Page) -> None:
    page.locator(".plane:has([data-plane='axial'])").focus()
    page.keyboard.press("d")
    for end in ("Escape", "PageDown", "r"):  # it goes with the plane it was begun on
        page.keyboard.press("Enter")
        expect(page.locator("[data-plane='axial'] .cursor")).to_be_visible()
        page.keyboard.press(end)
        expect(page.locator(".cursor")).to_have_count(0)
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    _press(page, "Shift+ArrowRight", 5)
    page.keyboard.press("Enter")
    bar = page.locator(".plane:has([data-plane='axial']) .scale-bar").bounding_box()
    assert bar
    assert float(_said(page, r"^([\d.]+) mm$")) == pytest.approx(50 * 50 / bar["width"], rel=0.03)
    page.locator("[data-plane='axial']").hover()
    page.mouse.wheel(0, 100)
    expect(page.locator(".cursor")).to_have_count(0)
    page.keyboard.press("Delete")
    page.keyboard.press("Enter")
    expect(page.locator(".cursor")).to_be_visible()
    page.locator("[data-finding]").first.click()  # where the planes cross again
    expect(page.locator(".cursor")).to_have_count(0)


def _cross_mm(page: Page) -> list[float]:
    """Where the planes cross (LPS, mm), as they say."""
    said = (page.locator("[data-cross]").text_content() or "").replace("−", "-")
    return [float(place) for place in re.findall(r"-?\d+\.\d", said)]


def _hu_around(scan: Path, x: float, y: float, z: float) -> set[int]:
    """HU of the pixel at a point (LPS, mm); where rounding may mean its neighbour, of that one too."""
    slices = [pydicom.dcmread(path) for path in scan.rglob("*") if path.is_file()]
    nearest = min(slices, key=lambda one: abs(one.ImagePositionPatient[2] - z))
    hu = nearest.pixel_array * nearest.RescaleSlope + nearest.RescaleIntercept
    (left, top, _), (down, along) = nearest.ImagePositionPatient, nearest.PixelSpacing
    rows = {round((y + off - top) / down) for off in (-0.06, 0.06)}
    columns = {round((x + off - left) / along) for off in (-0.06, 0.06)}
    return {int(hu[row, column]) for row in rows for column in columns}


def test_without_webgl_there_are_slices_alone_and_the_page_says_so(stack: Stack, study: str):
    with viewer(stack, study) as page:
        page.keyboard.press("m")
        expect(page.locator("[data-viewer-message]")).to_contain_text("without a graphics card")
        expect(page.locator("[data-volume]")).to_be_hidden()
        expect(page.locator("button[data-view=slices]")).to_have_attribute("aria-pressed", "true")
