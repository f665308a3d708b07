"""Header values as clean Python values; what is missing or makes no sense is None or empty."""

import math
import re
from datetime import date, time
from typing import Any

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

AGE_UNITS_PER_YEAR = {"D": 365, "W": 52, "M": 12, "Y": 1}


def read_date(text: str, *, earliest: date, latest: date) -> date | None:
    """YYYYMMDD, also with dots or dashes as older scanners and converters write it; None outside of the limits."""
    match = re.match(r"(\d{4})([.-]?)(\d\d)\2(\d\d)(?!\d)", text)
    try:
        day = date(int(match[1]), int(match[3]), int(match[4])) if match else None
    except ValueError:
        return None
    return day if day and earliest <= day <= latest else None


def read_time(text: str) -> time | None:
    """HHMMSS.FFFFFF, cut anywhere after HH, also with colons; a leap second counts as 59."""
    match = re.match(r"(\d\d):?(\d\d)?:?(\d\d)?(?:\.(\d{1,6}))?", text)
    if not match:
        return None
    hour, minute, second = (int(part or 0) for part in match.group(1, 2, 3))
    try:
        return time(hour, minute, min(second, 59), int((match[4] or "0").ljust(6, "0")))
    except ValueError:
        return None


def read_age(text: str) -> int | None:
    """Whole years of an Age String (PS3.5 6.2: ``039Y``, ``018M``, ``010W``, ``005D``); None where it is none, or 0, as
    some programs write for what they took out."""
    match = re.fullmatch(r"(\d{1,3})([DWMY])", text.upper())
    return int(match[1]) // AGE_UNITS_PER_YEAR[match[2]] if match and int(match[1]) else None


def text(dataset: Dataset, keyword: str, limit: int | None = None) -> str:
    """The value as one clean line; several values joined by a backslash as in the file."""
    value = dataset.get(keyword)
    if value is None:
        return ""
    words = value if isinstance(value, list | MultiValue) else [value]
    joined = "\\".join(str(word) for word in words)
    clean = "".join(sign if sign.isprintable() else " " for sign in joined)
    return " ".join(clean.split())[:limit]


def integer(dataset: Dataset, keyword: str) -> int | None:
    """A whole number that fits a database column, else None."""
    found = numbers(dataset, keyword, 1)
    return int(found[0]) if found and found[0] == int(found[0]) and abs(found[0]) < 2**31 else None


def numbers(dataset: Dataset, keyword: str, count: int) -> list[float] | None:
    """Exactly ``count`` finite numbers, else None."""
    try:
        value: Any = dataset.get(keyword)
        values = value if isinstance(value, list | MultiValue) else [value]
        found = [float(number) for number in values]
    except (TypeError, ValueError, OverflowError):
        return None
    return found if len(found) == count and all(map(math.isfinite, found)) else None
