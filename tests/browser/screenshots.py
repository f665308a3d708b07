"""``make screenshots``: every page at two widths in both themes, and the pictures of the README.

All pages go to var/screenshots/; the README's pictures to docs/screenshots/. The patients are the demo's: synthetic.
"""

import tempfile
from pathlib import Path

from playwright.sync_api import Page

from tests.browser.browser import chromium, log_in
from tests.servers import wait_until
from tests.stack import ROOT, Stack, running_stack

ALL, README = ROOT / "var" / "screenshots", ROOT / "docs" / "screenshots"
WIDTHS = {1440: 900, 390: 844}
PATIENT = "DEMO-02"  # worse, then better


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="screenshots-") as folder, running_stack(Path(folder)) as stack:
        stack.manage("seed_demo")
        wait_until(lambda: _all_analysed(stack), 900, "the demo's scans to be analysed")
        pages = _pages(stack)
        for width, height in WIDTHS.items():
            for theme in ("light", "dark"):
                with chromium(width, height, theme) as browser:
                    page = browser.new_page()
                    page.goto(f"{stack.url}/accounts/login/")
                    _take(page, ALL / f"login-{width}-{theme}.png")
                    log_in(page, stack.url)
                    for name, path in pages.items():
                        page.goto(stack.url + path)
                        _settle(page)
                        _take(page, ALL / f"{name}-{width}-{theme}.png")
    for name, theme in (("worklist", "light"), ("timeline", "light"), ("study", "dark")):
        README.mkdir(parents=True, exist_ok=True)
        (README / f"{name}.png").write_bytes((ALL / f"{name}-1440-{theme}.png").read_bytes())


def _all_analysed(stack: Stack) -> bool:
    runs = [each for kind in ("analyses", "comparisons") for each in stack.get(f"/api/v1/{kind}/")["results"]]
    return bool(runs) and all(each["state"] == "DONE" for each in runs)


def _pages(stack: Stack) -> dict[str, str]:
    (patient,) = stack.get(f"/api/v1/patients/?search={PATIENT}")["results"]
    points = stack.get(f"/api/v1/patients/{patient['id']}/trend/")["points"]
    worst = max(points, key=lambda point: point["corona_score_cm3"])
    return {
        "worklist": "/",
        "worklist-filtered": "/?show=suspected&q=demo&since=2026-01-01",
        "no-studies": "/?q=nobody",
        "patients": "/patients/",
        "timeline": f"/patients/{patient['id']}/",
        "compare": f"/patients/{patient['id']}/compare/",
        "study": f"/studies/{worst['study']}/",
        "upload": "/upload/",
        "new-patient": "/patients/new/",
        "about": "/about/",
    }


def _settle(page: Page) -> None:
    """Until charts are drawn and the viewer shows its first slice with the heat map."""
    if page.locator("[data-compare]").count():
        page.wait_for_selector("[data-compare][data-ready=true]", timeout=60_000)
    if page.locator("[data-viewer]").count():
        page.wait_for_selector("[data-viewer][data-ready=true]", timeout=60_000)
    if page.locator("[data-chart]").count():
        page.wait_for_selector("[data-chart] .main-svg")
    page.wait_for_timeout(1000)


def _take(page: Page, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=path, full_page=True)


if __name__ == "__main__":
    main()
