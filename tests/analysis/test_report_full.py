"""The further pages of the report: what stands on them, on odd and poor results too."""

import datetime
import io

import pytest
from pypdf import PdfReader

from analysis import report_images, slice_images
from analysis.finding_reviews import mark, say_of
from analysis.models import Analysis, Comparison
from analysis.report_pdf import render
from analysis.services import correct
from analysis.trend import trend
from patients.models import Patient, PatientEvent, Series, Study

from .finished import SLICES, finished_analysis, signed_reading
from .test_comparisons import CHANGE

FIRST, SECOND = datetime.date(2020, 3, 3), datetime.date(2020, 3, 12)
ILL = {3: 20.0, 4: 60.4, 5: 59.0, 10: 40.0, 15: 30.0}


@pytest.fixture
def patient(site):
    return Patient.objects.create(
        site=site, patient_id="P-17", patient_name="Doe^Jane", birth_date=datetime.date(1960, 3, 4), sex="F"
    )


@pytest.fixture
def analysis(patient, tmp_path):
    return finished_analysis(patient, tmp_path, date=FIRST, activation_cm2=ILL)


def pages_of(analysis: Analysis) -> list[str]:
    """The text of each page with single spaces."""
    analysis = Analysis.objects.get(pk=analysis.pk)  # as a view finds it
    pdf = PdfReader(io.BytesIO(render(analysis, trend(analysis.series.study.patient), full=True)))
    return [" ".join(page.extract_text().split()) for page in pdf.pages]


def further(analysis: Analysis) -> str:
    """What stands behind the page for the ward."""
    return " ".join(pages_of(analysis)[1:])


def test_each_page_says_whose_it_is_and_which_of_how_many(analysis):
    pages = pages_of(analysis)
    assert len(pages) > 2
    for number, text in enumerate(pages, start=1):
        assert f"page {number} / {len(pages)}" in text
        assert text.count("Research use only, not for diagnosis") == 2
        assert "Jane Doe" in text
        assert "3 Mar 2020" in text
    assert "Jane Doe, P-17, born 4 Mar 1960 CT of 3 Mar 2020" in pages[1]


def test_a_language_may_say_first_how_many_pages_there_are(analysis, monkeypatch):
    words = {"page %(number)s / %(count)s": "of %(count)s pages the %(number)s."}
    monkeypatch.setattr("analysis.report_pdf.gettext", lambda text: words.get(text, text))
    pages = pages_of(analysis)
    for number, text in enumerate(pages, start=1):
        assert f"of {len(pages)} pages the {number}." in text


def test_the_page_for_the_ward_comes_first_as_it_is_alone(analysis):
    alone = PdfReader(io.BytesIO(render(analysis, trend(analysis.series.study.patient))))
    assert len(alone.pages) == 1
    of_the_ward = " ".join(alone.pages[0].extract_text().split())
    first = pages_of(analysis)[0]
    assert of_the_ward.split("Printed")[0] == first.split("Printed")[0]
    assert "page 1 / 1" in of_the_ward


def test_every_finding_has_measures_a_picture_and_what_readers_say(analysis, user):
    say_of(analysis, user=user, number=2, present=False, reason="A vessel")
    mark(analysis, user=user, centroid_mm=[30.0, -12.0, -130.0], long_axis_mm=11)
    text = further(analysis)
    assert "Findings (2, 1 rejected)" in text
    assert "1. Part-solid nodule, left lung, upper third 14.2 × 11.0 mm, 1.21 ml, −312 HU, confidence 0.97" in text
    assert "Slice 6, at x 60.5 mm, y −20.0 mm, z −124.0 mm" in text
    assert "2. Solid nodule, calcified, right lung, lower third" in text
    assert "ward: no finding; does not count" in text
    assert "3. Marked by a reader long axis 11.0 mm Slice 7" in text
    assert text.count("R L 2 cm") == 3


def test_of_many_findings_the_largest_have_a_picture_and_all_stand(analysis, monkeypatch):
    monkeypatch.setattr("analysis.report_findings.MAX_PICTURES", 1)
    text = further(analysis)
    assert "Pictures of the 1 largest of 2" in text
    assert text.count("R L 2 cm") == 1
    assert "Slice 6, at" in text
    assert "2. Solid nodule, calcified" in text


def test_the_opacity_stands_by_region(analysis):
    text = further(analysis)
    assert "Third Right Left Both" in text
    assert "Lower 49.8 % 0.0 % 24.9 %" in text
    assert "severity 4 of 24" in text


def test_the_abnormal_slices_are_shown_head_to_feet(analysis):
    text = further(analysis)
    assert "5 abnormal slices, head to feet" in text
    assert text.index("4 · 0.90 · 20.0 cm²") < text.index("5 · 0.90 · 60.4 cm²") < text.index("16 · 0.90 · 30.0 cm²")


