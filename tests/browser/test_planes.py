"""Three planes and the lungs in 3D."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pydicom
import pytest
from playwright.sync_api import FloatRect, Locator, Page, Route, expect

from tests.browser.browser import chromium, log_in
from tests.browser.test_accessibility import axe_faults
from tests.browser.viewing import SMALL, drag, measurements, open_viewer, pixels_of, plane_picture, press, said, viewer
from tests.servers import wait_until
from tests.stack import Stack


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
        page.keyboard.press("f")  # which would cover the heat map of one that is large
        page.wait_for_timeout(1000)
        with_heat = plane_picture(page, "axial")
        assert _lit_at_the_cross(page, with_heat), "they do not cross in the heat"
        assert with_heat.std() > 20  # no empty pane
        assert pixels_of(with_heat, 0) > 50
        page.keyboard.press("h")
        wait_until(lambda: pixels_of(plane_picture(page, "axial"), 0) == 0, 60, "the heat map to go from the planes")
        page.keyboard.press("f")

        finding = page.locator("[data-finding]").first
        z_mm = float(finding.get_attribute("data-finding-z") or "")
        finding.click()
        page.wait_for_timeout(1000)
        for name in ("axial", "coronal", "sagittal"):
            assert pixels_of(plane_picture(page, name), 1) > 3, f"the finding is not on the {name} plane"
        _is_ringed_while_it_is_pointed_at(page, finding)
        page.keyboard.press("f")
        wait_until(lambda: pixels_of(plane_picture(page, "axial"), 1) == 0, 60, "the finding to go from the planes")
        page.keyboard.press("f")

        crossed = [_cross(page, name) for name in ("axial", "coronal")]
        box = page.locator("[data-plane='axial']").bounding_box()
        assert box
        page.mouse.click(box["x"] + 0.35 * box["width"], box["y"] + 0.6 * box["height"])
        for name, before in zip(("axial", "coronal"), crossed, strict=True):
            wait_until(
                lambda name=name, before=before: _cross(page, name) != before, 60, f"the lines on the {name} plane"
            )

        _planes_say_where_they_are_and_are_measured(page, exams[0])
        expect(page.locator("[data-strip]")).to_be_hidden()  # what is said of slices is not meant for planes
        expect(page.locator("[data-correction]")).to_be_hidden()
        page.keyboard.press("t")
        for unused in (".drags", ".presets", ".layers"):  # all that does nothing in 3D
            expect(page.locator(f".viewer {unused}")).to_be_hidden()
        wait_until(lambda: pixels_of(plane_picture(page, "3d"), 1) > 20, 120, "the findings in 3D")
        finding.hover()
        ring = page.locator("[data-plane='3d'] .finding-ring")
        expect(ring).to_be_visible()
        page.locator("h1").hover()
        expect(ring).to_be_hidden()
        assert pixels_of(plane_picture(page, "3d"), 0) > 20, "no red for the opacities"
        for key, colour, other in (("o", 0, 1), ("f", 1, 0)):
            page.keyboard.press(key)
            wait_until(lambda colour=colour: pixels_of(plane_picture(page, "3d"), colour) == 0, 60, f"{key} to hide")
            assert pixels_of(plane_picture(page, "3d"), other) > 20
            page.keyboard.press(key)
            wait_until(lambda colour=colour: pixels_of(plane_picture(page, "3d"), colour) > 20, 60, f"{key} to show")
        turned = plane_picture(page, "3d")
        box = page.locator("[data-plane='3d']").bounding_box()
        assert box
        page.mouse.move(box["x"] + 200, box["y"] + 100)
        page.mouse.down()
        page.mouse.move(box["x"] + 300, box["y"] + 100)
        page.mouse.up()
        wait_until(lambda: np.abs(plane_picture(page, "3d") - turned).mean() > 1, 60, "the lungs to turn")
        page.keyboard.press("r")
        sides = page.locator(".plane-3d .side")
        expect(sides).to_have_text(["R", "L", "H", "F"])
        press(page, "ArrowRight", 5)  # half a quarter turn and a bit: the patient's right side comes to the front
        expect(sides).to_have_text(["P", "A", "H", "F"], timeout=60_000)
        turned = plane_picture(page, "3d")
        page.keyboard.press("+")
        wait_until(lambda: np.abs(plane_picture(page, "3d") - turned).mean() > 0.5, 60, "the lungs to come nearer")
        page.locator("input[name=clip]").fill("100")
        wait_until(lambda: pixels_of(plane_picture(page, "3d"), 1) == 0, 60, "all to be cut away")
        page.keyboard.press("r")
        expect(page.locator("input[name=clip]")).to_have_value("0")
        wait_until(lambda: pixels_of(plane_picture(page, "3d"), 1) > 0, 60, "what was cut away to come back")

        page.keyboard.press("s")
        slices = json.loads(page.locator("#scan").text_content() or "")["slices"]
        nearest = min(range(len(slices)), key=lambda index: abs(slices[index]["z_mm"] - z_mm))
        expect(place).to_have_attribute("data-slice-index", str(nearest))
        _dragging_is(page, "Pan")  # as before the planes
        page.keyboard.press("d")
        drag(page, (0.3, 0.5), (0.4, 0.5))
        wait_until(lambda: measurements(page) == 1, 10, "the length")
        page.keyboard.press("Delete")  # the measurement, not the lines of the planes
        wait_until(lambda: measurements(page) == 0, 10, "the measurement to go")
        expect(page.locator("[data-add-finding]")).to_be_disabled()
        assert axe_faults(page) == []


def test_without_webgl_there_are_slices_alone_and_the_page_says_so(stack: Stack, study: str):
    with viewer(stack, study) as page:
        page.keyboard.press("m")
        expect(page.locator("[data-viewer-message]")).to_contain_text("without a graphics card")
        expect(page.locator("[data-volume]")).to_be_hidden()
        expect(page.locator("button[data-view=slices]")).to_have_attribute("aria-pressed", "true")


@pytest.mark.parametrize("held", [10, 20])
def test_of_a_ct_too_large_the_nearest_slices_are_loaded_and_the_page_says_why_there_are_no_planes(
    stack: Stack, study: str, held: int
):
    """``held``: as many of its 20 slices as the memory holds, but not the maps."""

    def shrink_memory(route: Route) -> None:
        script = route.fetch()
        assert "15e8" in script.text()
        route.fulfill(response=script, body=script.text().replace("15e8", str(held * 96 * 96 * 2)))

    with chromium(*SMALL, webgl=True) as browser:
        page = browser.new_page()
        log_in(page, stack.url)
        page.route("**/chunks/ct.*.js", shrink_memory)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url.removeprefix(stack.url)))
        open_viewer(page, study)
        files = [each["file"] for each in json.loads(page.locator("#scan").text_content() or "")["slices"]]
        place = page.locator("[data-viewer]")
        expect(place).to_have_attribute("data-slice-index", "5")
        assert set(files) & set(asked) == set(files[:held])
        for key, index in (("ArrowDown", 6), ("ArrowUp", 5), ("ArrowUp", 4)):
            page.keyboard.press(key)
            expect(place).to_have_attribute("data-slice-index", str(index))
        assert sum(file in files for file in asked) == held  # none had to be loaded again
        page.keyboard.press("m")
        said = page.locator("[data-viewer-message]")
        expect(said).to_have_text("Planes and 3D could not be built: the CT is too large for them.")


def _is_ringed_while_it_is_pointed_at(page: Page, finding: Locator) -> None:
    """``finding``: of the list, just clicked, so that the planes cross in it."""
    rings = [page.locator(f"[data-plane='{name}'] .finding-ring") for name in ("axial", "coronal", "sagittal")]
    for ring in rings:
        expect(ring).to_be_visible()
    ring, axial = rings[0].bounding_box(), page.locator("[data-plane='axial']").bounding_box()
    bar = page.locator(".plane:has([data-plane='axial']) .scale-bar").bounding_box()
    assert ring
    assert axial
    assert bar
    long_axis_mm = float(finding.get_attribute("data-finding-mm") or "")
    assert ring["width"] == pytest.approx(long_axis_mm * bar["width"] / 50 + 10, abs=1)
    down, right = _cross_at(page)
    assert ring["x"] + ring["width"] / 2 - axial["x"] == pytest.approx(right, abs=1.5)
    assert ring["y"] + ring["height"] / 2 - axial["y"] == pytest.approx(down, abs=1.5)
    page.locator("h1").hover()
    expect(rings[0]).to_be_visible()  # it has the focus
    page.locator(".plane:has([data-plane='axial'])").focus()
    for each in rings:
        expect(each).to_be_hidden()
    page.keyboard.press("Home")  # the axial plane goes to the head
    finding.hover()
    expect(rings[1]).to_be_visible()
    expect(rings[0]).to_be_hidden()
    finding.click()
    expect(rings[0]).to_be_visible()
    page.locator(".plane:has([data-plane='axial'])").focus()
    page.locator("h1").hover()


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
    hu = said(page, rf"^x .+ {y + 10:.1f}, .+ mm \(LPS\), (−?\d+) HU$")
    assert int(hu.replace("−", "-")) in _hu_around(scan, *_cross_mm(page))
    one = pydicom.dcmread(next(path for path in scan.rglob("*") if path.is_file()))
    front, back = one.ImagePositionPatient[1], one.ImagePositionPatient[1] + (one.Rows - 1) * one.PixelSpacing[0]
    for key, there in (("End", back), ("Home", front)):
        page.keyboard.press(key)
        wait_until(lambda there=there: _cross_mm(page)[1] == pytest.approx(there, abs=0.11), 10, f"{key} to act")
    page.keyboard.press("PageDown")  # a click at the CT's edge may fall beside it

    per_mm = bar["width"] / 50
    page.keyboard.press("d")
    _drag_on_plane(page, (0.3, 0.7), (0.5, 0.7))
    length = _measured_on_plane(page, r"([\d.]+) mm")
    assert float(length) == pytest.approx(0.2 * axial["width"] / per_mm, abs=2)
    page.keyboard.press("e")
    _drag_on_plane(page, (0.36, 0.55), (0.4, 0.58))  # clear of the length
    area = _measured_on_plane(page, r"Area: ([\d.]+) mm²")
    half_axes = (0.04 * axial["width"] / per_mm, 0.03 * axial["height"] / per_mm)
    assert float(area) == pytest.approx(math.pi * math.prod(half_axes), rel=0.25)
    _nothing_is_measured_after_delete(page)
    page.keyboard.press("p")
    across, down = _cross_at(page)
    now = _axial(page)
    page.mouse.click(now["x"] + down, now["y"] + across)
    hu = _measured_on_plane(page, r"(−?\d+) HU")
    there = re.search(r"(−?\d+) HU", page.locator("[data-cross]").text_content() or "")
    assert there
    assert int(hu.replace("−", "-")) == pytest.approx(int(there[1].replace("−", "-")), abs=60)
    _nothing_is_measured_after_delete(page)
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
    page.keyboard.press("PageDown")
    page.keyboard.press("Enter")
    page.wait_for_timeout(500)
    said(page, "(Enter)")  # not where the planes cross, which waits until no key is pressed
    page.keyboard.press("Enter")
    press(page, "Shift+ArrowRight", 5)
    page.keyboard.press("Enter")
    bar = page.locator(".plane:has([data-plane='axial']) .scale-bar").bounding_box()
    assert bar
    assert float(said(page, r"^([\d.]+) mm$")) == pytest.approx(50 * 50 / bar["width"], rel=0.03)
    page.locator("[data-plane='axial']").hover()
    page.mouse.wheel(0, 100)
    expect(page.locator(".cursor")).to_have_count(0)
    page.keyboard.press("Delete")
    page.keyboard.press("Enter")
    expect(page.locator(".cursor")).to_be_visible()
    page.locator("[data-finding]").first.click()  # where the planes cross again
    expect(page.locator(".cursor")).to_have_count(0)


def _lit_at_the_cross(page: Page, axial: np.ndarray) -> bool:
    """Whether the heat map's red lies around the point where the planes cross."""
    row, column = _cross_at(page)
    around = axial[max(0, row - 12) : row + 12, max(0, column - 12) : column + 12]
    return pixels_of(around, 0) > 20


