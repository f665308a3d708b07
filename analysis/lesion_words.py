"""What became of lesions between two scans, in words: for pages, report and the proposed text.

A lesion of a comparison is one of ``finding_reviews.reviewed_change``.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext, gettext_lazy, ngettext, pgettext

from . import words
from .formats import DASH, amount_text, change_text, number_text, volume_text

if TYPE_CHECKING:
    from .models import Finding

NEWS = ("new", "grown")
"""Statuses of a lesion that ask for a look, whatever the score says."""
MAX_NAMED = 3  # lesions that texts name one by one
SMALL_ML = 0.3  # below it a nodule is not worked up at once: European position statement on lung cancer screening, 2017
NO_LESION = gettext_lazy("no nodule or focal opacity in either scan")


def lesions_by_status(change: dict[str, Any]) -> list[dict[str, Any]]:
    """The lesions of a comparison, those that changed first."""
    order = list(words.LESION_STATUS)
    return sorted(change["lesions"], key=lambda lesion: order.index(lesion["status"]))


def lesion_words(lesion: dict[str, Any]) -> str:
    """One lesion of a comparison: ``Finding 2: grown``, ``Resolved: nodule, left lung, upper third``."""
    status = lesion["status"]
    if lesion["number"] is None:
        return str(words.GONE[status] % {"lesion": lesion_place(lesion), "part_of": lesion["part_of"]})
    seen = words.SEEN_NOW.get(status, words.LESION_STATUS[status])
    return gettext("Finding %(number)s: %(status)s") % {"number": lesion["number"], "status": seen}


def status_words(status: str) -> str:
    """What became of a lesion (``pipeline/lesion_change.py``, ``lesions.py``) in a word or two."""
    return str(words.LESION_STATUS.get(status, words.NOT_COMPARED))


def instead_words(status: str) -> str:
    """What a CT shows at the place of a lesion that is no finding there (``lesions.Sighting.instead``)."""
    return str(words.INSTEAD[status])


def kinds_words(findings: Sequence["Finding"]) -> str:
    """What a lesion is where it is largest: on other CTs its size may make it another."""
    return str(words.KINDS[max(findings, key=lambda finding: finding.volume_ml).kind])


def places_words(findings: Sequence["Finding"]) -> str:
    """Where a lesion lies, as the page of each of its CTs says it: ``left lung, upper third``; each place once."""
    return " · ".join(dict.fromkeys(str(words.PLACES[finding.lung, finding.zone]) for finding in findings))


def volume_course(findings: Sequence["Finding"]) -> str:
    """``4.99 → 13.41 ml, +169 %``: of the first of a lesion's findings and the last; of one ``4.99 ml``."""
    then, now = findings[0].volume_ml, findings[-1].volume_ml
    if len(findings) == 1:
        return f"{amount_text(now, 2)} ml"
    return f"{amount_text(then, 2)} → {amount_text(now, 2)} ml, {change_text(now / then)}"


def lesion_place(lesion: dict[str, Any]) -> str:
    """What and where one lesion of a comparison is: ``nodule, left lung, upper third``."""
    return f"{words.KINDS[lesion['kind']]}, {words.PLACES[lesion['lung'], lesion['zone']]}"


def lesion_measures(lesion: dict[str, Any]) -> str:
    """Numbers of its findings, volumes and their change: ``#2 0.52 ml → #1 1.21 ml, +133 %, volume doubling time 74
    days``, ``#4 0.40 ml → –``."""
    then, now = (
        DASH if number is None else f"#{number} {amount_text(ml, 2)} ml"
        for number, ml in (
            (lesion["prior_number"], lesion["prior_volume_ml"]),
            (lesion["number"], lesion["volume_ml"]),
        )
    )
    percent, days = lesion["volume_change_percent"], lesion["doubling_time_days"]
    parts = [f"{then} → {now}"]
    if lesion.get("cut") and lesion["status"] != "cut off":
        parts.append(gettext("cut off by the end of a CT and compared as far as both reach"))
    if percent is not None:
        parts.append(change_text(1 + percent / 100))
    if days is not None:
        parts.append(gettext("volume doubling time %(days)s days") % {"days": number_text(days, 0)})
    return ", ".join(parts)


def lesion_counts(change: dict[str, Any]) -> str:
    """``2 new, 1 grown, 4 unclear (3 below 0.3 ml)``, without those that readers rejected
    (``finding_reviews.reviewed_change``); for none ``no nodule or focal opacity in either scan``."""
    by_status: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for each in change["lesions"]:
        if not is_rejected(each):
            by_status[each["status"]].append(each)
    said = [_count(by_status[status], status) for status in words.LESION_STATUS if status in by_status]
    return ", ".join(said) or str(NO_LESION)


def _count(lesions: list[dict[str, Any]], status: str) -> str:
    """Of those that are unclear most may be small, and vessels: their number stands apart."""
    said = f"{len(lesions)} {words.LESION_STATUS[status]}"
    if status != "unclear":
        return said
    small = sum(max(each["volume_ml"] or 0.0, each["prior_volume_ml"] or 0.0) < SMALL_ML for each in lesions)
    if not small:
        return said
    all_small = gettext("%(unclear)s (below %(ml)s ml)")
    some_small = gettext("%(unclear)s (%(small)s below %(ml)s ml)")
    counted = {"unclear": said, "small": small, "ml": number_text(SMALL_ML, 1)}
    return (all_small if small == len(lesions) else some_small) % counted


def news_in_short(change: dict[str, Any]) -> str:
    """The largest lesions that are new or have grown, of those that count, each in a sentence; "" for none."""
    worse = [each for each in change["lesions"] if each["status"] in NEWS and not is_rejected(each)]
    largest = sorted(worse, key=lambda each: -each["volume_ml"])[:MAX_NAMED]
    return " ".join(f"{lesion_words(each)} ({lesion_measures(each)})." for each in largest)


def news_words(counts: Mapping[str, int]) -> str:
    """``1 new, 2 grown``: what ``lesions.news`` counts of a result."""
    return ", ".join(f"{counts[status]} {word}" for status, word in words.LESION_STATUS.items() if status in counts)


def is_rejected(lesion: dict[str, Any]) -> bool:
    """Whether a lesion of a comparison does not count: its finding was rejected, on the later CT where it has one."""
    return lesion["rejected_then"] if lesion["number"] is None else lesion["rejected"]


def rejection_words(lesion: dict[str, Any]) -> str:
    """What readers rejected of a lesion of a comparison; "" for nothing."""
    if lesion["rejected"]:
        return pgettext("lesion", "rejected by a reader")
    return pgettext("lesion", "rejected by a reader on the CT before") if lesion["rejected_then"] else ""


def rejected_note(change: dict[str, Any]) -> str:
    """How many lesions the counts leave out, for a word on either CT; "" for none."""
    count = sum(map(is_rejected, change["lesions"]))
    sentence = ngettext(
        "%(count)s that a reader rejected on one of the two CTs is not counted.",
        "%(count)s that a reader rejected on one of the two CTs are not counted.",
        count,
    )
    return sentence % {"count": count} if count else ""


def opacity_change_words(change: dict[str, Any]) -> str:
    """``120 ml newly opaque or denser and 35 ml cleared or less dense beyond 3 mm, 80 ml as before``."""
    sentence = gettext(
        "%(worse)s newly opaque or denser and %(better)s cleared or less dense beyond 3 mm, %(unchanged)s as before"
    )
    return sentence % {name: volume_text(change[f"{name}_ml"]) for name in ("worse", "better", "unchanged")}
