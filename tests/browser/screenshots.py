"""``make screenshots``: every page at two widths in both themes, and the pictures of the README.

All pages go to var/screenshots/, those that are read on a portrait screen of 3 megapixels at its size too; the README's
pictures are copied from there to docs/screenshots/. The patients are the demo's: synthetic.
"""

import tempfile
from pathlib import Path

from playwright.sync_api import BrowserContext, Page

from tests.browser.browser import chromium, log_in
from tests.browser.sent import scan_of_somebody_else, send_what_is_refused
from tests.servers import wait_until
from tests.stack import ROOT, Stack, running_stack

ALL, README = ROOT / "var" / "screenshots", ROOT / "docs" / "screenshots"
WIDTHS = {1440: 900, 390: 844}
PORTRAIT = 1536, 2048  # a reading screen of 3 megapixels
ON_PORTRAIT = ("worklist", "timeline", "study")
THEMES = ("light", "dark")
DRAWN_WITHIN_MS = 180_000  # 3D without a graphics card
VIEWS = {"planes": "study-planes", "3d": "study-3d"}  # of the study's page, beside its slices
PATIENT = "DEMO-02"  # worse, then better
ASKED = "DEMO-03"  # to whom somebody else's scan was sent


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="screenshots-") as folder, running_stack(Path(folder)) as stack:
        stack.manage("seed_demo")
        wait_until(lambda: _all_analysed(stack), 900, "the demo's scans to be analysed")
        with scan_of_somebody_else(stack, _patient(stack, ASKED), Path(folder) / "other"):
            for theme in THEMES:
                _in_theme(theme, stack, Path(folder))
    for name, theme in (("worklist", "light"), ("timeline", "light"), ("study", "dark")):
        README.mkdir(parents=True, exist_ok=True)
        (README / f"{name}.png").write_bytes((ALL / f"{name}-1440-{theme}.png").read_bytes())


def _in_theme(theme: str, stack: Stack, folder: Path) -> None:
    pages = _pages(stack)
    for width, height in WIDTHS.items():
        with chromium(width, height, theme) as browser:
            _all_pages(browser, stack, pages, f"{width}-{theme}", folder)
    with chromium(*PORTRAIT, theme) as browser:
        page = browser.new_page()
        log_in(page, stack.url)
        for name in ON_PORTRAIT:
            _open(page, stack.url + pages[name])
            _take(page, ALL / f"{name}-{PORTRAIT[0]}-{theme}.png", full_page=False)


def _all_pages(browser: BrowserContext, stack: Stack, pages: dict[str, str], suffix: str, folder: Path) -> None:
    page = browser.new_page()
    page.goto(f"{stack.url}/accounts/login/")
    _take(page, ALL / f"login-{suffix}.png")
    log_in(page, stack.url)
    for name, path in pages.items():
        _open(page, stack.url + path)
        _take(page, ALL / f"{name}-{suffix}.png")
    page.goto(stack.url + pages["study"])
    for view, name in VIEWS.items():
        _settle(page)
        page.locator(f"button[data-view='{view}']").click()
        page.wait_for_selector("[data-volume=ready]", timeout=DRAWN_WITHIN_MS)
        _take(page, ALL / f"{name}-{suffix}.png")
    send_what_is_refused(stack, page, folder / f"refused-{suffix}")
    _take(page, ALL / f"upload-outcomes-{suffix}.png")
    browser.clear_cookies()
    log_in(page, stack.url, "admin")
    _open(page, f"{stack.url}/system/")
    _take(page, ALL / f"system-{suffix}.png")


def _all_analysed(stack: Stack) -> bool:
    runs = [each for kind in ("analyses", "comparisons") for each in stack.get(f"/api/v1/{kind}/")["results"]]
    return bool(runs) and all(each["state"] == "DONE" for each in runs)


def _patient(stack: Stack, patient_id: str) -> int:
    (patient,) = stack.get(f"/api/v1/patients/?search={patient_id}")["results"]
    return patient["id"]


def _pages(stack: Stack) -> dict[str, str]:
    patient = _patient(stack, PATIENT)
    points = stack.get(f"/api/v1/patients/{patient}/trend/")["points"]
    worst = max(points, key=lambda point: point["corona_score_cm3"])
    return {
        "worklist": "/",
        "worklist-filtered": "/?show=suspected&q=demo&since=2026-01-01",
        "no-studies": "/?q=nobody",
        "patients": "/patients/",
        "timeline": f"/patients/{patient}/",
        "compare": f"/patients/{patient}/compare/",
        "study": f"/studies/{worst['study']}/",
        "upload": "/upload/",
        "upload-question": f"/patients/{_patient(stack, ASKED)}/",
        "new-patient": "/patients/new/",
        "about": "/about/",
        "help": "/help/",
        "password": "/accounts/password/change/",
        "logout": "/accounts/logout/",
        "not-found": "/nowhere/",
    }


def _open(page: Page, address: str) -> None:
    page.goto(address)
    _settle(page)


def _settle(page: Page) -> None:
    """Until charts are drawn and the viewer shows its first slice with the heat map."""
    if page.locator("[data-compare]").count():
        page.wait_for_selector("[data-compare][data-ready=true]", timeout=60_000)
    if page.locator("[data-viewer]").count():
        page.wait_for_selector("[data-viewer][data-ready=true]", timeout=60_000)
    if page.locator("[data-chart]").count():
        page.wait_for_selector("[data-chart] .main-svg")
    page.wait_for_timeout(1000)


def _take(page: Page, path: Path, *, full_page: bool = True) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=path, full_page=full_page, timeout=DRAWN_WITHIN_MS)


if __name__ == "__main__":
    main()
