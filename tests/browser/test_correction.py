"""A reader overrules the AI on a slice of the study page."""

from playwright.sync_api import Page, expect

from tests.analysis.finished import FIRST_Z_MM, SPACING_MM
from tests.browser.browser import chromium, complaints_of, log_in
from tests.stack import Stack

SAID_BEFORE_MIDNIGHT = """
from datetime import UTC, datetime
from analysis.models import Analysis
from patients.models import Site
Site.objects.update(time_zone="Pacific/Kiritimati")
done = Analysis.objects.get(series__study={study})
uid = done.report["slices"][5]["sop_instance_uid"]
done.corrections.create(sop_instance_uid=uid, abnormal=False, created_at=datetime(2026, 3, 5, 23, 30, tzinfo=UTC))
"""


def test_a_reader_overrules_a_slice_by_keyboard_and_changes_their_mind(stack: Stack, study: str):
    with chromium(webgl=False) as browser:
        page = browser.new_page()
        complaints = complaints_of(page)
        log_in(page, stack.url)
        _open(page, study)
        corrections = page.locator("[data-correction]")
        expect(corrections).to_contain_text("The AI says abnormal (probability 0.90).")
        expect(page.locator("[data-corona-score]")).to_have_text("10.0 cm³")

        reason = page.get_by_role("textbox", name="Reason, optional")
        reason.focus()
        page.keyboard.type("h1 vessel")  # letters and digits that are the viewer's keys elsewhere
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(corrections).to_contain_text("clinician says normal")
        expect(corrections).to_contain_text(": h1 vessel")
        expect(corrections).to_contain_text("The AI says abnormal (probability 0.90).")
        expect(page.locator("[data-corner=result]")).to_contain_text("positive, probability 0.90; a reader says normal")
        expect(page.get_by_role("button", name="Normal", exact=True)).to_have_attribute("aria-pressed", "true")
        expect(page.locator(".strip-sign-normal")).to_have_count(1)
        expect(page.locator("#announcer")).to_contain_text("Saved for slice 6")
        expect(reason).to_have_value("")

        reason.fill("meant for slice 6")
        page.locator(".screen").focus()
        page.keyboard.press("Home")
        expect(corrections).to_contain_text("There is no lung on this slice, or too little for the AI to judge.")
        expect(corrections).not_to_contain_text("says normal")
        expect(reason).to_have_value("")

        page.goto(study)  # which begins with the other one now
        expect(page.locator("[data-viewer]")).to_have_attribute("data-slice-index", "6")
        _open(page, study)
        expect(corrections).to_contain_text("clinician says normal")
        page.get_by_role("button", name="Abnormal", exact=True).click()
        expect(corrections).to_contain_text("clinician says abnormal")
        expect(page.locator(".strip-sign-abnormal")).to_have_count(1)
        expect(page.locator(".strip-sign-normal")).to_have_count(0)
        expect(page.locator("[data-corona-score]")).to_have_text("10.0 cm³")
        assert complaints == []

        page.context.set_offline(True)
        page.get_by_role("button", name="Normal", exact=True).click()
        expect(corrections).to_contain_text("was not saved")
        expect(corrections).to_contain_text("clinician says abnormal")


def test_the_day_of_a_word_is_that_of_the_site(stack: Stack, study: str, page: Page):
    """Wherever its reader sits: the browser's clock is another."""
    number = study.rstrip("/").rsplit("/", 1)[-1]
    stack.python(SAID_BEFORE_MIDNIGHT.format(study=number))
    try:
        _open(page, study)
        expect(page.locator("[data-correction]")).to_contain_text("A reader says normal (6 Mar 2026)")
    finally:
        stack.python("from patients.models import Site; Site.objects.update(time_zone='UTC')")


def _open(page: Page, study: str) -> None:
    """On slice 6, the one that the AI finds worst."""
    page.goto(f"{study}?z={FIRST_Z_MM - 5 * SPACING_MM}")
    viewer = page.locator("[data-viewer]")
    expect(viewer).to_have_attribute("data-ready", "true", timeout=60_000)
    expect(viewer).to_have_attribute("data-slice-index", "5")
