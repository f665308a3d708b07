"""The report for the ward as PDF: one A4 page with the decision, the scores, key images and the trend."""

import io
import tomllib
import unicodedata
from collections.abc import Sequence
from datetime import date, datetime
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings
from django.utils import timezone
from django.utils.formats import date_format
from reportlab.lib.colors import HexColor, white
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Flowable, Frame, PageTemplate, Spacer, Table

from patients.models import Patient, Site, Study

from . import formats
from .models import Analysis
from .pipeline.score import GATE_HU
from .report_chart import trend_drawing
from .report_images import HeatLegend, KeyImage, Picture, key_images
from .report_style import (
    BOLD,
    FAINT,
    FONT,
    GAP,
    INK,
    PALE,
    RULE,
    heading,
    paragraph,
    printable,
    register_fonts,
    short,
    table,
)
from .trend import TimePoint

DISCLAIMER = "Research use only, not for diagnosis"
SUSPECTED, NOT_SUSPECTED = HexColor("#b3361c"), HexColor("#3c4a59")  # one accent, and it never stands alone
MARGIN, HEADER, FOOTER = 40.0, 56.0, 34.0  # points
WIDTH = A4[0] - 2 * MARGIN
MAX_ROWS = 8  # time points in the table; the chart shows all
PICTURE_WIDTH = {1: (WIDTH - GAP) / 2, 2: WIDTH * 0.4, 3: (WIDTH - 2 * GAP) / 3}  # by number of key slices
SHA256_DIGITS = 12
SEXES = {"M": "male", "F": "female", "O": "other"}


def render(analysis: Analysis, points: Sequence[TimePoint]) -> bytes:
    """The PDF of a finished analysis; ``points``: the patient's time points, from ``trend.trend``."""
    register_fonts()
    study = analysis.series.study
    site = study.patient.site
    images = key_images(analysis)
    marked = next((point for point in points if point.analysis and point.analysis.pk == analysis.pk), None)
    story = [
        _facts(analysis, images),
        *_unprintable_name(study.patient),
        Spacer(0, GAP),
        _decision(analysis),
        Spacer(0, GAP),
        _numbers(analysis, marked, points),
        *_image_section(analysis, images),
        *_trend_section(marked, points),
        *_method_section(analysis),
    ]
    return _document(story, study, site)


def _document(story: list[Flowable], study: Study, site: Site) -> bytes:
    printed = f"Printed {_local(timezone.now(), site)}"

    def frame_page(canvas: Canvas, document: BaseDocTemplate) -> None:
        _header(canvas, site)
        _footer(canvas, f"CoronaTrend {software_version()} · {printed} · page {canvas.getPageNumber()}")

    buffer = io.BytesIO()
    document = BaseDocTemplate(
        buffer,
        pagesize=A4,
        title=f"CoronaTrend report, CT of {_day(study.study_date)}",  # never the patient's name: titles show in tabs
        author="CoronaTrend",
        subject=DISCLAIMER,
        lang="en-GB",
    )
    body = Frame(MARGIN, FOOTER, WIDTH, A4[1] - HEADER - FOOTER, 0, 0, 0, 0)
    document.addPageTemplates(PageTemplate(frames=[body], onPage=frame_page))
    document.build(story)
    return buffer.getvalue()


def _header(canvas: Canvas, site: Site) -> None:
    top = A4[1] - 36
    canvas.setFillColor(INK)
    canvas.setFont(BOLD, 15)
    canvas.drawString(MARGIN, top, "CoronaTrend")
    canvas.setFont(FONT, 9)
    canvas.setFillColor(FAINT)
    canvas.drawString(MARGIN + 98, top, short(site.name))
    canvas.setFont(BOLD, 9)
    canvas.setFillColor(INK)
    canvas.drawRightString(A4[0] - MARGIN, top, DISCLAIMER)
    canvas.setStrokeColor(INK)
    canvas.setLineWidth(0.8)
    canvas.line(MARGIN, top - 8, A4[0] - MARGIN, top - 8)