def _cross_at(page: Page) -> tuple[int, int]:
    """Row and column of the axial plane where its lines meet."""
    lines = _cross(page, "axial")
    row = next(y1 for x1, y1, x2, y2 in lines if y1 == y2 and x1 != x2)
    column = next(x1 for x1, y1, x2, y2 in lines if x1 == x2 and y1 != y2)
    return row, column


def _axial(page: Page) -> FloatRect:
    """The axial plane's place now, in sight: what stands above it on the page may have grown since."""
    plane = page.locator("[data-plane='axial']")
    plane.evaluate("plane => plane.scrollIntoView({ block: 'center', behavior: 'instant' })")
    box = plane.bounding_box()
    assert box
    return box


def _drag_on_plane(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Between points in shares of the axial plane."""
    box = _axial(page)
    points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
    page.mouse.move(*points[0])
    page.mouse.down()
    page.mouse.move(*np.mean(points, axis=0))
    page.mouse.move(*points[1])
    page.mouse.up()


def _measured_on_plane(page: Page, pattern: str) -> str:
    drawn = page.locator("[data-plane='axial'] .svg-layer")
    return wait_until(lambda: re.search(pattern, drawn.text_content() or ""), 60, f"{pattern} on the plane")[1]


def _nothing_is_measured_after_delete(page: Page) -> None:
    drawn = page.locator("[data-plane='axial'] .svg-layer")
    press(page, "Delete", 2)
    wait_until(lambda: not re.search("mm|HU", drawn.text_content() or ""), 10, "the measurements to go")


def _dragging_is(page: Page, tool: str) -> None:
    expect(page.locator("[data-drag][aria-pressed=true]")).to_have_accessible_name(tool)


def _cross(page: Page, plane: str) -> list[list[int]]:
    """Where the lines of the other planes begin and end on one."""
    lines = page.locator(f"[data-plane='{plane}'] svg line")
    ends = "lines => lines.map(line => ['x1', 'y1', 'x2', 'y2'].map(name => Math.round(line.getAttribute(name))))"
    return lines.evaluate_all(ends)


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
