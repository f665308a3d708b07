"""The page "About the AI": the evaluation's figures and the model cards of the networks that run here."""

import json
import re
from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.translation import override

from analysis import about
from analysis.checks import EVALUATION, WEIGHTS_DIR
from tests.network_sets import CARD, kept_set


def test_the_evaluation_is_of_the_networks_that_run_here():
    assert [network.measured for network in about.networks()] == [True] * 4


def test_the_curve_shows_the_working_point():
    *curves, point = about.figures()["roc"]["data"]
    mean = about.results()["held_out"]["mean"]["slices"]
    assert len(curves) == len(about.results()["seeds"])
    assert (point["x"], point["y"]) == ([1 - mean["specificity"]], [mean["sensitivity"]])


def test_cards_are_rendered_without_the_marks_of_the_evaluation():
    for network in about.networks():
        assert "<table>" in network.card
        assert "figures:" not in network.card
        assert "<h1>" not in network.card


def test_whole_cases_are_listed_for_released_and_fold_networks():
    rows = {(case.series, case.networks == about.RELEASED): case for case in about.cases()}
    assert rows["covid P001", True].suspected == "yes"
    assert rows["normal 001", True].suspected == "no"
    assert rows["normal 001", False].suspected.startswith("0 of ")
    assert re.fullmatch(r"\d+\.\d cm³ to \d+\.\d cm³", rows["covid P001", False].score)


def test_figures_and_cases_are_made_once_for_each_language():
    """They take longer than the rest of the page."""
    made = {}
    for language in ("en-gb", "de", "en-gb", "de"):
        with override(language):
            now = about.figures(), about.cases(about.NOT_RUNNING)
            known = made.setdefault(language, now)
            assert all(one is other for one, other in zip(now, known, strict=True))
    titles = [figures["score"]["layout"]["xaxis"]["title"]["text"] for figures, _ in made.values()]
    assert titles == ["True opacity of the lung, %", "Tatsächliche Verdichtung der Lunge, %"]
    assert [cases[0].networks for _, cases in made.values()] == ["as released", "wie veröffentlicht"]


def test_the_page_quotes_the_evaluation(client, user):
    client.force_login(user)
    page = client.get(reverse("pages:about"))
    text = page.content.decode()
    assert f"AUC {about.results()['held_out']['mean']['slices']['auc']:.3f}" in text
    assert about.networks()[0].sha256[:16] in text
    assert "other weights" not in text
    healthy = about.results()["held_out"]["mean"]["opacity"]["per_volume"]["volume 6"]["found"]
    assert f"of healthy volume 6, {healthy:.1f} %" in text
    change = json.loads((EVALUATION / "change.json").read_text())
    assert f"Of {change['found_twice']} nodules found on both scans {change['matched']:.0%}".replace("%", " %") in text
    lasting = sum(sum(change["status"][fate].values()) for fate in ("grown", "stable", "shrunk"))
    assert f"{lasting - change['found_twice']} of {lasting} nodules on at least one of the two scans" in text
    severe = about.results()["held_out"]["mean"]["score"]["percent_of_lung"]["volume 9"]
    assert f"{severe['true']:.0f} % of the lung are opaque and the score says {severe['headline']:.0f} %" in text


def test_few_slices_lie_in_the_middle_and_low_probabilities_are_counted_over_all_trainings(monkeypatch):
    def curve(*tenths):
        return {
            "reliability": [dict(zip(("mean_probability", "slices", "abnormal"), one, strict=True)) for one in tenths]
        }

    low, high = (0.02, 80, 0.05), (0.97, 100, 0.99)
    curves = [curve(low, (0.14, 4, 0.25), (0.55, 6, 0.5), high), curve(low, (0.16, 5, 0.4), high)]
    monkeypatch.setattr(about, "results", lambda: {"curves": curves})
    said = about._by_probability()
    assert (said["slices"], said["middle"], said["lowest"]["slices"]) == (190, 10, 80)
    assert said["second"] == "25 % to 40 %"


def test_the_page_says_which_other_networks_run_and_that_its_figures_are_of_the_released(
    client, user, settings, tmp_path, django_assert_num_queries
):
    settings.MODELS_ROOT = tmp_path
    client.force_login(user)
    address = reverse("pages:about")
    kept_set("south-1")
    client.get(address)  # what is asked once in some minutes has been
    with CaptureQueriesContext(connection) as released_queries:
        released = client.get(address).content.decode()
    assert "south-1" not in released
    assert "figures of lungs are of networks trained in the same way as the one installed here" in released
    network_set = kept_set("north-1", active=True, activated_at=datetime(2026, 11, 3, 9, 30, tzinfo=UTC))
    with django_assert_num_queries(len(released_queries)):
        page = client.get(address).content.decode()
    text = re.sub(r"<[^>]+>", "", page)
    assert "Since 3 Nov 2026, 09:30 UTC scans are analysed by the networks north-1" in text
    assert "of the released networks, which do not run now" in text
    assert f"nodules north-1, weights {network_set.versions[3]['sha256'][:16]}" in text
    assert "Trained on <em>corrected</em> slices." in page
    assert "<td>0.95</td>" in page
    assert "figures of lungs are of networks trained in the same way as the one released" in text
    assert "installed here" not in text
    assert about.networks()[0].sha256[:16] in text


@pytest.mark.parametrize("written", ["results", "released_results"])
def test_networks_that_either_measurement_does_not_name_are_not_measured(monkeypatch, written):
    weights = WEIGHTS_DIR / "slice_classifier.safetensors"
    assert about._network(weights).measured
    monkeypatch.setattr(about, written, lambda: {"weights": {"slice_classifier": "of other weights"}})
    assert not about._network(weights).measured


def test_a_card_brings_no_html_of_its_own():
    card = about.rendered(f"{CARD}\n<script>alert(1)</script>\n[x](javascript:alert)\n")
    assert "<script" not in card
    assert "href" not in card


def test_the_figures_of_change_are_of_the_networks_that_run_here():
    change = json.loads((EVALUATION / "change.json").read_text())
    assert {network.sha256 for network in about.networks()} <= set(change["weights"].values())


def test_without_the_evaluation_the_page_says_so(client, user, monkeypatch, tmp_path):
    monkeypatch.setattr("analysis.checks.EVALUATION", tmp_path)
    client.force_login(user)
    assert client.get(reverse("pages:about")).status_code == 404


def test_the_noise_of_the_installed_weights_is_the_one_measured():
    written = json.loads((WEIGHTS_DIR / "working_point.json").read_text())["score_variation"]
    assert written == pytest.approx(about.released_results()["repeatability"]["variation"], abs=0.001)


@pytest.mark.django_db
def test_the_page_is_for_those_who_are_logged_in(client):
    assert client.get(reverse("pages:about")).status_code == 302