def _footer(canvas: Canvas, text: str) -> None:
    canvas.setFont(FONT, 7)
    canvas.setFillColor(FAINT)
    canvas.drawString(MARGIN, 20, text)
    canvas.drawRightString(A4[0] - MARGIN, 20, DISCLAIMER)


def _day(day: date | None) -> str:
    return date_format(day, formats.DATE_FORMAT) if day else "no date"


def _local(moment: datetime | None, site: Site) -> str:
    """In the site's own time; UTC where its time zone is unknown."""
    if moment is None:
        return formats.DASH
    try:
        zone = ZoneInfo(site.time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        zone = ZoneInfo("UTC")
    local = moment.astimezone(zone)
    return f"{_day(local.date())}, {local:%H:%M} {local.tzname()}"


@cache
def software_version() -> str:
    """The version in pyproject.toml."""
    return str(tomllib.loads((settings.BASE_DIR / "pyproject.toml").read_text())["project"]["version"])


# --- Sections -----------------------------------------------------------------------------------


def _facts(analysis: Analysis, images: Sequence[KeyImage]) -> Table:
    """Patient on the left, study on the right."""
    series = analysis.series
    study, patient = series.study, series.study.patient
    name = short(patient.display_name) + (" (synthetic patient)" if patient.synthetic else "")
    issuer = f" ({short(patient.issuer_of_patient_id)})" if patient.issuer_of_patient_id else ""
    time = f", {study.study_time:%H:%M}" if study.study_time else ""
    series_words = [short(text) for text in (series.description, series.convolution_kernel) if text]
    left = [
        ("Patient", name),
        ("Patient ID", short(patient.patient_id) + issuer),
        ("Born", _day(patient.birth_date) if patient.birth_date else "not given"),
        ("Age, sex", f"{_age(patient, study)}, {SEXES.get(patient.sex, 'sex not given')}"),
    ]
    right = [
        ("CT of", f"{_day(study.study_date)}{time}"),
        ("Study", short(study.description) or "no description"),
        ("Series", ", ".join(series_words) or "no description"),
        ("Slices", _slices_words(analysis, images)),
    ]
    rows = [
        [
            paragraph(text, 8, FAINT) if column in (0, 2) else paragraph(text, 8.5, bold=row == 0)
            for column, text in enumerate((*one, *other))
        ]
        for row, (one, other) in enumerate(zip(left, right, strict=True))
    ]
    half = WIDTH / 2
    return table(rows, [52, half - 52, 40, half - 40])


def _age(patient: Patient, study: Study) -> str:
    if patient.birth_date is None or study.study_date is None:
        return "age not known"
    born, then = patient.birth_date, study.study_date
    years = then.year - born.year - ((then.month, then.day) < (born.month, born.day))
    return f"{years} years at the scan"


def _slices_words(analysis: Analysis, images: Sequence[KeyImage]) -> str:
    words = f"{len(analysis.report['slices'])}, {formats.spacing_text(analysis.series.slice_spacing_mm)} apart"
    if images and (spacing := images[0].header.pixel_spacing_mm):
        words += f", pixels {spacing[0]:.2f} × {formats.spacing_text(spacing[1])}"
    return words


def _unprintable_name(patient: Patient) -> list[Flowable]:
    if printable(patient.display_name) == unicodedata.normalize("NFC", patient.display_name):
        return []
    sentence = "The name holds characters that this report cannot print (shown as ?): go by the patient ID."
    return [paragraph(sentence, 8, SUSPECTED)]


def _decision(analysis: Analysis) -> Table:
    slices = analysis.report["slices"]
    lung = sum(each["probability"] is not None for each in slices)
    positive = sum(each["positive"] is True for each in slices)
    ratio = formats.ratio_text(analysis.positive_ratio, analysis.threshold)
    threshold = formats.ratio_text(analysis.threshold, analysis.positive_ratio)
    suspected = "suspected" if analysis.suspected else "not suspected"
    side = "above" if analysis.suspected else "not above"
    words = f"{positive or 'None'} of {lung} lung slices positive: ratio {ratio}, {side} the threshold of {threshold}."
    headline, colour = f"COVID-19 pneumonia {suspected}", SUSPECTED if analysis.suspected else NOT_SUSPECTED
    return table(
        [[paragraph(headline, 10.5, white, bold=True), paragraph(words, 8.5, white)]],
        [WIDTH * 0.385, WIDTH * 0.615],
        ("BACKGROUND", (0, 0), (-1, -1), colour),
        ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
        pad=8,
    )


def _numbers(analysis: Analysis, marked: TimePoint | None, points: Sequence[TimePoint]) -> Table:
    slices = analysis.report["slices"]
    positive = sum(each["positive"] is True for each in slices)
    lung = sum(each["probability"] is not None for each in slices)
    relative = marked.relative_corona_score if marked else None
    cells = [
        ("Corona score", formats.score_text(analysis.corona_score_cm3), f"heat map above {formats.hu_text(GATE_HU)}"),
        ("Relative Corona score", formats.relative_text(relative), formats.relative_note(marked, points)),
        ("Score as in the paper", formats.score_text(analysis.corona_score_paper_cm3), "heat map of any density"),
        ("Lung volume", formats.volume_text(analysis.lung_volume_ml), "both lungs"),
        ("Positive slices", f"{positive} of {lung}", "slices that show lung"),
    ]
    row = [
        [paragraph(label, 7.5, FAINT), Spacer(0, 3), paragraph(value, 12.5, bold=True), paragraph(note, 7, FAINT)]
        for label, value, note in cells
    ]
    return table(
        [row],
        [WIDTH / len(cells)] * len(cells),
        ("BACKGROUND", (0, 0), (-1, -1), PALE),
        ("LINEAFTER", (0, 0), (-2, -1), 0.5, white),
        ("TOPPADDING", (0, 0), (-1, -1), 5),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 6),
        pad=6,
    )


