"""A clinician's way through the product, in a real browser, against real processes."""

import hashlib
import json
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect
from pypdf import PdfReader

from tests.browser.browser import chromium, complaints_of, log_in
from tests.browser.test_accessibility import axe_faults
from tests.browser.viewing import coloured_pixels
from tests.servers import wait_until
from tests.stack import Stack, zipped

ANALYSED_WITHIN_MS = 180_000


@pytest.fixture
def patient(stack: Stack, worker: None, exams: list[Path]) -> int:
    """A patient whose first scan is analysed."""
    (pk,) = stack.finished_upload(stack.upload(zipped(exams[0])))["analyses"]
    analysis = stack.finished_analysis(pk)
    assert analysis["state"] == "DONE"
    return stack.get(f"/api/v1/studies/{analysis['study']}/")["patient"]


def test_a_clinician_uploads_a_follow_up_and_reads_it(stack: Stack, patient: int, exams: list[Path], tmp_path: Path):
    follow_up = tmp_path / "follow-up.zip"
    follow_up.write_bytes(zipped(exams[1]))
    with chromium() as browser:
        page = browser.new_page()
        complaints = complaints_of(page)

        log_in(page, stack.url)
        page.locator(f"#worklist a[href='/patients/{patient}/']").first.click()
        expect(page.locator("[data-chart]")).to_have_attribute("data-points", "1")

        page.locator("input[type=file]:not([webkitdirectory])").set_input_files(follow_up)
        expect(page.locator("[data-chart]")).to_have_attribute("data-points", "2", timeout=ANALYSED_WITHIN_MS)

        _, second = stack.get(f"/api/v1/patients/{patient}/trend/")["points"]
        assert 0 < second["relative_corona_score"] < 1
        page.goto(f"{stack.url}/studies/{second['study']}/")
        _heat_map_can_be_toggled(page)
        _outlines_can_be_toggled(page)
        _a_finding_is_shown_on_its_slice(page)
        _what_changed_is_outlined(page)
        _keys_wheel_and_strip_go_through_the_slices(page)
        _keys_set_the_window(page)
        _another_time_point_opens_at_the_same_level(page)
        page.go_back()
        _two_scans_move_together(page, f"{stack.url}/patients/{patient}/compare/")
        page.go_back()

        with page.expect_download(timeout=60_000) as download:
            page.get_by_role("link", name="Report (PDF)", exact=True).click()
        text = "".join(sheet.extract_text() for sheet in PdfReader(download.value.path()).pages)
        assert f"{second['corona_score_cm3']:.1f} cm³" in text

        for address in (f"/patients/{patient}/", f"/studies/{second['study']}/", f"/patients/{patient}/compare/", "/"):
            page.goto(stack.url + address)
            page.wait_for_timeout(1000)  # charts and images come after the page
            assert axe_faults(page) == [], address
        page.set_viewport_size({"width": 390, "height": 844})
        page.evaluate("localStorage.setItem('theme', 'dark')")
        page.context.add_cookies([{"name": "django_language", "value": "de", "url": stack.url}])
        for address in (f"/patients/{patient}/", f"/studies/{second['study']}/", f"/patients/{patient}/compare/", "/"):
            page.goto(stack.url + address)
            page.wait_for_timeout(1000)
            assert axe_faults(page) == [], f"{address} at 390 px, dark, German"
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, address
        page.context.clear_cookies(name="django_language")
        page.set_viewport_size({"width": 1440, "height": 900})
        page.goto(stack.url)
        page.get_by_role("link", name="About the AI").click()
        expect(page.locator("[data-figure] .main-svg").first).to_be_visible()
        assert complaints == []


