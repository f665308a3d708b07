"""``make page-speed``: how fast the pages are on a server with 20 patients of 4 scans as large as covid_P001.

As on a PC without a graphics card. One real scan is uploaded twice, as if taken again after nine days, analysed and
compared; the others are its rows again, which share its files. Writes docs/evaluation/pages.json, prints it and fails
where a goal is missed. Needs the data (CORONATREND_DATA); about six minutes.
"""

import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import pydicom
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.browser import chromium, complaints_of, log_in
from tests.conftest import ROOT
from tests.servers import wait_until
from tests.stack import Stack, running_stack

SCAN = Path(os.environ.get("CORONATREND_DATA", ROOT.parent / "shared" / "data")) / "ct" / "covid_P001"
OUT = ROOT / "docs" / "evaluation" / "pages.json"
PATIENTS, TIME_POINTS, REPEATS, OPENED = 20, 4, 5, 10
GOALS = {
    "worklist_s": 1.0,
    "timeline_s": 1.0,
    "first_image_with_overlay_s": 1.0,
    "all_slices_s": 4.0,
    "requests_while_scrolling": 0,
    "memory_after_ten_studies_mb": 600,
    "memory_growth_from_the_second_to_the_tenth_study_mb": 100,
    "list_script_gzip_kb": 150,
    "timeline_script_gzip_kb": 150,
    "complaints": 0,
}
COMPARED = "from analysis.models import Comparison; print(*Comparison.objects.values_list('state', flat=True))"
COPIES = """
import datetime
from django.db import transaction
from analysis.models import Analysis, Comparison, Finding
from patients.models import Patient, Series, Study

compared = Comparison.objects.get(state="DONE")
source = compared.prior
series = source.series
instances, findings = list(series.instances.all()), list(source.findings.all())
with transaction.atomic():
    for number in range({patients}):
        patient = Patient.objects.create(site=series.study.patient.site, patient_id=f"SPEED-{{number}}", patient_name=f"Page^Speed {{number}}")
        prior = None
        for visit in range({time_points}):
            study = Study.objects.create(patient=patient, study_instance_uid=f"1.{{number}}.{{visit}}", study_date=datetime.date(2026, 1, 1 + number) + datetime.timedelta(days=9 * visit))
            copy = Series.objects.create(study=study, series_instance_uid=f"1.{{number}}.{{visit}}.1", usable=True, slice_count=series.slice_count, slice_spacing_mm=series.slice_spacing_mm)
            study.chosen_series = copy
            study.save()
            suffix, uids = f".{{number}}.{{visit}}", {{}}
            for one in instances:
                uids[one.sop_instance_uid] = one.sop_instance_uid[:40] + f"{{one.pk}}" + suffix
                one.pk, one.series, one.sop_instance_uid = None, copy, uids[one.sop_instance_uid]
                one.save()
            instances = list(series.instances.all())
            result = Analysis.objects.get(pk=source.pk)
            result.pk, result.series, result.corona_score_cm3 = None, copy, source.corona_score_cm3 * (1 + visit) / (1 + number)
            result.report["slices"] = [each | {{"sop_instance_uid": uids[each["sop_instance_uid"]]}} for each in result.report["slices"]]
            result.save()
            for one in findings:
                one.pk, one.analysis = None, result
            Finding.objects.bulk_create(findings)
            findings = list(source.findings.all())
            if prior:
                compared.pk, compared.prior, compared.analysis = None, prior, result
                compared.save()
            prior = result
"""  # noqa: E501


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="page-speed-") as folder, running_stack(Path(folder)) as stack:
        _fill(stack, Path(folder))
        with chromium(webgl=False) as browser:
            figures = _measured(browser, stack)
    commit = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    measured = {"command": "make page-speed", "commit": commit.stdout.strip(), "goals": GOALS, "measured": figures}
    OUT.write_text(json.dumps(measured, indent=1) + "\n")
    for name, figure in figures.items():
        goal = GOALS.get(name)
        print(
            f"{name}: {figure:.2f}", f"(goal {goal}){'' if figure <= goal else ' MISSED'}" if goal is not None else ""
        )
    if any(figures[name] > goal for name, goal in GOALS.items()):
        sys.exit("A goal is missed.")


