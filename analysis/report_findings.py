"""Findings in print: the largest in a sentence, all of them with a picture each, and what became of the lesions."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from django.utils.translation import gettext, gettext_lazy, ngettext
from reportlab.platypus import Flowable, Spacer

from . import formats, lesion_words
from .finding_reviews import ReviewedFinding, reviewed, reviewed_change
from .models import Analysis, Comparison
from .report_images import SliceImage, finding_images
from .report_pictures import Picture
from .report_style import FAINT, GAP, RULE, WIDTH, heading, paragraph, table
from .stored_text import stored_text

MAX_IN_SHORT = 3  # that the page for the ward has room for
MAX_PICTURES = 24  # each is a slice to decode
PICTURE_WIDTH = 113.0
LESION_HEAD = (gettext_lazy("Lesion"), gettext_lazy("What and where"), gettext_lazy("Number and volume then → now"))


def findings_in_short(analysis: Analysis, findings: Sequence[ReviewedFinding]) -> list[Flowable]:
    """The largest of its findings that count, and what readers say of them."""
    counting = [each for each in findings if each.present]
    if analysis.report["findings"] is None and not counting:
        return [Spacer(0, GAP / 2), paragraph(gettext("Findings: not looked for by the networks of that time."), 8)]
    words = [f"#{each.number} {_in_short(each)}" for each in _largest(counting, MAX_IN_SHORT)]
    if len(counting) > MAX_IN_SHORT:
        words.append(gettext("and %(count)s smaller") % {"count": len(counting) - MAX_IN_SHORT})
    if count := sum(each.finding is not None and not each.present for each in findings):
        sentence = ngettext(
            "%(count)s finding of the networks rejected by a reader",
            "%(count)s findings of the networks rejected by a reader",
            count,
        )
        words.append(sentence % {"count": count})
    if not words:
        return [Spacer(0, GAP / 2), paragraph(formats.no_findings_words(analysis), 8)]
    return [Spacer(0, GAP / 2), paragraph(gettext("Findings: %(named)s.") % {"named": "; ".join(words)}, 8)]


def _largest(findings: Sequence[ReviewedFinding], most: int) -> list[ReviewedFinding]:
    return sorted(findings, key=lambda each: -each.long_axis_mm)[:most]


def _in_short(each: ReviewedFinding) -> str:
    if each.finding is None:
        return formats.finding_in_short(each)
    said = f"{formats.finding_words(each.finding)}: {formats.finding_measures(each.finding)}"
    return gettext("%(finding)s, a reader agrees") % {"finding": said} if each.review else said


def findings_section(analysis: Analysis) -> list[Flowable]:
    """All findings, those that a reader rejected too, with measures and a picture of the largest."""
    findings = reviewed(analysis)
    if not findings:
        none = formats.no_findings_words(analysis)
        if analysis.report["findings"] is None:
            none = gettext("Not looked for by the networks of that time.")
        return [*heading(gettext("Findings")), paragraph(none)]
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
    notes = [gettext("Green: the outline that was measured; a ring as wide as the long axis where it made none.")]
    if len(findings) > MAX_PICTURES:
        of_some = gettext("Pictures of the %(shown)s largest of %(all)s.")
        notes.append(of_some % {"shown": MAX_PICTURES, "all": len(findings)})
    title = heading(gettext("Findings (%(count)s)") % {"count": formats.findings_count(findings)})
    return [*title, paragraph(" ".join(notes), 7.5, FAINT), Spacer(0, 3), grid]


def _card(each: ReviewedFinding, image: SliceImage | None) -> list[object]:
    """Its picture, and the words beside it."""
    if each.finding:
        what, measures = formats.finding_words(each.finding), formats.finding_measures(each.finding)
    else:
        what = gettext("Marked by a reader")
        measures = gettext("long axis %(mm)s mm") % {"mm": formats.number_text(each.long_axis_mm, 1)}
    place = dict(zip("xyz", map(formats.position_text, each.centroid_mm), strict=True))
    if image:
        where = gettext("Slice %(number)s, at x %(x)s, y %(y)s, z %(z)s") % {"number": image.number, **place}
    else:
        where = gettext("At x %(x)s, y %(y)s, z %(z)s") % place
    words: list[Flowable] = [
        paragraph(f"{each.number}. {what}", 8, bold=True),
        paragraph(measures, 7.5),
        paragraph(where, 7, FAINT),
    ]
    if each.review:
        said = f"{formats.user_words(each.review.user)}: {formats.review_words(each)}"
        said = said if each.present else gettext("%(said)s; does not count") % {"said": said}
        words.append(paragraph(said, 7.5, bold=True))
    return [image and Picture(image, image.overlay, PICTURE_WIDTH), words]


def _what(lesion: dict[str, Any]) -> str:
    """What and where it is, unless it is gone, which ``lesion_words`` says itself; and what readers rejected."""
    what = "" if lesion["number"] is None else lesion_words.lesion_place(lesion)
    return "; ".join(filter(None, [what, lesion_words.rejection_words(lesion)]))


def change_section(comparison: Comparison | None) -> list[Flowable]:
    """What changed since the CT before, with every lesion of either."""
    if comparison is None:
        none = gettext("There is no earlier result of this patient to compare this one with.")
        return [*heading(gettext("Since the last CT")), paragraph(none)]
    day = formats.date_text(comparison.prior.series.study.study_date)
    title = heading(gettext("Since the last CT, %(day)s") % {"day": day})
    change = reviewed_change(comparison)
    if change is None:
        waiting = gettext("The two CTs are still being compared: print again later.")
        return [*title, paragraph(stored_text(comparison.error) or waiting)]
    rows = [
        [
            paragraph(lesion_words.lesion_words(lesion), 7.5, bold=lesion["status"] in lesion_words.NEWS),
            paragraph(_what(lesion), 7.5),
            paragraph(lesion_words.lesion_measures(lesion), 7.5),
        ]
        for lesion in lesion_words.lesions_by_status(change)
    ]
    head = [paragraph(text, 7, FAINT) for text in LESION_HEAD]
    lesions, opacity = lesion_words.lesion_counts(change), lesion_words.opacity_change_words(change)
    lines = [
        gettext("Lesions: %(lesions)s. Opacity: %(opacity)s.") % {"lesions": lesions, "opacity": opacity},
        *filter(None, [lesion_words.rejected_note(change)]),
        *(stored_text(flag["message"]) for flag in change["quality"]),
    ]
    grid = table(
        [head, *rows],
        [WIDTH * share for share in (0.36, 0.32, 0.32)],
        ("LINEBELOW", (0, 0), (-1, -1), 0.4, RULE),
        pad=3,
        repeat_head=True,
    )
    return [*title, *(paragraph(line, 8) for line in lines), *([Spacer(0, 3), grid] if rows else [])]
