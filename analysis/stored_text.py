"""Sentences that were stored in English, told in the language of the reader.

What workers write into the database is a msgid of the catalogue as it is, or one with holes that ``str.format`` filled:
``The series has {count} slices.`` So the catalogue itself says how a stored sentence is translated. What stands in a
hole is kept; ``{reason!s}`` says that it is a sentence, or a list of words, of our own, and translated too.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache

from django.utils import formats, translation
from django.utils.translation import gettext_noop, trans_real

HOLE = re.compile(r"\{(?P<name>\w+)(?P<ours>!s)?(?::(?P<spec>[^{}]*))?\}")
NUMBER = r"-?[\d,]+(?:\.\d+)?"
AND = gettext_noop(" and ")
LEAST_LETTERS = 5  # beside the holes: a shorter msgid would fit sentences that were not made from it


@dataclass(frozen=True)
class Template:
    """A msgid with holes. ``ours``: the holes whose words are translated; ``numbers``: those that hold digits."""

    pattern: re.Pattern[str]
    translation: str
    ours: frozenset[str]
    numbers: frozenset[str]
    letters: int


def stored_text(text: str) -> str:
    """A stored sentence in the active language; as it is where the catalogue does not know it."""
    return _translated(text, translation.get_language() or "en")


@lru_cache(maxsize=4096)
def _translated(text: str, language: str) -> str:
    messages = _messages(language)
    if text in messages:
        return messages[text]
    for template in _templates(language):
        if match := template.pattern.fullmatch(text):
            return _filled(template, match.groupdict(), language)
    return text


def _filled(template: Template, parts: dict[str, str], language: str) -> str:
    words = {name: _part(template, name, part, language) for name, part in parts.items()}
    return HOLE.sub(lambda hole: words[hole["name"]], template.translation)


def _part(template: Template, name: str, part: str, language: str) -> str:
    """What stood in a hole, as the reader's language writes it."""
    if name in template.ours:
        whole = _translated(part, language)
        return _listed(part, _messages(language)) if whole == part else whole
    if name in template.numbers:
        decimals = len(part.partition(".")[2])
        return formats.number_format(part.replace(",", ""), decimals, use_l10n=True, force_grouping="," in part)
    with suppress(ValueError):
        return formats.date_format(datetime.strptime(part, "%d %b %Y"), "DATE_FORMAT")
    return part


def _listed(words: str, messages: dict[str, str]) -> str:
    """``name, birth date and patient ID``: each by itself."""
    return "".join(messages.get(word, word) for word in re.split(f"(, |{AND})", words))


@cache
def _messages(language: str) -> dict[str, str]:
    """The msgids of the catalogue without plural and context, with their translations."""
    return {
        msgid: text
        for msgid, text in trans_real.translation(language)._catalog.items()
        if isinstance(msgid, str) and msgid and "\x04" not in msgid and text
    }


@cache
def _templates(language: str) -> list[Template]:
    """Of the msgids with holes, those with the most letters beside them first."""
    return sorted(_with_holes(_messages(language)), key=lambda template: -template.letters)


def _with_holes(messages: dict[str, str]) -> Iterator[Template]:
    for msgid, text in messages.items():
        holes = {hole["name"]: hole for hole in HOLE.finditer(msgid)}
        letters = sum(sign.isalpha() for sign in HOLE.sub("", msgid))
        if not holes or letters < LEAST_LETTERS:
            continue
        ours = frozenset(name for name, hole in holes.items() if hole["ours"])
        numbers = frozenset(name for name, hole in holes.items() if hole["spec"])
        yield Template(re.compile(_pattern(msgid, numbers), re.DOTALL), text, ours, numbers, letters)


def _pattern(msgid: str, numbers: frozenset[str]) -> str:
    """What fits a sentence made from the msgid; a hole that comes twice holds the same both times."""
    pattern, end, seen = "", 0, set[str]()
    for hole in HOLE.finditer(msgid):
        name = hole["name"]
        content = NUMBER if name in numbers else ".+?"
        pattern += re.escape(msgid[end : hole.start()])
        pattern += f"(?P={name})" if name in seen else f"(?P<{name}>{content})"
        seen.add(name)
        end = hole.end()
    return pattern + re.escape(msgid[end:])
