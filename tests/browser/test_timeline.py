"""A patient's timeline in the browser: the chart and its switches, notes, thumbnails, lesions."""

from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.browser import moved
from tests.servers import wait_until
from tests.stack import Stack

MAKE_COURSE = """
from pathlib import Path
from analysis.models import Analysis, Comparison
from patients.models import Patient, Site
from tests.analysis.finished import finished_analysis
from tests.analysis.test_comparisons import CHANGE
patient = Patient.objects.create(
    site=Site.objects.get(code="demo"), patient_id={folder!r}[-60:], patient_name="Doe^Tim"
)
course = (
    ("2020-03-05", {{5: 12.0, 6: 28.0}}, 8.0),
    ("2020-03-09", {{5: 30.0, 6: 30.0}}, 16.0),
    ("2020-03-25", {{5: 20.0}}, 4.0),
)
grown, resolved, _ = CHANGE["lesions"]
change = CHANGE | {{"lesions": [grown | {{"prior_number": 1}}, resolved | {{"prior_number": 2}}]}}
results = []
for number, (day, activation_cm2, percent) in enumerate(course):
    result = finished_analysis(patient, Path({folder!r}) / str(number), date=day, activation_cm2=activation_cm2)
    Analysis.objects.filter(pk=result.pk).update(opacity_percent=percent)
    results.append(result)
for prior, result in zip(results, results[1:]):
    Comparison.objects.create(analysis=result, prior=prior, days=9, state="DONE", change=change)
print("course", patient.pk, *(result.series.study_id for result in results))
"""
"""Corona scores of 20, 30 and 10 cm³."""
POINTS = ".scatterlayer .point"
COUNT_LISTENERS = """
window.listeners = { resize: 0, themechange: 0 }
for (const target of [window, document]) {
    const { addEventListener, removeEventListener } = target
    const count = (change, by) => function (name, ...rest) {
        if (name in listeners) listeners[name] += by
        return change.call(target, name, ...rest)
    }
    target.addEventListener = count(addEventListener, 1)
    target.removeEventListener = count(removeEventListener, -1)
}
"""
"""Counts who listens for what changes all charts."""
WIDER = """[...document.querySelectorAll('body *')]
    .filter((element) => !element.closest('.prose') && element.getBoundingClientRect().right > innerWidth + 1)
    .map((element) => element.outerHTML.slice(0, 80))"""
"""What reaches beyond the window, but for tables, which scroll in themselves."""


@dataclass(frozen=True)
class Course:
    """A patient with three CTs; ``page``: theirs."""

    page: str
    studies: list[str]


