"""The report's further pages: what an archive or a second reader wants beyond the page for the ward."""

from collections.abc import Mapping, Sequence

from django.utils.translation import gettext, ngettext, pgettext
from reportlab.platypus import CondPageBreak, Flowable, KeepTogether, Spacer

from . import formats
from .meanings import meanings
from .models import Analysis, SliceCorrection
from .report_course import whole_course_section
from .report_findings import change_section, findings_section
from .report_images import SHEET_SLICES, SliceImage, sheet_images
from .report_pictures import Picture, heading_with_legend
from .report_readers import words_section
from .report_style import FAINT, GAP, RULE, WIDTH, heading, paragraph, table
from .trend import TimePoint, point_of, since_last
from .words import STAGES

SHEET_COLUMNS = 5
BEGINNING = 125.0  # points that a part needs to begin on a page: its heading and some rows
SHEET_WIDTH = WIDTH / SHEET_COLUMNS - GAP / 2  # of a picture


def sections(analysis: Analysis, points: Sequence[TimePoint]) -> list[Flowable]:
    """``points``: the patient's time points, from ``trend.trend``."""
    study = analysis.series.study
    marked = point_of(points, analysis)
    parts = (
        findings_section(analysis),
        _sheet_section(analysis),
        _opacity_section(analysis),
        whole_course_section(marked, points, study.patient),
        change_section(since_last(points, analysis)),
        words_section(analysis),
        _origin_section(analysis),
        _meaning_section(),
    )
    return [flowable for part in parts for flowable in (CondPageBreak(BEGINNING), *part)]


def _sheet_section(analysis: Analysis) -> list[Flowable]:
    """The positive slices on a contact sheet."""
    count = analysis.slice_counts["positive"]
    if not count:
        return [*heading(gettext("Abnormal slices")), paragraph(gettext("The networks call no slice abnormal."))]
    images = sheet_images(analysis)
    if not images:
        sentence = gettext("The stored images or their heat map could not be read, so no slice is shown.")
        return [*heading(gettext("Abnormal slices")), paragraph(sentence)]
    title = ngettext("%(count)s abnormal slice", "%(count)s abnormal slices, head to feet", count)
    if count > SHEET_SLICES:
        title = gettext("%(count)s abnormal slices, %(shown)s of them evenly chosen, head to feet")
    elif count > len(images):
        title = gettext("%(count)s abnormal slices, %(shown)s of them could be read, head to feet")
    title %= {"count": count, "shown": len(images)}
    corrections = analysis.newest_corrections()
    cells: list[object] = [_on_the_sheet(analysis, image, corrections) for image in images]
    cells += [""] * (-len(cells) % SHEET_COLUMNS)
    rows = [cells[first : first + SHEET_COLUMNS] for first in range(0, len(cells), SHEET_COLUMNS)]
    grid = table(rows, [WIDTH / SHEET_COLUMNS] * SHEET_COLUMNS, ("BOTTOMPADDING", (0, 0), (-1, -1), 3))
    note = paragraph(gettext("Under each: slice, probability, activation."), 7.5, FAINT)
    return [*heading_with_legend(title), note, Spacer(0, 3), grid]


def _on_the_sheet(analysis: Analysis, image: SliceImage, corrections: Mapping[str, SliceCorrection]) -> list[Flowable]:
    this = analysis.report["slices"][image.number - 1]
    words = f"{image.number} · {formats.ratio_text(this['probability'])} · {formats.area_text(this['activation_cm2'])}"
    said = corrections.get(this["sop_instance_uid"])
    if said and not said.abnormal:
        reader = gettext("reader: normal")
        words += f" · {reader}"
    return [Picture(image, image.overlay, SHEET_WIDTH), Spacer(0, 1), paragraph(words, 6.5, FAINT)]


