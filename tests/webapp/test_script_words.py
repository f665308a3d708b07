"""The catalogue of the scripts' words."""

import json
import re

from django.urls import reverse

from tests.conftest import ROOT
from webapp import script_words

GERMAN = {"Accept-Language": "de"}


def words_of(page: str) -> str | None:
    found = re.search(r'<script defer src="([^"]+)"></script>\s*<script type="module"', page)
    return found and found[1]


def test_a_german_page_names_the_catalogue_before_its_scripts_and_an_english_one_none(client, user):
    client.force_login(user)
    assert words_of(client.get("/", headers=GERMAN).content.decode()).startswith("/words/de/")
    assert words_of(client.get("/", headers={"Accept-Language": "en"}).content.decode()) is None


def test_the_catalogue_is_kept_by_browsers_and_needs_no_session(client, db):
    address = words_of(client.get("/accounts/login/", headers=GERMAN).content.decode())
    answer = client.get(address)  # whatever language the request itself asks for
    assert answer.headers["Content-Type"].startswith("text/javascript")
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert "Cookie" not in answer.headers.get("Vary", "")
    assert '"not a lung slice": "keine Lungenschicht"' in answer.content.decode()


def test_it_holds_our_words_alone(client, db):
    answer = client.get(words_of(client.get("/accounts/login/", headers=GERMAN).content.decode()))
    assert "Filter" not in answer.content.decode()  # the administration's


def test_another_catalogue_than_the_present_one_is_not_found(client, db):
    for language, digest in (("de", "0123456789ab"), ("en-gb", "None"), ("xx", "None")):
        assert client.get(reverse("script_words", args=[language, digest])).status_code == 404


def test_nothing_is_remembered_of_languages_that_there_are_not(client, db):
    remembered = script_words._digest.cache_info().currsize
    for number in range(3):
        client.get(reverse("script_words", args=[f"x{number}", "None"]))
    assert script_words._digest.cache_info().currsize == remembered


def test_it_holds_every_sentence_of_the_scripts(client, db):
    catalogue = client.get(words_of(client.get("/accounts/login/", headers=GERMAN).content.decode())).content.decode()
    marked = [
        sentence
        for script in (ROOT / "static/src").rglob("*.ts")
        for sentence in re.findall(r"gettext\('([^']+)'", script.read_text())
    ]
    assert len(marked) > 40
    assert [
        sentence for sentence in marked if f"{json.dumps(sentence)}: " not in catalogue
    ] == []  # xgettext reads no TypeScript
