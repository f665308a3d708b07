"""Sentences that were stored in English, told in the language of the reader.

What workers write into the database is a msgid of the catalogue as it is, or one with holes, such as ``The series has
{count} slices.``, filled by ``str.format``. So the catalogue itself says how a stored sentence is translated.
"""

import re
from dataclasses import dataclass
from functools import cache, lru_cache

from django.utils import formats, translation
from django.utils.translation import trans_real

HOLE = re.compile(r"\{(\w+)(?::([^{}]*))?\}")
LEAST_LETTERS = 8  # beside the holes: a shorter msgid would fit sentences that were not made from it


@dataclass(frozen=True)
class Template:
    """A msgid with holes. ``numbers``: the holes that ``str.format`` filled with digits and decimal point."""

    pattern: re.Pattern[str]
    translation: str
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
    """The translated template, its holes filled with the parts of the stored sentence; a part may be one itself."""
    words = {
        name: _number(part) if name in template.numbers else _translated(part, language) if " " in part else part
        for name, part in parts.items()
    }
    return HOLE.sub(lambda hole: words[hole[1]], template.translation)


def _number(digits: str) -> str:
    """``1,024.50`` as it is written in the active language."""
    decimals = len(digits.partition(".")[2])
    return formats.number_format(digits.replace(",", ""), decimals, use_l10n=True, force_grouping="," in digits)


@cache
def _messages(language: str) -> dict[str, str]:
    """The msgids of the catalogue without plural and context, with their translations."""
    return {
        msgid: text
        for msgid, text in trans_real.translation(language)._catalog.items()
        if isinstance(msgid, str) and "\x04" not in msgid and text
    }


@cache
def _templates(language: str) -> list[Template]:
    """The msgids with holes, those with the most letters beside them first."""
    found = [_template(msgid, text) for msgid, text in _messages(language).items() if HOLE.search(msgid)]
    return sorted((each for each in found if each.letters >= LEAST_LETTERS), key=lambda each: -each.letters)


def _template(msgid: str, text: str) -> Template:
    pattern, seen, end = "", set(), 0
    for hole in HOLE.finditer(msgid):
        pattern += re.escape(msgid[end : hole.start()])
        pattern += f"(?P={hole[1]})" if hole[1] in seen else f"(?P<{hole[1]}>.+?)"
        seen.add(hole[1])
        end = hole.end()
    pattern += re.escape(msgid[end:])
    numbers = frozenset(hole[1] for hole in HOLE.finditer(msgid) if hole[2])
    letters = sum(sign.isalpha() for sign in HOLE.sub("", msgid))
    return Template(re.compile(pattern, re.DOTALL), text, numbers, letters)