def _opacity_section(analysis: Analysis) -> list[Flowable]:
    """The share of each third of each lung, and of the whole."""
    opacity = analysis.report["opacity"]
    title = heading(gettext("Opacity by region"))
    if opacity is None:
        return [*title, paragraph(gettext("Not measured by the networks of that time."))]
    columns = (
        pgettext("of the lung", "Third"),
        pgettext("side", "Right"),
        pgettext("side", "Left"),
        pgettext("lungs", "Both"),
    )
    head = [paragraph(text, 7, FAINT) for text in columns]
    rows = [
        [paragraph(text, 8, bold=text == third) for text in (third, *cells)]
        for third, cells in formats.opacity_rows(opacity)
    ]
    grid = table([head, *rows], [WIDTH * 0.15] * 4, ("LINEBELOW", (0, 0), (-1, -1), 0.4, RULE), pad=3)
    of_whole = gettext("Of the whole: %(shares)s.") % {"shares": formats.opacity_note(opacity)}
    return [KeepTogether([*title, grid, Spacer(0, 3), paragraph(of_whole)])]


def _origin_section(analysis: Analysis) -> list[Flowable]:
    """How this result was made, so that it can be made again."""
    report, series = analysis.report, analysis.series
    gate, high = (formats.limit_text(report, name) for name in ("gate_hu", "high_hu"))
    zone = series.study.patient.site.time_zone
    rows = [
        ("Study Instance UID", series.study.study_instance_uid),
        ("Series Instance UID", report["series_instance_uid"]),
        (gettext("Analysis"), _analysis_words(analysis)),
        (gettext("Analysed"), formats.moment_text(analysis.finished_at, zone)),
        (gettext("Working time"), _working_time(report["seconds"])),
        (gettext("Software"), _software(report.get("software_version"))),
        *(
            (gettext("Network %(name)s") % each, f"{each['version']}, SHA-256 {each['sha256']}")
            for each in report["models"]
        ),
        (gettext("A slice is abnormal"), _from_probability(report.get("slice_threshold"))),
        (
            gettext("Suspected"),
            gettext("above a positive ratio of %(ratio)s") % {"ratio": formats.ratio_text(analysis.threshold)},
        ),
        (
            gettext("Corona score"),
            gettext("counts where slices are denser than %(density)s") % {"density": gate},
        ),
        (gettext("Dense opacity"), gettext("above %(density)s") % {"density": high}),
        (gettext("Measurement noise"), _noise_words(analysis.score_variation)),
    ]
    cells = [[paragraph(name, 7.5, FAINT), paragraph(value, 7.5)] for name, value in rows]
    grid = table(cells, [WIDTH * 0.2, WIDTH * 0.8], ("LINEBELOW", (0, 0), (-1, -1), 0.4, RULE), pad=3)
    return [KeepTogether([*heading(gettext("How this result was made")), grid])]


def _analysis_words(analysis: Analysis) -> str:
    return gettext("number %(number)s, of %(count)s slices, %(apart)s") % {
        "number": analysis.pk,
        "count": len(analysis.report["slices"]),
        "apart": formats.apart_text(analysis.slice_spacing_mm),
    }


def _working_time(seconds: dict[str, float]) -> str:
    stages = ", ".join(f"{STAGES.get(name, name)} {formats.number_text(each, 1)} s" for name, each in seconds.items())
    return f"{formats.number_text(sum(seconds.values()), 1)} s: {stages}"


def _software(version: str | None) -> str:
    return f"CoronaTrend {version}" if version else gettext("CoronaTrend of a version that was not kept")


def _from_probability(threshold: float | None) -> str:
    if threshold is None:
        return gettext("from a probability that was not kept")
    return gettext("from a probability of %(probability)s") % {"probability": formats.ratio_text(threshold)}


def _noise_words(variation: float | None) -> str:
    if variation is None:
        return gettext("not known for the networks of that time")
    share = {"share": formats.percent_text(variation, 1)}
    return gettext("of the Corona score: a coefficient of variation of %(share)s") % share


def _meaning_section() -> list[Flowable]:
    """How to read the numbers."""
    cells = [[paragraph(name, 7.5, bold=True), paragraph(words, 7.5)] for name, words in meanings()]
    grid = table(cells, [WIDTH * 0.2, WIDTH * 0.8], ("LINEBELOW", (0, 0), (-1, -1), 0.4, RULE), pad=3)
    return [KeepTogether([*heading(gettext("How to read the numbers")), grid])]