def _heat_map_can_be_toggled(page: Page) -> None:
    viewer = page.locator("[data-viewer]")
    expect(viewer).to_have_attribute("data-ready", "true", timeout=60_000)
    expect(page.locator("[data-loading]")).to_be_hidden(timeout=60_000)  # nothing else on the picture moves any more
    shown = _picture(page)
    page.keyboard.press("h")
    wait_until(lambda: _picture(page) != shown, 10, "the heat map to go")
    page.keyboard.press("H")  # as with Caps Lock
    wait_until(lambda: _picture(page) == shown, 10, "the heat map to come back")
    assert coloured_pixels(page) > 100
    _the_threshold_narrows_the_heat_map(page)
    page.locator(".screen").focus()
    for _ in range(20):
        page.keyboard.press(",")
    expect(page.locator("input[name=threshold]")).to_have_value("0")
    assert coloured_pixels(page) > 100


def _the_threshold_narrows_the_heat_map(page: Page) -> None:
    """Dragged step by step to the right: less and less is drawn, in the end nothing."""
    slider = page.locator("input[name=threshold]")
    slider.fill("0")
    areas = [coloured_pixels(page)]
    box = slider.bounding_box()
    assert box
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 0.05 * box["width"], y)
    page.mouse.down()
    for share in (0.25, 0.5, 0.75, 1):
        page.mouse.move(box["x"] + share * box["width"], y, steps=3)
        areas.append(coloured_pixels(page))
        if share == 0.5:
            expect(slider).to_have_value("50")
    page.mouse.up()
    assert areas == sorted(areas, reverse=True)
    assert areas[0] > areas[2] > areas[-1] == 0


def _picture(page: Page) -> str:
    """What the user sees of the slice with its heat map."""
    return hashlib.sha256(page.locator("[data-ct]").screenshot()).hexdigest()


def _outlines_can_be_toggled(page: Page) -> None:
    assert coloured_pixels(page, "opacity") == 0
    page.keyboard.press("o")
    wait_until(lambda: coloured_pixels(page, "opacity") > 100, 10, "the outlines to come")
    page.locator("[data-outline-switch=opacity]").click()
    wait_until(lambda: coloured_pixels(page, "opacity") == 0, 10, "the outlines to go")


def _a_finding_is_shown_on_its_slice(page: Page) -> None:
    finding = page.locator("[data-finding-z]").first
    z_mm = float(finding.get_attribute("data-finding-z") or "")
    finding.click()
    slices = json.loads(page.locator("#scan").text_content() or "")["slices"]
    nearest = min(range(len(slices)), key=lambda index: abs(slices[index]["z_mm"] - z_mm))
    expect(page.locator("[data-viewer]")).to_have_attribute("data-slice-index", str(nearest))
    wait_until(lambda: coloured_pixels(page, "findings") > 10, 10, "the outline of the finding")
    page.keyboard.press("f")
    wait_until(lambda: coloured_pixels(page, "findings") == 0, 10, "the outline to go")


def _what_changed_is_outlined(page: Page) -> None:
    """The page stays as it is when the comparison comes."""
    switch = page.locator("[data-outline-switch=change]")
    expect(switch).to_be_visible(timeout=ANALYSED_WITHIN_MS)
    page.locator("#since-last [data-finding-z]").first.click()
    assert coloured_pixels(page, "change") == 0
    page.keyboard.press("c")
    wait_until(lambda: coloured_pixels(page, "change") > 10, 10, "the outline of the change")
    switch.click()
    wait_until(lambda: coloured_pixels(page, "change") == 0, 10, "the outline of the change to go")


def _keys_wheel_and_strip_go_through_the_slices(page: Page) -> None:
    viewer = page.locator("[data-viewer]")
    page.locator(".screen").focus()  # from the slider, where these keys move its handle
    page.keyboard.press("Home")
    expect(viewer).to_have_attribute("data-slice-index", "0")
    page.keyboard.press("ArrowDown")
    expect(viewer).to_have_attribute("data-slice-index", "1")
    page.locator(".details").click(position={"x": 2, "y": 2})
    page.keyboard.press("ArrowDown")  # scrolls the page, as everywhere outside the viewer
    page.locator("[data-ct]").click()
    page.keyboard.press("ArrowUp")
    expect(viewer).to_have_attribute("data-slice-index", "0")
    page.keyboard.press("ArrowDown")
    page.locator("[data-ct]").hover()
    page.mouse.wheel(0, 100)
    expect(viewer).to_have_attribute("data-slice-index", "2")
    strip = page.locator("[data-strip]").bounding_box()
    assert strip
    page.mouse.click(strip["x"] + strip["width"] * 0.5, strip["y"] + strip["height"] / 2)
    expect(viewer).not_to_have_attribute("data-slice-index", "2")