@pytest.fixture(scope="module")
def course(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Course:
    said = stack.python(MAKE_COURSE.format(folder=str(tmp_path_factory.mktemp("course"))))
    patient, *studies = said.split("course ")[-1].split()
    return Course(f"{stack.url}/patients/{patient}/", [f"{stack.url}/studies/{study}/" for study in studies])


@pytest.fixture
def chart(page: Page, course: Course) -> Locator:
    page.goto(course.page)
    chart = page.locator("[data-chart]")
    expect(chart.locator(POINTS)).to_have_count(3)
    return chart


def _middles(chart: Locator) -> list[tuple[float, float]]:
    """Where the points are drawn, from left to right: across and up, from the corner of the axes."""
    corner = chart.locator(".nsewdrag").bounding_box()
    boxes = [point.bounding_box() for point in chart.locator(POINTS).all()]
    assert corner
    return sorted(
        (
            box["x"] + box["width"] / 2 - corner["x"],
            corner["y"] + corner["height"] - box["y"] - box["height"] / 2,
        )
        for box in boxes
        if box
    )


def _heights(chart: Locator) -> Any:
    """Of the points, ÷ the highest, to be compared; a triangle's middle lies a little off."""
    up = [height for _, height in _middles(chart)]
    return pytest.approx([height / max(up) for height in up], abs=0.04)


def _distances(chart: Locator) -> Any:
    """Of the points from the first, ÷ the last one's, to be compared."""
    first, *_, last = across = [middle for middle, _ in _middles(chart)]
    return pytest.approx([(middle - first) / (last - first) for middle in across], abs=0.01)


def test_the_chart_shows_what_is_chosen_and_the_choice_stays(page: Page, course: Course, chart: Locator):
    title = chart.locator(".ytitle")
    expect(title).to_have_text("Relative Corona score")
    assert _heights(chart) == [20 / 30, 1, 10 / 30]
    for name, words, heights in (
        ("Opacity, %", "Opacity of the lungs, %", [0.5, 1, 0.25]),
        ("Score, cm³", "Corona score, cm³", [20 / 30, 1, 10 / 30]),
        ("Opacity, %", "Opacity of the lungs, %", [0.5, 1, 0.25]),
    ):
        button = chart.get_by_role("button", name=name)
        button.click()
        expect(title).to_have_text(words)
        expect(button).to_have_attribute("aria-pressed", "true")
        assert _heights(chart) == heights
        expect(chart.locator(".chart-legend .of-scores")).to_be_visible(visible=name != "Opacity, %")
    expect(chart.get_by_role("button", name="Relative")).to_have_attribute("aria-pressed", "false")
    page.goto(course.studies[0])
    expect(page.locator("#trend .ytitle")).to_have_text("Opacity of the lungs, %")


@pytest.mark.parametrize("width", [1440, 390])
def test_the_course_fits_the_window_and_nothing_of_it_jumps(page: Page, course: Course, width: int):
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(course.page)
    page.goto(course.page)  # the typeface is there by now
    expect(page.locator(f"[data-chart] {POINTS}")).to_have_count(3)
    assert moved(page, "main") == []
    assert page.evaluate(WIDER) == []
    for part in ("[data-chart] .main-svg", ".thumbnail", ".panel:has(.lanes)", "[data-drop-zone]"):
        box = page.locator(part).first.bounding_box()
        assert box, part
        assert box["x"] >= 0, part
        assert box["x"] + box["width"] <= width, part


def test_the_axis_says_days_or_dates(chart: Locator):
    title = chart.locator(".xtitle")
    expect(title).to_have_text("Days since the first CT")
    assert _distances(chart) == [0, 4 / 20, 1]
    chart.get_by_role("button", name="Date").click()
    expect(title).to_have_text("Date")
    expect(chart.locator(".xtick").first).to_contain_text("Mar 2020")
    assert _distances(chart) == [0, 4 / 20, 1]


def test_with_the_first_symptoms_known_the_axis_counts_from_them(page: Page, chart: Locator):
    onset = chart.get_by_role("button", name="Since onset")
    expect(onset).to_have_count(0)
    _say_first_symptoms(page, "2020-02-24")
    onset.click()
    expect(chart.locator(".xtitle")).to_have_text("Days since the first symptoms")
    ticks = [int(each) for each in chart.locator(".xtick").all_text_contents()]
    assert min(ticks) == 0  # the CTs are of days 10, 14 and 30
    assert 28 <= max(ticks) <= 32
    assert _distances(chart) == [0, 4 / 20, 1]
    _say_first_symptoms(page, "")
    expect(chart.locator(".xtitle")).to_have_text("Days since the first CT")
    expect(onset).to_have_count(0)


def test_a_chart_that_was_replaced_listens_no_more(page: Page, course: Course):
    page.add_init_script(COUNT_LISTENERS)
    page.goto(course.page)
    chart = page.locator("[data-chart]")
    expect(chart.locator(POINTS)).to_have_count(3)
    first = page.evaluate("listeners")
    assert all(first.values())
    elsewhere = page.context.new_page()
    elsewhere.goto(course.page)
    for day in ("2020-02-24", ""):
        _say_first_symptoms(elsewhere, day)
        expect(chart.get_by_role("button", name="Since onset")).to_have_count(int(day != ""))
        expect(chart.locator(POINTS)).to_have_count(3)
        wait_until(lambda: page.evaluate("listeners") == first, 5, f"{first} alone, not {page.evaluate('listeners')}")
    elsewhere.close()


def _say_first_symptoms(page: Page, day: str) -> None:
    page.get_by_label("First symptoms").fill(day)
    page.get_by_role("button", name="Save", exact=True).click()


def test_a_click_on_a_point_opens_its_study(page: Page, course: Course, chart: Locator):
    across, up = _middles(chart)[1]
    corner = chart.locator(".nsewdrag").bounding_box()
    assert corner
    page.mouse.click(corner["x"] + across, corner["y"] + corner["height"] - up)
    page.wait_for_url(course.studies[1])


def test_what_happened_stands_in_the_chart_until_it_is_removed(page: Page, chart: Locator):
    notes, lines = chart.locator(".annotation-text"), chart.locator(".shapelayer path")
    expect(lines).to_have_count(1)  # the score of the first CT
    expect(notes).to_have_count(0)
    page.get_by_label("Day", exact=True).fill("2020-03-10")
    page.get_by_role("textbox", name="What").fill("Steroids <b>begun")
    page.get_by_role("button", name="Note it").click()
    expect(notes).to_have_text("1")
    expect(page.locator(".chart-notes li")).to_have_text("10 Mar 2020 Steroids <b>begun")
    expect(lines).to_have_count(2)
    page.get_by_role("button", name="Remove: Steroids <b>begun").click()
    page.get_by_role("dialog", name="Remove the note").get_by_role("button", name="Remove").click()
    expect(chart.locator(POINTS)).to_have_count(3)
    expect(notes).to_have_count(0)
    expect(lines).to_have_count(1)


def test_each_time_point_has_its_picture_and_numbers(page: Page, course: Course, chart: Locator):
    points = page.locator(".time-point")
    expect(points).to_have_count(3)
    for point, study, words in zip(
        points.all(),
        course.studies,
        (("20.0 cm³", "first CT"), ("30.0 cm³", "50 % higher"), ("10.0 cm³", "50 % lower")),
        strict=True,
    ):
        assert study.endswith(point.locator(".point-link").get_attribute("href") or "nowhere")
        for each in words:
            expect(point).to_contain_text(each)
        picture = point.locator("img.thumbnail")
        picture.scroll_into_view_if_needed()
        expect(picture).to_have_js_property("naturalWidth", 400)


def test_lesions_are_followed_in_lanes_that_lead_to_their_slices(page: Page, course: Course, chart: Locator):
    lanes = page.locator(".lanes")
    days = ["5 Mar 2020", "9 Mar 2020", "25 Mar 2020"]
    expect(lanes.locator("thead th")).to_have_text(["Lesion", *days, "Last change"])
    first, second, *_ = lanes.locator("tbody tr").all()
    expect(first.locator("td")).to_have_text(
        ["#1 1.21", "#1 1.21", "#1 1.21", "grown doubles in 30 days"], use_inner_text=True
    )
    expect(second.locator("td")).to_have_text(
        ["#2 0.20", "resolved", "– not listed on this CT", "resolved"], use_inner_text=True
    )
    bar = first.locator(".lane-bar span").first
    assert bar.evaluate("(bar) => bar.offsetHeight / bar.parentElement.clientHeight") > 0.9
    first.locator("td a").nth(1).click()
    page.wait_for_url(f"{course.studies[1]}?z=-124.0&finding=1")
    expect(page.locator("[data-viewer]")).to_have_attribute("data-slice-index", "5")  # of z −125 mm
    expect(page.locator("[data-finding='1']")).to_be_focused()