def test_of_many_abnormal_slices_some_are_decoded_evenly_chosen_and_it_is_said(analysis, monkeypatch):
    decoded = []

    def counted(instance):
        decoded.append(instance)
        return slice_images.read_slice(instance)

    monkeypatch.setattr(report_images, "read_slice", counted)
    monkeypatch.setattr(report_images, "SHEET_SLICES", 3)
    monkeypatch.setattr("analysis.report_full.SHEET_SLICES", 3)
    text = further(analysis)
    assert "5 abnormal slices, 3 of them evenly chosen, head to feet" in text
    assert [f"{number} · 0.90" in text for number in (4, 5, 6, 11, 16)] == [True, False, True, False, True]
    assert len(decoded) == 3 + 3 + 2  # key images, contact sheet, findings


def test_abnormal_slices_that_cannot_be_read_are_not_counted_as_shown(analysis, monkeypatch):
    for number in (4, 11):
        instance = analysis.series.instances.all()[number - 1]
        instance.file.storage.delete(instance.file.name)
    assert "5 abnormal slices, 3 of them could be read, head to feet" in further(analysis)
    monkeypatch.setattr(report_images, "SHEET_SLICES", 3)
    monkeypatch.setattr("analysis.report_full.SHEET_SLICES", 3)
    assert "5 abnormal slices, 2 of them evenly chosen, head to feet" in further(analysis)


def test_all_time_points_stand_with_their_measures_readers_and_events(patient, user, tmp_path):
    first = finished_analysis(patient, tmp_path, date=FIRST, activation_cm2=ILL)
    now = finished_analysis(patient, tmp_path, date=SECOND, activation_cm2={10: 20.0})
    signed_reading(first, user)
    PatientEvent.objects.create(patient=patient, date=FIRST, text="Dexamethasone begun")
    text = further(now)
    assert "3 Mar 2020 0 104.7 cm³ 1.00 12.4 % 1624 ml 0.28 suspected not suspected note: thick slices" in text
    assert "12 Mar 2020 9 10.0 cm³ 0.10 12.4 % 1624 ml 0.06 not suspected – note: thick slices" in text
    assert "3 Mar 2020: Dexamethasone begun" in text
    assert "different versions of the networks" not in text
    now.model_versions = [{"name": "lung-unet", "version": "1.1", "sha256": "f" * 64}]
    now.save()
    assert "different versions of the networks or of the measuring" in further(now)


def test_the_limits_that_a_result_was_measured_by_stand_in_it_whatever_they_are_today(patient, tmp_path):
    old = finished_analysis(patient, tmp_path, date=None)
    old.report["method"] |= {"gate_hu": -700.0, "high_hu": -150.0}
    old.save()
    for words in ("counts where slices are denser than −700 HU", "above −150 HU"):
        assert words in further(old)


def test_the_course_lists_more_time_points_than_the_page_for_the_ward(patient, analysis):
    for number in range(12):
        date = SECOND + datetime.timedelta(days=number)
        study = Study.objects.create(patient=patient, study_instance_uid=f"1.9.{number}", study_date=date)
        study.chosen_series = Series.objects.create(study=study, series_instance_uid=f"1.9.{number}.1", usable=True)
        study.save()
        Analysis.objects.create(series=study.chosen_series, state="DONE", report={}, corona_score_cm3=50.0)
    pages = pages_of(analysis)
    assert "6 more in CoronaTrend" in pages[0]
    for number in range(12):
        assert f"{12 + number} Mar 2020 {9 + number} 50.0 cm³" in " ".join(pages[1:])


def test_every_lesion_of_the_comparison_stands_those_that_changed_first(patient, user, analysis, tmp_path):
    now = finished_analysis(patient, tmp_path, date=SECOND, activation_cm2=ILL)
    change = CHANGE | {"quality": [{"code": "breath", "message": "The breath differs.", "severe": False}]}
    comparison = Comparison.objects.create(analysis=now, prior=analysis, days=9, state="DONE", change=change)
    text = further(now)
    assert "Since the last CT, 3 Mar 2020" in text
    assert "Finding 1: grown nodule, left lung, upper third #2 0.61 ml → #1 1.21 ml, +100 %" in text
    assert "Resolved: nodule, left lung, upper third #1 0.20 ml → –" in text
    assert "The breath differs." in text
    say_of(now, user=user, number=1, present=False)
    say_of(analysis, user=user, number=1, present=False)
    text = further(now)
    assert "left lung, upper third; rejected by a reader #2 0.61 ml" in text
    assert "left lung, upper third rejected by a reader on the CT before #1 0.20 ml" in text
    assert "2 that a reader rejected on one of the two CTs are not counted." in text
    Comparison.objects.filter(pk=comparison.pk).update(state="FAILED", change=None, error="Compare them by eye.")
    assert "Compare them by eye." in further(now)
    Comparison.objects.filter(pk=comparison.pk).update(state="RUNNING", error="")
    assert "still being compared" in further(now)


