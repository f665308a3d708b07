"""What the page "Help" shows: what the numbers mean, and the user's part of docs/guide.md."""

import re
from functools import cache
from pathlib import Path
from typing import Any

from django.utils.safestring import SafeString

from .about import rendered
from .meanings import meanings

GUIDE = Path(__file__).parent.parent / "docs" / "guide.md"
_FOR_CLINICIANS = re.compile(r"^## For clinicians\n(.*?)(?=^## |\Z)", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\[([^]]+)]\([^)]+\)")  # to files beside the guide, which no address of the site serves


@cache
def guide() -> SafeString:
    """The user's part of the guide as HTML; links are plain text."""
    part = _FOR_CLINICIANS.search(GUIDE.read_text())[1]
    return rendered(_LINK.sub(r"\1", part))


def page() -> dict[str, Any]:
    """The template's context."""
    return {"meanings": meanings(), "guide": guide() if GUIDE.is_file() else ""}
