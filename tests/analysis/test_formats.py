"""How numbers are written: the same words in pages, report and messages."""

import pytest
from django.template import Context, Template

from analysis import formats, lesion_words
from analysis.models import Analysis, Finding


@pytest.mark.parametrize(
    ("cm3", "text"),
    [
        (184.23, "184.2 cm³"),
        (0.0, "0.0 cm³"),
        (0.04, "< 0.1 cm³"),
        (0.05, "0.1 cm³"),
        (1234.56, "1234.6 cm³"),
        (None, "–"),
    ],
)
def test_a_score_has_one_decimal_and_is_0_only_when_it_is(cm3, text):
    assert formats.score_text(cm3) == text


def test_a_ratio_never_looks_like_the_threshold_it_differs_from():
    assert formats.ratio_text(0.624, 0.1) == "0.62"
    assert formats.ratio_text(0.1004, 0.1) == "0.1004"
    assert formats.ratio_text(0.1, 0.1004) == "0.1000"
    assert formats.ratio_text(0.1, 0.1) == "0.10"


@pytest.mark.parametrize(("relative", "text"), [(0.54, "−46 %"), (1.41, "+41 %"), (1.001, "±0 %"), (None, "–")])
def test_a_change_carries_its_sign(relative, text):
    assert formats.change_text(relative) == text


@pytest.mark.parametrize(("percent", "text"), [(12.44, "12.4 %"), (0.0, "0.0 %"), (0.01, "< 0.1 %"), (None, "–")])
def test_opacity_has_one_decimal_and_is_0_only_when_it_is(percent, text):
    assert formats.opacity_text(percent) == text


def test_a_finding_is_named_by_texture_kind_and_place():
    finding = {"kind": "mass", "texture": "solid", "calcified": False, "lung": "right", "zone": "middle"}
    assert formats.finding_words(finding) == "Solid mass, right lung, middle third"
    assert formats.finding_words(finding | {"calcified": True}) == "Solid mass, calcified, right lung, middle third"
    measures = {"long_axis_mm": 31.46, "short_axis_mm": 20, "volume_ml": 0.004, "mean_hu": -4.4, "confidence": 0.5}
    assert formats.finding_measures(measures) == "31.5 × 20.0 mm, < 0.01 ml, −4 HU, confidence 0.50"


def test_regions_stand_as_a_table_of_thirds_and_sides():
    names = [f"{side} {third}" for side in ("right", "left") for third in ("upper", "middle", "lower")]
    names += ["upper thirds", "middle thirds", "lower thirds", "right lung", "left lung"]
    regions = [{"name": name, "percent": number} for number, name in enumerate(names)]
    assert formats.opacity_rows({"regions": regions, "percent_of_lung": 11}) == [
        ("Upper", ["0.0 %", "3.0 %", "6.0 %"]),
        ("Middle", ["1.0 %", "4.0 %", "7.0 %"]),
        ("Lower", ["2.0 %", "5.0 %", "8.0 %"]),
        ("Whole", ["9.0 %", "10.0 %", "11.0 %"]),
    ]
    assert formats.opacity_rows(None) == []


@pytest.mark.parametrize(
    ("percent", "thirds", "words"),
    [
        (12.44, {"right lower": 31.0, "left upper": 2.0}, "12.4 % of the lungs, most in the right lower third"),
        (1.0, {"right lower": 0.0}, "1.0 % of the lungs"),
        (0.99, {"right lower": 9.0}, ""),
        (None, {}, ""),
    ],
)
def test_opacity_is_a_finding_from_a_hundredth_of_the_lungs_on(percent, thirds, words):
    regions = [{"name": name, "percent": share} for name, share in thirds.items()]
    opacity = None if percent is None else {"percent_of_lung": percent, "regions": regions}
    assert formats.diffuse_opacity(opacity) == words


def test_negative_positions_have_a_true_minus_and_zero_has_none():
    assert formats.position_text(-192.14) == "−192.1 mm"
    assert formats.position_text(-0.01) == "0.0 mm"
    assert formats.position_text(0.01) == "0.0 mm"


def test_templates_write_numbers_the_same_way():
    template = Template("{% load formats %}{{ score|score_text }}, {{ ratio|ratio_text:threshold }}")
    assert template.render(Context({"score": 184.23, "ratio": 0.104, "threshold": 0.1})) == "184.2 cm³, 0.104"


def test_flags_are_said_in_a_few_words():
    severe, slight = [
        {"code": code, "message": "…", "severe": code == "lungs_cut_off"} for code in ("lungs_cut_off", "noise")
    ]
    assert formats.quality_text([slight, severe]) == "check: lungs cut off; note: noise"
    assert formats.quality_text([slight]) == "note: noise"
    assert formats.quality_text([]) == ""


def test_flags_of_earlier_versions_which_did_not_tell_are_severe_by_their_code():
    flags = [{"code": code, "message": "…"} for code in ("noise", "lungs_cut_off")]
    assert formats.quality_text(flags) == "check: lungs cut off; note: noise"


