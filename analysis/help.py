"""What the page "Help" shows: what the numbers mean, and the user's part of the guide, in docs/."""

import re
from functools import cache
from pathlib import Path
from typing import Any

from django.utils.safestring import SafeString
from django.utils.translation import get_language

from .about import rendered
from .meanings import meanings

GUIDES = Path(__file__).parent.parent / "docs"
_FOR_CLINICIANS = re.compile(r"^## .*?\n(.*?)(?=^## |\Z)", re.DOTALL | re.MULTILINE)  # the first chapter
_LINK = re.compile(r"\[([^]]+)]\([^)]+\)")  # to files beside the guide, which no address of the site serves


@cache
def guide(path: Path) -> SafeString:
    """The user's part of a guide as HTML; links are plain text."""
    part = _FOR_CLINICIANS.search(path.read_text())[1]
    return rendered(_LINK.sub(r"\1", part))


def page() -> dict[str, Any]:
    """The template's context; ``guide`` is in the user's language, or in English where there is none, or ""."""
    language = (get_language() or "en").split("-")[0]
    languages = {language: GUIDES / f"guide.{language}.md", "en": GUIDES / "guide.md"}
    written = next((each for each, path in languages.items() if path.is_file()), None)
    text = guide(languages[written]) if written else ""
    return {"meanings": meanings(), "guide": text, "guide_language": written, "translated": written == language}