def test_a_first_scan_says_that_there_is_nothing_to_compare(analysis):
    assert "no earlier result of this patient" in further(analysis)


def test_what_readers_say_stands_with_name_time_and_reason(analysis, user):
    assert "No reader has said anything of this result yet." in further(analysis)
    slices = analysis.report["slices"]
    for index, abnormal, reason in ((4, True, "First thought"), (4, False, "A vessel"), (5, True, ""), (0, True, "")):
        uid = slices[index]["sop_instance_uid"]
        correct(analysis, user=user, sop_instance_uid=uid, abnormal=abnormal, reason=reason)
    say_of(analysis, user=user, number=1, present=True, reason="Known before")
    signed_at = datetime.datetime(2020, 3, 4, 9, 30, tzinfo=datetime.UTC)
    signed_reading(analysis, user, reason="Atelectasis", signed_at=signed_at)
    analysis.corrections.update(created_at=datetime.datetime(2020, 3, 4, 10, tzinfo=datetime.UTC))
    text = further(analysis)
    assert "The case, version 1 suspected not suspected ward, 4 Mar 2020, 09:30 UTC Atelectasis" in text
    assert "Slice 5 abnormal, probability 0.90 normal, overruled ward, 4 Mar 2020, 10:00 UTC A vessel" in text
    assert "First thought" not in text
    assert "5 · 0.90 · 60.4 cm² · reader: normal" in text
    assert "59.0 cm² · reader" not in text
    assert "Slice 6 abnormal, probability 0.90 abnormal ward" in text
    assert "Slice 1 not rated: no lung abnormal, overruled ward" in text
    assert "Finding 1 Part-solid nodule, left lung, upper third agreed ward" in text
    user.delete()
    assert "a user who was deleted, 4 Mar 2020, 10:00 UTC A vessel" in further(analysis)


def test_how_the_result_was_made_can_be_traced(analysis):
    text = further(analysis)
    for words in (
        f"Study Instance UID {analysis.series.study.study_instance_uid}",
        f"number {analysis.pk}, of {SLICES} slices, 5.00 mm apart",
        "0.5 s: reading 0.5 s",
        "CoronaTrend 0.9",
        f"lung-unet 1.0, SHA-256 {'0123456789abcdef' * 4}",
        "from a probability of 0.36",
        "above a positive ratio of 0.10",
        "a coefficient of variation of 5.0 %",
        "How to read the numbers",
    ):
        assert words in text


def test_a_result_without_parts_says_which_are_missing(patient, tmp_path):
    poor = finished_analysis(patient, tmp_path, date=None)
    for name in ("slice_threshold", "software_version", "method"):
        del poor.report[name]
    poor.report |= {"opacity": None, "findings": None}
    poor.score_variation = None
    poor.save()
    text = further(poor)
    for words in (
        "Not looked for by the networks of that time.", "The networks call no slice abnormal.",
        "Not measured by the networks of that time.", "A trend is drawn from the second analysed time point on.",
        "from a probability that was not kept", "denser than a limit that was not kept",
        "of a version that was not kept", "not known for the networks",
    ):  # fmt: skip
        assert words in text
    poor.report["findings"] = []
    poor.save()
    assert "No nodule or focal opacity was outlined by itself" in further(poor)


def test_without_its_images_the_numbers_stand_alone(analysis):
    for instance in analysis.series.instances.all():
        instance.file.storage.delete(instance.file.name)
    pages = pages_of(analysis)
    assert "could not be read, so none are shown" in pages[0]
    assert "could not be read, so no slice is shown" in " ".join(pages[1:])
    assert "At x 60.5 mm" in " ".join(pages[1:])


def test_without_the_map_of_findings_rings_are_drawn(analysis, caplog):
    analysis.findings_map.storage.delete(analysis.findings_map.name)
    assert further(analysis).count("R L 2 cm") == 2
    assert f"images of analysis {analysis.pk}: findings_map cannot be read" in caplog.text


def test_reasons_longer_than_a_page_and_many_words_do_no_harm(analysis, user):
    for each in analysis.report["slices"]:
        correct(analysis, user=user, sop_instance_uid=each["sop_instance_uid"], abnormal=True, reason="<b> & " * 1000)
    text = further(analysis)
    assert "Slice 20 not rated" in text
    assert "<b> & <b> &" in text
