"""The PDF report: its words, its pictures, and that odd patients and files do not break it."""

import datetime
import gzip
import io
import re
import subprocess
import sys

import pytest
from django.core.files.base import ContentFile
from django.urls import reverse
from pypdf import PdfReader

from analysis.finding_reviews import mark, say_of
from analysis.formats import decision_words
from analysis.models import Analysis, Comparison
from analysis.report_pdf import render
from analysis.services import correct
from analysis.trend import trend
from patients.models import Patient, Series, Study

from .finished import FIRST_Z_MM, SPACING_MM, finished_analysis, signed_reading
from .test_comparisons import CHANGE

FIRST, SECOND = datetime.date(2020, 3, 3), datetime.date(2020, 3, 12)
MANY = {3: 20.0, 4: 60.4, 5: 59.0, 10: 40.0, 15: 30.0}
SCORE = "104.7 cm³"  # (20 + 60.4 + 59 + 40 + 30) cm² × 5 mm


@pytest.fixture
def patient(site):
    return Patient.objects.create(
        site=site, patient_id="P-17", patient_name="Doe^Jane", birth_date=datetime.date(1960, 3, 4), sex="F"
    )


def pdf_of(analysis: Analysis) -> PdfReader:
    analysis = Analysis.objects.get(pk=analysis.pk)  # as a view finds it
    return PdfReader(io.BytesIO(render(analysis, trend(analysis.series.study.patient))))


def text_of(analysis: Analysis) -> str:
    """All text with single spaces, as line breaks fall where they may."""
    return " ".join(" ".join(page.extract_text() for page in pdf_of(analysis).pages).split())


def test_one_page_says_who_when_and_what(patient, tmp_path):
    analysis = finished_analysis(patient, tmp_path, date=FIRST, activation_cm2=MANY)
    assert len(pdf_of(analysis).pages) == 1
    text = text_of(analysis)
    for words in (
        "Research use only, not for diagnosis", "North hospital", "Jane Doe", "P-17", "4 Mar 1960",
        "59 years at the scan, female", "3 Mar 2020", "Chest CT", "Lung 5.0", "20, 5.00 mm apart",
        "pixels 4.00 × 4.00 mm",
        "Suspected", "5 of 18 lung slices abnormal: positive ratio 0.28, above the threshold of 0.10",
        SCORE, "209.4 cm³", "1624 ml", "1.00 this is the first time point", "The slices are 5.0 mm apart",
        "lung-unet 1.0 (0123456789ab)",
    ):  # fmt: skip
        assert words in text
    assert "synthetic" not in text


def test_what_readers_say_after_the_signature_is_said_to_be_newer(patient, user, tmp_path):
    analysis = finished_analysis(patient, tmp_path, date=FIRST, activation_cm2=MANY)
    newer = "Since the last signature readers said more of slices or findings"
    say_of(analysis, user=user, number=1, present=False)
    assert newer not in text_of(analysis)
    signed_reading(analysis, user, reason="Motion.", impression="Clear.")
    assert newer not in text_of(analysis)
    say_of(analysis, user=user, number=2, present=False)
    assert newer in text_of(analysis)
    signed_reading(analysis, user, version=2, reason="Motion.", impression="And no findings.")
    assert newer not in text_of(analysis)


