"""What changed between two scans: the map of opacity, and what makes a comparison unsure."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 - as everywhere
from scipy.spatial.transform import Rotation

from analysis.pipeline import change
from analysis.pipeline.change import BETTER, UNCHANGED, WORSE, compare
from analysis.pipeline.lesion_change import Scan, lesion_changes
from analysis.pipeline.opacity import CONSOLIDATION, GROUND_GLASS
from analysis.pipeline.registration import Motion
from analysis.pipeline.series import UnusableSeries
from tests.pipeline.lung_block import AFFINE_LPS, LEFT_MM, LUNG_HU, MIDDLE_MM, SHAPE, SPACING_MM, LungBlock
from tests.pipeline.two_scans import RIGHT, Still, finding, lps, part_of, scan


def labels(*boxes):
    opacity = np.zeros((20, 40, 60), np.uint8)
    for label, part in boxes:
        opacity[part] = label
    return opacity


def with_vessels():
    block = LungBlock()
    for z, y, x in np.random.default_rng(2).uniform((15, 15, 60), (115, 90, 85), (12, 3)):
        block.vessel((z, y, x - 45), (z, y, x), 1.5)
        block.vessel((z, y, x + 70), (z, y, x + 110), 1.5)
    return block


LARGE = np.s_[5:15, 10:30, 10:30]


def test_opacity_that_came_or_went_is_marked_and_what_stays_is_not_a_change():
    elsewhere = np.s_[5:15, 10:30, 40:55]
    now, before = labels((GROUND_GLASS, LARGE), (GROUND_GLASS, elsewhere)), labels((GROUND_GLASS, LARGE))
    marked = change.opacity_change(now, before, (1.0, 1.0, 1.0))
    assert (marked[elsewhere] == WORSE).all()
    assert (marked[LARGE] == UNCHANGED).all()
    assert not marked[(now == 0)].any()
    marked = change.opacity_change(before, now, (1.0, 1.0, 1.0))
    assert (marked[elsewhere] == BETTER).all()


def test_a_rim_that_registration_cannot_tell_is_no_change():
    now, before = labels((GROUND_GLASS, np.s_[5:15, 10:30, 10:33])), labels((GROUND_GLASS, LARGE))
    assert set(np.unique(change.opacity_change(now, before, (1.0, 1.0, 1.0)))) == {0, UNCHANGED}
    wider = change.opacity_change(now, before, (1.0, 1.0, 2.0))  # the same rim is 6 mm wide
    assert (wider[5:15, 10:30, 31:33] == WORSE).all()


def test_consolidation_in_ground_glass_is_worse_and_the_other_way_better():
    now, before = labels((CONSOLIDATION, LARGE)), labels((GROUND_GLASS, LARGE))
    assert (change.opacity_change(now, before, (1.0, 1.0, 1.0))[LARGE] == WORSE).all()
    assert (change.opacity_change(before, now, (1.0, 1.0, 1.0))[LARGE] == BETTER).all()


def test_clear_lungs_have_no_change():
    assert not change.opacity_change(labels(), labels(), (1.0, 1.0, 1.0)).any()


def test_a_scan_against_itself_is_stable():
    block = with_vessels()
    one = finding(lps(RIGHT), block.ball(RIGHT, 6.0))
    opacity = np.zeros(SHAPE, np.uint8)
    opacity[30:40, 40:80, 30:60] = GROUND_GLASS
    same = scan(block, [one], opacity)
    found, marked, _ = compare(same, same, 30)
    assert [lesion.status for lesion in found.lesions] == ["stable"]
    assert (found.worse_ml, found.better_ml, found.lung_volume_factor) == (0, 0, 1)
    assert found.unchanged_ml == pytest.approx((opacity > 0).sum() * np.prod(SPACING_MM) / 1000)
    assert (marked > 0).sum() == (opacity > 0).sum()
    assert found.lung_overlap > 0.98
    assert found.quality == ()
    assert found.to_json()["lesions"][0]["status"] == "stable"


@pytest.mark.parametrize(
    ("overlap", "lung_factor", "slice_mm", "cut_off", "codes"),
    [
        (0.95, 1.24, (2.5, 1.0), False, []),
        (0.95, 1.3, (1.0, 1.0), False, ["breath_differs"]),
        (0.95, 0.77, (1.0, 1.0), False, ["breath_differs"]),
        (0.85, 1.0, (1.0, 1.0), False, ["registration_poor"]),
        (0.95, 1.0, (1.0, 5.0), False, ["thick_slices"]),
        (0.95, 1.0, (1.0, 1.0), True, ["lungs_cut_off"]),
    ],
)
def test_what_makes_a_comparison_unsure_is_flagged(overlap, lung_factor, slice_mm, cut_off, codes):
    assert [flag.code for flag in change.flags(overlap, lung_factor, slice_mm, held=1.0, cut_off=cut_off)] == codes


def test_thick_slices_of_both_scans_are_said_once():
    (alike,) = change.flags(0.95, 1.0, (5.0, 5.001), held=1.0, cut_off=False)
    assert alike.message.startswith("The slices of both CTs lie 5.0 mm apart:")
    (other,) = change.flags(0.95, 1.0, (1.0, 5.0), held=1.0, cut_off=False)
    assert other.message.startswith("The slices lie 1.0 mm apart, before 5.0 mm:")


def test_what_the_other_scan_does_not_hold_is_neither_new_nor_resolved():
    """The prior scan ends in the middle of the lungs, the finding lies in the lower half."""
    block = LungBlock()
    low = (100.0, MIDDLE_MM[1], LEFT_MM)
    one = finding(lps(low), block.ball(low, 6.0))
    whole, half = scan(block, [one]), part_of(scan(), slice(45))
    assert [each.status for each in lesion_changes(whole, half, Still(), 90)] == ["not in the other scan"]
    assert [each.status for each in lesion_changes(half, whole, Still(), 90)] == ["not in the other scan"]
    assert half.is_cut_off
    assert not whole.is_cut_off


@pytest.mark.parametrize("held", [slice(60), slice(35, None)])
def test_a_scan_that_begins_late_or_ends_early_is_compared_as_far_as_it_goes(held):
    block = with_vessels()
    places = [(30.0, MIDDLE_MM[1], LEFT_MM), (105.0, MIDDLE_MM[1], LEFT_MM)]
    findings = [finding(lps(place), block.ball(place, 5.0)) for place in places]
    opacity = np.full(SHAPE, GROUND_GLASS, np.uint8) * block.lungs
    whole = scan(block, findings, opacity)
    seen = 0 if held.start is None else 1
    part = part_of(replace(whole, findings=(findings[seen],)), held)
    for current, prior in ((whole, part), (part, whole)):
        found, marked, motion = compare(current, prior, 90)
        in_lungs_mm = np.argwhere(part.lungs)[::997, ::-1] @ part.volume.affine_lps[:3, :3].T
        in_lungs_mm += part.volume.affine_lps[:3, 3]
        assert np.linalg.norm(motion.to_prior(in_lungs_mm) - in_lungs_mm, axis=1).max() < 3
        assert found.lung_overlap > 0.97
        assert set(np.unique(marked)) == {0, UNCHANGED}
        assert sorted(one.status for one in found.lesions) == ["not in the other scan", "stable"]
        assert [flag.code for flag in found.quality] == ["lungs_cut_off"]


def test_growth_between_thick_slices_counts_in_their_plane():
    now, before = (labels((GROUND_GLASS, part)) for part in (np.s_[5:15, 10:30, 10:40], np.s_[5:15, 10:30, 10:30]))
    marked = change.opacity_change(now, before, (8.0, 1.0, 1.0), 8.0)
    assert (marked[5:15, 10:30, 33:40] == WORSE).all()
    taller = labels((GROUND_GLASS, np.s_[5:16, 10:30, 10:30]))
    assert set(np.unique(change.opacity_change(taller, before, (8.0, 1.0, 1.0), 8.0))) == {0, UNCHANGED}


def test_a_comparison_of_little_in_common_is_doubted():
    assert [flag.code for flag in change.flags(0.95, 1.0, (1.0, 1.0), held=0.4, cut_off=True)] == [
        "lungs_cut_off",
        "registration_poor",
    ]


@pytest.mark.parametrize(("limit", "status"), [(0.9, "new"), (1.01, "unclear")])
def test_a_comparison_tells_what_is_new_unless_the_scans_lie_badly_over_each_other(monkeypatch, limit, status):
    monkeypatch.setattr(change, "POOR_OVERLAP", limit)
    block = with_vessels()
    place = (*MIDDLE_MM[:2], LEFT_MM)
    one = finding(lps(place), block.ball(place, 5.0))
    found, _, _ = compare(scan(block, [one]), scan(with_vessels()), 90)
    assert [lesion.status for lesion in found.lesions] == [status]


def test_lungs_that_have_nothing_in_common_are_refused():
    block = LungBlock()
    speck = np.zeros(SHAPE, bool)
    speck[40:44, 60:64, 60:64] = True
    with pytest.raises(UnusableSeries, match="could not be laid over each other"):
        compare(scan(block), replace(scan(block), lungs=speck), 30)


def test_a_scan_on_another_matrix_lies_at_the_same_place():
    volume = scan().volume
    small = volume.resized(64)
    assert small.hu.shape == (SHAPE[0], 64, 64)
    middle = np.array([31.5, 31.5, 10, 1])  # of the matrix
    whole = np.array([(SHAPE[2] - 1) / 2, (SHAPE[1] - 1) / 2, 10, 1])
    np.testing.assert_allclose(small.affine_lps @ middle, volume.affine_lps @ whole)
    assert small.hu[40, 32, 16] == pytest.approx(LUNG_HU, abs=15)
    assert small.spacing_mm == pytest.approx((SPACING_MM[0], SPACING_MM[1] * 130 / 64, SPACING_MM[2] * 260 / 64))


def test_each_slice_says_where_its_lung_lies_in_the_other_scan():
    current = scan()
    lifted = Motion(sitk.TranslationTransform(3, (0.0, 0.0, 12.0)))  # the patient lay so much higher before
    levels = change.prior_levels(current, scan(), lifted)
    assert len(levels) == SHAPE[0]
    for level, z_mm, lung in zip(levels, current.volume.z_mm, current.lungs.any((1, 2)), strict=True):
        assert level == (pytest.approx(z_mm + 12) if lung else None)
    assert None in levels


def test_the_level_in_a_tilted_scan_is_along_its_normal():
    turn = Rotation.from_euler("x", 8, degrees=True).as_matrix()
    affine = scan().volume.affine_lps.copy()
    affine[:3] = turn @ affine[:3]
    tilted = replace(scan(), volume=replace(scan().volume, affine_lps=affine))
    levels = change.prior_levels(tilted, tilted, Still())
    expected_mm = -affine[:3, 2] / SPACING_MM[0] @ affine[:3, 3] - np.arange(SHAPE[0]) * SPACING_MM[0]
    found = [(level, z_mm) for level, z_mm in zip(levels, expected_mm, strict=True) if level is not None]
    assert len(found) > 50
    np.testing.assert_allclose(*zip(*found, strict=True), atol=1e-6)


def test_where_opacity_ends_within_a_thick_slice_is_no_change():
    """Slices of 7.5 mm, the second scan's 3 mm lower: the same opacity ends in others of them."""
    block = with_vessels()
    opacity = np.zeros(SHAPE, np.uint8)
    opacity[31:60] = GROUND_GLASS * block.lungs[31:60]
    whole = scan(block, opacity=opacity)

    def thick(first):
        affine = AFFINE_LPS @ np.diag([1, 1, 5, 1.0])
        affine[:3, 3] += (first + 2) * AFFINE_LPS[:3, 2]
        hu = whole.volume.hu[first : first + 85].reshape(17, 5, *SHAPE[1:]).mean(1).astype(np.int16)
        volume = replace(whole.volume, hu=hu, affine_lps=affine, z_mm=whole.volume.z_mm[first + 2 :: 5][:17])
        middle = slice(first + 2, first + 87, 5)
        return Scan(volume, whole.lungs[middle], opacity[middle], (), whole.outlines[middle])

    found, _, _ = compare(thick(2), thick(0), 30)
    assert max(found.worse_ml, found.better_ml) < 1e-4 * found.unchanged_ml
