"""Finding patients by what a user types, in SQLite and PostgreSQL alike."""

import re
import unicodedata
from typing import Any

from django.db.models import QuerySet

_BETWEEN_WORDS = re.compile(r"[\s\0,^=]+")  # also what stands between the parts of a DICOM name


def searchable(*texts: str) -> str:
    """The words of the texts without case and accents, one space between them: what ``Patient.search_text`` holds."""
    letters = unicodedata.normalize("NFKD", " ".join(texts))
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter)).casefold()
    return " ".join(_BETWEEN_WORDS.split(plain)).strip()


def matching(patients: QuerySet[Any], text: str) -> QuerySet[Any]:
    """Those whose name or ID holds each word of ``text``, in any order; all for an empty text."""
    for word in searchable(text).split():
        patients = patients.filter(search_text__contains=word)
    return patients
