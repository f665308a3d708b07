"""The list of findings beside the slices: what a click, the pointer and a reader's word do."""

import re
from pathlib import Path

from playwright.sync_api import Route, expect

from tests.browser.test_accessibility import axe_faults
from tests.browser.viewing import coloured_pixels, drag, open_viewer, viewer
from tests.servers import wait_until
from tests.stack import Stack


def test_a_finding_under_the_pointer_is_singled_out(stack: Stack, analysed: str):
    with viewer(stack, analysed) as page:
        finding = page.locator("[data-finding]").first
        finding.click()
        page.mouse.move(0, 0)
        page.locator(".screen").focus()
        wait_until(lambda: coloured_pixels(page, "findings") > 10, 10, "the outline of the finding")
        page.wait_for_timeout(300)
        outlined = coloured_pixels(page, "findings")
        assert coloured_pixels(page, "marks") == 0
        finding.hover()
        assert coloured_pixels(page, "marks") > 100
        assert coloured_pixels(page, "findings") == outlined  # what is inside the ring stays as it is
        page.keyboard.press("Home")  # a slice that does not cut it
        wait_until(lambda: coloured_pixels(page, "marks") == 0, 10, "the ring to stay on its slices")
        finding.click()
        page.mouse.move(0, 0)
        wait_until(lambda: coloured_pixels(page, "marks") > 100, 10, "the ring of what has the focus")
        page.locator(".screen").focus()
        wait_until(lambda: coloured_pixels(page, "marks") == 0, 10, "the ring to go")


LEANING = """
from pathlib import Path
from patients.models import Patient, Site
from tests.analysis.finished import finished_analysis
patient = Patient.objects.create(site=Site.objects.get(code="demo"), patient_id="LEAN-1", patient_name="Lean^Scan")
run = finished_analysis(patient, Path({folder!r}), date="2020-03-05", activation_cm2={{5: 12.0}}, lean_degrees=10)
print(run.series.study_id)
"""


def test_on_slices_that_lean_a_lesions_link_opens_the_one_that_cuts_it(stack: Stack, tmp_path: Path):
    study = f"{stack.url}/studies/{stack.python(LEANING.format(folder=str(tmp_path))).split()[-1]}/"
    with viewer(stack, study) as page:
        z_mm = page.locator("[data-finding='1']").get_attribute("data-finding-z")
        open_viewer(page, f"{study}?z={z_mm}&finding=1")
        # 18.6 mm below the first slice along the normal, though 24 mm by its z; slices are 5 mm apart
        expect(page.locator("[data-viewer]")).to_have_attribute("data-slice-index", "4")
        page.keyboard.press("Home")
        page.locator("[data-finding='1']").click()
        expect(page.locator("[data-viewer]")).to_have_attribute("data-slice-index", "4")


def test_without_a_positive_slice_the_viewer_begins_with_the_largest_finding(stack: Stack, analysed: str):
    def negative(route: Route) -> None:
        answer = route.fetch()
        body = answer.text().replace('"positive": true', '"positive": false')
        route.fulfill(response=answer, body=body.replace('"instead_z_mm": null', f'"instead_z_mm": {z_mm}'))

    with viewer(stack, analysed) as page:
        place = page.locator("[data-viewer]")
        first, z_mm = (
            place.get_attribute("data-slice-index"),
            page.locator("[data-finding]").first.get_attribute("data-finding-z"),
        )
        page.route(f"**{analysed.removeprefix(stack.url)}", negative)
        open_viewer(page, analysed)
        at_once = place.get_attribute("data-slice-index")
        page.locator("[data-finding]").first.click()
        expect(place).to_have_attribute("data-slice-index", at_once or "")
        assert at_once != first


