"""CTs side by side: they move together by registered positions, each with its own offset, by mouse and by keys."""

import datetime
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.browser import chromium, complaints_of, log_in
from tests.browser.test_accessibility import axe_faults
from tests.browser.viewing import KEEP_CONTEXTS, SMALL, coloured_pixels, lose_graphics_card
from tests.servers import wait_until
from tests.stack import Stack

DAYS = ("2020-03-05", "2020-03-14", "2020-03-25")
OLDEST_FURTHER, MIDDLE_FURTHER = 1, 2  # slices further towards the feet, as the registrations say
MAKE_COURSE = """
import gzip
from pathlib import Path
import numpy as np
from django.core.files.base import ContentFile
from analysis import finding_reviews
from analysis.models import Analysis, Comparison
from patients.models import Patient, Site
from tests.analysis.finished import finished_analysis
from tests.analysis.test_comparisons import CHANGE
site = Site.objects.get(code="demo")
patient = Patient.objects.create(site=site, patient_id={folder!r}[-60:], patient_name="Doe^Side")
frames = [dict(spacing_mm=2.5, first_z_mm=300.0, first_y_mm=-355.0), dict(pixel_mm=3.0), dict()]
runs = [
    finished_analysis(patient, Path({folder!r}), date=day, activation_cm2={{5: 12.0, 6: 8.0}}, **frame)
    for day, frame in zip({days!r}, frames)
]
marked = np.zeros((20, 256, 256), np.uint8)
marked[5, 40:80, 40:80] = 1
for now, prior, further in ((2, 1, {middle_further}), (1, 0, {oldest_further} - {middle_further})):
    heights = [each["z_mm"] for each in runs[prior].report["slices"]]
    lung = [heights[index + further] if 2 < index < 17 else None for index in range(20)]
    row = Comparison.objects.create(
        analysis=runs[now], prior=runs[prior], days=9, state="DONE", change=CHANGE | {{"prior_z_mm": lung}}
    )
    row.change_map.save("c.gz", ContentFile(gzip.compress(marked.tobytes())))
remark = {{"code": "dense_unmarked", "message": "Dense tissue.", "severe": True, "slice_number": 9}}
Analysis.objects.filter(pk=runs[1].pk).update(quality=[remark])
finding_reviews.say_of(runs[2], user=None, number=1, present=False)
finding_reviews.mark(runs[2], user=None, centroid_mm=[-60.0, 0.0, -125.0], long_axis_mm=24.0)
print("made", patient.pk, *(run.series.study_id for run in runs))
"""
FAIL = """
from analysis.models import Comparison
of_patient = Comparison.objects.filter(analysis__series__study__patient={patient})
of_patient.update(state="FAILED", change=None, error="They do not fit.")
"""


