"""Findings in print: the largest in a sentence, all of them with a picture each, and what became of the lesions."""

from collections.abc import Collection, Sequence
from itertools import zip_longest
from typing import Any

from reportlab.platypus import Flowable, Spacer

from . import formats
from .finding_reviews import ReviewedFinding, rejected, reviewed
from .models import Analysis, Comparison
from .report_images import SliceImage, finding_images
from .report_pictures import Picture
from .report_style import FAINT, GAP, RULE, WIDTH, heading, paragraph, table

MAX_IN_SHORT = 3  # that the page for the ward has room for
MAX_PICTURES = 24  # each is a slice to decode
PICTURE_WIDTH = 113.0
NOT_LOOKED_FOR = "not looked for by the networks of that time"


def findings_in_short(analysis: Analysis) -> list[Flowable]:
    """The largest findings that count, and what readers say of them."""
    findings = reviewed(analysis)
    counting = [each for each in findings if each.present]
    if analysis.report["findings"] is None and not counting:
        return [Spacer(0, GAP / 2), paragraph(f"Findings: {NOT_LOOKED_FOR}.", 8)]
    words = [_in_short(each) for each in _largest(counting, MAX_IN_SHORT)]
    if len(counting) > MAX_IN_SHORT:
        words.append(f"and {len(counting) - MAX_IN_SHORT} smaller")
    if count := sum(each.finding is not None and not each.present for each in findings):
        words.append(f"{count} more of the networks rejected by a reader")
    text = f"Findings: {'; '.join(words) or 'no nodule or focal opacity'}."
    return [Spacer(0, GAP / 2), paragraph(text, 8)]


def _largest(findings: Sequence[ReviewedFinding], most: int) -> list[ReviewedFinding]:
    return sorted(findings, key=lambda each: -each.long_axis_mm)[:most]


def _in_short(each: ReviewedFinding) -> str:
    if each.finding is None:
        return formats.finding_in_short(each)
    agreed = ", a reader agrees" if each.review else ""
    return f"{formats.finding_words(each.finding)}: {formats.finding_measures(each.finding)}{agreed}"


def findings_section(analysis: Analysis) -> list[Flowable]:
    """All findings, those that a reader rejected too, with measures and a picture of the largest."""
    findings = reviewed(analysis)
    if not findings:
        none = "No nodule or focal opacity of 4 mm or more was found."
        looked = analysis.report["findings"] is not None
        return [*heading("Findings"), paragraph(none if looked else f"{NOT_LOOKED_FOR.capitalize()}.")]
    images = finding_images(analysis, _largest(findings, MAX_PICTURES))
    cards = [_card(each, images.get(each.number)) for each in findings]
    pairs = [[*one, *other] for one, other in zip_longest(cards[::2], cards[1::2], fillvalue=["", ""])]
    picture = PICTURE_WIDTH + GAP
    grid = table(
        pairs,
        [picture, WIDTH / 2 - picture, picture, WIDTH / 2 - picture],
        ("BOTTOMPADDING", (0, 0), (-1, -1), GAP),
        ("RIGHTPADDING", (0, 0), (-1, -1), 3),
    )
    note = "Green: the outline that the network measured; a ring as wide as the long axis where it made none."
    if len(findings) > MAX_PICTURES:
        note += f" Pictures of the {MAX_PICTURES} largest of {len(findings)}."
    return [*heading(f"Findings ({len(findings)})"), paragraph(note, 7.5, FAINT), Spacer(0, 3), grid]


def _card(each: ReviewedFinding, image: SliceImage | None) -> list[object]:
    """Its picture, and the words beside it."""
    what = formats.finding_words(each.finding) if each.finding else "Marked by a reader"
    measures = formats.finding_measures(each.finding) if each.finding else f"long axis {each.long_axis_mm:.1f} mm"
    x, y, z = (formats.position_text(mm) for mm in each.centroid_mm)
    at_slice = f"Slice {image.number}, at" if image else "At"
    words: list[Flowable] = [
        paragraph(f"{each.number}. {what}", 8, bold=True),
        paragraph(measures, 7.5),
        paragraph(f"{at_slice} x {x}, y {y}, z {z}", 7, FAINT),
    ]
    if each.review:
        who = each.review.user.get_username() if each.review.user else "a user who was deleted"
        counts = "" if each.present else "; does not count"
        words.append(paragraph(f"{who}: {formats.review_words(each)}{counts}", 7.5, bold=True))
    return [image and Picture(image, image.overlay, PICTURE_WIDTH), words]


def _what(lesion: dict[str, Any], without: Collection[int]) -> str:
    """Nothing for one that is gone, of which ``formats.lesion_words`` says it. ``without``: what readers rejected."""
    if lesion["number"] is None:
        return ""
    rejected_words = "; rejected by a reader" if lesion["number"] in without else ""
    return f"{lesion['kind']}, {lesion['lung']} lung, {lesion['zone']} third{rejected_words}"


def change_section(comparison: Comparison | None) -> list[Flowable]:
    """What changed since the CT before, with every lesion of either."""
    if comparison is None:
        none = "There is no earlier result of this patient to compare this one with."
        return [*heading("Since the last CT"), paragraph(none)]
    title = heading(f"Since the last CT, {formats.date_text(comparison.prior.series.study.study_date)}")
    change = comparison.change
    if change is None:
        return [*title, paragraph(comparison.error or "The two CTs are still being compared: print again later.")]
    without = rejected(comparison.analysis)
    rows = [
        [
            paragraph(formats.lesion_words(lesion), 7.5, bold=lesion["status"] in ("new", "grown")),
            paragraph(_what(lesion, without), 7.5),
            paragraph(formats.lesion_measures(lesion), 7.5),
        ]
        for lesion in formats.lesions_by_status(change)
    ]
    head = [paragraph(text, 7, FAINT) for text in ("Lesion", "What and where", "Volume then → now")]
    lines = [
        f"Lesions: {formats.lesion_counts(change, without)}. Opacity: {formats.opacity_change_words(change)}.",
        *(flag["message"] for flag in change["quality"]),
    ]
    grid = table(
        [head, *rows],
        [WIDTH * share for share in (0.36, 0.32, 0.32)],
        ("LINEBELOW", (0, 0), (-1, -1), 0.4, RULE),
        pad=3,
        repeat_head=True,
    )
    return [*title, *(paragraph(line, 8) for line in lines), *([Spacer(0, 3), grid] if rows else [])]