def _fill(stack: Stack, folder: Path) -> None:
    for scan in (SCAN, _taken_again(folder / "again")):
        upload = json.loads(stack.manage("import_dicom", str(scan), "--site", "demo", "--json"))
        analysis = stack.finished_analysis(upload["analyses"][0])
        assert analysis["state"] == "DONE", analysis["error"]
    wait_until(lambda: "DONE" in stack.python(COMPARED), 300, "the comparison of the two")
    os.killpg(stack.worker.pid, 15)  # the pages are measured without other work
    stack.python(COPIES.format(patients=PATIENTS, time_points=TIME_POINTS))


def _taken_again(folder: Path) -> Path:
    """The same scan as one of another study, nine days later."""
    folder.mkdir()
    for path in SCAN.glob("*.dcm"):
        dataset = pydicom.dcmread(path)
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
            dataset[keyword].value = f"{dataset[keyword].value[:60]}.9"
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        day = datetime.strptime(dataset.StudyDate, "%Y%m%d") + timedelta(days=9)
        dataset.StudyDate = f"{day:%Y%m%d}"
        dataset.save_as(folder / path.name)
    return folder


def _measured(browser: BrowserContext, stack: Stack) -> dict[str, float]:
    page = browser.new_page()
    complaints = complaints_of(page)
    log_in(page, stack.url)
    studies = [each["id"] for each in stack.get("/api/v1/studies/")["results"]][:OPENED]
    patients = {stack.get(f"/api/v1/studies/{pk}/")["patient"] for pk in studies}
    patient = max(patients)
    timeline = f"{stack.url}/patients/{patient}/"
    figures = {
        "worklist_s": _median(lambda: _opened(page, stack.url, "#worklist .row-link")),
        "timeline_s": _median(lambda: _opened(page, timeline, "[data-chart] .main-svg")),
        "list_script_gzip_kb": _script_kb(page, stack.url),
        "timeline_script_gzip_kb": _script_kb(page, timeline),
    }
    opened, memory = [], []
    for pk in studies:
        opened.append(_study(page, f"{stack.url}/studies/{pk}/"))
        memory.append(_memory_mb(browser, page))
    first, *others = opened
    figures |= {name: median(each[name] for each in others) for name in first}
    figures |= {f"{name}_of_a_browsers_first_study": seconds for name, seconds in first.items()}
    figures["requests_while_scrolling"] = _requests_while_scrolling(page)
    figures["memory_after_ten_studies_mb"] = memory[-1]
    figures["memory_growth_from_the_second_to_the_tenth_study_mb"] = memory[-1] - memory[1]
    return figures | {"complaints": len(complaints)}


def _median(seconds: Callable[[], float]) -> float:
    seconds()  # warm
    return median(seconds() for _ in range(REPEATS))


def _opened(page: Page, address: str, selector: str) -> float:
    """Seconds from the click until the page shows what it is for."""
    started = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.wait_for_selector(selector, timeout=60_000)
    return time.perf_counter() - started


def _study(page: Page, address: str) -> dict[str, float]:
    """Of one study, whose images the browser has not seen."""
    first = _opened(page, address, "[data-viewer][data-shown=true]")
    started = time.perf_counter()
    page.wait_for_selector("[data-loading]", state="hidden", timeout=60_000)
    return {"first_image_with_overlay_s": first, "all_slices_s": first + time.perf_counter() - started}


def _requests_while_scrolling(page: Page) -> int:
    """From the first slice to the last, each of which comes on show."""
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    viewer = page.locator("[data-viewer]")
    page.keyboard.press("Home")
    for index in range(len(list(SCAN.glob("*.dcm")))):
        expect(viewer).to_have_attribute("data-slice-index", str(index))
        page.keyboard.press("ArrowDown")
    return len([url for url in requests if "seen=" not in url])  # the page asks for news by itself


def _script_kb(page: Page, address: str) -> float:
    """JavaScript of a page as gzip sends it, besides Plotly."""
    sizes: list[int] = []

    def weigh(response: Any) -> None:
        if response.url.split("?")[0].endswith(".js") and "plotly" not in response.url:
            sizes.append(len(gzip.compress(response.body())))

    page.on("response", weigh)
    page.goto(address)
    page.wait_for_timeout(1500)
    page.remove_listener("response", weigh)
    return sum(sizes) / 1000


def _memory_mb(browser: BrowserContext, page: Page) -> float:
    """Of the process that draws the page, with its workers and canvases, after a collection; without what it shares."""
    browser.new_cdp_session(page).send("HeapProfiler.collectGarbage")
    assert browser.browser
    processes = browser.browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
    renderers = [each["id"] for each in processes if each["type"] == "renderer"]
    return max(_private_mb(pid) for pid in renderers)  # a spare one waits for the next page


def _private_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1000


if __name__ == "__main__":
    main()