@pytest.fixture(scope="module")
def course(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> list[int]:
    return _made(stack, tmp_path_factory.mktemp("course"))


def _made(stack: Stack, folder: Path) -> list[int]:
    """A patient, and their three CTs: each compared with the one before, the oldest in another frame of reference."""
    further = {"middle_further": MIDDLE_FURTHER, "oldest_further": OLDEST_FURTHER}
    said = stack.python(MAKE_COURSE.format(folder=str(folder), days=DAYS, **further))
    return [int(each) for each in said.split("made")[1].split()]


@contextmanager
def comparison(
    stack: Stack, course: list[int], width: int = 1440, height: int = 900, *, webgl: bool = False
) -> Iterator[Page]:
    """A page with all three CTs; in the end nothing may have been complained of."""
    with chromium(width, height, webgl=webgl) as browser:
        page = browser.new_page()
        page.add_init_script(KEEP_CONTEXTS)
        complaints = complaints_of(page)
        log_in(page, stack.url)
        page.goto(_address(stack, course))
        _opened(page)
        yield page
        assert complaints == []


def _address(stack: Stack, course: list[int]) -> str:
    patient, *studies = course
    return f"{stack.url}/patients/{patient}/compare/?" + "&".join(f"study={study}" for study in studies)


def _opened(page: Page) -> None:
    expect(page.locator("[data-compare]")).to_have_attribute("data-ready", "true", timeout=60_000)
    expect(page.locator("[data-loading]:visible")).to_have_count(0, timeout=60_000)


def _pane(page: Page, number: int) -> Locator:
    """Of the oldest CT (0), of the middle one (1) or of the newest (2)."""
    return page.locator("[data-pane]").nth(number)


def _slices(page: Page) -> list[int]:
    """Indices of the slices on show, the oldest CT first."""
    return [int(pane.get_attribute("data-slice-index") or "") for pane in page.locator("[data-pane]").all()]


def _scale_bars(page: Page) -> list[float]:
    """Length on screen of 5 cm of each CT."""
    return [float((bar.bounding_box() or {})["width"]) for bar in page.locator("[data-scale-bar]").all()]


def _until(page: Page, *slices: int) -> None:
    wait_until(lambda: _slices(page) == list(slices), 10, f"slices {slices}, not {_slices(page)}")


def test_a_millimetre_is_as_long_in_cts_of_other_fields_of_view_also_when_zoomed(stack: Stack, course: list[int]):
    with comparison(stack, course) as page:
        first = _scale_bars(page)
        assert max(first) - min(first) < 1
        box = _pane(page, 0).locator("[data-ct]").bounding_box()
        assert box
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.down(button="right")
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2 + 80, steps=5)
        page.mouse.up(button="right")
        wait_until(lambda: abs(_scale_bars(page)[2] / first[2] - 1) > 0.1, 10, "the zoom of the newest CT")
        wait_until(lambda: max(_scale_bars(page)) - min(_scale_bars(page)) < 1, 10, "one zoom")
        zoomed = _scale_bars(page)
        page.keyboard.press("+")
        wait_until(lambda: min(_scale_bars(page)) > 1.15 * max(zoomed), 10, "the zoom by a key")
        page.keyboard.press("u")
        page.keyboard.press("i")
        for number in range(3):
            expect(_pane(page, number).locator("[data-corner=window]")).to_have_text("W 1550 · L −575 HU")
        _a_length_is_measured_by_keys(page, _pane(page, 1))
        page.keyboard.press("2")
        page.keyboard.press("r")
        wait_until(lambda: np.allclose(_scale_bars(page), first, atol=1), 10, "the zoom that the page opened with")
        for number in range(3):
            expect(_pane(page, number).locator("[data-corner=window]")).to_have_text("W 1500 · L −600 HU")


def _middles(page: Page) -> np.ndarray:
    """How far the middle of each CT's image, which is lighter than its ground, lies from its pane's: x, y."""
    drawn = """canvas => {
        const { width, height } = canvas
        const pixels = canvas.getContext('2d').getImageData(0, 0, width, height).data
        const [columns, rows] = [[], []]
        for (let i = 0; i < width * height; i++) {
            if (pixels[4 * i] > 20) columns.push(i % width), rows.push(Math.floor(i / width))
        }
        const middle = (all) => (all.reduce((a, b) => Math.min(a, b)) + all.reduce((a, b) => Math.max(a, b)) + 1) / 2
        return columns.length ? [middle(columns) - width / 2, middle(rows) - height / 2] : [width, height]
    }"""
    return np.array([_pane(page, number).locator("canvas.cornerstone-canvas").evaluate(drawn) for number in range(3)])


@pytest.mark.parametrize("webgl", [False, True])
def test_cts_of_other_places_stay_side_by_side_when_zoomed_moved_and_reset(
    stack: Stack, course: list[int], webgl: bool
):
    with comparison(stack, course, *SMALL, webgl=webgl) as page:
        page.keyboard.press("-")
        page.keyboard.press("-")  # all of each is seen, wherever it is moved
        for key, middle in (("-", (0, 0)), ("Shift+ArrowRight", (40, 0)), ("Shift+ArrowUp", (40, -40)), ("r", (0, 0))):
            page.keyboard.press(key)
            wait_until(lambda to=middle: np.allclose(_middles(page), to, atol=2), 10, f"{middle} after {key}")


def _a_length_is_measured_by_keys(page: Page, pane: Locator) -> None:
    pane.locator(".screen").focus()
    page.keyboard.press("d")
    page.keyboard.press("Enter")
    expect(pane.locator(".cursor")).to_be_visible()
    page.keyboard.press("Enter")
    for _ in range(5):
        page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Enter")
    bar = max(_scale_bars(page))
    length = wait_until(
        lambda: re.search(r"^([\d.]+) mm$", page.locator("#announcer").text_content() or ""), 10, "the length"
    )[1]
    assert float(length) == pytest.approx(50 / bar * 50, rel=0.03)
    page.keyboard.press("PageDown")
    expect(page.locator(".cursor")).to_have_count(0)  # it goes with its slice