def _image_section(analysis: Analysis, images: Sequence[KeyImage]) -> list[Flowable]:
    if not images:
        return [*heading("Key images"), paragraph("The stored images could not be read, so none are shown.")]
    affected = any(each["positive"] for each in analysis.report["slices"])
    title = "Most affected slices" if affected else "Middle of the lungs (no slice is positive)"
    width = PICTURE_WIDTH[len(images)]
    captions = [[paragraph(line, 7.5, FAINT) for line in _caption(analysis, image)] for image in images]
    ct = [Picture(image, image.ct, width) for image in images]
    overlays = [Picture(image, image.overlay, width) for image in images]
    rows = [[ct[0], overlays[0]], [captions[0], ""]] if len(images) == 1 else [ct, overlays, captions]
    grid = table(rows, [width + GAP] * len(rows[0]), ("BOTTOMPADDING", (0, 0), (-1, -1), 3), ("SPAN", (0, -1), (0, -1)))
    title_row = table(
        [[paragraph(title, 9.5, bold=True), HeatLegend()]],
        [WIDTH - HeatLegend.WIDTH, HeatLegend.WIDTH],
        ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
    )
    return [Spacer(0, GAP + 2), title_row, Spacer(0, 3), grid]


def _caption(analysis: Analysis, image: KeyImage) -> list[str]:
    slices = analysis.report["slices"]
    this = slices[image.number - 1]
    lines = [f"Slice {image.number} of {len(slices)}, z {formats.position_text(this['z_mm'])}"]
    if this["probability"] is not None:
        lines.append(f"Probability {formats.ratio_text(this['probability'])}")
    if this["positive"]:
        lines[-1] += f", activation {formats.area_text(this['activation_cm2'])}"
    return lines


