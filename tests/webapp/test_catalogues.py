"""The German catalogues are complete, hold what the code says now, and lose nothing that is filled in."""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from tests.conftest import ROOT
from tests.servers import program

DOMAINS = ("django", "djangojs")
REASON_AT = {"Refused": 0, "damaged": 0, "UnusableSeries": 1}  # the argument that people read
SAID_TO_OPERATORS = {"find_series", "_deidentified"}  # only commands come there, and those speak English
HANDED_ON = "reply['message']"  # by a child process, which took it from the same code
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


def test_what_was_sent_has_one_german_name():
    """No page calls an upload Übertragung here and Sendung there."""
    said = [text for domain in DOMAINS for message in catalogue(domain) for text in forms(message.string)]
    assert any("Übertragung" in text for text in said)
    assert [text for text in said if re.search(r"\bSendung", text)] == []


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


def test_every_reason_for_refusing_a_file_or_series_can_be_translated():
    known = {message.id for message in catalogue("django")}
    folders = (ROOT / "patients", ROOT / "analysis", ROOT / "analysis" / "pipeline")
    said = [
        reason for folder in folders for path in sorted(folder.glob("*.py")) for reason in reasons(path.read_text())
    ]
    assert len(said) > 80
    assert [reason for reason in said if reason not in known] == [HANDED_ON]


def test_a_reason_that_is_not_marked_is_noticed():
    code = """
HELD = gettext_noop("Held.")
def check(name):
    sentence = gettext_noop("{n} held.")
    raise Refused(HELD if name else sentence.format(n=3), "held")
    raise UnusableSeries("bare", "A bare one.")
    raise UnusableSeries("made", f"Made of {name}.")
def find_series():
    raise UnusableSeries("told", "Told in a terminal.")
"""
    assert list(reasons(code)) == ["Held.", "{n} held.", "A bare one.", "f'Made of {name}.'"]


def reasons(code: str) -> Iterator[str]:
    """The sentences that the code gives to ``Refused`` and the like, source text where they are made otherwise."""
    tree = ast.parse(code)
    for function in tree.body:
        if getattr(function, "name", None) in SAID_TO_OPERATORS:
            continue
        named = assigned(tree.body) | assigned(ast.walk(function))
        for call in ast.walk(function):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in REASON_AT:
                yield from sentences(call.args[REASON_AT[call.func.id]], named)


def assigned(nodes: Iterable[ast.AST]) -> dict[str, list[ast.expr]]:
    found = defaultdict(list)
    for node in nodes:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id].append(node.value)
    return found


def sentences(reason: ast.expr, named: dict[str, list[ast.expr]]) -> Iterator[str]:
    match reason:
        case ast.Constant(value=str(sentence)):
            yield sentence
        case ast.Call(func=ast.Name(id="gettext_noop"), args=[sentence]):
            yield from sentences(sentence, named)
        case ast.Call(func=ast.Attribute(value=sentence, attr="format")):
            yield from sentences(sentence, named)
        case ast.IfExp(body=first, orelse=second):
            yield from sentences(first, named)
            yield from sentences(second, named)
        case ast.Name(id=name) if name in named:
            for value in named[name]:
                yield from sentences(value, named)
        case _:
            yield ast.unparse(reason)
