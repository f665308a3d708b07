"""The worklist in the browser: keys, ticks, the address, new studies."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.browser.browser import chromium, log_in
from tests.dicom_series import make_series
from tests.stack import Stack


def _import(stack: Stack, folder: Path, name: str) -> int:
    """A study of a patient of its own; no worker is needed to list it."""
    make_series(folder / name, PatientName=f"List^{name}", PatientID=name)
    upload = json.loads(stack.manage("import_dicom", str(folder / name), "--site", "demo", "--json"))
    return int(upload["studies"][0])


@pytest.fixture(scope="module")
def studies(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> list[int]:
    folder = tmp_path_factory.mktemp("listed")
    return [_import(stack, folder, f"WORKLIST-{number}") for number in (1, 2, 3)]


def _focused(page: Page) -> str:
    return page.evaluate("document.activeElement.id")


def _order(page: Page) -> list[str]:
    return page.eval_on_selector_all("#worklist .row-link", "links => links.map((link) => link.id)")


def test_the_list_goes_by_keys_alone(stack: Stack, studies: list[int]) -> None:
    with chromium(webgl=False) as browser:
        page = browser.new_page()
        log_in(page, stack.url)
        page.keyboard.press("/")
        page.keyboard.type("worklist")
        page.keyboard.press("Enter")
        page.wait_for_url("**/?q=worklist")
        order = _order(page)
        assert len(order) == 3
        page.evaluate("document.activeElement.blur()")
        for key, place in (("ArrowDown", 0), ("ArrowDown", 1), ("End", 2), ("ArrowDown", 2), ("ArrowUp", 1)):
            page.keyboard.press(key)
            assert _focused(page) == order[place], key
        page.keyboard.press("x")
        assert page.locator("#bulk-count").inner_text() == "1 study ticked"
        page.keyboard.press("Home")
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/studies/{order[0].removeprefix('study-')}/")
        page.go_back()
        ticked = page.locator("#worklist input[name=study]:checked").count()
        assert page.locator("#bulk").is_visible() == (ticked > 0)  # what the browser put back is counted
        assert _focused(page) == order[0]  # from where the list was left


def test_ticks_and_focus_outlive_a_new_study_which_appears_by_itself(
    stack: Stack, studies: list[int], tmp_path: Path
) -> None:
    with chromium(webgl=False) as browser:
        page = browser.new_page()
        log_in(page, stack.url)
        page.goto(f"{stack.url}/?q=worklist&show=unassigned")
        page.evaluate("window.loadedOnce = true")
        page.check(f"#tick-{studies[1]}")
        page.focus(f"#course-{studies[0]}")
        new = _import(stack, tmp_path, "WORKLIST-4")
        page.wait_for_selector(f"#study-{new}", timeout=10_000)
        assert page.evaluate("window.loadedOnce")
        assert page.is_checked(f"#tick-{studies[1]}")
        assert _focused(page) == f"course-{studies[0]}"
        page.click("#bulk button[value=assign]")
        page.wait_for_selector("text=1 study assigned to clinician")
        assert page.url == f"{stack.url}/?q=worklist&show=unassigned"
        assert f"study-{studies[1]}" not in _order(page)
        page.click(".tabs >> text=Mine")
        page.wait_for_url("**show=mine**")
        assert _order(page) == [f"study-{studies[1]}"]