def test_the_list_of_findings_leads_to_opacity_that_is_no_finding(stack: Stack, analysed: str):
    with viewer(stack, analysed) as page:
        place = page.locator("[data-viewer]")
        first = place.get_attribute("data-slice-index") or ""
        page.keyboard.press("Home")
        expect(place).to_have_attribute("data-slice-index", "0")
        opacity = page.locator("[data-most-affected]")
        expect(opacity).to_contain_text(re.compile(r"Opacity\s*[\d.]+ % of the lungs, most in the (right|left) "))
        assert coloured_pixels(page, "opacity") == 0
        opacity.click()
        expect(place).to_have_attribute("data-slice-index", first)
        wait_until(lambda: coloured_pixels(page, "opacity") > 100, 10, "the outlines of opacities")


def test_a_reader_rejects_a_finding_and_marks_another(stack: Stack, analysed: str):
    with viewer(stack, analysed) as page:
        found = page.locator("[data-finding]").count()
        page.locator("[data-finding]").last.click()
        reason = page.get_by_label("Reason for what you say of a finding, optional")
        reason.hover()
        reason.focus()  # else the finding is singled out
        wait_until(lambda: coloured_pixels(page, "findings") > 10, 10, "the outline of the finding")
        page.wait_for_timeout(300)
        outlined = coloured_pixels(page, "findings")
        reason.fill("A vessel")
        reason.press("Enter")  # says nothing of any finding
        page.wait_for_timeout(300)
        expect(page.locator("#findings [aria-pressed=true]")).to_have_count(0)
        page.get_by_role("button", name=f"Finding {found}: reject").click()
        expect(page.locator("#findings .is-rejected")).to_contain_text("clinician: no finding (A vessel)")
        wait_until(lambda: coloured_pixels(page, "findings") < outlined, 10, "its outline to go")
        expect(page.locator("[data-finding]").last).to_be_in_viewport()  # the list stays where it was

        expect(page.locator("[data-add-finding]")).to_be_disabled()
        page.keyboard.press("d")
        drag(page, (0.3, 0.5), (0.36, 0.5))
        expect(page.locator("[data-add-words]")).to_contain_text("What you measured")
        assert coloured_pixels(page, "marks") == 0
        page.locator("[data-add-finding]").click()
        expect(page.locator("[data-finding]")).to_have_count(found + 1)
        expect(page.locator("[data-add-finding]")).to_be_disabled()  # not once more
        wait_until(lambda: coloured_pixels(page, "marks") > 10, 10, "the ring of the reader's mark")
        page.keyboard.press("PageDown")
        wait_until(lambda: coloured_pixels(page, "marks") == 0, 10, "the ring to stay on its slices")
        page.locator("[data-own]").click()
        wait_until(lambda: coloured_pixels(page, "marks") > 10, 10, "the mark's slice")
        page.get_by_role("button", name=f"Finding {found + 1}: withdraw").click()
        wait_until(lambda: coloured_pixels(page, "marks") == 0, 10, "the ring to go")
        page.get_by_role("button", name=f"Finding {found}: agree").click()
        expect(page.locator("#findings .is-rejected")).to_have_count(1)
        assert axe_faults(page) == []


def test_a_length_that_was_refused_as_a_finding_is_offered_until_it_is_taken(stack: Stack, analysed: str):
    with viewer(stack, analysed) as page:
        found = page.locator("[data-finding]").count()
        words, add = page.locator("[data-add-words]"), page.locator("[data-add-finding]")
        page.keyboard.press("d")
        drag(page, (0.3, 0.5), (0.34, 0.5))
        drag(page, (0.34, 0.5), (0.3015, 0.5))
        expect(words).to_have_text(re.compile(r"What you measured: 0\.\d mm\."))
        add.press("Enter")
        expect(page.locator("#findings").get_by_role("alert")).to_contain_text("Measure the finding first")
        expect(words).to_contain_text("What you measured: 0.")
        expect(add).to_be_focused()
        drag(page, (0.3015, 0.5), (0.34, 0.5))
        expect(words).to_have_text(re.compile(r"What you measured: \d\d\.\d mm\."))
        add.press("Enter")
        expect(page.locator("[data-finding]")).to_have_count(found + 1)
        expect(page.locator("[data-own]").last).to_be_focused()
        expect(add).to_be_disabled()
