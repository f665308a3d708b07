"""The CSV of an analysis: one flat table that researchers can read and spreadsheets cannot run."""

import csv
import datetime
import io

import pytest

from analysis.results_csv import render
from patients.models import Patient

from .finished import SLICES, finished_analysis


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


@pytest.mark.parametrize("patient_id", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "  =1"])
def test_a_spreadsheet_gets_no_formula(patient, tmp_path, patient_id):
    patient.patient_id = patient_id
    rows = rows_of(render(finished_analysis(patient, tmp_path, date=None)))
    assert rows[0]["patient_id"] == f"'{patient_id}"
    assert rows[0]["z_mm"] == "-100.0"  # a number stays one


def test_the_patients_name_stays_out(patient, tmp_path):
    assert "Doe" not in render(finished_analysis(patient, tmp_path, date=None))
