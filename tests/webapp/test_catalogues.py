"""The German catalogues are complete, hold what the code says now, and lose nothing that is filled in."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from tests.conftest import ROOT
from tests.servers import program

DOMAINS = ("django", "djangojs")
PLACEHOLDER = re.compile(r"%\((\w+)\)|\{(\w+)[}!:]|<(/?\w+)")


def catalogue(domain, root=ROOT):
    with (root / "locale" / "de" / "LC_MESSAGES" / f"{domain}.po").open("rb") as file:
        return [message for message in read_po(file, locale="de", domain=domain) if message.id]


def msgids(messages):
    return {(message.context, message.id if isinstance(message.id, str) else tuple(message.id)) for message in messages}


def forms(text):
    return [text] if isinstance(text, str) else list(text)


@pytest.fixture(scope="module")
def renewed(tmp_path_factory):
    """A copy of the code whose catalogues were made anew from it."""
    program("xgettext")
    copy = tmp_path_factory.mktemp("renewed") / "code"
    left_out = shutil.ignore_patterns(".*", "node_modules", "dist", "var", "tests", "docs", "weights", "__pycache__")
    shutil.copytree(ROOT, copy, ignore=left_out)
    done = subprocess.run(
        ["make", "-s", "-o", ".venv/run.stamp", f"BIN={Path(sys.executable).parent}", "messages"],
        cwd=copy,
        env=os.environ,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return copy


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_catalogue_holds_what_the_code_says_now(renewed, domain):
    assert msgids(catalogue(domain, renewed)) == msgids(catalogue(domain)), "run `make messages`"


@pytest.mark.parametrize("domain", DOMAINS)
def test_every_message_is_translated(domain):
    messages = catalogue(domain)
    assert len(messages) > 40
    assert [message.id for message in messages if message.fuzzy or not all(forms(message.string))] == []


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_translation_fills_in_what_its_message_does(domain):
    def filled(text):
        return Counter(PLACEHOLDER.findall(text))

    for message in catalogue(domain):
        expected = [filled(form) for form in forms(message.id)]
        for form in forms(message.string):
            assert filled(form) in expected, form
