"""The demo's stories; the whole demo is written by the end-to-end tests."""

from dataclasses import replace

import numpy as np
import pydicom
import pytest

from analysis.phantoms.demo import DEMO_PATIENTS, _write_patient
from analysis.phantoms.truth import measure


def story(number):
    return [measure(visit) for visit in DEMO_PATIENTS[number - 1].visits()]


def test_every_patient_has_three_to_five_time_points_in_order():
    assert len(DEMO_PATIENTS) == 4
    for patient in DEMO_PATIENTS:
        assert 3 <= len(patient.days) <= 5
        assert patient.days[0] == 0
        assert list(patient.days) == sorted(set(patient.days))
        assert len(patient.volume_factors) == len(patient.days) - 1


def test_first_patient_improves():
    percents = [truth.opacity_percent for truth in story(1)]
    assert percents == sorted(percents, reverse=True)
    assert 8 < percents[0] < 16
    assert percents[-1] < 1.5


def test_second_patient_worsens_then_improves():
    percents = np.array([truth.opacity_percent for truth in story(2)])
    assert percents.argmax() == 2
    assert percents[2] > 2 * percents[0]
    assert percents[-1] < percents[0]


def test_third_patient_is_normal_throughout():
    assert [(truth.opacity_percent, truth.lesions) for truth in story(3)] == [(0.0, ())] * 3


def test_fourth_patient_has_nodules_one_growing_one_gone():
    truths = story(4)
    assert [len(truth.lesions) for truth in truths] == [4, 4, 3]
    assert truths[2].lesions[0].volume_ml / truths[0].lesions[0].volume_ml == pytest.approx(3.2, rel=0.05)


def test_written_series_bear_the_demo_patient(tmp_path):
    patient = replace(DEMO_PATIENTS[2], days=(0,), volume_factors=())
    (series,) = _write_patient(tmp_path, patient)
    files = sorted(series.folder.iterdir())
    first = pydicom.dcmread(files[0], stop_before_pixels=True)
    assert (series.patient_id, series.day) == ("DEMO-03", 0)
    assert (first.PatientID, str(first.PatientName), first.StudyDate) == ("DEMO-03", "Synthetic^Demo 03", "20250317")
    assert len(files) > 50
