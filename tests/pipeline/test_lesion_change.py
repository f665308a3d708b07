"""What became of lesions between two scans: matched one to one, and their statuses."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.pipeline.lesion_change import is_dense, lesion_changes, match
from tests.pipeline.lung_block import AFFINE_LPS, LEFT_MM, MIDDLE_MM, RIGHT_MM, SHAPE, SPACING_MM, LungBlock
from tests.pipeline.two_scans import LEFT, RIGHT, Still, finding, lps, part_of, scan


def centers(*findings):
    return np.array([one.centroid_mm for one in findings]).reshape(-1, 3)


def matched(now, before, touching=True):
    return match(now, centers(*now), before, centers(*before), np.full((len(now), len(before)), touching))


@pytest.mark.parametrize(
    ("away_mm", "touching", "is_one"), [(7, False, True), (12, True, True), (12, False, False), (20, True, False)]
)
def test_large_findings_whose_centres_lie_apart_are_one_where_their_outlines_touch(away_mm, touching, is_one):
    """60 ml: a radius of 24 mm, 60 % of which is 14.6 mm."""
    before, now = (finding(volume_ml=60.0),), (finding((away_mm, 0, 0), 60.0),)
    assert matched(now, before, touching) == ({0: 0} if is_one else {})


def test_outlines_touch_where_they_have_voxels_in_common():
    block = LungBlock()
    far, near = (MIDDLE_MM[0], MIDDLE_MM[1], LEFT_MM), (MIDDLE_MM[0] + 12, MIDDLE_MM[1], LEFT_MM)
    now, before = (scan(block, [finding(lps(place), 60.0)]) for place in (near, far))
    now.outlines[44:60, 60:70, 190:210] = 1
    before.outlines[20:44, 60:70, 190:210] = 1
    assert next(one.status for one in lesion_changes(now, before, Still(), 90)) != "stable"
    before.outlines[44, 60, 190] = 1
    assert [one.status for one in lesion_changes(now, before, Still(), 90)] == ["stable"]


def test_each_finding_is_matched_once_and_the_nearest_wins():
    before = (finding((0, 0, 0)), finding((20, 0, 0)), finding((0, 50, 0)))
    now = (finding((18, 1, 0)), finding((2, 0, 1)), finding((100, 0, 0)))
    assert matched(now, before) == {0: 1, 1: 0}


def test_two_neighbours_are_not_both_given_to_one():
    before, now = (finding((0, 0, 0)),), (finding((3, 0, 0)), finding((1, 0, 0)))
    assert matched(now, before) == {1: 0}


def test_of_two_at_hand_the_one_of_like_size_is_taken():
    before, now = (finding((0, 0, 0), 2.0),), (finding((2.0, 0, 0), 0.05), finding((2.5, 0, 0), 2.1))
    assert matched(now, before) == {1: 0}


def test_one_that_stayed_is_not_given_away_to_match_a_new_neighbour():
    """A stable nodule between one that is gone and one that is new."""
    before, now = (finding((0, 0, 0)), finding((-7, 0, 0))), (finding((0, 0, 0)), finding((7, 0, 0)))
    assert matched(now, before) == {0: 0}


def test_a_large_lesion_may_shift_its_centroid_further_than_a_small_one():
    assert matched((finding((9, 0, 0), 0.5),), (finding(volume_ml=0.5),)) == {}
    assert matched((finding((9, 0, 0), 15.0),), (finding(volume_ml=12.0),)) == {0: 0}  # of 15 mm radius
    assert matched((finding((10, 0, 0), 15.0),), (finding(volume_ml=12.0),)) == {}


def test_nothing_is_matched_with_nothing():
    assert matched((), (finding(),)) == matched((finding(),), ()) == matched((), ()) == {}


@pytest.mark.parametrize(
    ("volume_ml", "status", "percent"),
    [(1.25, "grown", 25), (1.24, "stable", 24), (1.0, "stable", 0), (0.81, "stable", -19), (0.8, "shrunk", -20)],
)
def test_a_lesion_has_grown_or_shrunk_from_a_factor_of_five_quarters_on(volume_ml, status, percent):
    (one,) = lesion_changes(
        scan(findings=[finding(volume_ml=volume_ml)]), scan(findings=[finding(volume_ml=1.0)]), Still(), 90
    )
    assert (one.status, one.number, one.prior_number) == (status, 1, 1)
    assert one.volume_change_percent == pytest.approx(percent)


def test_the_doubling_time_of_a_lesion_that_doubled_is_the_time_between():
    def doubling(factor, days):
        now, before = scan(findings=[finding(volume_ml=factor)]), scan(findings=[finding(volume_ml=1.0)])
        return lesion_changes(now, before, Still(), days)[0].doubling_time_days

    assert doubling(2.0, 90) == pytest.approx(90)
    assert doubling(4.0, 90) == pytest.approx(45)
    assert doubling(1.1, 90) is None  # within what volumetry can tell
    assert doubling(0.5, 90) is None
    assert doubling(2.0, None) is None
    assert doubling(2.0, 0) is None
    assert doubling(2.0, 29) is None  # inflammation


def test_an_opacity_and_thick_slices_have_no_doubling_time():
    def doubling(kind, slice_factor):
        now, before = (scan(findings=[replace(finding(volume_ml=ml), kind=kind)]) for ml in (2.0, 1.0))
        affine = AFFINE_LPS @ np.diag([1, 1, slice_factor, 1])
        before = replace(before, volume=replace(before.volume, affine_lps=affine))
        return lesion_changes(now, before, Still(), 90)[0].doubling_time_days

    assert doubling("mass", 1) == pytest.approx(90)
    assert doubling("focal opacity", 1) is None
    assert doubling("mass", 2) is None


def test_a_lesion_is_new_where_lung_was_and_resolved_where_lung_is():
    block = LungBlock()
    volume_ml = block.ball(RIGHT, 6.0)
    with_it, without = scan(block, [finding(lps(RIGHT), volume_ml)]), scan()
    (new,) = lesion_changes(with_it, without, Still(), 90)
    assert (new.status, new.number, new.prior_number, new.prior_volume_ml) == ("new", 1, None, None)
    (gone,) = lesion_changes(without, with_it, Still(), 90)
    assert (gone.status, gone.number, gone.prior_number, gone.volume_ml) == ("resolved", None, 1, None)
    assert gone.centroid_mm == pytest.approx(lps(RIGHT))


@pytest.mark.parametrize("beyond_mm", [4.0, 30.0])
def test_a_lesion_beyond_the_end_of_the_other_scan_is_not_in_it(beyond_mm):
    block = LungBlock()
    place = (60.0 + beyond_mm, MIDDLE_MM[1], LEFT_MM)
    with_it = scan(block, [finding(lps(place), block.ball(place, 3.0))])
    ends_before = part_of(scan(), slice(41))  # at 60 mm
    assert [one.status for one in lesion_changes(with_it, ends_before, Still(), 90)] == ["not in the other scan"]
    assert [one.status for one in lesion_changes(ends_before, with_it, Still(), 90)] == ["not in the other scan"]


def test_a_lesion_that_the_end_of_a_scan_cuts_has_not_grown_by_that():
    block = LungBlock()
    block.ball((*MIDDLE_MM, LEFT_MM), 8.0)
    outlines = (block.lungs & (block.hu > -400)).astype(np.uint8)
    whole = replace(scan(block), outlines=outlines)
    half = part_of(whole, slice(round(MIDDLE_MM[0] / SPACING_MM[0]) + 1))
    whole, half = (
        replace(one, findings=(finding(lps((*MIDDLE_MM, LEFT_MM)), one.outlines.sum() * np.prod(SPACING_MM) / 1000),))
        for one in (whole, half)
    )
    assert half.findings[0].volume_ml < 0.7 * whole.findings[0].volume_ml
    for now, before in ((whole, half), (half, whole)):
        (same,) = lesion_changes(now, before, Still(), 90)
        assert (same.status, same.number, same.prior_number) == ("stable", 1, 1)
        assert (same.cut, same.volume_change_percent, same.doubling_time_days) == (True, None, None)


@pytest.mark.parametrize("slices_above", [0, 1])
def test_of_a_cut_lesion_of_which_the_other_scan_holds_next_to_nothing_no_change_is_said(slices_above):
    block = LungBlock()
    end = (60.0, MIDDLE_MM[1], LEFT_MM)
    outlines = np.zeros(SHAPE, np.uint8)
    outlines[40, 60:70, 198:206] = 1
    before = part_of(replace(scan(block), outlines=outlines, findings=(finding(lps(end), 0.1),)), slice(41))
    below = np.zeros(SHAPE, np.uint8)
    below[41 - slices_above : 46, 64:68, 200:204] = 1
    now = replace(scan(block), outlines=below, findings=(finding(lps((64.5, *end[1:])), 0.4),))
    (one,) = lesion_changes(now, before, Still(), 90)
    assert (one.number, one.prior_number, one.status, one.cut) == (1, 1, "cut off", True)
    assert (one.volume_change_percent, one.doubling_time_days) == (None, None)


def test_a_lesion_that_the_other_scan_shows_without_outlining_it_is_neither_new_nor_resolved():
    block = LungBlock()
    volume_ml = block.ball(RIGHT, 6.0)
    outlined, not_outlined = scan(block, [finding(lps(RIGHT), volume_ml)]), scan(block)
    assert [one.status for one in lesion_changes(outlined, not_outlined, Still(), 90)] == ["unclear"]
    assert [one.status for one in lesion_changes(not_outlined, outlined, Still(), 90)] == ["unclear"]


def test_a_lesion_inside_a_larger_one_of_the_other_scan_is_part_of_it():
    """Two lesions merge: one is matched with the whole, the other lies in it."""
    block = LungBlock()
    apart_mm = 16.0
    places = [(*MIDDLE_MM, RIGHT_MM - apart_mm / 2), (*MIDDLE_MM, RIGHT_MM + apart_mm / 2)]
    before = scan(block, [finding(lps(places[0]), 1.0), finding(lps(places[1]), 0.5)])
    row, column = round(MIDDLE_MM[1] / SPACING_MM[1]), round(RIGHT_MM / SPACING_MM[2])
    outlines = np.zeros(SHAPE, np.uint8)
    outlines[35:55, row - 15 : row + 15, column - 25 : column + 25] = 1
    merged = replace(scan(block, [finding(lps((*MIDDLE_MM, RIGHT_MM - 2)), 9.0)]), outlines=outlines)
    grown, part = lesion_changes(merged, before, Still(), 90)
    assert (grown.status, grown.number, grown.prior_number) == ("grown", 1, 1)
    assert (part.status, part.number, part.prior_number, part.part_of) == ("part of another", None, 2, 1)
    *_, part = lesion_changes(before, merged, Still(), 90)
    assert (part.status, part.number, part.prior_number, part.part_of) == ("part of another", 2, None, 1)


@pytest.mark.parametrize(
    ("piece_columns", "status"), [(slice(190, 210), "part of another"), (slice(209, 214), "resolved")]
)
def test_a_lesion_that_fell_apart_has_not_resolved(piece_columns, status):
    """Its middle is free and none of the pieces is near enough to be it; of two the larger one is named."""
    far = (MIDDLE_MM[0] + 40, *MIDDLE_MM[1:])
    pieces = [finding(lps((*far[:2], LEFT_MM)), ml) for ml in (0.3, 0.4)]
    now, before = scan(findings=pieces), scan(findings=[finding(lps(LEFT), 3.0)])
    before.outlines[35:55, 60:64, 190:210] = 1
    now.outlines[52:55, 60:64, piece_columns] = 2
    now.outlines[35:37, 60:64, piece_columns] = 1
    *parts, whole = lesion_changes(now, before, Still(), 90)
    assert (whole.status, whole.number, whole.prior_number) == (status, None, 1)
    assert whole.part_of == (2 if status == "part of another" else None)
    assert [part.part_of for part in parts] == ([1, 1] if status == "part of another" else [None, None])


def test_a_large_lesion_over_a_speck_is_new_and_leaves_resolved():
    """The speck lies at its rim: it says nothing of the whole."""
    far = (MIDDLE_MM[0] + 40, *MIDDLE_MM[1:])
    large, speck = finding(lps(LEFT), 60.0), finding(lps((*far[:2], LEFT_MM)), 0.05)
    now, before = scan(findings=[large]), scan(findings=[speck])
    now.outlines[35:55, 60:64, 190:210] = 1
    before.outlines[52:54, 60:62, 190:192] = 1
    assert [(one.status, one.part_of) for one in lesion_changes(now, before, Still(), 90)] == [
        ("new", None),
        ("part of another", 1),
    ]
    assert [(one.status, one.part_of) for one in lesion_changes(before, now, Still(), 90)] == [
        ("part of another", 1),
        ("resolved", None),
    ]


@pytest.mark.parametrize(("left_out_mm", "status"), [(9.0, "unclear"), (0.0, "new")])
def test_a_lesion_where_the_other_scan_has_tissue_and_no_lung_is_neither_new_nor_resolved(left_out_mm, status):
    """A vessel at the hilum: the lungs found hold it in one scan only."""
    block, other = LungBlock(), LungBlock()
    outlined = scan(block, [finding(lps(RIGHT), block.ball(RIGHT, 6.0))])
    if left_out_mm:
        before = other.hu.copy()
        other.ball(RIGHT, left_out_mm)
        other.lungs[other.hu != before] = False
    assert [one.status for one in lesion_changes(outlined, scan(other), Still(), 90)] == [status]
    gone = "resolved" if status == "new" else status
    assert [one.status for one in lesion_changes(scan(other), outlined, Still(), 90)] == [gone]


def test_where_the_scans_lie_badly_over_each_other_nothing_is_new_or_resolved():
    block = LungBlock()
    with_it, without = scan(block, [finding(lps(RIGHT), block.ball(RIGHT, 6.0))]), scan()
    assert [one.status for one in lesion_changes(with_it, without, Still(), 90, poor=True)] == ["unclear"]
    assert [one.status for one in lesion_changes(without, with_it, Still(), 90, poor=True)] == ["unclear"]
    assert [one.status for one in lesion_changes(with_it, with_it, Still(), 90, poor=True)] == ["stable"]


def test_the_chest_wall_is_no_lesion_of_the_other_scan():
    at_wall = finding(lps((MIDDLE_MM[0], MIDDLE_MM[1], 14.0)), 0.5)  # 2 mm from the wall
    assert not is_dense(scan(), np.array(at_wall.centroid_mm), at_wall)


def test_a_lesion_three_millimetres_off_is_still_seen_and_one_far_off_is_not():
    block = LungBlock()
    own = finding(lps(LEFT), block.ball(LEFT, 4.0))
    x, y, z = own.centroid_mm
    assert is_dense(scan(block), np.array([x + 3, y, z]), own)
    assert not is_dense(scan(block), np.array([x + 12, y, z]), own)
