"""The page "Help": meanings, keys and the user's part of the guide."""

import re

import pytest
from django.urls import reverse
from django.utils.html import escape

from analysis import help as user_help
from analysis.meanings import meanings

ADDRESS = "/help/"


def test_the_page_says_what_numbers_mean_and_what_keys_do(browser):
    page = browser.get(ADDRESS).content.decode()
    for name, words in meanings():
        assert f"<dt>{name}</dt><dd>{escape(words)}</dd>" in page
    assert "slices, three planes (MPR), lungs in 3D" in page


def test_the_guide_is_the_users_part_in_english_without_links_to_files(browser):
    page = browser.get(ADDRESS, headers={"Accept-Language": "de"}).content.decode()
    assert "Das Handbuch ist auf Englisch geschrieben." in page
    (guide,) = re.findall(r'<div class="prose"[^>]*lang="en">(.*)</div>', page, re.DOTALL)
    assert "<h3>The worklist</h3>" in guide
    assert "the model cards (lung U-Net, slice classifier, opacity decoder, nodules)" in " ".join(guide.split())
    assert "<a " not in guide
    assert "import_dicom" not in guide


def test_an_installation_without_the_guide_has_the_rest(browser, monkeypatch, tmp_path):
    monkeypatch.setattr(user_help, "GUIDE", tmp_path / "guide.md")
    page = browser.get(ADDRESS).content.decode()
    assert "What the numbers mean" in page
    assert "The guide is written in English" not in page


def test_every_page_leads_to_it(browser):
    page = browser.get(reverse("pages:about")).content.decode()
    menu, _, rest = page.partition("</details>")
    assert f'href="{ADDRESS}"' in menu
    assert f'href="{ADDRESS}"' in rest.partition('<footer class="site-footer">')[2]


@pytest.mark.django_db
def test_it_is_for_those_who_are_logged_in(client):
    assert client.get(ADDRESS).status_code == 302