def test_what_changed_since_the_last_scan_stands_below_the_findings(patient, tmp_path):
    prior = finished_analysis(patient, tmp_path, date=FIRST, activation_cm2=MANY)
    analysis = finished_analysis(patient, tmp_path, date=SECOND, activation_cm2=MANY)
    lesions = [CHANGE["lesions"][0] | {"status": each} for each in ("new", "grown", "new")]
    change = {"lesions": lesions, "worse_ml": 35.2, "better_ml": 0.0, "unchanged_ml": 12.0, "quality": []}
    comparison = Comparison.objects.create(analysis=analysis, prior=prior, days=9, state="DONE", change=change)
    assert "Since 3 Mar 2020: lesions: 2 new, 1 grown; opacity: 35 ml newly opaque" in text_of(analysis)
    assert "Finding 1: grown (#2 0.61 ml → #1 1.21 ml, +100 %, volume doubling time 30 days)." in text_of(analysis)
    assert len(pdf_of(analysis).pages) == 1
    assert "Since 3 Mar 2020" not in text_of(prior)
    flags = [{"code": "dense_unmarked", "message": "Dense tissue.", "severe": True}]
    Analysis.objects.filter(pk=prior.pk).update(quality=flags)
    assert "Check the CT of 3 Mar 2020: Dense tissue." in text_of(analysis)
    Comparison.objects.filter(pk=comparison.pk).update(state="RUNNING", change=None)
    assert "Since 3 Mar 2020:" not in text_of(analysis)
    Comparison.objects.filter(pk=comparison.pk).update(state="FAILED", error="Compare them by eye.")
    assert "Since 3 Mar 2020: Compare them by eye." in text_of(analysis)


def test_the_opacity_stands_among_the_numbers(patient, tmp_path):
    analysis = finished_analysis(patient, tmp_path, date=FIRST, activation_cm2=MANY)
    assert "12.4 %" in text_of(analysis)
    assert "severity 4 of 24" in text_of(analysis)
    analysis.report["opacity"] = None
    analysis.save()
    assert "not measured by the networks" in text_of(analysis)


def test_findings_are_listed_and_none_is_said(patient, tmp_path):
    ill = finished_analysis(patient, tmp_path / "1", date=FIRST, activation_cm2=MANY)
    assert "Part-solid nodule, left lung, upper third: 14.2 × 11.0 mm, 1.21 ml, −312 HU, confidence 0.97" in text_of(
        ill
    )
    well = finished_analysis(patient, tmp_path / "2", date=SECOND)
    assert "No nodule or focal opacity was outlined by itself" in text_of(well)  # its slices are thick
    well.report["findings"] = None
    well.save()
    assert "Findings: not looked for by the networks of that time." in text_of(well)


def test_the_spacing_is_that_of_the_slices_analysed(patient, tmp_path):
    analysis = finished_analysis(patient, tmp_path, date=FIRST, activation_cm2=MANY)
    Series.objects.update(slice_spacing_mm=None)  # later files made the series unusable
    assert "20, 5.00 mm apart" in text_of(analysis)


def test_the_most_affected_slices_are_shown_well_apart_from_head_to_feet(patient, tmp_path):
    analysis = finished_analysis(patient, tmp_path, date=FIRST, activation_cm2=MANY)
    text = text_of(analysis)
    assert "Slice 5 of 20, z −120.0 mm Probability 0.90, activation 60.4 cm²" in text
    assert text.index("Slice 5 of 20") < text.index("Slice 11 of 20") < text.index("Slice 16 of 20")
    assert text.count("of 20, z") == 3


def test_the_sides_are_lettered_as_the_image_lies(patient, tmp_path):
    text = text_of(finished_analysis(patient, tmp_path, date=FIRST, activation_cm2=MANY))
    assert text.count("R L 5 cm") == 6


def test_a_normal_scan_shows_the_middle_of_the_lungs(patient, tmp_path):
    text = text_of(finished_analysis(patient, tmp_path, date=FIRST))
    assert "Not suspected None of 18 lung slices abnormal: positive ratio 0.00, not above the threshold of 0.10" in text
    assert "Middle of the lungs (no slice is positive)" in text
    assert text.count("of 20, z") == 1


