"""What axe (WCAG 2.2 A and AA, and its best practices) finds on the pages, wide and light, narrow, dark and German, and
what the browser complains of there: errors of scripts, and what the content security policy forbids."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.browser import chromium, complaints_of, log_in
from tests.browser.sent import scan_of_somebody_else, send_what_is_refused
from tests.dicom_series import make_series
from tests.stack import ROOT, Stack

NOWHERE = "/nowhere/"
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture(scope="module")
def addresses(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """Every page; those of a scan that waits to be analysed, as no worker is needed for these (test_walk.py asks axe
    about those of results)."""
    folder = tmp_path_factory.mktemp("accessible")
    make_series(folder, PatientName="Every^Page", PatientID="AXE-1")
    upload = json.loads(stack.manage("import_dicom", str(folder), "--site", "demo", "--json"))
    study = stack.get(f"/api/v1/studies/{upload['studies'][0]}/")
    of_scan = [f"/patients/{study['patient']}/", f"/studies/{study['id']}/"]  # the first asks whose scan it is
    lists = ["/", "/?show=mine&q=nobody", "/?q=axe", "/patients/", "/patients/?q=nobody"]
    account = ["/accounts/password/change/", "/accounts/logout/"]
    alone = ["/upload/", "/patients/new/", "/about/", "/help/", "/system/"]
    with scan_of_somebody_else(stack, study["patient"], folder / "other"):
        yield [*lists, *of_scan, *alone, *account, NOWHERE]


@pytest.mark.parametrize(("width", "theme", "language"), [(1440, "light", "en-gb"), (390, "dark", "de")])
def test_no_page_has_a_fault_that_axe_finds(
    stack: Stack, addresses: list[str], tmp_path: Path, width: int, theme: str, language: str
) -> None:
    with chromium(width, 900, theme, webgl=False) as browser:
        page = browser.new_page()
        complaints = complaints_of(page)
        page.goto(f"{stack.url}/accounts/login/")
        faults = {"/accounts/login/": axe_faults(page)}
        log_in(page, stack.url, "admin")
        browser.add_cookies([{"name": "django_language", "value": language, "url": stack.url}])
        for address in addresses:
            page.goto(stack.url + address)
            faults[address] = axe_faults(page)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{address} is wider than the window"
            if address == NOWHERE:  # the browser reports the page itself
                assert "404" in complaints.pop()
            assert complaints == [], address
        send_what_is_refused(stack, page, tmp_path)
        faults["an upload"] = axe_faults(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert complaints == []
    assert {address: found for address, found in faults.items() if found} == {}


def axe_faults(page: Page) -> list[dict[str, Any]]:
    """Rule and places of what axe finds; run past the content security policy, as a browser's own tools are."""
    page.evaluate(AXE.read_text() + "; null")
    rules = {"target-size": {"enabled": True}}  # the one of WCAG 2.2, which axe leaves out unless it is asked for
    violations = page.evaluate("(rules) => axe.run({ rules }).then((result) => result.violations)", rules)
    return [{"rule": each["id"], "at": [node["html"][:120] for node in each["nodes"]][:4]} for each in violations]
