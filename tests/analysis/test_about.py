"""The page "About the AI": the evaluation's figures and the model cards of the networks that run here."""

import json
import re

import pytest
from django.urls import reverse

from analysis import about
from analysis.checks import EVALUATION, WEIGHTS_DIR


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


def test_the_page_quotes_the_evaluation(client, user):
    client.force_login(user)
    page = client.get(reverse("pages:about"))
    text = page.content.decode()
    assert f"AUC {about.results()['held_out']['mean']['slices']['auc']:.3f}" in text
    assert about.networks()[0].sha256[:16] in text
    assert "other weights" not in text
    healthy = about.results()["held_out"]["mean"]["opacity"]["per_volume"]["volume 6"]["found"]
    assert f"of healthy volume 6, {healthy:.1f} %" in text
    change = json.loads(EVALUATION.with_name("change.json").read_text())
    assert f"Of {change['found_twice']} nodules found on both scans {change['matched']:.0%}".replace("%", " %") in text


def test_the_figures_of_change_are_of_the_networks_that_run_here():
    change = json.loads(EVALUATION.with_name("change.json").read_text())
    assert {network.sha256 for network in about.networks()} <= set(change["weights"].values())


def test_without_the_evaluation_the_page_says_so(client, user, monkeypatch, tmp_path):
    monkeypatch.setattr("analysis.views.EVALUATION", tmp_path / "results.json")
    client.force_login(user)
    assert client.get(reverse("pages:about")).status_code == 404


def test_the_noise_of_the_installed_weights_is_the_one_measured():
    written = json.loads((WEIGHTS_DIR / "working_point.json").read_text())["score_variation"]
    assert written == pytest.approx(about.results()["repeatability"]["variation_of_thickness"], abs=0.001)


@pytest.mark.django_db
def test_the_page_is_for_those_who_are_logged_in(client):
    assert client.get(reverse("pages:about")).status_code == 302