def test_without_a_positive_slice_the_largest_finding_that_counts_is_shown(patient, user, tmp_path):
    analysis = finished_analysis(patient, tmp_path, date=FIRST)
    near = mark(analysis, user=user, centroid_mm=[-60.0, 0.0, FIRST_Z_MM - 3 * SPACING_MM], long_axis_mm=12.0)
    far = mark(analysis, user=user, centroid_mm=[-60.0, 0.0, FIRST_Z_MM - 12 * SPACING_MM], long_axis_mm=25.0)
    text = text_of(analysis)
    assert "Slice of the largest finding (no slice is positive)" in text
    assert f"Slice 13 of 20, z −160.0 mm Probability 0.02 Green: findings #{far.number}" in text
    assert f"Findings: #{far.number} one that a reader marked (25.0 mm)" in text
    say_of(analysis, user=user, number=far.number, present=False)
    assert "Slice 4 of 20" in text_of(analysis)
    say_of(analysis, user=user, number=near.number, present=False)
    assert "Middle of the lungs (no slice is positive)" in text_of(analysis)


def test_page_and_report_name_the_decision_alike_and_no_disease(client, user, patient, tmp_path):
    analysis = finished_analysis(patient, tmp_path, date=FIRST, activation_cm2=MANY)
    client.force_login(user)
    page = client.get(reverse("pages:study", args=[analysis.series.study_id])).content.decode()
    for text in (page, text_of(analysis)):
        assert "Suspected" in text
        assert decision_words(analysis) in text
        assert "pneumonia" not in text


def test_the_trend_marks_this_time_point_and_says_since_when(patient, tmp_path):
    finished_analysis(patient, tmp_path, date=FIRST, activation_cm2={10: 80.0})
    analysis = finished_analysis(patient, tmp_path, date=SECOND, activation_cm2={10: 20.0})
    text = text_of(analysis)
    assert "0.25 −75 % since 3 Mar 2020" in text
    assert "day 0" in text
    assert "day 9" in text


def test_a_first_score_of_0_leaves_the_relative_score_undefined(patient, tmp_path):
    finished_analysis(patient, tmp_path, date=FIRST)
    text = text_of(finished_analysis(patient, tmp_path, date=SECOND, activation_cm2=MANY))
    assert "not defined the score of the first time point is 0" in text
    assert "inf" not in text


def test_a_superseded_analysis_says_that_it_is_not_in_the_trend(patient, tmp_path):
    old = finished_analysis(patient, tmp_path, date=FIRST, activation_cm2=MANY)
    Analysis.objects.create(series=old.series, state="DONE", report=old.report, corona_score_cm3=1.0)
    assert "not defined another analysis speaks for this time point" in text_of(old)


def test_a_synthetic_patient_is_called_so(patient, tmp_path):
    patient.synthetic = True
    patient.save()
    assert "Jane Doe (synthetic patient)" in text_of(finished_analysis(patient, tmp_path, date=FIRST))


def test_european_names_are_printed_in_their_script(patient, tmp_path):
    analysis = finished_analysis(patient, tmp_path, date=FIRST)
    for name in ("Иванова^Анна", "Παπαδοπούλου^Ελένη", "Nguyễn^Thị Hoa", "Şahin^Çağrı", "Őry^Łucja"):
        Patient.objects.update(patient_name=name)
        family, given = name.split("^")
        text = text_of(analysis)
        assert f"{given} {family}" in text
        assert "cannot print" not in text


def test_letters_that_cannot_be_printed_are_announced(patient, tmp_path):
    patient.patient_name = "王^小东"
    patient.save()
    text = text_of(finished_analysis(patient, tmp_path, date=FIRST))
    assert "?? ?" in text
    assert "characters that this report cannot print (shown as ?): go by the patient ID" in text


def test_markup_long_and_missing_texts_do_no_harm(patient, tmp_path):
    patient.patient_name = "B" * 300 + "^<b>&"
    patient.birth_date, patient.sex, patient.patient_id = None, "", "X" * 64
    patient.save()
    analysis = finished_analysis(patient, tmp_path, date=None, activation_cm2=MANY)
    assert len(pdf_of(analysis).pages) == 1
    text = text_of(analysis)
    assert "<b>& BBB" in text
    assert "age not known, sex not given" in text
    assert "the study has no date" in text


