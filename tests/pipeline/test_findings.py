"""Nodules from the outlines to the report: exact balls in plain lungs, and the readers of LIDC-0003."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import binary_erosion

from analysis.pipeline import findings
from analysis.pipeline.findings import Candidate, axial_diameters, find_findings
from analysis.pipeline.nodule_model import FEATURES, FIRST, PRODUCTS, NoduleModel, products
from analysis.pipeline.regions import zones
from analysis.pipeline.weights import WEIGHTS, nodule_model
from tests.pipeline.lung_block import (
    AFFINE_LPS,
    LEFT_MM,
    MIDDLE_MM,
    RIGHT_MM,
    SOFT_TISSUE_HU,
    SPACING_MM,
    LungBlock,
)

GROUND_GLASS_HU, CALCIUM_HU = -580.0, 400.0


@pytest.fixture(scope="module")
def model() -> NoduleModel:
    return nodule_model(WEIGHTS / "nodules.json")[0]


def found_in(lungs: LungBlock, model: NoduleModel):
    found = find_findings(lungs.hu, lungs.lungs, zones(lungs.lungs, lungs.hu), AFFINE_LPS, model)
    return found.findings, found.labels


def in_patient(place_mm):
    """(x, y, z) of a place (slice, row, column) in mm from the first voxel."""
    slice_mm, row_mm, column_mm = np.array(place_mm)
    return AFFINE_LPS[:3, 3] + (column_mm, row_mm, -slice_mm)


@pytest.mark.parametrize("radius_mm", [3.0, 5.0, 8.0, 12.0])
def test_measures_a_ball(radius_mm, model):
    lungs = LungBlock()
    place = (*MIDDLE_MM, RIGHT_MM)
    volume_ml = lungs.ball(place, radius_mm)
    (finding,), labels = found_in(lungs, model)
    assert finding.volume_ml == pytest.approx(volume_ml, rel=0.15)
    assert labels[labels > 0].size * np.prod(SPACING_MM) / 1000 == pytest.approx(finding.volume_ml, rel=0.1)
    assert finding.centroid_mm == pytest.approx(in_patient(place), abs=0.5)
    assert finding.long_axis_mm == pytest.approx(2 * radius_mm, abs=1.8)
    assert finding.short_axis_mm == pytest.approx(2 * radius_mm, abs=1.8)
    assert (finding.kind, finding.texture, finding.calcified) == ("nodule", "solid", False)
    assert (finding.lung, finding.zone) == ("right", "middle")
    assert finding.confidence > 0.9


@pytest.mark.parametrize("before_end_mm", [4.5, 3.0, 1.5])
def test_a_ball_cut_by_the_end_of_the_scan_is_measured_up_to_there(before_end_mm, model):
    lungs = LungBlock()
    lungs.ball((*MIDDLE_MM, LEFT_MM), 6.0)
    slices = round((MIDDLE_MM[0] + before_end_mm) / SPACING_MM[0]) + 1
    hu, mask = lungs.hu[:slices], lungs.lungs[:slices]
    scanned_ml = (mask & (hu > -400)).sum() * np.prod(SPACING_MM) / 1000
    found = find_findings(hu, mask, zones(mask, hu), AFFINE_LPS, model)
    (finding,), labels = found.findings, found.labels
    assert finding.volume_ml == pytest.approx(scanned_ml, rel=0.2)
    assert labels[-1].any()


def test_a_ball_cut_by_the_wall_is_measured_up_to_the_wall(model):
    lungs = LungBlock()
    volume_ml = lungs.ball((MIDDLE_MM[0], 16.0, LEFT_MM), 7.0)
    (finding,), _ = found_in(lungs, model)
    assert finding.volume_ml == pytest.approx(volume_ml, rel=0.2)
    assert finding.lung == "left"


def test_the_vessel_of_a_ball_is_not_measured_with_it(model):
    lungs = LungBlock()
    volume_ml = lungs.ball((*MIDDLE_MM, LEFT_MM), 6.0)
    lungs.vessel((*MIDDLE_MM, LEFT_MM), (0.0, 25.0, 130.0), 1.5)
    lungs.vessel((*MIDDLE_MM, LEFT_MM), (135.0, 60.0, 185.0), 1.0)
    findings, _ = found_in(lungs, model)
    assert findings[0].volume_ml == pytest.approx(volume_ml, rel=0.15)
    assert len(findings) == 1


@pytest.mark.parametrize(
    ("core_mm", "texture", "kind"),
    [
        (18, "solid", "mass"),
        (14, "part-solid", "mass"),
        (7, "part-solid", "focal opacity"),
        (0, "ground-glass", "focal opacity"),
    ],
)
def test_what_is_longer_than_3_cm_and_mostly_solid_is_a_mass(core_mm, texture, kind, model):
    lungs = LungBlock()
    lungs.ball((*MIDDLE_MM, LEFT_MM), 18.0, GROUND_GLASS_HU)
    if core_mm:
        lungs.ball((*MIDDLE_MM, LEFT_MM), core_mm)
    (finding,), _ = found_in(lungs, model)
    assert finding.texture == texture
    assert finding.long_axis_mm > 30
    assert finding.kind == kind


def test_ground_glass_is_told_from_solid(model):
    lungs = LungBlock()
    volume_ml = lungs.ball((*MIDDLE_MM, LEFT_MM), 8.0, GROUND_GLASS_HU)
    (finding,), _ = found_in(lungs, model)
    assert finding.texture == "ground-glass"
    assert finding.mean_hu == pytest.approx(GROUND_GLASS_HU, abs=50)
    assert finding.volume_ml == pytest.approx(volume_ml, rel=0.15)


def test_a_solid_core_in_ground_glass_is_part_solid_and_measured_as_one(model):
    lungs = LungBlock()
    volume_ml = lungs.ball((*MIDDLE_MM, LEFT_MM), 9.0, GROUND_GLASS_HU)
    lungs.ball((*MIDDLE_MM, LEFT_MM), 4.0)
    (finding,), _ = found_in(lungs, model)
    assert finding.texture == "part-solid"
    assert finding.volume_ml == pytest.approx(volume_ml, rel=0.15)


def test_a_little_more_ground_glass_never_doubles_a_volume(model):
    volumes_ml = []
    for around_mm in np.arange(6.5, 10.1, 0.25):
        lungs = LungBlock()
        lungs.ball((*MIDDLE_MM, LEFT_MM), around_mm, GROUND_GLASS_HU)
        lungs.ball((*MIDDLE_MM, LEFT_MM), 6.0)
        (finding,), _ = found_in(lungs, model)
        volumes_ml.append(finding.volume_ml)
    steps = np.array(volumes_ml[1:]) / volumes_ml[:-1]
    assert volumes_ml[-1] > 3 * volumes_ml[0]
    assert steps.min() > 0.95
    assert steps.max() < 1.3


def test_a_little_denser_ground_glass_around_calcium_never_halves_a_volume(model):
    volumes_ml = []
    for around_hu in range(-420, -290, 10):
        lungs = LungBlock()
        lungs.ball((*MIDDLE_MM, LEFT_MM), 10.0, around_hu)
        lungs.ball((*MIDDLE_MM, LEFT_MM), 6.0, CALCIUM_HU)
        (finding,), _ = found_in(lungs, model)
        volumes_ml.append(finding.volume_ml)
    steps = np.array(volumes_ml[1:]) / volumes_ml[:-1]
    assert volumes_ml[0] > 1.6 * volumes_ml[-1]
    assert steps.min() > 0.85
    assert steps.max() < 1.1


def test_calcium_is_seen(model):
    lungs = LungBlock()
    lungs.ball((*MIDDLE_MM, LEFT_MM), 5.0, CALCIUM_HU)
    (finding,), _ = found_in(lungs, model)
    assert finding.calcified
    assert finding.texture == "solid"


def test_vessels_and_their_forks_are_no_findings(model):
    lungs = LungBlock()
    fork = (60.0, 50.0, 160.0)
    lungs.vessel((110.0, 50.0, 110.0), fork, 3.0)
    for end in ((0.0, 25.0, 140.0), (0.0, 80.0, 180.0), (80.0, 104.0, 190.0)):
        lungs.vessel(fork, end, 2.0)
    lungs.vessel((0.0, 20.0, 25.0), (135.0, 80.0, 75.0), 2.0)
    findings, labels = found_in(lungs, model)
    assert findings == ()
    assert not labels.any()


def test_each_of_several_has_its_label_place_and_third_the_longest_first(model):
    lungs = LungBlock()
    places = {"upper": (30.0, 40.0, RIGHT_MM), "middle": (67.5, 60.0, LEFT_MM), "lower": (110.0, 45.0, RIGHT_MM)}
    for place, radius_mm in zip(places.values(), (5.0, 8.0, 6.5), strict=True):
        lungs.ball(place, radius_mm)
    findings, labels = found_in(lungs, model)
    assert [one.zone for one in findings] == ["middle", "lower", "upper"]
    for number, finding in enumerate(findings, 1):
        place = places[finding.zone]
        assert labels[tuple(np.rint(np.array(place) / SPACING_MM).astype(int))] == number
        assert finding.centroid_mm == pytest.approx(in_patient(place), abs=0.5)
        assert finding.lung == ("left" if place[2] == LEFT_MM else "right")


@pytest.mark.parametrize(
    ("radius_mm", "hu", "handed_out"),
    [(19.0, SOFT_TISSUE_HU, True), (16.0, SOFT_TISSUE_HU, False), (19.0, GROUND_GLASS_HU, False)],
)
def test_what_is_large_and_solid_is_handed_out_even_if_it_is_judged_to_be_no_finding(radius_mm, hu, handed_out, model):
    lungs = LungBlock()
    volume_ml = lungs.ball((*MIDDLE_MM, LEFT_MM), radius_mm, hu)
    found = find_findings(lungs.hu, lungs.lungs, zones(lungs.lungs, lungs.hu), AFFINE_LPS, model.at(1.0 + 1e-9))
    assert found.findings == ()
    assert bool(found.doubtful) == handed_out
    for one in found.doubtful:  # blobs of two sizes have one outline
        assert one.outlined.volume_ml == pytest.approx(volume_ml, rel=0.15)


def test_what_is_large_is_handed_out_where_a_part_of_it_is_listed_instead(monkeypatch):
    """Its core, by a model that is the surer the smaller an outline is."""
    lungs = LungBlock()
    volume_ml = lungs.ball((*MIDDLE_MM, LEFT_MM), 19.0)
    of_zone = zones(lungs.lungs, lungs.hu)
    whole = next(findings.candidates(lungs.hu, lungs.lungs, SPACING_MM))
    core = replace(whole.outlined, mask=binary_erosion(whole.outlined.mask, iterations=6))
    part = replace(whole, outlined=core, mask=binary_erosion(whole.mask, iterations=6))
    monkeypatch.setattr(findings, "candidates", lambda *given: iter([whole, part]))
    coefficients = np.zeros(len(FEATURES) + len(PRODUCTS))
    coefficients[FEATURES.index("log_radius")] = -1.0
    ones = np.ones(len(FEATURES))
    smaller = NoduleModel(mean=2 * ones, deviation=ones, coefficients=coefficients, intercept=0.0, threshold=0.1)
    found = find_findings(lungs.hu, lungs.lungs, of_zone, AFFINE_LPS, smaller)
    assert [one.volume_ml for one in found.findings] == [core.volume_ml]
    assert [one.outlined.volume_ml for one in found.doubtful] == [pytest.approx(volume_ml, rel=0.15)]


def test_diameters_are_those_of_the_longest_axial_section():
    z, y, x = np.ogrid[-15:16, -15:16, -15:16]
    slanted = ((x + y) / 12 / np.sqrt(2)) ** 2 + ((x - y) / 6 / np.sqrt(2)) ** 2 + (z / 14) ** 2 < 1
    long_mm, short_mm = axial_diameters(slanted, 0.5)
    assert long_mm == pytest.approx(12, abs=0.6)
    assert short_mm == pytest.approx(6, abs=0.6)


def test_the_short_diameter_lies_within_the_lesion():
    """An L of 30 mm with arms of 6 mm, whose corners are 40 mm apart: across that no line within it is longer than the
    one through its corner."""
    corner = np.zeros((1, 100, 100), bool)
    corner[0, 20:80, 20:32] = corner[0, 68:80, 20:80] = True
    long_mm, short_mm = axial_diameters(corner, 0.5)
    assert long_mm == pytest.approx(np.hypot(30, 30), abs=1.5)
    assert short_mm < 17.0


def test_diameters_do_not_reach_over_a_gap():
    """Two pieces of 20 × 10 mm and of 15 × 10 mm, 10 mm apart."""
    pieces = np.zeros((1, 100, 120), bool)
    pieces[0, 20:60, 10:30] = pieces[0, 20:50, 50:70] = True
    long_mm, short_mm = axial_diameters(pieces, 0.5)
    assert long_mm == pytest.approx(np.hypot(20, 10), abs=0.5)
    assert short_mm == pytest.approx(np.hypot(10, 5), abs=1.0)


def test_a_finding_beside_the_lungs_lies_where_the_nearest_lung_does():
    """Slices are 5 voxels of a row high: the lung that is fewer voxels away is the farther one."""
    of_zone = np.zeros((20, 40, 40), np.uint8)
    of_zone[0:4, 16:24, 16:24], of_zone[8:12, 36:, 16:24] = 1, 6
    mask = np.ones((1, 1, 1), bool)
    candidate = Candidate(None, np.array([10.0, 20.0, 20.0]), np.s_[10:11, 20:21, 20:21], mask)
    assert findings._place(candidate, of_zone, np.diag([1.0, 1.0, -5.0, 1.0])) == ("left", "lower")


def test_lungs_without_any_aerated_part_are_searched_too(model):
    lungs = LungBlock()
    lungs.hu[lungs.lungs] = -450
    lungs.ball((*MIDDLE_MM, RIGHT_MM), 8.0)
    assert len(found_in(lungs, model)[0]) == 1


def test_a_file_with_other_features_is_refused():
    stored = json.loads((WEIGHTS / "nodules.json").read_text())
    assert tuple(stored["features"]) == FEATURES
    fewer = FEATURES[: FIRST - 1]
    of_fewer = {name: stored["features"][name] for name in fewer}
    of_fewer = {"features": of_fewer, "products": dict.fromkeys(products(fewer), 0.0)}
    del stored["features"]["compact"]
    for wrong in (stored, stored | of_fewer):
        with pytest.raises(ValueError, match="log_radius"):
            NoduleModel.of(wrong)


def test_a_file_older_than_a_feature_judges_without_it():
    stored = json.loads((WEIGHTS / "nodules.json").read_text())
    older = FEATURES[:-1]
    stored["features"] = {name: {"mean": 1.0, "deviation": 2.0, "coefficient": 0.1} for name in older}
    stored["products"] = dict.fromkeys(products(older), 0.01)
    model, figures = NoduleModel.of(stored), np.full(len(FEATURES), 3.0)
    logit = 0.1 * len(older) + 0.01 * len(products(older)) + stored["intercept"]
    assert model.confidence(figures) == pytest.approx(1 / (1 + np.exp(-logit)))
    figures[-1] = -3.0
    assert model.confidence(figures) == pytest.approx(1 / (1 + np.exp(-logit)))


def test_confidence_is_that_of_the_logistic_curve():
    ones, coefficients = np.ones(len(FEATURES)), np.zeros(len(FEATURES) + len(PRODUCTS))
    coefficients[[0, len(FEATURES) + PRODUCTS.index("narrow × compact")]] = 0.5, 2.0
    model = NoduleModel(mean=2 * ones, deviation=ones / 2, coefficients=coefficients, intercept=-1.0, threshold=0.5)
    assert model.confidence(2 * ones) == pytest.approx(1 / (1 + np.e))
    assert model.confidence(2.5 * ones) == pytest.approx(1 / (1 + np.exp(1 - 0.5 - 2.0)))
    assert model.confidence(100 * ones) == pytest.approx(1 / (1 + np.exp(1 - 0.5 * 3 - 2.0 * 9)))  # 3 is the most
