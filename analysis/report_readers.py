"""What readers said, in print: their signed reports, the slices on which they overrule the networks, and every word."""

from collections.abc import Iterator
from typing import Any

from django.utils.translation import gettext, gettext_lazy, ngettext, pgettext, pgettext_lazy
from reportlab.platypus import Flowable, Spacer

from . import formats
from .finding_reviews import reviewed
from .models import Analysis, Reading, SliceCorrection
from .report_style import FAINT, GAP, RULE, WIDTH, heading, paragraph, table

SHOWN_NUMBERS = 12  # of slices that a sentence names
HEAD = (
    pgettext_lazy("what a reader says", "Of"),
    gettext_lazy("The networks"),
    gettext_lazy("The reader"),
    gettext_lazy("By, when"),
    gettext_lazy("Reason"),
)
SHARES = (0.14, 0.2, 0.14, 0.22, 0.3)  # of the width, for each column


def signed_readings(analysis: Analysis) -> list[Flowable]:
    """What readers signed, the report first, or that nobody signed anything; no draft."""
    parts: list[Flowable] = []
    decided = ""
    for each in _signed(analysis):
        parts.append(paragraph(_signature(analysis, each), 7.5, FAINT))
        before, decided = decided, f"{formats.decided_words(each, analysis)} {each.reason if each.overrules else ''}"
        if decided != before:  # an addendum mostly keeps the decision
            parts.append(paragraph(decided, 8.5, bold=True))
        parts += [paragraph(line, 8.5) for line in each.impression.splitlines()]
    if not parts:
        parts.append(paragraph(gettext("No reader has signed a report on this CT yet."), 8.5, bold=True))
    elif _said_later(analysis):
        later = gettext(
            "Since the last signature readers said more of slices or findings: what is printed of these is newer than "
            "what was signed."
        )
        parts.append(paragraph(later, 8, bold=True))
    return [Spacer(0, GAP / 2), *parts]


def _said_later(analysis: Analysis) -> bool:
    """Whether a reader said something of a slice or a finding after the last signature."""
    *_, last = _signed(analysis)
    later = {"created_at__gt": last.signed_at}
    return analysis.corrections.filter(**later).exists() or analysis.finding_reviews.filter(**later).exists()


def _signature(analysis: Analysis, signed: Reading) -> str:
    if signed.version == 1:
        words = gettext("Report, signed by %(who)s on %(when)s")
    else:
        words = gettext("Addendum (version %(version)s), signed by %(who)s on %(when)s")
    when = formats.moment_text(signed.signed_at, _time_zone(analysis))
    said = words % {"version": signed.version, "who": formats.signer_words(signed), "when": when}
    if signed.analysis_id == analysis.pk:
        return said
    return gettext("%(signed)s, on another result than this one") % {"signed": said}


def overruled_slices(analysis: Analysis) -> list[Flowable]:
    """A sentence on the slices of which readers say otherwise than the networks."""
    overruled = [(number, said) for number, of_slice, said in _corrected(analysis) if _overrules(of_slice, said)]
    if not overruled:
        return []
    counted = ngettext(
        "%(count)s slice overruled by readers: %(groups)s. The numbers stay those of the networks.",
        "%(count)s slices overruled by readers: %(groups)s. The numbers stay those of the networks.",
        len(overruled),
    )
    groups = [
        f"{len(numbers)} {_rating(abnormal)} ({_listed(numbers)})"
        for abnormal in (False, True)
        if (numbers := [number for number, said in overruled if said.abnormal == abnormal])
    ]
    return [paragraph(counted % {"count": len(overruled), "groups": ", ".join(groups)}, 8)]


def _listed(numbers: list[int]) -> str:
    """``slices 6, 7``; of many the first."""
    named = ", ".join([*map(str, numbers[:SHOWN_NUMBERS]), *(["…"] if len(numbers) > SHOWN_NUMBERS else [])])
    return ngettext("slice %(numbers)s", "slices %(numbers)s", len(numbers)) % {"numbers": named}