def test_many_time_points_still_fit_one_page(patient, tmp_path):
    analysis = finished_analysis(patient, tmp_path, date=FIRST + datetime.timedelta(days=6), activation_cm2=MANY)
    for number in range(12):
        uid = f"1.9.{number}"
        date = FIRST + datetime.timedelta(days=3 * number + (number >= 2))
        study = Study.objects.create(patient=patient, study_instance_uid=uid, study_date=date)
        study.chosen_series = Series.objects.create(study=study, series_instance_uid=uid, usable=True)
        study.save()
        Analysis.objects.create(series=study.chosen_series, state="DONE", report={}, corona_score_cm3=50.0)
    assert len(pdf_of(analysis).pages) == 1
    text = text_of(analysis)
    assert f"9 Mar 2020 6 {SCORE} 2.09 suspected" in text
    assert "5 more in CoronaTrend" in text


def test_slices_that_readers_overrule_are_named(patient, user, tmp_path):
    analysis = finished_analysis(patient, tmp_path, date=FIRST, activation_cm2=MANY)
    assert "overruled" not in text_of(analysis)
    for index, abnormal in (
        (3, False),
        (4, True),
        (7, False),
        (9, True),
        (5, False),
    ):  # 5 and 8: as the networks
        uid = analysis.report["slices"][index]["sop_instance_uid"]
        correct(analysis, user=user, sop_instance_uid=uid, abnormal=abnormal)
    words = "3 slices overruled by readers: 2 normal (slices 4, 6), 1 abnormal (slice 10). The numbers stay those"
    assert words in text_of(analysis)
    uid = analysis.report["slices"][9]["sop_instance_uid"]
    correct(analysis, user=user, sop_instance_uid=uid, abnormal=False)  # the newest word counts
    assert "2 slices overruled by readers: 2 normal (slices 4, 6)." in text_of(analysis)


def test_that_nobody_reported_is_said_and_an_addendum_does_not_repeat_the_decision(patient, user, tmp_path):
    analysis = finished_analysis(patient, tmp_path, date=FIRST, activation_cm2=MANY)
    unread = "No reader has signed a report on this CT yet"
    assert unread in text_of(analysis)
    signed_reading(analysis, user, reason="Motion.", impression="As before.")
    signed_reading(analysis, user, version=2, reason="Motion.", impression="A typing mistake mended.")
    text = text_of(analysis)
    assert unread not in text
    assert text.count("The reader decides: not suspected, otherwise than the networks. Motion.") == 1
    assert "A typing mistake mended." in text
    signed_reading(analysis, user, version=3, suspected=True, impression="Seen again.")
    assert "The reader decides: suspected." in text_of(analysis)


def test_what_happened_stands_below_the_course_the_newest_first(patient, tmp_path):
    analysis = finished_analysis(patient, tmp_path, date=FIRST)
    patient.symptom_onset = FIRST - datetime.timedelta(days=3)
    patient.save()
    patient.events.create(date=FIRST + datetime.timedelta(days=1), text="Steroids")
    assert "4 Mar 2020: Steroids; 29 Feb 2020: first symptoms" in text_of(analysis)
    for day in range(2, 9):
        patient.events.create(date=FIRST + datetime.timedelta(days=day), text="Seen")
    text = text_of(analysis)
    assert "first symptoms" not in text
    assert "6 more in CoronaTrend" in text


def test_a_report_and_a_comparison_beside_all_else_leave_one_page(patient, user, tmp_path):
    prior = finished_analysis(patient, tmp_path, date=FIRST, activation_cm2=MANY)
    analysis = finished_analysis(patient, tmp_path, date=SECOND, activation_cm2=MANY)
    lesions = [CHANGE["lesions"][0] | {"status": each} for each in ("new", "grown", "new")]
    change = {"lesions": lesions, "worse_ml": 35.2, "better_ml": 0.0, "unchanged_ml": 12.0, "quality": []}
    Comparison.objects.create(analysis=analysis, prior=prior, days=9, state="DONE", change=change)
    sentences = "\n".join(f"Sentence {number}." for number in range(6))
    signed_reading(analysis, user, reason="Dependent atelectasis.", impression=sentences)
    assert len(pdf_of(analysis).pages) == 1
    assert text_of(analysis).count("of 20, z") == 3