def _keys_set_the_window(page: Page) -> None:
    for key, window in (("2", "W 400 · L 40 HU"), ("3", "W 1800 · L 400 HU"), ("1", "W 1500 · L −600 HU")):
        page.keyboard.press(key)
        expect(page.locator("[data-corner=window]")).to_have_text(window)


def _another_time_point_opens_at_the_same_level(page: Page) -> None:
    level, _ = _level_on_show(page)
    address = page.url
    page.keyboard.press("2")
    page.keyboard.press("h")
    page.locator("a[data-open-at-level]").click()
    page.wait_for_url(lambda url: url != address)
    expect(page.locator("[data-viewer]")).to_have_attribute("data-ready", "true", timeout=60_000)
    same_level, step = _level_on_show(page)
    assert abs(same_level - level) <= 0.51 * step
    expect(page.locator("[data-corner=window]")).to_have_text("W 400 · L 40 HU")
    expect(page.locator("[data-heatmap-switch]")).to_have_attribute("aria-pressed", "false")


def _two_scans_move_together(page: Page, address: str) -> None:
    page.goto(address)
    expect(page.locator("[data-compare]")).to_have_attribute("data-ready", "true", timeout=60_000)
    then, now = page.locator("[data-pane]").all()
    expect(page.locator("[data-loading]:visible")).to_have_count(0, timeout=60_000)
    before = [pane.get_attribute("data-slice-index") for pane in (now, then)]
    page.keyboard.press("PageDown")
    expect(now).not_to_have_attribute("data-slice-index", before[0] or "")
    expect(then).not_to_have_attribute("data-slice-index", before[1] or "")
    there = int(then.get_attribute("data-slice-index") or "")
    then.locator("[data-move='1']").click()
    expect(then).to_have_attribute("data-slice-index", str(there + 1))
    expect(then.locator("[data-offset]")).to_have_text("+1 slice")
    page.keyboard.press("2")
    for pane in (now, then):
        expect(pane.locator("[data-corner=window]")).to_have_text("W 400 · L 40 HU")
    pictures = [_pane_picture(pane) for pane in (now, then)]
    page.keyboard.press("h")
    for pane, shown in zip((now, then), pictures, strict=True):
        wait_until(lambda pane=pane, shown=shown: _pane_picture(pane) != shown, 10, "the heat map to go")
    page.keyboard.press("End")
    lesion = page.locator("td button[data-go-pane]").first
    pane = page.locator(f"[data-pane='{lesion.get_attribute('data-go-pane')}']")
    slices = json.loads(pane.locator("script").text_content() or "")["scan"]["slices"]
    z_mm = float((lesion.get_attribute("data-finding-at") or "").split()[2])
    nearest = min(range(len(slices)), key=lambda index: abs(slices[index]["z_mm"] - z_mm))
    lesion.click()
    expect(pane).to_have_attribute("data-slice-index", str(nearest))


def _pane_picture(pane: Locator) -> str:
    return hashlib.sha256(pane.locator(".screen").screenshot()).hexdigest()


def _level_on_show(page: Page) -> tuple[float, float]:
    """Where the slice on show lies between the top (0) and the bottom (1) of the lungs, and how far one slice is."""
    slices = json.loads(page.locator("#scan").text_content() or "")["slices"]
    lung = [one["z_mm"] for one in slices if one["probability"] is not None]
    index = int(page.locator("[data-viewer]").get_attribute("data-slice-index") or "")
    return (slices[index]["z_mm"] - lung[0]) / (lung[-1] - lung[0]), 1 / (len(lung) - 1)
