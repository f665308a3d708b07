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


def guide_of(browser, language):
    page = browser.get(ADDRESS, headers={"Accept-Language": language}).content.decode()
    (language, guide), *_ = re.findall(r'<div class="prose"[^>]*lang="(..)">(.*)</div>\n</section>', page, re.DOTALL)
    return page, language, guide


@pytest.mark.parametrize(
    ("language", "heading", "cards"),
    [
        ("en", "The worklist", "the model cards (lung U-Net, slice classifier, opacity decoder, nodules)"),
        ("de", "Die Arbeitsliste", "(Lungen-U-Net, Schichtklassifikator, Verdichtungsdecoder, Herde)"),
    ],
)
def test_the_guide_is_the_users_part_in_their_language_without_links_to_files(browser, language, heading, cards):
    page, written, guide = guide_of(browser, language)
    assert written == language
    assert f"<h3>{heading}</h3>" in guide
    assert cards in " ".join(guide.split())
    assert "<a " not in guide
    assert "import_dicom" not in guide
    assert "English" not in page.partition("<main")[2].partition(">The guide<")[2].partition('<div class="prose"')[0]


def test_both_guides_have_the_same_parts():
    counted = {}
    for name in ("guide.md", "guide.de.md"):
        part = user_help.guide(user_help.GUIDES / name)
        counted[name] = {tag: part.count(f"<{tag}>") for tag in ("h3", "table", "tr", "li", "p")}
        counted[name]["keys"] = re.findall(r"<td>(\w(?:[,;] \w)*)</td>", part)
    assert counted["guide.md"] == counted["guide.de.md"]


def test_without_a_guide_of_the_language_the_english_one_says_so(browser, monkeypatch, tmp_path):
    (tmp_path / "guide.md").write_text("# Guide\n\n## For clinicians\n\n### The worklist\n")
    monkeypatch.setattr(user_help, "GUIDES", tmp_path)
    page, written, _ = guide_of(browser, "de")
    assert written == "en"
    assert "Das Handbuch ist auf Englisch geschrieben." in page


def test_an_installation_without_the_guide_has_the_rest(browser, monkeypatch, tmp_path):
    monkeypatch.setattr(user_help, "GUIDES", tmp_path)
    page = browser.get(ADDRESS).content.decode()
    assert "What the numbers mean" in page
    assert "The guide is written in English" not in page
    assert 'class="prose"' not in page


def test_every_page_leads_to_it(browser):
    page = browser.get(reverse("pages:about")).content.decode()
    menu, _, rest = page.partition("</details>")
    assert f'href="{ADDRESS}"' in menu
    assert f'href="{ADDRESS}"' in rest.partition('<footer class="site-footer">')[2]


@pytest.mark.django_db
def test_it_is_for_those_who_are_logged_in(client):
    assert client.get(ADDRESS).status_code == 302
