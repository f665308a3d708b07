"""What the detector of nodules is trained on and measured with."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_dilation

from analysis.phantoms.lesions import SOLID
from analysis.pipeline.nodule_model import FEATURES
from analysis.pipeline.report import Finding
from analysis.pipeline.weights import released
from analysis.training import nodule_scans
from analysis.training.cases import ct_volume, volume_of
from analysis.training.mass_figures import outcome
from analysis.training.nodule_figures import Found, free_response, sensitivity_at, sensitivity_interval, threshold_at
from analysis.training.nodule_scans import Nodule, NoduleScan, pasted_scan, phantom_with_mass
from analysis.training.nodules import Outlines, fit, held_out_confidence, threshold_for


def finding(confidence: float, x_mm: float) -> Finding:
    return Finding("nodule", "solid", (x_mm, 0.0, 0.0), 0.5, 10.0, 9.0, 20.0, False, confidence, "left", "upper")


def found(*findings: Finding, hits: tuple[int, ...]) -> Found:
    nodules = tuple(Nodule(SOLID, (x, 0.0, 0.0), 5.0, 0.5, 10.0) for x in (0.0, 50.0))
    return Found(nodules, findings, hits)


def test_the_regression_weighs_what_separates():
    random = np.random.default_rng(0)
    label = (np.arange(400) % 2).astype(np.int64)
    features = np.stack([2.0 * label - 1 + random.normal(0, 1, 400), random.normal(0, 1, 400)], 1)
    coefficients, intercept = fit(features, label, 1e-4)
    assert coefficients[0] == pytest.approx(2.0, abs=0.5)  # means two deviations apart
    assert abs(coefficients[1]) < 0.3
    assert abs(intercept) < 0.3


def test_confidence_of_a_scan_comes_from_the_others():
    """Where the outlines of one group alone are labelled the other way round, a fit to the others misjudges them."""
    random = np.random.default_rng(0)
    label, scan = (np.arange(600) % 2).astype(np.int64), np.repeat(np.arange(6), 100)
    features = random.normal(0, 1, (600, len(FEATURES)))
    features[:, 0] += 4.0 * label
    turned = np.where(scan == 5, 1 - label, label)
    found = Outlines(features, turned, scan, np.full(600, -1), 0)
    settings = {"train": [0, 1, 2, 3], "train_masses": [4], "folds": 6, "decay": 1e-3}  # the last scan is the real one
    right = (held_out_confidence(found, settings) > 0.5) == (turned == 1)
    assert right[scan == 5].mean() < 0.1
    assert right[scan == 0].mean() > 0.6


def test_the_threshold_leaves_so_many_false_ones_per_scan():
    confidence = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.95])
    label = np.array([0, 0, 0, 0, 0, 1])
    threshold = threshold_for(confidence, label, scans=4, false_per_scan=0.5)
    assert ((confidence > threshold) & (label == 0)).sum() == 2


def test_free_response_counts_false_ones_and_nodules_found():
    first = found(finding(0.9, 0.0), finding(0.6, 20.0), finding(0.4, 50.0), hits=(0, -1, 1))
    second = found(finding(0.8, 50.0), finding(0.3, 30.0), hits=(1, -2))
    points = {one["threshold"]: (one["false_per_scan"], one["sensitivity"]) for one in free_response([first, second])}
    assert points[0.9] == (0.0, 0.25)
    assert points[0.6] == (0.5, 0.5)
    assert points[0.3] == (0.5, 0.75)  # what counts neither way is not false
    assert sensitivity_at(free_response([first, second]), 0.25) == 0.5
    assert threshold_at(free_response([first, second]), 0.25) == 0.8
    assert sensitivity_interval([first, second], 0.3) == (0.5, 1.0)  # of one scan twice, or of the other


def test_the_readers_medians_of_lidc_0003(shared_data, monkeypatch):
    monkeypatch.setattr(nodule_scans, "lungs_of", lambda volume, models: None)
    nodules = nodule_scans.read_scan(None).nodules
    assert sorted(round(one.volume_ml, 2) for one in nodules if one.counts) == [0.5, 1.32, 5.42]
    assert [round(one.volume_ml, 2) for one in nodules if not one.counts] == [4.73]
    assert ct_volume("nodules_LIDC-0003").hu.shape[0] == 140


def test_pasted_nodules_lie_in_the_lungs_apart_and_have_their_volume(monkeypatch):
    hu = np.full((50, 160, 160), 40, np.int16)
    lungs = np.zeros(hu.shape, bool)
    lungs[5:45, 20:140, 20:140] = True
    hu[lungs] = -860
    monkeypatch.setattr(nodule_scans, "lungs_of", lambda volume, models: lungs)
    scan = NoduleScan(volume_of(hu, (2.5, 0.8, 0.8), "block"), lungs, ())
    pasted = pasted_scan(scan, 3, 4, None)
    rise = pasted.volume.hu.astype(float) - hu
    assert not rise[~binary_dilation(lungs)].any()
    assert len(pasted.nodules) == 4
    for nodule in pasted.nodules:
        x, y, z = (np.linalg.inv(scan.volume.affine_lps) @ [*nodule.center_mm, 1.0])[:3]
        assert lungs[round(z), round(y), round(x)]
        assert rise[round(z), round(y), round(x)] > 100
    away = np.linalg.norm(np.subtract(pasted.nodules[0].center_mm, pasted.nodules[1].center_mm))
    assert away > pasted.nodules[0].radius_mm + pasted.nodules[1].radius_mm


def test_says_of_a_mass_what_is_listed_and_remarked_on():
    models = released(torch.device("cpu"))
    scan = phantom_with_mass(7001, (5.0, 1.4), models.lung_unet)
    said = outcome(scan, models)
    assert 30 <= said["diameter_mm"] <= 60
    assert said["listed_ml"] == pytest.approx(said["volume_ml"], rel=0.3)
    lost = outcome(scan, replace(models, nodules=models.nodules.at(1.0 + 1e-9)))
    assert lost["listed_ml"] is None
    assert (lost["opacity"], lost["remarks"], lost["shown"]) == (False, ["ball_unmarked", "dense_unmarked"], True)
