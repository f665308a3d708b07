"""The CSV of an analysis: one flat table that researchers can read and spreadsheets cannot run."""

import csv
import datetime
import io

import pytest

from analysis.results_csv import render
from analysis.services import correct
from patients.models import Patient

from .finished import SLICES, finished_analysis

READER_COLUMNS = ["reader_abnormal", "reader", "reader_at", "reader_reason"]


@pytest.fixture
def patient(site):
    return Patient.objects.create(site=site, patient_id="P-17", patient_name="Doe^Jane")


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_one_row_per_slice_with_the_study_in_each(patient, tmp_path):
    analysis = finished_analysis(patient, tmp_path, date=datetime.date(2020, 3, 3), activation_cm2={4: 60.4, 10: 40.25})
    rows = rows_of(render(analysis))
    assert [row["slice"] for row in rows] == [str(number) for number in range(1, SLICES + 1)]
    assert {row["corona_score_cm3"] for row in rows} == {str(analysis.corona_score_cm3)}
    assert float(rows[0]["corona_score_cm3"]) == pytest.approx((60.4 + 40.25) * 0.5)
    assert (
        rows[4]
        | {
            "z_mm": "-120.0",
            "probability": "0.9",
            "positive": "true",
            "activation_cm2": "60.4",
            "patient_id": "P-17",
            "study_date": "2020-03-03",
            "suspected": "true",
            "opacity_percent_of_lung": "12.44",
            "opacity_percent_high": "3.11",
            "severity_score": "4",
            "quality": "thick_slices",
            "use": "Research use only, not for diagnosis",
        }
        == rows[4]
    )


def test_the_spacing_is_that_of_the_slices_analysed(patient, tmp_path):
    analysis = finished_analysis(patient, tmp_path, date=None)
    analysis.series.slice_spacing_mm = None  # later files made the series unusable
    assert {row["slice_spacing_mm"] for row in rows_of(render(analysis))} == {"5.0"}


def test_what_was_not_computed_is_empty(patient, tmp_path):
    first = rows_of(render(finished_analysis(patient, tmp_path, date=None)))[0]
    assert (first["probability"], first["positive"], first["activation_cm2"], first["study_date"]) == ("", "", "", "")


def test_what_a_reader_says_of_a_slice_stands_beside_what_the_networks_say(patient, user, tmp_path):
    analysis = finished_analysis(patient, tmp_path, date=datetime.date(2020, 3, 3), activation_cm2={4: 60.4})
    before = rows_of(render(analysis))
    uids = [each["sop_instance_uid"] for each in analysis.report["slices"]]
    for index, abnormal, reason in ((4, True, "As said"), (4, False, "=A vessel,\nno opacity"), (0, True, "")):
        correct(analysis, user=user, sop_instance_uid=uids[index], abnormal=abnormal, reason=reason)
    analysis.corrections.update(created_at=datetime.datetime(2020, 3, 4, 9, 30, tzinfo=datetime.UTC))
    rows = rows_of(render(analysis))
    said = [tuple(row[name] for name in READER_COLUMNS) for row in rows]
    assert said[4] == ("false", "ward", "2020-03-04T09:30:00+00:00", "'=A vessel,\nno opacity")
    assert said[0] == ("true", "ward", "2020-03-04T09:30:00+00:00", "")
    assert set(said[1:4] + said[5:]) == {("", "", "", "")}
    assert list(rows[0])[-len(READER_COLUMNS) :] == READER_COLUMNS
    networks = [{name: text for name, text in row.items() if name not in READER_COLUMNS} for row in rows]
    assert networks == [{name: text for name, text in row.items() if name not in READER_COLUMNS} for row in before]
    assert (rows[4]["positive"], rows[4]["probability"]) == ("true", "0.9")
    user.delete()
    assert rows_of(render(analysis))[4]["reader_abnormal"] == "false"


@pytest.mark.parametrize("patient_id", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "  =1"])
def test_a_spreadsheet_gets_no_formula(patient, tmp_path, patient_id):
    patient.patient_id = patient_id
    rows = rows_of(render(finished_analysis(patient, tmp_path, date=None)))
    assert rows[0]["patient_id"] == f"'{patient_id}"
    assert rows[0]["z_mm"] == "-100.0"  # a number stays one


def test_the_patients_name_stays_out(patient, tmp_path):
    assert "Doe" not in render(finished_analysis(patient, tmp_path, date=None))
