"""What the mouse does to a slice, and what stands and lies over it."""

import re

import numpy as np
from playwright.sync_api import Page, expect

from tests.browser.test_upload import WORKED_OFF_WITHIN_MS, drop
from tests.browser.viewing import coloured_pixels, drag, open_viewer
from tests.dicom_series import make_series
from tests.servers import wait_until
from tests.stack import Stack

PAINTED = """canvas => {
    const { width, height } = canvas
    const pixels = canvas.getContext('2d').getImageData(0, 0, width, height).data
    let [most, left, top, right, bottom] = [0, width, height, -1, -1]
    for (let at = 0; at < width * height; at++) {
        const alpha = pixels[4 * at + 3]
        if (alpha === 0) continue
        const [x, y] = [at % width, Math.floor(at / width)]
        most = Math.max(most, alpha)
        left = Math.min(left, x), right = Math.max(right, x)
        top = Math.min(top, y), bottom = Math.max(bottom, y)
    }
    return [most, left, top, right, bottom]
}"""


def _heat(page: Page) -> np.ndarray:
    """Strongest opacity of the heat map, and the box that it fills: left, top, right, bottom."""
    return np.array(page.locator("[data-overlay=heatmap]").evaluate(PAINTED))


def test_dragging_changes_the_window_moves_and_zooms_what_lies_over_the_image_with_it(page: Page, study: str):
    open_viewer(page, study)
    window = page.locator("[data-corner=window]")
    expect(window).to_have_text("W 1500 · L −600 HU")
    drag(page, (0.5, 0.5), (0.6, 0.5))
    wider = wait_until(lambda: re.fullmatch(r"W (\d+) · L −600 HU", window.inner_text()), 10, "a wider window")
    assert int(wider[1]) > 1500
    drag(page, (0.5, 0.5), (0.5, 0.6))
    expect(window).not_to_contain_text("−600")
    before = _heat(page)
    page.keyboard.press("g")
    drag(page, (0.4, 0.4), (0.5, 0.45))
    wait_until(lambda: _heat(page)[1] > before[1], 10, "the heat map to move with the image")
    moved = _heat(page)
    assert np.ptp(moved[1::2] - before[1::2]) <= 2  # as far on its right as on its left
    assert moved[2] > before[2]
    page.keyboard.press("z")
    bar = page.locator("[data-scale-bar]").bounding_box()
    drag(page, (0.5, 0.4), (0.5, 0.43))
    wait_until(lambda: _heat(page)[3] - _heat(page)[1] != moved[3] - moved[1], 10, "the heat map to zoom")
    zoomed = _heat(page)
    assert bar
    factor = page.locator("[data-scale-bar]").evaluate("bar => bar.getBoundingClientRect().width") / bar["width"]
    assert abs((zoomed[3] - zoomed[1]) / (moved[3] - moved[1]) / factor - 1) < 0.05
    page.keyboard.press("r")
    wait_until(lambda: (_heat(page) == before).all(), 10, "the whole image again")
    expect(window).to_have_text("W 1500 · L −600 HU")


def test_keys_change_the_strength_of_the_heat_map(page: Page, study: str):
    open_viewer(page, study)
    strength, area, before = page.locator("input[name=opacity]"), coloured_pixels(page), _heat(page)[0]
    expect(strength).to_have_value("45")
    for _ in range(4):
        page.keyboard.press("]")
    expect(strength).to_have_value("65")
    assert _heat(page)[0] / before > 65 / 45 * 0.95
    for _ in range(9):
        page.keyboard.press("[")
    expect(strength).to_have_value("20")
    assert _heat(page)[0] < before / 2
    assert abs(coloured_pixels(page) / area - 1) < 0.02  # as large as before


def test_the_lungs_are_outlined_around_what_is_in_them(page: Page, study: str):
    open_viewer(page, study)
    assert coloured_pixels(page, "lungs") == 0
    page.keyboard.press("l")
    wait_until(lambda: coloured_pixels(page, "lungs") > 100, 10, "the outline of the lungs")
    _, left, top, right, bottom = page.locator("[data-overlay=lungs]").evaluate(PAINTED)
    _, *heat = _heat(page)
    assert (left, top) <= (heat[0], heat[1])
    assert (right, bottom) >= (heat[2], heat[3])
    page.keyboard.press("l")
    wait_until(lambda: coloured_pixels(page, "lungs") == 0, 10, "the outline to go")


def test_the_corners_name_patient_slice_and_sides(page: Page, study: str):
    open_viewer(page, study)
    screen = page.locator(".screen")
    for words in ("Cora Doe", "5 Mar 2020", "Slice 6 / 20", "z −125.0 mm"):
        expect(screen).to_contain_text(words)
    sides = {side: screen.locator(f"[data-corner={side}]").inner_text() for side in ("left", "right", "top", "bottom")}
    assert sides == {"left": "R", "right": "L", "top": "A", "bottom": "P"}
    expect(page.locator("[data-scale-bar]")).to_be_visible()


def test_letters_are_no_keys_where_the_user_switched_them_off(page: Page, study: str):
    open_viewer(page, study)
    switch = page.locator("#letters-switch")
    place = page.locator("[data-viewer]")

    def switch_letters(pressed: str) -> None:
        page.locator("details.menu > summary").click()
        switch.click()
        expect(switch).to_have_attribute("aria-pressed", pressed)
        page.keyboard.press("Escape")
        page.locator(".screen").focus()

    switch_letters("false")
    page.keyboard.press("h")
    page.keyboard.press("ArrowDown")  # no letter
    expect(place).to_have_attribute("data-slice-index", "6")
    assert coloured_pixels(page) > 0
    page.keyboard.press("/")
    expect(page.locator("#search")).not_to_be_focused()
    switch_letters("true")
    page.keyboard.press("h")
    wait_until(lambda: coloured_pixels(page) == 0, 10, "the heat map to go")


def test_a_follow_up_is_dropped_on_the_patients_page(stack: Stack, worker: None, page: Page, study: str, tmp_path):
    page.goto(study)
    patient = page.locator("h1 a")
    name = page.locator(".facts .number").first.inner_text().removeprefix("ID ")
    scan = make_series(tmp_path / "follow-up", slices=12, PatientID=name, PatientName="Doe^Cora")
    patient.click()
    page.locator("[data-drop-zone]").scroll_into_view_if_needed()
    drop(page, [scan[0].parent])
    expect(page.locator("#upload-status")).to_contain_text("12 stored", timeout=WORKED_OFF_WITHIN_MS)
    expect(page.locator("[data-study]")).to_have_count(2, timeout=WORKED_OFF_WITHIN_MS)