def test_three_cts_scroll_together_by_registered_positions(stack: Stack, course: list[int]):
    with comparison(stack, course) as page:
        _until(page, 5 + OLDEST_FURTHER, 5 + MIDDLE_FURTHER, 5)
        expect(_pane(page, 0)).to_contain_text("by registration of the lungs, through 1 CT between")
        expect(_pane(page, 1)).to_contain_text("Matched by registration of the lungs")
        page.keyboard.press("ArrowDown")  # meant for the newest where none is in focus
        _until(page, 6 + OLDEST_FURTHER, 6 + MIDDLE_FURTHER, 6)
        _pane(page, 1).locator(".screen").focus()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
        _until(page, 8 + OLDEST_FURTHER, 8 + MIDDLE_FURTHER, 8)
        _pane(page, 0).locator("[data-ct]").hover()
        page.mouse.wheel(0, -100)
        _until(page, 7 + OLDEST_FURTHER, 7 + MIDDLE_FURTHER, 7)
        strip = _pane(page, 2).locator("[data-strip]").bounding_box()
        assert strip
        page.mouse.click(strip["x"] + strip["width"] * 10.5 / 20, strip["y"] + 20)
        _until(page, 10 + OLDEST_FURTHER, 10 + MIDDLE_FURTHER, 10)
        page.keyboard.press("2")
        for number in range(3):
            expect(_pane(page, number).locator("[data-corner=window]")).to_have_text("W 400 · L 40 HU")
        _pane(page, 2).locator(".screen").focus()
        page.keyboard.press("End")  # beyond what the registration knows the CTs go on mm for mm
        _until(page, 19, 19, 19)
        lesion = page.locator(f"td [data-go-pane='{course[2]}']").first
        z_mm = float((lesion.get_attribute("data-finding-at") or "").split()[2])
        there = round((-100.0 - z_mm) / 5)
        marks = coloured_pixels(_pane(page, 1), "marks")
        lesion.click()
        _until(page, there + OLDEST_FURTHER - MIDDLE_FURTHER, there, there - MIDDLE_FURTHER)
        assert marks == 0 < coloured_pixels(_pane(page, 1), "marks")  # it is ringed
        page.get_by_role("button", name="Show slice 9").click()
        _until(page, 8 + OLDEST_FURTHER - MIDDLE_FURTHER, 8, 8 - MIDDLE_FURTHER)
        assert coloured_pixels(_pane(page, 1), "marks") == 0
        assert axe_faults(page) == []


def test_each_earlier_ct_has_its_offset(stack: Stack, course: list[int]):
    with comparison(stack, course) as page:
        day = datetime.date.fromisoformat(DAYS[0]).strftime("%-d %b %Y")
        page.get_by_role("button", name=f"CT of {day} one slice towards the feet").click()
        page.get_by_role("button", name=f"CT of {day} one slice towards the feet").click()
        _until(page, 7 + OLDEST_FURTHER, 5 + MIDDLE_FURTHER, 5)
        expect(_pane(page, 0).locator("[data-offset]")).to_have_text("+2 slices")
        expect(_pane(page, 1).locator("[data-offset]")).to_have_text("none")
        expect(_pane(page, 2).locator("[data-offset]")).to_have_count(0)
        _pane(page, 2).locator(".screen").focus()
        page.keyboard.press("<")  # the newest has none: the one before it is meant
        _until(page, 7 + OLDEST_FURTHER, 4 + MIDDLE_FURTHER, 5)
        expect(_pane(page, 1).locator("[data-offset]")).to_have_text("−1 slice")
        _pane(page, 0).locator(".screen").focus()
        page.keyboard.press("<")
        _until(page, 6 + OLDEST_FURTHER, 4 + MIDDLE_FURTHER, 5)
        page.keyboard.press(">")
        _until(page, 7 + OLDEST_FURTHER, 4 + MIDDLE_FURTHER, 5)
        page.keyboard.press("<")
        for number in (0, 1, 2):  # whichever leads, offsets stay
            _pane(page, number).locator(".screen").focus()
            page.keyboard.press("ArrowDown")
            _until(page, 7 + number + OLDEST_FURTHER, 5 + number + MIDDLE_FURTHER, 6 + number)