def lesion(status, number=None, part_of=None, before=None, now=None, percent=None, days=None, prior=None, rejected=""):
    """``rejected``: on which CTs a reader says that it is none, "now", "then" or both."""
    return {
        "status": status,
        "number": number,
        "prior_number": prior,
        "rejected": "now" in rejected,
        "rejected_then": "then" in rejected,
        "part_of": part_of,
        "kind": "nodule",
        "lung": "left",
        "zone": "upper",
        "prior_volume_ml": before,
        "volume_ml": now,
        "volume_change_percent": percent,
        "doubling_time_days": days,
    }


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (lesion("grown", 2), "Finding 2: grown"),
        (lesion("resolved"), "Resolved: nodule, left lung, upper third"),
        (lesion("unclear", 3), "Finding 3: not outlined then, unclear whether it was there"),
        (lesion("unclear"), "No longer outlined, unclear whether it is there: nodule, left lung, upper third"),
        (lesion("part of another", 4, part_of=1), "Finding 4: part of another one then"),
        (lesion("part of another", part_of=1), "Merged or fell apart, see finding 1: nodule, left lung, upper third"),
        (lesion("cut off", 6), "Finding 6: cut off by the end of a CT"),
        (lesion("not in the other scan", 5), "Finding 5: its place was not scanned then, or not in the lungs"),
    ],
)
def test_what_became_of_a_lesion_is_said_in_words(one, words):
    assert lesion_words.lesion_words(one) == words


def test_numbers_and_volumes_stand_then_and_now_with_their_change():
    grown = lesion("grown", 1, before=0.52, now=1.21, percent=132.7, days=74.2, prior=3)
    assert lesion_words.lesion_measures(grown) == "#3 0.52 ml → #1 1.21 ml, +133 %, volume doubling time 74 days"
    assert lesion_words.lesion_measures(lesion("resolved", before=0.4, prior=2)) == "#2 0.40 ml → –"
    cut = lesion("stable", 1, before=0.4, now=0.1, prior=2) | {"cut": True}
    said = "#2 0.40 ml → #1 0.10 ml, cut off by the end of a CT and compared as far as both reach"
    assert lesion_words.lesion_measures(cut) == said
    assert lesion_words.lesion_measures(cut | {"status": "cut off"}) == "#2 0.40 ml → #1 0.10 ml"
    assert lesion_words.lesion_measures(lesion("new", 1, now=0.004)) == "– → #1 < 0.01 ml"


@pytest.mark.parametrize(
    ("one", "counts", "words"),
    [
        (lesion("stable", 1, prior=2), True, ""),
        (lesion("stable", 1, prior=2, rejected="now"), False, "rejected by a reader"),
        (lesion("stable", 1, prior=2, rejected="now then"), False, "rejected by a reader"),
        (lesion("stable", 1, prior=2, rejected="then"), True, "rejected by a reader on the CT before"),
        (lesion("resolved", prior=2, rejected="then"), False, "rejected by a reader on the CT before"),
    ],
)
def test_a_lesion_counts_unless_a_reader_rejected_its_newest_finding(one, counts, words):
    change = {"lesions": [lesion("new", 3), one]}
    assert lesion_words.rejection_words(one) == words
    assert lesion_words.is_rejected(one) is not counts
    assert lesion_words.lesion_counts(change) == (f"1 new, 1 {one['status']}" if counts else "1 new")
    assert lesion_words.rejected_note(change) == (
        "" if counts else "1 that a reader rejected on one of the two CTs is not counted."
    )


def test_a_lesion_is_called_what_it_is_where_it_is_largest():
    def finding(kind, volume_ml, zone="upper"):
        return Finding(kind=kind, volume_ml=volume_ml, lung="left", zone=zone)

    assert lesion_words.kinds_words([finding("nodule", 2.0), finding("mass", 20.0), finding("nodule", 1.0)]) == "mass"
    moved = [finding("mass", 20.0), finding("mass", 18.0, "middle"), finding("nodule", 9.0)]
    assert lesion_words.kinds_words(moved) == "mass"
    assert lesion_words.places_words(moved) == "left lung, upper third · left lung, middle third"


def test_lesions_that_changed_come_first():
    change = {"lesions": [lesion("stable", 1), lesion("unclear", 2, now=2.0), lesion("new", 3), lesion("new", 4)]}
    assert [each["number"] for each in lesion_words.lesions_by_status(change)] == [3, 4, 1, 2]
    assert lesion_words.lesion_counts(change) == "2 new, 1 stable, 1 unclear"
    assert lesion_words.lesion_counts({"lesions": []}) == lesion_words.NO_LESION


@pytest.mark.parametrize(
    ("volumes", "words"),
    [
        ([(None, 0.31)], "1 unclear"),
        ([(None, 0.29)], "1 unclear (below 0.3 ml)"),
        ([(0.2, None), (None, 0.1)], "2 unclear (below 0.3 ml)"),
        ([(0.2, None), (27.4, None), (None, 0.1)], "3 unclear (2 below 0.3 ml)"),
    ],
)
def test_small_lesions_that_are_unclear_are_counted_apart(volumes, words):
    change = {"lesions": [lesion("unclear", before=before, now=now) for before, now in volumes]}
    assert lesion_words.lesion_counts(change) == words
    assert lesion_words.lesion_counts({"lesions": [lesion("stable", 1, before=0.1, now=0.1)]}) == "1 stable"


@pytest.mark.parametrize(
    ("suspected", "percent", "flags", "hidden"),
    [
        (False, 0.2, [], False),
        (True, 0.2, [], True),
        (False, 4.0, [], True),
        (False, 0.2, ["thick_slices"], True),
        (False, 0.2, ["noise"], False),
        (False, 0.2, ["breathing"], True),
    ],
)
def test_no_finding_excludes_none_where_disease_thick_slices_or_a_scan_to_check_hide_it(
    suspected, percent, flags, hidden
):
    report = {"opacity": {"percent_of_lung": percent, "regions": []}}
    quality = [{"code": code, "message": "", "severe": code == "breathing"} for code in flags]
    analysis = Analysis(suspected=suspected, report=report, quality=quality)
    assert ("excludes none" in formats.no_findings_words(analysis)) == formats.hides_findings(analysis) == hidden
