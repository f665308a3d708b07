"""Volumes, places and HU of rendered phantoms against what was asked for."""

import numpy as np
import pytest
from scipy import ndimage

from analysis.phantoms import Grid, Lesion, Visit, make_patient, random_nodules, random_opacities, render
from analysis.phantoms.lesions import CALCIFIED, CONSOLIDATION, GROUND_GLASS, SOLID

SEED = 3


@pytest.fixture(scope="module")
def patient():
    return make_patient(SEED)


@pytest.fixture(scope="module")
def normal(patient):
    return render(Visit(patient), Grid.over_lungs(patient, (5.0, 1.45, 1.45)))


@pytest.fixture(scope="module")
def inner_point(patient):
    """The point of the right lung farthest from its border."""
    depth = np.where(patient.axes.x < 0, patient.field("lung"), 0)
    k, i, j = np.unravel_index(depth.argmin(), depth.shape)
    return float(patient.axes.x[j]), float(patient.axes.y[i]), float(patient.axes.z[k])


def grid_around(point, spacing_mm, size_mm=70.0):
    """Slices around a level; full rows and columns."""
    slices = round(size_mm / spacing_mm[0])
    matrix = round(370 / spacing_mm[1])
    return Grid(spacing_mm, matrix, matrix, slices, point[2] + size_mm / 2)


@pytest.mark.parametrize("spacing_mm", [(1.0, 0.9, 0.9), (2.5, 0.9, 0.9), (5.0, 1.45, 1.45)])
def test_nodule_volume_is_the_one_asked_for_on_every_grid(patient, inner_point, spacing_mm):
    nodule = Lesion(SOLID, inner_point, radius_mm=12, seed=5, flattening=(1, 0.9, 1.1), roughness=0.08)
    phantom = render(Visit(patient, (nodule,)), grid_around(inner_point, spacing_mm, 35))
    rendered_ml = (phantom.nodules == 1).sum() * np.prod(spacing_mm) / 1000
    assert nodule.volume_ml == pytest.approx(7.238, abs=0.001)  # 4/3·π·12³ mm³
    assert phantom.truth.lesions[0].volume_ml == pytest.approx(nodule.volume_ml, rel=0.02)
    assert rendered_ml == pytest.approx(nodule.volume_ml, rel=0.02)


def test_nodule_excess_density_is_the_same_on_every_grid(patient, inner_point):
    nodule = Lesion(CALCIFIED, inner_point, radius_mm=7, hu=400)
    masses = []
    expected = []
    for spacing_mm in ((1.25, 0.9, 0.9), (5.0, 1.45, 1.45)):
        grid = grid_around(inner_point, spacing_mm, 25)
        with_nodule, without = (render(Visit(patient, lesions), grid) for lesions in ((nodule,), ()))
        masses.append((with_nodule.hu.astype(float) - without.hu).sum() * np.prod(spacing_mm) / 1000)
        expected.append((400 - without.hu[with_nodule.nodules == 1].mean()) * nodule.volume_ml)
    assert masses[0] == pytest.approx(masses[1], rel=0.02)
    assert masses == pytest.approx(expected, rel=0.03)


def test_nodule_lies_where_it_was_put(patient, inner_point):
    nodule = Lesion(SOLID, inner_point, radius_mm=8, roughness=0)
    phantom = render(Visit(patient, (nodule,)), grid_around(inner_point, (2.5, 0.9, 0.9), 30))
    slice_, row, column = (np.mean(i) for i in np.nonzero(phantom.nodules))
    place = (phantom.affine_lps @ (column, row, slice_, 1))[:3]
    assert place == pytest.approx(inner_point, abs=0.3)
    truth = phantom.truth.lesions[0]
    assert truth.centroid_mm == pytest.approx(inner_point, abs=0.3)
    assert (truth.long_axis_mm, truth.short_axis_mm) == pytest.approx((16, 16), abs=1.2)
    core = ndimage.binary_erosion(phantom.nodules == 1, iterations=2)
    assert np.mean(phantom.hu[core]) == pytest.approx(30, abs=8)


def test_opacity_follows_its_truth_over_spacings(patient):
    visit = Visit(patient, random_opacities(patient, 4, 5))
    phantoms = [
        render(visit, Grid.over_lungs(patient, spacing_mm, matrix))
        for spacing_mm, matrix in (((5.0, 1.45, 1.45), 256), ((2.5, 1.2, 1.2), 310))
    ]
    for phantom in phantoms:
        voxel_ml = np.prod(phantom.grid.spacing_mm) / 1000
        percent = 100 * (phantom.opacity > 0).sum() / (phantom.lungs > 0).sum()
        assert percent == pytest.approx(phantom.truth.opacity_percent, rel=0.03)
        assert (phantom.opacity == 2).sum() * voxel_ml == pytest.approx(phantom.truth.consolidation_ml, rel=0.05)
        assert phantom.truth == phantoms[0].truth
    assert 4 < phantoms[0].truth.opacity_percent <= 5.5