@pytest.mark.parametrize(("characters", "slices"), [(300, 3), (900, 3), (1500, 1), (2000, 1)])
def test_a_long_report_of_a_long_course_leaves_one_page(patient, user, tmp_path, characters, slices):
    for number in range(8):
        day = FIRST + datetime.timedelta(days=7 * number)
        analysis = finished_analysis(patient, tmp_path / str(number), date=day, activation_cm2=MANY)
        patient.events.create(date=day, text="Oxygen by mask, 6 litres a minute; steroids, the third day")
    impression = ("The heart is of normal size and the vessels are fine. " * 40)[:characters].strip()
    signed_reading(analysis, user, suspected=True, impression=impression)
    for each in analysis.report["slices"]:  # a line more under each picture
        if each["positive"]:
            analysis.corrections.create(user=user, sop_instance_uid=each["sop_instance_uid"], abnormal=True)
    assert len(pdf_of(analysis).pages) == 1
    text = text_of(analysis)
    assert text.count("of 20, z") == text.count("Reader: abnormal") == slices
    assert text.count("The heart is of") == impression.count("The heart is of")


def test_key_images_leave_out_what_a_reader_called_normal_and_say_what_one_called_abnormal(patient, user, tmp_path):
    analysis = finished_analysis(patient, tmp_path, date=FIRST, activation_cm2={3: 9.0, 12: 4.0})
    uids = [each["sop_instance_uid"] for each in analysis.report["slices"]]
    assert "Slice 4 of 20" in text_of(analysis)
    analysis.corrections.create(user=user, sop_instance_uid=uids[3], abnormal=False)
    analysis.corrections.create(user=user, sop_instance_uid=uids[12], abnormal=True)
    text = text_of(analysis)
    assert "Slice 4 of 20" not in text
    assert re.search(r"Slice 13 of 20.*activation 4\.0 cm² Reader: abnormal", text)


def test_images_that_cannot_be_read_are_left_out(patient, tmp_path):
    analysis = finished_analysis(patient, tmp_path, date=FIRST, activation_cm2=MANY)
    for instance in analysis.series.instances.all():
        instance.file.storage.delete(instance.file.name)
    text = text_of(analysis)
    assert "The stored images or their heat map could not be read" in text
    assert SCORE in text


@pytest.mark.parametrize(
    "content",
    [None, b"", b"no gzip at all", gzip.compress(b"too short"), gzip.compress(b"")[:9]],
    ids=["gone", "empty", "no gzip", "too short", "cut off"],
)
def test_without_its_heat_map_a_report_comes_without_pictures_and_says_so(patient, tmp_path, caplog, content):
    analysis = finished_analysis(patient, tmp_path, date=FIRST, activation_cm2=MANY)
    analysis.heatmap.storage.delete(analysis.heatmap.name)
    if content is not None:
        analysis.heatmap.storage.save(analysis.heatmap.name, ContentFile(content))
    text = text_of(analysis)
    assert "The stored images or their heat map could not be read" in text
    assert SCORE in text
    assert "of 20, z" not in text
    assert f"images of analysis {analysis.pk}: heatmap cannot be read" in caplog.text


def test_the_file_names_no_patient_and_stays_small(patient, tmp_path):
    analysis = finished_analysis(patient, tmp_path, date=FIRST, activation_cm2=MANY)
    body = render(analysis, trend(patient))
    assert len(body) < 1_000_000
    assert PdfReader(io.BytesIO(body)).metadata.title == "CoronaTrend report, CT of 3 Mar 2020"


def test_making_it_loads_no_torch():
    code = (
        "import os, sys; os.environ['DJANGO_SETTINGS_MODULE'] = 'webapp.settings'; import django; django.setup();"
        "import analysis.report_pdf, analysis.results_csv; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