def words_section(analysis: Analysis) -> list[Flowable]:
    """Each word that counts, with who said it, when and why: on the case, on slices, on findings."""
    rows = [*_on_the_case(analysis), *_on_slices(analysis), *_on_findings(analysis)]
    if not rows:
        return [
            *heading(gettext("What readers say")),
            paragraph(gettext("No reader has said anything of this result yet.")),
        ]
    head = [paragraph(text, 7, FAINT) for text in HEAD]
    cells = [[paragraph(text, 7.5) for text in row] for row in rows]
    grid = table(
        [head, *cells],
        [WIDTH * share for share in SHARES],
        ("LINEBELOW", (0, 0), (-1, -1), 0.4, RULE),
        pad=3,
        repeat_head=True,
    )
    note = gettext(
        "The newest word on a slice or finding counts and is listed. The numbers stay those of the networks."
    )
    return [*heading(gettext("What readers say")), grid, Spacer(0, 3), paragraph(note, 7.5, FAINT)]


Row = tuple[str, str, str, str, str]  # as HEAD


def _on_the_case(analysis: Analysis) -> Iterator[Row]:
    for each in _signed(analysis):
        networks = formats.decision_text(each.analysis.suspected)
        if each.analysis_id != analysis.pk:
            networks = gettext("%(decision)s (another result)") % {"decision": networks}
        yield (
            gettext("The case, version %(version)s") % {"version": each.version},
            networks,
            formats.decision_text(each.suspected),
            _who_and_when(analysis, formats.signer_words(each), each.signed_at),
            each.reason,
        )


def _on_slices(analysis: Analysis) -> Iterator[Row]:
    for number, of_slice, said in _corrected(analysis):
        reader = _rating(said.abnormal)
        yield (
            gettext("Slice %(number)s") % {"number": number},
            _rated(of_slice),
            gettext("%(rating)s, overruled") % {"rating": reader} if _overrules(of_slice, said) else reader,
            _who_and_when(analysis, formats.user_words(said.user), said.created_at),
            said.reason,
        )


def _on_findings(analysis: Analysis) -> Iterator[Row]:
    for each in reviewed(analysis):
        if each.review:
            yield (
                gettext("Finding %(number)s") % {"number": each.number},
                formats.finding_words(each.finding) if each.finding else formats.DASH,
                formats.review_words(each) if each.finding or not each.present else pgettext("review", "marked"),
                _who_and_when(analysis, formats.user_words(each.review.user), each.review.created_at),
                each.review.reason,
            )


def _signed(analysis: Analysis) -> Any:
    signed = analysis.series.study.readings.filter(state=Reading.State.SIGNED)
    return signed.select_related("reader", "analysis").order_by("version").defer("analysis__report")


def _corrected(analysis: Analysis) -> Iterator[tuple[int, dict[str, Any], SliceCorrection]]:
    """Number, result and word of each slice of which a reader said something, head to feet."""
    newest = analysis.newest_corrections()
    for number, of_slice in enumerate(analysis.report["slices"], start=1):
        if said := newest.get(of_slice["sop_instance_uid"]):
            yield number, of_slice, said


def _overrules(of_slice: dict[str, Any], said: SliceCorrection) -> bool:
    return said.abnormal != (of_slice["positive"] is True)


def _rating(abnormal: bool) -> str:
    return pgettext("slice", "abnormal") if abnormal else pgettext("slice", "normal")


def _rated(of_slice: dict[str, Any]) -> str:
    if of_slice["probability"] is None:
        return gettext("not rated: no lung")
    return gettext("%(rating)s, probability %(probability)s") % {
        "rating": _rating(of_slice["positive"]),
        "probability": formats.ratio_text(of_slice["probability"]),
    }


def _who_and_when(analysis: Analysis, who: str, moment: Any) -> str:
    return f"{who}, {formats.moment_text(moment, _time_zone(analysis))}"


def _time_zone(analysis: Analysis) -> str:
    return analysis.series.study.patient.site.time_zone
