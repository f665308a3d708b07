"""Follow-up scans of one patient."""

import numpy as np
import pytest

from analysis.phantoms import (
    Grid,
    Lesion,
    Pose,
    Visit,
    follow_up,
    make_patient,
    random_nodules,
    random_opacities,
    render,
)
from analysis.phantoms.lesions import SOLID
from analysis.phantoms.truth import measure

GRID_MM = (5.0, 1.45, 1.45)


@pytest.fixture(scope="module")
def first():
    patient = make_patient(3)
    return Visit(patient, random_nodules(patient, 1, 3))


def test_lesions_grow_shrink_and_vanish_as_asked(first):
    later = follow_up(first, 30, (2.0, 0.5, 0.0))
    before, after = measure(first), measure(later)
    assert len(after.lesions) == 2
    assert after.lesions[0].volume_ml / before.lesions[0].volume_ml == pytest.approx(2.0, rel=0.03)
    assert after.lesions[1].volume_ml / before.lesions[1].volume_ml == pytest.approx(0.5, rel=0.03)


def test_one_factor_serves_all_lesions(first):
    later = follow_up(first, 7, 3.0)
    ratios = [a.volume_ml / b.volume_ml for a, b in zip(later.lesions, first.lesions, strict=True)]
    assert ratios == pytest.approx([3, 3, 3])


def test_opacity_shrinks_with_its_patches():
    patient = make_patient(3)
    first = Visit(patient, random_opacities(patient, 4, 8))
    percents = [
        measure(follow_up(first, day, factor, moved=False)).opacity_percent
        for day, factor in ((1, 1.0), (2, 0.5), (3, 0.1), (4, 0.0))
    ]
    assert percents[0] > 1.5 * percents[1] > 5 * percents[2] > 0
    assert percents[3] == 0


def test_unmoved_follow_up_differs_by_noise_alone(first):
    grid = Grid(GRID_MM, 256, 256, 6, 0.0)
    a, b = render(first, grid), render(follow_up(first, 5, 1.0, moved=False), grid)
    assert np.array_equal(a.lungs, b.lungs)
    difference = b.hu.astype(float) - a.hu
    assert difference.any()
    assert difference.mean() == pytest.approx(0, abs=1)
    assert difference.std() < 60


def test_moved_follow_up_lies_differently_but_keeps_its_nodules_volume(first):
    later = follow_up(first, 5, 1.0)
    a, b = measure(first), measure(later)
    assert a.lung_volume_ml != b.lung_volume_ml
    assert a.lung_volume_ml == pytest.approx(b.lung_volume_ml, rel=0.12)
    for before, after in zip(a.lesions, b.lesions, strict=True):
        assert after.volume_ml == pytest.approx(before.volume_ml, rel=0.03)
        assert after.centroid_mm != before.centroid_mm


def test_deeper_breath_makes_more_lung_and_moves_lesions_down():
    patient = make_patient(3)
    low = Lesion(SOLID, (-80.0, 30.0, -60.0), 5)
    rest, deep = (
        render(Visit(patient, (low,), pose=Pose(breath_mm=mm)), Grid.over_lungs(patient, GRID_MM)) for mm in (0, 15)
    )
    voxel_ml = np.prod(GRID_MM) / 1000
    gained_ml = deep.truth.lung_volume_ml - rest.truth.lung_volume_ml
    rendered_ml = (np.count_nonzero(deep.lungs) - np.count_nonzero(rest.lungs)) * voxel_ml
    assert gained_ml == pytest.approx(rendered_ml, rel=0.1)
    assert gained_ml > 150
    fall = rest.truth.lesions[0].centroid_mm[2] - deep.truth.lesions[0].centroid_mm[2]
    assert 5 < fall < 15


def test_shift_moves_the_whole_patient():
    patient = make_patient(3)
    grid = Grid(GRID_MM, 256, 256, 4, -20.0)
    here = render(Visit(patient), grid)
    there = render(Visit(patient, pose=Pose(shift_mm=(1.45 * 4, -1.45 * 3, 0.0))), grid)
    assert np.array_equal(np.roll(here.lungs, (-3, 4), axis=(1, 2)), there.lungs)


def test_refuses_negative_and_missing_factors(first):
    with pytest.raises(ValueError, match="negative"):
        follow_up(first, 3, -1.0)
    with pytest.raises(ValueError, match="broadcast"):
        follow_up(first, 3, (1.0, 2.0))