def _drawn(page: Page, layer: str) -> list[bool]:
    """Of each CT whether something of the layer is drawn."""
    return [coloured_pixels(_pane(page, number), layer) > 0 for number in range(3)]


def test_heat_maps_changes_findings_and_readers_marks_are_drawn_on_each_ct(stack: Stack, course: list[int]):
    with comparison(stack, course) as page:
        assert _drawn(page, "heatmap") == [True, False, True]  # on slices 6 and 7 of each
        page.locator("input[name=threshold]").fill("100")
        assert _drawn(page, "heatmap") == [False, False, False]
        page.locator("input[name=threshold]").blur()
        for _ in range(16):
            page.keyboard.press(",")
        expect(page.locator("input[name=threshold]")).to_have_value("20")
        assert _drawn(page, "heatmap") == [True, False, True]
        assert _drawn(page, "findings") == [True, False, False]  # a reader rejected that of the newest, and
        assert _drawn(page, "marks") == [False, False, True]  # marked another
        assert _drawn(page, "change") == [False, False, False]
        page.keyboard.press("c")
        wait_until(lambda: _drawn(page, "change") == [False, False, True], 10, "the change on slice 6 of the newest")
        page.keyboard.press("f")
        assert _drawn(page, "findings") == _drawn(page, "marks") == [False, False, False]
        _pane(page, 1).locator(".screen").focus()
        page.keyboard.press("ArrowUp")
        page.keyboard.press("ArrowUp")
        wait_until(
            lambda: _drawn(page, "change") == [False, True, False], 10, "the change on slice 6 of the middle one"
        )


def test_the_first_images_do_not_wait_for_the_viewers_library(stack: Stack, course: list[int]):
    held: list[Route] = []
    with chromium(webgl=False) as browser:
        page = browser.new_page()
        log_in(page, stack.url)
        page.route("**/chunks/ct.*.js", lambda route: held.append(route))
        page.goto(_address(stack, course))
        expect(page.locator("[data-compare]")).to_have_attribute("data-shown", "true")
        expect(page.locator(".still")).to_have_count(3)
        assert _drawn(page, "heatmap") == [True, False, True]
        assert page.locator("[data-compare]").get_attribute("data-ready") is None
        _pane(page, 0).locator("[data-move='1']").click()
        assert _drawn(page, "heatmap") == [True, False, True]  # of the slice that is still on show
        (library,) = held
        library.continue_()
        _opened(page)
        expect(page.locator(".still")).to_have_count(0)
        _until(page, 6 + OLDEST_FURTHER, 5 + MIDDLE_FURTHER, 5)
        assert _drawn(page, "heatmap") == [False, False, True]


def test_a_ct_that_opens_late_has_the_window_of_those_that_are_there(stack: Stack, course: list[int]):
    held: list[Route] = []
    with chromium(webgl=False) as browser:
        page = browser.new_page()
        log_in(page, stack.url)
        page.goto(_address(stack, course), wait_until="domcontentloaded")
        late = json.loads(_pane(page, 2).locator("script").text_content() or "")["scan"]["slices"]
        page.route(f"**{late[5]['file']}", lambda route: held.append(route))
        page.goto(_address(stack, course))
        expect(_pane(page, 1)).to_have_attribute("data-ready", "true", timeout=60_000)
        _pane(page, 1).locator(".screen").focus()
        page.keyboard.press("2")
        expect(_pane(page, 1).locator("[data-corner=window]")).to_have_text("W 400 · L 40 HU")
        _pane(page, 2).locator(".screen").click()  # it leads before it is there
        held.pop().continue_()
        _opened(page)
        for number in range(3):
            expect(_pane(page, number).locator("[data-corner=window]")).to_have_text("W 400 · L 40 HU")


def test_where_the_graphics_card_is_lost_no_image_stays_and_each_ct_says_so(stack: Stack, course: list[int]):
    with comparison(stack, course, *SMALL, webgl=True) as page:
        lose_graphics_card(page)
        for number in range(3):
            expect(_pane(page, number).locator("[data-viewer-message]")).to_contain_text("has lost the graphics card")
            for hidden in ("[data-ct]", "[data-overlay=heatmap]", "[data-corner=slice]"):
                expect(_pane(page, number).locator(hidden)).to_be_hidden()


