"""A reader's report on the study page: proposed, kept as a draft, signed, amended."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.stack import Stack


@pytest.fixture(autouse=True)
def _opened(page: Page, study: str) -> None:
    page.goto(study)


def test_the_proposed_text_is_changed_kept_as_a_draft_and_signed_for_good(page: Page, study: str):
    reading = page.locator("#reading")
    impression = reading.get_by_label("Impression", exact=True)
    expect(reading.locator(".panel-head")).to_contain_text("Not reported")
    expect(impression).to_have_value(
        "Opacities as in COVID-19 on 2 of 18 lung slices, 12.4 % of the lungs, most in the right lower third. "
        "Not specific to COVID-19.\n"
        "Corona score 10.0 cm³.\n"
        "Focal findings: Part-solid nodule, left lung, upper third (14.2 × 11.0 mm); "
        "Solid nodule, calcified, right lung, lower third (7.1 × 6.8 mm)."
    )
    expect(reading).to_contain_text("Proposed from the numbers: change what is not so.")
    expect(reading.get_by_label("Suspected as the networks say")).to_be_checked()

    impression.fill("Two small opacities.")
    reading.get_by_role("button", name="Save draft").click()
    expect(page.get_by_text("The draft is saved.")).to_be_in_viewport()
    page.goto(study)
    expect(reading.locator(".panel-head")).to_contain_text("Draft of the report, by clinician")
    expect(impression).to_have_value("Two small opacities.")
    expect(reading).not_to_contain_text("Proposed from the numbers")

    impression.fill("Two small opacities.\nControl in a week.")
    reading.get_by_role("button", name="Sign", exact=True).click()
    reading.get_by_role("button", name="Sign for good").click()
    expect(page.get_by_text("Version 1 is signed.")).to_be_in_viewport()
    signed = reading.locator("article.signed")
    expect(signed).to_have_count(1)
    expect(signed).to_contain_text("Report, signed by clinician")
    expect(signed.locator(".impression")).to_have_text("Two small opacities.Control in a week.")
    expect(signed.locator("input, textarea, button")).to_have_count(0)
    expect(impression).to_be_hidden()  # until an addendum is asked for


def test_a_key_leads_from_a_signed_report_to_the_next_ct(page: Page, study: str):
    """Or to the worklist: other tests leave CTs that wait."""
    _sign(page, "Two small opacities.")
    expect(page.locator("#reading").get_by_role("link", name="Next CT to report")).to_be_visible()
    expect(page.locator("[data-viewer]")).to_have_attribute("data-ready", "true", timeout=30_000)
    with page.expect_request("**/worklist/next/?after=*") as asked:
        page.keyboard.press("n")
    assert asked.value.url.endswith(f"?after={study.rstrip('/').rpartition('/')[2]}")
    expect(page).not_to_have_url(re.compile(f"{re.escape(study)}|/worklist/next/"))


def test_the_proposed_text_follows_words_on_findings_until_the_reader_changes_it(page: Page):
    impression = page.locator("#reading").get_by_label("Impression", exact=True)
    changed = page.locator("#findings-changed")
    expect(impression).to_have_value(re.compile("Part-solid nodule"))
    page.locator("#finding-1-no").click()
    expect(impression).not_to_have_value(re.compile("Part-solid nodule"))
    expect(impression).to_have_value(re.compile("Solid nodule, calcified"))
    expect(changed).to_be_hidden()
    impression.fill("Mine.")
    page.locator("#finding-1-yes").click()
    expect(changed).to_be_visible()
    expect(impression).to_have_value("Mine.")


def test_a_notice_tells_of_what_another_reader_says_and_none_of_ones_own_words(page: Page, stack: Stack, study: str):
    elsewhere = page.locator("#said-elsewhere")
    with page.expect_response(re.compile(r"\?seen=")):
        page.locator("#finding-1-no").click()
    page.wait_for_timeout(1500)  # asked again
    expect(elsewhere).to_be_hidden()
    stack.python(SAY_ELSEWHERE.format(study=study.rstrip("/").rpartition("/")[2]))
    expect(elsewhere).to_be_visible()


SAY_ELSEWHERE = """
from analysis.models import Analysis
from analysis.finding_reviews import say_of
say_of(Analysis.objects.get(series__study={study}), user=None, number=2, present=False)
"""


def test_the_proposed_text_follows_the_decision_until_the_reader_changes_it(page: Page):
    reading = page.locator("#reading")
    impression, changed = reading.get_by_label("Impression", exact=True), page.locator("#findings-changed")
    proposal = impression.input_value()
    reading.get_by_label("Not suspected").check()
    expect(impression).to_have_value(re.compile("^Not suspected, otherwise than the networks"))
    reading.get_by_label("Suspected as the networks say").check()
    expect(impression).to_have_value(proposal)
    expect(changed).to_be_hidden()
    impression.fill("Opacities.")
    reading.get_by_label("Not suspected").check()
    expect(impression).to_have_value("Opacities.")
    expect(changed).to_be_visible()


def test_an_addendum_is_signed_below_a_report_that_stays(page: Page):
    _sign(page, "Two small opacities.")
    reading = page.locator("#reading")
    reading.get_by_text("Write an addendum").click()
    expect(reading.get_by_label("Impression", exact=True)).to_have_value("")
    _sign(page, "A rib is broken.")
    expect(page.get_by_text("Version 2 is signed.")).to_be_in_viewport()
    newest, first = reading.locator("article.signed").all()
    expect(newest).to_contain_text("Addendum, version 2, signed by clinician")
    expect(newest.locator(".impression")).to_have_text("A rib is broken.")
    expect(first).to_contain_text("Report, signed by clinician")
    expect(first.locator(".impression")).to_have_text("Two small opacities.")


def test_a_form_that_was_open_while_somebody_signed_changes_nothing_and_loses_no_text(page: Page, study: str):
    late = page.context.new_page()
    late.goto(study)
    _sign(page, "Two small opacities.")
    _sign(late, "Typed beside it.")
    expect(late.get_by_text("Somebody else wrote on this report meanwhile")).to_be_visible()
    reading = late.locator("#reading")
    expect(reading.get_by_text("What you wrote is not saved yet.")).to_be_visible()
    expect(reading.get_by_label("Impression", exact=True)).to_have_value("Typed beside it.")
    expect(reading.locator("article.signed")).to_have_count(1)
    expect(reading.locator("article.signed .impression")).to_have_text("Two small opacities.")
    late.close()


def test_to_overrule_the_networks_takes_a_reason_and_their_decision_stays(page: Page):
    reading = page.locator("#reading")
    reason = reading.get_by_label("Why otherwise than the networks")
    expect(reason).to_be_hidden()
    reading.get_by_label("Not suspected", exact=True).check()
    expect(reason).to_be_visible()
    reading.get_by_label("Impression", exact=True).fill("Clear lungs.")
    reading.get_by_role("button", name="Sign", exact=True).click()
    expect(reason).to_be_focused()  # and the question whether to sign does not come
    expect(reading.get_by_role("button", name="Sign for good")).to_be_hidden()
    reason.fill("Dependent atelectasis.")
    reading.get_by_role("button", name="Sign", exact=True).click()
    reading.get_by_role("button", name="Sign for good").click()
    signed = reading.locator("article.signed")
    expect(signed).to_contain_text("The reader decides: not suspected, otherwise than the networks.")
    expect(signed).to_contain_text("Dependent atelectasis.")
    expect(page.locator("#headline .decision-line")).to_have_text(
        "Not suspected reader; networks: suspected", use_inner_text=True
    )


def test_the_browser_asks_before_what_was_typed_is_left(page: Page):
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    page.locator("#reading").get_by_label("Impression", exact=True).press_sequentially("Mine.")
    page.get_by_role("link", name="Worklist", exact=True).click()
    page.wait_for_url(lambda url: "/studies/" not in url)
    assert asked == ["beforeunload"]


def test_a_draft_is_discarded_and_the_proposed_text_is_back(page: Page):
    reading = page.locator("#reading")
    impression = reading.get_by_label("Impression", exact=True)
    impression.fill("Not what I meant.")
    reading.get_by_role("button", name="Save draft").click()
    reading.get_by_role("button", name="Discard draft").click()
    reading.get_by_role("button", name="Keep it").click()
    expect(reading.get_by_role("button", name="Discard for good")).to_be_hidden()
    reading.get_by_role("button", name="Discard draft").click()
    reading.get_by_role("button", name="Discard for good").click()
    expect(reading.locator(".panel-head")).to_contain_text("Not reported")
    expect(impression).not_to_have_value("Not what I meant.")
    expect(reading).to_contain_text("Proposed from the numbers")
    expect(reading.get_by_role("button", name="Discard draft")).to_have_count(0)


def _sign(page: Page, impression: str) -> None:
    page.locator("#reading").get_by_label("Impression", exact=True).fill(impression)
    page.locator("#reading").get_by_role("button", name="Sign", exact=True).click()
    page.locator("#reading").get_by_role("button", name="Sign for good").click()
