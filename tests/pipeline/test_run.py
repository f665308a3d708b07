"""The whole pipeline with the released weights, on synthetic patients and on real CT."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from analysis.phantoms import (
    Anatomy,
    Grid,
    Phantom,
    Visit,
    make_patient,
    random_nodules,
    random_opacities,
    render,
    write_series,
)
from analysis.pipeline.opacity import CONSOLIDATION
from analysis.pipeline.pixels import read_volume
from analysis.pipeline.regions import zones
from analysis.pipeline.report import Report
from analysis.pipeline.run import Analysis, analyse, analyse_volume
from analysis.pipeline.series import UnusableSeries, check_series, find_series
from analysis.pipeline.volume import Volume
from analysis.pipeline.weights import released
from tests.pipeline.test_unmarked import ball

SEED = 300  # none of those trained on
PERCENT_OF_LUNG = 12


def volume_of(phantom: Phantom) -> Volume:
    uids = tuple(f"1.2.3.{index}" for index in range(len(phantom.hu)))
    return Volume(phantom.hu, phantom.affine_lps, phantom.grid.z_mm, "1.2.3", uids)


def run_phantom(phantom: Phantom) -> Analysis:
    return analyse_volume(volume_of(phantom), released(torch.device("cpu")))


@pytest.fixture(scope="module")
def patient() -> Anatomy:
    return make_patient(SEED)


@pytest.fixture(scope="module")
def ill(patient: Anatomy) -> Visit:
    return Visit(patient, random_opacities(patient, SEED, PERCENT_OF_LUNG) + random_nodules(patient, SEED, 4))


@pytest.fixture(scope="module")
def ill_phantom(patient: Anatomy, ill: Visit) -> Phantom:
    return render(ill, Grid.over_lungs(patient, (5.0, 1.4, 1.4)))


@pytest.fixture(scope="module")
def ill_analysis(ill_phantom: Phantom) -> Analysis:
    return run_phantom(ill_phantom)


def test_finds_the_lungs_of_a_phantom(ill_analysis: Analysis, ill_phantom: Phantom) -> None:
    truth = ill_phantom.lungs > 0
    dice = 2 * (ill_analysis.lungs & truth).sum() / (ill_analysis.lungs.sum() + truth.sum())
    assert dice > 0.95
    assert ill_analysis.report.lung_volume_ml == pytest.approx(ill_phantom.truth.lung_volume_ml, rel=0.06)


def test_a_larger_field_of_view_changes_nothing(ill_analysis: Analysis, ill_phantom: Phantom) -> None:
    """What is empty around the slices is neither seen nor does it shift what is found."""
    volume = volume_of(ill_phantom)
    above, beside = (120, 40), (30, 90)
    wider = dataclasses.replace(volume, hu=np.pad(volume.hu, ((0, 0), above, beside), constant_values=-1024))
    analysis = analyse_volume(wider, released(torch.device("cpu")))
    inner = np.s_[:, above[0] : -above[1], beside[0] : -beside[1]]
    assert analysis.report.corona_score_cm3 == pytest.approx(ill_analysis.report.corona_score_cm3, rel=0.03)
    for name, least in (("lungs", 0), ("heatmap", 127), ("opacity", 0)):
        here, there = (getattr(one, name) > least for one in (ill_analysis, analysis))
        assert 2 * (here & there[inner]).sum() / (here.sum() + there.sum()) > 0.9, name


def test_suspects_the_ill_phantom_and_not_the_healthy_one(patient: Anatomy, ill_analysis: Analysis) -> None:
    healthy = run_phantom(render(Visit(patient), Grid.over_lungs(patient, (5.0, 1.4, 1.4)))).report
    assert ill_analysis.report.suspected
    assert not healthy.suspected
    assert healthy.corona_score_cm3 < 0.1 * ill_analysis.report.corona_score_cm3


def test_heat_lies_on_the_opacities(ill_analysis: Analysis, ill_phantom: Phantom) -> None:
    heat, opacity, lungs = ill_analysis.heatmap, ill_phantom.opacity > 0, ill_phantom.lungs > 0
    assert not heat[~ill_analysis.lungs].any()
    assert heat[opacity].mean() > 3 * heat[lungs & ~opacity].mean()


def test_outlines_the_opacities(ill_analysis: Analysis, ill_phantom: Phantom) -> None:
    found, truth = ill_analysis.opacity > 0, (ill_phantom.opacity > 0) & (ill_phantom.lungs > 0)
    assert not found[~ill_analysis.lungs].any()
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.7
    assert ill_analysis.report.opacity.percent_of_lung == pytest.approx(PERCENT_OF_LUNG, abs=4)


@pytest.mark.parametrize(
    ("name", "steps"),  # along a row and along a column, in rows and columns of the upright slice
    [("prone", ((0, -1), (-1, 0))), ("transposed", ((1, 0), (0, 1))), ("a quarter turn", ((-1, 0), (0, 1)))],
)
def test_however_the_slices_are_stored_the_result_is_the_same(
    name: str, steps: tuple[tuple[int, int], tuple[int, int]], ill_analysis: Analysis
) -> None:
    upright = ill_analysis.volume
    transposed = steps[0][0] != 0

    def stored(planes: np.ndarray) -> np.ndarray:
        flipped = planes[:, :: sum(step[0] for step in steps), :: sum(step[1] for step in steps)]
        return np.ascontiguousarray(flipped.swapaxes(1, 2) if transposed else flipped)

    affine = upright.affine_lps.copy()
    for axis, (down, right) in enumerate(steps):
        affine[:3, axis] = down * upright.affine_lps[:3, 1] + right * upright.affine_lps[:3, 0]
    _, rows, columns = upright.hu.shape
    first = [columns - 1 if sum(s[1] for s in steps) < 0 else 0, rows - 1 if sum(s[0] for s in steps) < 0 else 0, 0, 1]
    affine[:, 3] = upright.affine_lps @ first
    turned = Volume(stored(upright.hu), affine, upright.z_mm, "1.2.3", upright.sop_instance_uids)
    analysis = analyse_volume(turned, released(torch.device("cpu")))
    assert np.array_equal(analysis.lungs, stored(ill_analysis.lungs))
    assert np.array_equal(analysis.heatmap, stored(ill_analysis.heatmap))
    assert np.array_equal(analysis.opacity, stored(ill_analysis.opacity))
    assert analysis.report.opacity == ill_analysis.report.opacity
    assert analysis.report.slices == ill_analysis.report.slices
    assert analysis.report.findings
    assert np.array_equal(analysis.findings, stored(ill_analysis.findings))
    for found, upright_one in zip(analysis.report.findings, ill_analysis.report.findings or (), strict=True):
        assert found.centroid_mm == pytest.approx(upright_one.centroid_mm, abs=1e-6)
        assert dataclasses.replace(found, centroid_mm=upright_one.centroid_mm) == upright_one


def test_report_agrees_with_itself(ill_analysis: Analysis) -> None:
    report, volume = ill_analysis.report, ill_analysis.volume
    assert [one.z_mm for one in report.slices] == volume.z_mm.tolist()
    scored = [one for one in report.slices if one.probability is not None]
    positive = [one for one in scored if one.positive]
    assert report.positive_ratio == pytest.approx(len(positive) / len(scored))
    depth_cm = volume.spacing_mm[0] / 10
    assert report.corona_score_cm3 == pytest.approx(sum(one.activation_cm2 or 0 for one in positive) * depth_cm)
    assert report.corona_score_paper_cm3 >= report.corona_score_cm3
    assert sum(one.lung_area_cm2 for one in report.slices) * depth_cm == pytest.approx(report.lung_volume_ml, rel=1e-6)
    assert report.findings is not None
    assert set(np.unique(ill_analysis.findings)) == set(range(len(report.findings) + 1))
    inside = ill_analysis.lungs.sum()
    assert report.opacity.percent_of_lung == pytest.approx(100 * (ill_analysis.opacity > 0).sum() / inside)
    assert report.opacity.percent_high == pytest.approx(100 * (ill_analysis.opacity == CONSOLIDATION).sum() / inside)
    for one in report.slices:
        assert (one.probability is None) == (one.positive is None) == (one.activation_cm2 is None)


@pytest.mark.parametrize(("row_mm", "column_mm"), [(0.7, 1.4), (1.4, 0.7)])
def test_pixels_that_are_not_square_change_no_score(
    row_mm: float, column_mm: float, patient: Anatomy, ill: Visit, ill_analysis: Analysis
) -> None:
    over_lungs = Grid.over_lungs(patient, (5.0, row_mm, column_mm))
    grid = dataclasses.replace(over_lungs, rows=round(358.4 / row_mm), columns=round(358.4 / column_mm))
    report, square = run_phantom(render(ill, grid)).report, ill_analysis.report
    assert report.corona_score_cm3 == pytest.approx(square.corona_score_cm3, rel=0.05)
    assert report.corona_score_paper_cm3 == pytest.approx(square.corona_score_paper_cm3, rel=0.05)
    assert report.lung_volume_ml == pytest.approx(square.lung_volume_ml, rel=0.02)


def test_score_does_not_depend_on_slice_or_pixel_spacing(patient: Anatomy, ill: Visit, ill_analysis: Analysis) -> None:
    grids = [((1.0, 1.4, 1.4), 256), ((2.5, 0.9, 0.9), 400)]
    phantoms = [render(ill, Grid.over_lungs(patient, spacing_mm, matrix)) for spacing_mm, matrix in grids]
    scores = [run_phantom(phantom).report.corona_score_cm3 for phantom in phantoms]
    scores.append(ill_analysis.report.corona_score_cm3)  # at 5 mm
    assert np.std(scores) / np.mean(scores) <= 0.10, scores


def test_lungs_cut_off_are_flagged(ill_phantom: Phantom) -> None:
    whole = volume_of(ill_phantom)
    middle = slice(len(whole.hu) // 3, None)
    cut = Volume(
        whole.hu[middle],
        whole.affine_lps,
        whole.z_mm[middle],
        whole.series_instance_uid,
        whole.sop_instance_uids[middle],
    )
    report = analyse_volume(cut, released(torch.device("cpu"))).report
    flags = {flag.code: flag.message for flag in report.quality}
    assert "at the top of the scan" in flags["lungs_cut_off"]


def test_refuses_a_series_without_lungs() -> None:
    hu = np.full((12, 128, 128), -1000, np.int16)
    hu[:, 30:100, 30:100] = 40  # a block of soft tissue
    volume = Volume(hu, np.diag([3.0, 3.0, -5.0, 1.0]), -5.0 * np.arange(12), "1.2", ("1.2",) * 12)
    with pytest.raises(UnusableSeries) as reason:
        analyse_volume(volume, released(torch.device("cpu")))
    assert reason.value.code == "no_lungs"


def test_tells_its_progress(ill_phantom: Phantom, tmp_path: Path) -> None:
    write_series(ill_phantom, tmp_path)
    told: list[tuple[str, float]] = []
    analysis = analyse(
        check_series(find_series(tmp_path)), on_progress=lambda stage, fraction: told.append((stage, fraction))
    )
    stages = list(dict.fromkeys(stage for stage, _ in told))
    assert stages == ["reading", "lungs", "slices", "score", "findings"] == list(analysis.report.seconds)
    fractions = [fraction for _, fraction in told]
    assert fractions == sorted(fractions)
    assert fractions[0] == 0
    assert fractions[-1] <= 1


def report_of(shared_data: Path, name: str) -> Report:
    return analyse(check_series(find_series(shared_data / "ct" / name))).report


def test_suspects_the_real_covid_case(shared_data: Path) -> None:
    report = report_of(shared_data, "covid_P001")
    assert report.suspected
    assert 2500 < report.lung_volume_ml < 7000
    assert 20 < report.corona_score_cm3 < 1500


def test_does_not_suspect_the_real_normal_case(shared_data: Path) -> None:
    report = report_of(shared_data, "normal_001")
    assert not report.suspected
    assert 2500 < report.lung_volume_ml < 8000
    assert report.quality == ()  # the foam under the back, which reaches the first slice, is no lung


def test_a_mass_of_8_cm_in_real_lungs_is_remarked_on_first(shared_data: Path) -> None:
    """It is larger than what is outlined."""
    volume = read_volume(check_series(find_series(shared_data / "ct" / "normal_001")))
    models = released(torch.device("cpu"))
    lungs = analyse_volume(volume, models).lungs
    mass = ball(zones(lungs, volume.hu), 40.0, volume.spacing_mm)
    noise = np.random.default_rng(0).normal(40, 15, volume.hu.shape)
    painted = dataclasses.replace(volume, hu=np.where(mass, noise, volume.hu).astype(np.int16))
    flag = analyse_volume(painted, models).report.quality[0]
    assert (flag.code, flag.severe) == ("dense_unmarked", True)
    assert flag.slice_number is not None
    assert mass[flag.slice_number - 1].any()


@pytest.mark.parametrize(("columns", "more_hu"), [(0, 0), (1, 0), (0, 25)])
def test_a_tumour_of_6_cm_is_listed_or_remarked_on_after_small_changes_of_the_scan(
    shared_data: Path, columns: int, more_hu: int
) -> None:
    volume = read_volume(check_series(find_series(shared_data / "ct" / "tumour_A0002")))
    hu = np.roll(volume.hu, columns, 2) + np.int16(more_hu)
    report = analyse_volume(dataclasses.replace(volume, hu=hu), released(torch.device("cpu"))).report
    listed = any(one.volume_ml > 35 for one in report.findings or ())
    assert listed or any(flag.code == "dense_unmarked" and 12 <= flag.slice_number <= 20 for flag in report.quality)


def test_finds_the_nodules_that_several_readers_outlined(shared_data: Path) -> None:
    """Median volume in ml and place in patient coordinates of LIDC-0003's three (contours.xml, as
    ``training.nodule_scans.read_scan`` reads it)."""
    findings = report_of(shared_data, "nodules_LIDC-0003").findings or ()
    for volume_ml, place_mm in ((5.4203, (72, 77, -192)), (1.321, (-47, -30, -169)), (0.4963, (24, -48, -173))):
        (found,) = (one for one in findings if np.linalg.norm(np.array(one.centroid_mm) - place_mm) < 7)
        assert found.volume_ml == pytest.approx(volume_ml, rel=0.25)
    assert len(findings) <= 6
