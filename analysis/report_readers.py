"""What readers said, in print: their signed reports, the slices on which they overrule the networks, and every word."""

from collections.abc import Iterator
from typing import Any

from reportlab.platypus import Flowable, Spacer

from . import formats
from .finding_reviews import reviewed
from .models import Analysis, Reading, SliceCorrection
from .report_style import FAINT, GAP, RULE, WIDTH, heading, paragraph, table

SHOWN_NUMBERS = 12  # of slices that a sentence names
HEAD = ("Of", "The networks", "The reader", "By, when", "Reason")
SHARES = (0.14, 0.2, 0.14, 0.22, 0.3)  # of the width, for each column


def signed_readings(analysis: Analysis) -> list[Flowable]:
    """What readers signed, the report first; no draft."""
    parts: list[Flowable] = []
    for each in _signed(analysis):
        kind = "Report" if each.version == 1 else f"Addendum (version {each.version})"
        of_other = "" if each.analysis_id == analysis.pk else ", on another result than this one"
        otherwise = "" if each.suspected == analysis.suspected else ", otherwise than the networks"
        reason = f" {each.reason}" if each.overrules else ""
        when = formats.moment_text(each.signed_at, _time_zone(analysis))
        parts += [
            paragraph(f"{kind}, signed by {_name(each.reader)} on {when}{of_other}", 7.5, FAINT),
            paragraph(f"The reader decides: {_decision(each.suspected)}{otherwise}.{reason}", 8.5, bold=True),
            *(paragraph(line, 8.5) for line in each.impression.splitlines()),
        ]
    return [Spacer(0, GAP / 2), *parts] if parts else []


def overruled_slices(analysis: Analysis) -> list[Flowable]:
    """A sentence on the slices of which readers say otherwise than the networks."""
    overruled = [(number, said) for number, of_slice, said in _corrected(analysis) if _overrules(of_slice, said)]
    if not overruled:
        return []
    count = f"{len(overruled)} slice{'' if len(overruled) == 1 else 's'} overruled by readers"
    groups = [
        f"{len(numbers)} {word} ({_listed(numbers)})"
        for word, abnormal in (("normal", False), ("abnormal", True))
        if (numbers := [number for number, said in overruled if said.abnormal == abnormal])
    ]
    return [paragraph(f"{count}: {', '.join(groups)}. The numbers stay those of the networks.", 8)]


def _listed(numbers: list[int]) -> str:
    """``slices 6, 7``; of many the first."""
    named = ", ".join(map(str, numbers[:SHOWN_NUMBERS]))
    return f"slice{'' if len(numbers) == 1 else 's'} {named}{', …' if len(numbers) > SHOWN_NUMBERS else ''}"


def words_section(analysis: Analysis) -> list[Flowable]:
    """Each word that counts, with who said it, when and why: on the case, on slices, on findings."""
    rows = [*_on_the_case(analysis), *_on_slices(analysis), *_on_findings(analysis)]
    if not rows:
        return [*heading("What readers say"), paragraph("No reader has said anything of this result yet.")]
    head = [paragraph(text, 7, FAINT) for text in HEAD]
    cells = [[paragraph(text, 7.5) for text in row] for row in rows]
    grid = table(
        [head, *cells],
        [WIDTH * share for share in SHARES],
        ("LINEBELOW", (0, 0), (-1, -1), 0.4, RULE),
        pad=3,
        repeat_head=True,
    )
    note = "The newest word on a slice or finding counts and is listed. The numbers stay those of the networks."
    return [*heading("What readers say"), grid, Spacer(0, 3), paragraph(note, 7.5, FAINT)]


Row = tuple[str, str, str, str, str]  # as HEAD


def _on_the_case(analysis: Analysis) -> Iterator[Row]:
    for each in _signed(analysis):
        of_other = "" if each.analysis_id == analysis.pk else " (another result)"
        yield (
            f"The case, version {each.version}",
            _decision(each.analysis.suspected) + of_other,
            _decision(each.suspected),
            _who_and_when(analysis, each.reader, each.signed_at),
            each.reason,
        )


def _on_slices(analysis: Analysis) -> Iterator[Row]:
    for number, of_slice, said in _corrected(analysis):
        rated = of_slice["probability"] is not None
        networks = f"{_rating(of_slice['positive'])}, probability {formats.ratio_text(of_slice['probability'])}"
        yield (
            f"Slice {number}",
            networks if rated else "not rated: no lung",
            f"{_rating(said.abnormal)}{', overruled' if _overrules(of_slice, said) else ''}",
            _who_and_when(analysis, said.user, said.created_at),
            said.reason,
        )


def _on_findings(analysis: Analysis) -> Iterator[Row]:
    for each in reviewed(analysis):
        if each.review:
            yield (
                f"Finding {each.number}",
                formats.finding_words(each.finding) if each.finding else formats.DASH,
                formats.review_words(each) if each.finding or not each.present else "marked",
                _who_and_when(analysis, each.review.user, each.review.created_at),
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
    return "abnormal" if abnormal else "normal"


def _decision(suspected: bool | None) -> str:
    return "suspected" if suspected else "not suspected"


def _who_and_when(analysis: Analysis, user: Any, moment: Any) -> str:
    return f"{_name(user)}, {formats.moment_text(moment, _time_zone(analysis))}"


def _name(user: Any) -> str:
    return user.get_username() if user else "a user who was deleted"


def _time_zone(analysis: Analysis) -> str:
    return analysis.series.study.patient.site.time_zone