def test_where_the_newest_ct_cannot_be_shown_keys_are_meant_for_the_one_before(stack: Stack, course: list[int]):
    with chromium(webgl=False) as browser:
        page = browser.new_page()
        log_in(page, stack.url)
        page.goto(_address(stack, course), wait_until="domcontentloaded")
        newest = json.loads(_pane(page, 2).locator("script").text_content() or "")["scan"]["slices"]
        for each in newest:
            page.route(f"**{each['file']}", lambda route: route.abort())
        page.goto(_address(stack, course))
        expect(_pane(page, 2).locator("[data-viewer-message]")).to_contain_text("could not be", timeout=60_000)
        expect(page.locator("[data-compare]")).to_have_attribute("data-ready", "true", timeout=60_000)
        middle = _pane(page, 1)
        before = _slices(page)[1]
        page.keyboard.press("ArrowDown")
        expect(middle).to_have_attribute("data-slice-index", str(before + 1))
        page.keyboard.press("d")
        for key in ("Enter", "Enter", "Shift+ArrowRight", "Enter"):
            page.keyboard.press(key)
        drawn = middle.locator(".svg-layer [data-annotation-uid]")
        expect(drawn).not_to_have_count(0)
        page.keyboard.press("Delete")
        expect(drawn).to_have_count(0)


def test_each_strip_is_hatched_by_a_pattern_of_its_own(stack: Stack, course: list[int]):
    with comparison(stack, course) as page:
        ids = page.locator("[id]").evaluate_all("elements => elements.map(({ id }) => id)")
        assert len(set(ids)) == len(ids)
        fills = page.locator(".strip-positive").evaluate_all("bars => bars.map((bar) => getComputedStyle(bar).fill)")
        assert {re.sub(".*#|[\"')]", "", fill) for fill in fills} <= set(ids)
        assert len(set(fills)) == 3


@pytest.mark.parametrize(("width", "columns"), [(1440, 3), (1000, 2), (390, 1)])
def test_the_cts_stand_side_by_side_as_many_as_fit(stack: Stack, course: list[int], width: int, columns: int):
    with comparison(stack, course, width, 844) as page:
        boxes = [_pane(page, number).bounding_box() for number in range(3)]
        assert len({round(box["x"]) for box in boxes if box}) == columns
        assert all(box and box["x"] >= 0 and box["x"] + box["width"] <= width for box in boxes)


def test_a_ct_is_added_and_left_out(stack: Stack, course: list[int]):
    with comparison(stack, course) as page:
        page.get_by_label("CT 3 of the comparison").select_option("")
        page.get_by_role("button", name="Show", exact=True).click()
        expect(page.locator("[data-pane]")).to_have_count(2)
        page.get_by_label("CT 3 of the comparison").select_option(str(course[3]))
        page.get_by_role("button", name="Show", exact=True).click()
        expect(page.locator("[data-pane]")).to_have_count(3)
        _opened(page)


def test_a_failed_comparison_is_tried_again(stack: Stack, tmp_path_factory: pytest.TempPathFactory):
    course = _made(stack, tmp_path_factory.mktemp("failed"))
    stack.python(FAIL.format(patient=course[0]))
    with comparison(stack, course) as page:
        expect(page.get_by_text("They do not fit.")).to_have_count(2)
        page.get_by_role("button", name="Try again").first.click()
        expect(page.get_by_text("They do not fit.")).to_have_count(1)
        _opened(page)
        stack.python(FAIL.format(patient=course[0]))
        expect(page.get_by_text("They do not fit.")).to_have_count(2, timeout=10_000)  # by itself
        page.get_by_role("button", name="Try again").first.click()
        expect(page.get_by_text("They do not fit.")).to_have_count(1)
        _opened(page)
        page.keyboard.press("Home")
        stack.python(FAIL.format(patient=course[0]))
        expect(page.get_by_text("The CTs have been compared meanwhile")).to_be_visible(timeout=10_000)
        expect(page.get_by_text("They do not fit.")).to_have_count(1)  # not under a reader who looks
        page.goto(f"{stack.url}/studies/{course[3]}/")  # the newest, whose comparison with the middle one failed too
        page.locator("#since-last").get_by_role("button", name="Try again").click()
        expect(page.locator("#since-last")).to_contain_text("Being compared with the CT", timeout=10_000)