def test_lung_volume_is_stable_over_spacings(patient, normal):
    volumes = [(normal.lungs > 0).sum() * np.prod(normal.grid.spacing_mm) / 1000]
    for spacing_mm, matrix in (((10.0, 1.45, 1.45), 256), ((10.0, 0.9, 0.9), 412)):
        lungs = render(Visit(patient), Grid.over_lungs(patient, spacing_mm, matrix)).lungs
        volumes.append((lungs > 0).sum() * np.prod(spacing_mm) / 1000)
    assert volumes == pytest.approx([normal.truth.lung_volume_ml] * 3, rel=0.01)
    right_ml = (normal.lungs == 1).sum() * np.prod(normal.grid.spacing_mm) / 1000
    assert right_ml == pytest.approx(normal.truth.right_lung_ml, rel=0.01)
    assert normal.truth.right_lung_ml > normal.truth.left_lung_ml


def test_tissues_have_their_hu(normal):
    parenchyma = normal.hu[(normal.lungs > 0) & (normal.vessels == 0)]
    assert np.median(parenchyma) == pytest.approx(-860, abs=25)
    assert 2500 < normal.truth.lung_volume_ml < 6500
    assert np.median(normal.hu[0, :20]) == pytest.approx(-1000, abs=5)
    assert (normal.hu > 300).mean() > 0.005  # bone
    assert normal.hu.min() >= -1024
    assert not normal.opacity.any()
    assert not normal.nodules.any()
    assert normal.truth.opacity_percent == 0


def test_lungs_are_dark_and_apart(normal):
    """Both lungs on the middle slices, none on the outermost ones; a border of 2 mm sees other tissue."""
    middle = normal.lungs[len(normal.lungs) // 2]
    assert {1, 2} <= set(np.unique(middle))
    assert not normal.lungs[0].any()
    assert not normal.lungs[-1].any()
    assert (normal.hu[normal.lungs > 0] < -500).mean() > 0.9


def test_vessels_fill_the_lungs(normal):
    part = (normal.vessels > 0).sum() / (normal.lungs > 0).sum()
    assert 0.01 < part < 0.08
    per_slice = (normal.vessels > 0).sum(axis=(1, 2))[(normal.lungs > 0).sum(axis=(1, 2)) > 3000]
    assert (per_slice > 0).all()


def test_same_seed_same_voxels_other_seed_other_patient(patient):
    grid = Grid((5.0, 1.45, 1.45), 256, 256, 4, 0.0)
    same, again, other = (
        render(Visit(anatomy, random_nodules(anatomy, 1, 2)), grid)
        for anatomy in (patient, make_patient.__wrapped__(SEED), make_patient(SEED + 1))
    )
    assert np.array_equal(again.hu, same.hu)
    assert again.truth == same.truth
    assert other.visit.anatomy.build != patient.build
    assert (other.lungs != same.lungs).sum() > 1000


def test_ground_glass_is_denser_than_lung_and_lighter_than_consolidation(patient, inner_point):
    x, y, z = inner_point
    lesions = (
        Lesion(GROUND_GLASS, (x, y, z + 20), 14, hu=-550),
        Lesion(CONSOLIDATION, (x, y, z - 20), 14, hu=0),
    )
    phantom = render(Visit(patient, lesions), grid_around(inner_point, (2.5, 1.45, 1.45), 80))
    in_lung = phantom.vessels == 0
    ground_glass = np.median(phantom.hu[(phantom.opacity == 1) & in_lung])
    consolidation = np.median(phantom.hu[(phantom.opacity == 2) & in_lung])
    assert ground_glass == pytest.approx(-575, abs=60)
    assert consolidation == pytest.approx(0, abs=40)


def test_random_nodules_lie_apart_inside_the_lungs(patient):
    nodules = random_nodules(patient, 2, 6)
    phantom = render(Visit(patient, nodules), Grid.over_lungs(patient, (5.0, 1.45, 1.45)))
    assert sorted(np.unique(phantom.nodules)) == list(range(7))
    for nodule, truth in zip(nodules, phantom.truth.lesions, strict=True):
        assert truth.volume_ml == pytest.approx(nodule.volume_ml, rel=0.02)
    assert (phantom.lungs[phantom.nodules > 0] > 0).all()
