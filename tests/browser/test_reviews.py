"""What readers say of findings is seen at once in planes and 3D, and said to screen readers."""

from playwright.sync_api import Page, expect

from tests.browser.viewing import drag, pixels_of, plane_picture, viewer
from tests.servers import wait_until
from tests.stack import Stack

GREEN = 1
CROSSING = 3  # pixels where the planes' lines meet may look green
SIZE = (820, 480)  # WebGL without a graphics card takes its time for each pixel


def _green(page: Page, name: str = "axial") -> int:
    return pixels_of(plane_picture(page, name), GREEN)


def _said(page: Page, words: str) -> None:
    expect(page.locator("#announcer")).to_have_text(words)


def test_words_on_findings_show_at_once_in_planes_and_3d(stack: Stack, study: str):
    with viewer(stack, study, webgl=True, size=SIZE) as page:
        place = page.locator("[data-viewer]")
        page.keyboard.press("h")  # the heat map has green of its own
        page.keyboard.press("Home")
        page.keyboard.press("d")
        drag(page, (0.33, 0.45), (0.41, 0.45))  # on the first slice, where no plane cuts a finding of the networks
        page.get_by_role("button", name="Add as finding").click()
        _said(page, "Saved for finding 3: a finding.")

        page.keyboard.press("m")
        expect(place).to_have_attribute("data-volume", "ready", timeout=60_000)
        page.locator("[data-own]").click()
        for name in ("axial", "coronal", "sagittal"):
            wait_until(lambda name=name: _green(page, name) > 20, 20, f"the reader's mark on the {name} plane")
        page.get_by_role("button", name="Finding 3: withdraw").click()
        _said(page, "Saved for finding 3: withdrawn.")
        for name in ("coronal", "sagittal"):
            wait_until(lambda name=name: _green(page, name) <= CROSSING, 20, f"the mark to go from the {name} plane")
        page.get_by_role("button", name="Finding 3: restore").click()
        wait_until(lambda: _green(page, "coronal") > 20, 20, "the mark to come back")

        page.locator("[data-finding='1']").click()
        wait_until(lambda: _green(page) > 10, 20, "the finding of the networks")
        page.get_by_role("button", name="Finding 1: reject").click()
        _said(page, "Saved for finding 1: no finding.")
        wait_until(lambda: _green(page) <= CROSSING, 20, "the rejected finding to go")

        page.keyboard.press("t")
        wait_until(lambda: _green(page, "3d") > 20, 120, "what is left, in 3D")
        with_mark = _green(page, "3d")
        page.get_by_role("button", name="Finding 3: withdraw").click()
        wait_until(lambda: _green(page, "3d") < with_mark / 2, 60, "the withdrawn mark to go from 3D")
