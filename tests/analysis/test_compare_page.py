"""Two time points side by side: which are shown, and what stands with them."""

import datetime

import pytest
from django.core.files.base import ContentFile
from django.urls import reverse

from analysis.models import Comparison
from tests.analysis.finished import SLICES, finished_analysis
from tests.analysis.pages import DAY, patient_page
from tests.analysis.test_comparisons import CHANGE


@pytest.fixture
def three(patient, tmp_path):
    days = (0, 9, 20)
    return [
        finished_analysis(
            patient, tmp_path / str(day), date=DAY + datetime.timedelta(days=day), activation_cm2={5: 9.0}
        )
        for day in days
    ]


def shown(browser, patient, **query):
    context = browser.get(reverse("pages:compare", args=[patient.pk]), query).context
    return context and [context[name].analysis.pk for name in ("then", "now")]


def test_the_last_two_results_are_compared_or_those_named_the_earlier_first(browser, patient, three):
    first, second, third = three
    studies = [each.series.study_id for each in three]
    assert shown(browser, patient) == [second.pk, third.pk]
    assert shown(browser, patient, then=studies[0], now=studies[2]) == [first.pk, third.pk]
    assert shown(browser, patient, then=studies[2], now=studies[0]) == [first.pk, third.pk]
    assert shown(browser, patient, then=studies[1], now=studies[1]) == [first.pk, second.pk]
    assert shown(browser, patient, then=studies[0], now=studies[0]) == [first.pk, second.pk]
    for wrong in ("999", "x", ""):
        answer = browser.get(reverse("pages:compare", args=[patient.pk]), {"now": wrong, "then": studies[0]})
        assert answer.status_code == (200 if wrong == "" else 404), wrong


def test_change_map_and_lesions_stand_with_results_that_follow_each_other(browser, patient, three):
    _, second, third = three
    change = CHANGE | {"prior_z_mm": [None, *range(SLICES - 2), None]}
    comparison = Comparison.objects.create(analysis=third, prior=second, days=11, state="DONE", change=change)
    comparison.change_map.save("change.gz", ContentFile(b""))
    page = browser.get(reverse("pages:compare", args=[patient.pk]))
    assert page.context["prior_z_mm"] == change["prior_z_mm"]
    text = page.content.decode()
    assert reverse("pages:change_map", args=[comparison.pk]) in text
    assert "by registration of the lungs" in text
    volumes = [
        [one and one.finding and one.finding.volume_ml for _, one, _ in lane] for _, lane, _ in page.context["lesions"]
    ]
    assert volumes == [[0.2, 1.214], [1.214, None]]
    assert [became for _, _, became in page.context["lesions"]] == ["grown", "resolved"]
    apart = browser.get(reverse("pages:compare", args=[patient.pk]), {"then": three[0].series.study_id})
    assert apart.context["change_map"] is None
    assert "by their height in the lungs" in apart.content.decode()


def test_a_comparison_that_failed_says_why(browser, patient, three):
    words = "The lungs of the two scans could not be laid over each other: compare them by eye."
    Comparison.objects.create(analysis=three[2], prior=three[1], days=11, state="FAILED", error=words)
    text = browser.get(reverse("pages:compare", args=[patient.pk])).content.decode()
    assert words in text
    assert "between CTs that follow each other" not in text


def test_with_one_result_there_is_nothing_to_compare(browser, patient, analysis):
    assert browser.get(reverse("pages:compare", args=[patient.pk])).status_code == 404
    assert "Compare CTs" not in browser.get(patient_page(patient)).content.decode()


def test_the_comparison_belongs_to_the_site(client, stranger, patient, three):
    client.force_login(stranger)
    assert client.get(reverse("pages:compare", args=[patient.pk])).status_code == 404
