"""Where the slices of the newest CT lie in earlier ones."""

import datetime

import pytest
from django.urls import reverse

from analysis.lesions import comparisons
from analysis.matching import match
from analysis.models import Analysis, Comparison
from analysis.report_images import thumbnail
from analysis.trend import trend
from tests.analysis.finished import FIRST_Z_MM, SLICES, SPACING_MM, finished_analysis
from tests.analysis.pages import DAY

HEIGHTS_MM = [FIRST_Z_MM - index * SPACING_MM for index in range(SLICES)]
LUNG_MM = HEIGHTS_MM[1:-1]


@pytest.fixture
def course(patient, tmp_path):
    """Three results: the first in another frame of reference, its slices half as far apart."""
    frames = [{"spacing_mm": 2.5, "first_z_mm": 300.0}, {}, {}]
    return [
        finished_analysis(patient, tmp_path, date=DAY + datetime.timedelta(days=9 * visit), **frame)
        for visit, frame in enumerate(frames)
    ]


def registered(now, prior, prior_z_mm, **row):
    change = {"lesions": [], "prior_z_mm": prior_z_mm}
    Comparison.objects.create(**{"analysis": now, "prior": prior, "days": 9, "state": "DONE", "change": change} | row)


def matched(patient, first=0):
    points = trend(patient)
    return match(points[first:], comparisons(points))


def test_neighbours_are_matched_by_their_registration_where_it_knows_the_level(patient, course):
    registered(course[2], course[1], [None, *(z_mm - 10 for z_mm in LUNG_MM), None])
    found = matched(patient, first=1)
    assert found.registrations == 1
    assert found.reference_z_mm == LUNG_MM
    assert found.z_mm == [z_mm - 10 for z_mm in LUNG_MM]


def test_the_registrations_of_the_pairs_between_are_chained(patient, course):
    """Half a slice further up in the second, whose slices lie in the first twice as close and 400 mm higher."""
    registered(course[2], course[1], [None, *(z_mm + 2.5 for z_mm in LUNG_MM), None])
    registered(course[1], course[0], [None, *(z_mm / 2 + 350 for z_mm in LUNG_MM), None])
    found = matched(patient)
    assert found.registrations == 2
    assert found.reference_z_mm == LUNG_MM[1:]  # the first would lie above what the second pair knows
    assert found.z_mm == [(z_mm + 2.5) / 2 + 350 for z_mm in LUNG_MM[1:]]


def test_the_registration_of_the_two_themselves_goes_before_the_chain(patient, course):
    for now, prior, by in ((2, 1, 10), (1, 0, 10), (2, 0, 400)):
        registered(course[now], course[prior], [None, *(z_mm + by for z_mm in LUNG_MM), None])
    found = matched(patient)
    assert (found.registrations, found.z_mm[0]) == (1, LUNG_MM[0] + 400)


@pytest.mark.parametrize(
    "second_pair",
    [
        None,
        {"state": "FAILED", "change": None},
        {"state": "RUNNING", "change": None},
        {"change": {"lesions": []}},  # by an earlier version
        {"change": {"lesions": [], "prior_z_mm": [None] * SLICES}},
    ],
)
def test_where_one_pair_is_not_registered_the_height_in_the_lungs_decides(patient, course, second_pair):
    registered(course[2], course[1], [None, *LUNG_MM, None])
    if second_pair:
        registered(course[1], course[0], [], **second_pair)
    found = matched(patient)
    assert found.registrations == 0
    assert found.reference_z_mm == [LUNG_MM[0], LUNG_MM[-1]]
    assert found.z_mm == [297.5, 255.0]


def test_a_height_between_slices_lies_between_those_of_the_other(patient, course):
    registered(course[2], course[1], [None, *(z_mm - 10 for z_mm in LUNG_MM), None])
    found = matched(patient, first=1)
    assert found.in_other(LUNG_MM[3] - 2) == LUNG_MM[3] - 12
    assert found.in_other(LUNG_MM[-1] - 100) == LUNG_MM[-1] - 10  # as far as both hold it


def test_a_thumbnail_shows_the_level_that_the_registration_says(browser, patient, course):
    *_, before, now = course
    worst = [each | {"positive": True, "activation_cm2": 99.0} for each in now.report["slices"][9:10]]
    slices = [*now.report["slices"][:9], *worst, *now.report["slices"][10:]]
    Analysis.objects.filter(pk=now.pk).update(report=now.report | {"slices": slices})
    address = reverse("pages:thumbnail", args=[before.pk, now.pk])
    assert browser.get(address).content == thumbnail(before, HEIGHTS_MM[9])  # by height
    registered(now, before, [None, *(z_mm - 20 for z_mm in LUNG_MM), None])
    assert browser.get(address).content == thumbnail(before, HEIGHTS_MM[13]) != thumbnail(before, HEIGHTS_MM[9])


def test_a_comparison_of_two_that_a_user_asked_for_leaves_thumbnails_as_their_address_says(browser, patient, course):
    first, between, now = course
    registered(now, between, [None, *LUNG_MM, None])
    registered(between, first, [None, *(z_mm / 2 + 350 for z_mm in LUNG_MM), None])
    address = reverse("pages:thumbnail", args=[first.pk, now.pk])
    shown = browser.get(address).content
    registered(now, first, [None, *(z_mm / 2 + 310 for z_mm in LUNG_MM), None])
    assert browser.get(address).content == shown