def _trend_section(marked: TimePoint | None, points: Sequence[TimePoint]) -> list[Flowable]:
    width = WIDTH * 0.47
    drawing = trend_drawing(points, marked, width=width, height=118, font=FONT, accent=SUSPECTED)
    chart = drawing or paragraph("A trend is drawn from the second analysed time point on.", 8, FAINT)
    body = table([[chart, _points_table(marked, points, WIDTH - width - 2 * GAP)]], [width + 2 * GAP, None])
    return [*heading("Course"), body]


def _points_table(marked: TimePoint | None, points: Sequence[TimePoint], width: float) -> Table:
    shown = _rows_shown(marked, points)
    rows = [[paragraph(text, 7, FAINT) for text in ("CT of", "Day", "Corona score", "Relative", "Decision")]]
    for point in shown:
        this = marked is not None and point.study.pk == marked.study.pk
        day = formats.DASH if point.days_since_first is None else str(point.days_since_first)
        defined = point.relative_corona_score is not None
        relative = formats.relative_text(point.relative_corona_score) if defined else formats.DASH
        texts = (_day(point.date), day, formats.score_text(point.corona_score_cm3), relative, _point_words(point))
        rows.append([paragraph(text, 7.5, bold=this) for text in texts])
    if len(shown) < len(points):
        rows.append([paragraph(f"{len(points) - len(shown)} more in CoronaTrend", 7, FAINT), "", "", "", ""])
    highlights = [
        ("BACKGROUND", (0, row), (-1, row), PALE)
        for row, point in enumerate(shown, start=1)
        if marked is not None and point.study.pk == marked.study.pk
    ]
    return table(
        rows,
        [width * part for part in (0.24, 0.1, 0.22, 0.17, 0.27)],
        ("LINEBELOW", (0, 0), (-1, -1), 0.4, RULE),
        *highlights,
        *([("SPAN", (0, -1), (-1, -1))] if len(shown) < len(points) else []),
        pad=3,
    )


def _rows_shown(marked: TimePoint | None, points: Sequence[TimePoint]) -> list[TimePoint]:
    """All, or where they are many the first, this one and the latest."""
    if len(points) <= MAX_ROWS:
        return list(points)
    latest = points[-(MAX_ROWS - 2) :]
    return [point for point in points if point is points[0] or point is marked or point in latest]


def _point_words(point: TimePoint) -> str:
    if point.analysis is None:
        return "not analysed"
    if point.analysis.state == Analysis.State.DONE:
        return "suspected" if point.analysis.suspected else "not suspected"
    return "in work" if point.analysis.is_active else "not analysed"


def _method_section(analysis: Analysis) -> list[Flowable]:
    report = analysis.report
    method = (
        "A U-Net finds the lungs, and a ResNet rates each slice of them and draws its heat map (0 to 1); the Corona "
        "score adds up heat map × voxel volume over the positive slices where the tissue is denser than "
        f"{formats.hu_text(GATE_HU)}, the paper's score (Gozes et al. 2020) without that limit. The positive ratio is "
        "positive ÷ lung slices, the Relative Corona score is score ÷ score of the first time point, and distances "
        "come from the slice positions."
    )
    quality = [flag["message"] for flag in report["quality"]] or ["No remarks."]
    models = "; ".join(
        f"{each['name']} {each['version']} ({each['sha256'][:SHA256_DIGITS]})" for each in report["models"]
    )
    site = analysis.series.study.patient.site
    made = f"Analysed {_local(analysis.finished_at, site)} by CoronaTrend with {models}."
    return [
        *heading("Quality of the scan"),
        *(paragraph(printable(sentence), 8) for sentence in quality),
        *heading("How the numbers were computed"),
        paragraph(method, 7.5),
        Spacer(0, 2),
        paragraph(printable(made), 7.5, FAINT),
    ]
