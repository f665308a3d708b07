"""The report as PDF: one A4 page for the ward, and on request further pages with all that is known of the result."""

import io
from collections.abc import Callable, Sequence

from django.utils import timezone, translation
from django.utils.translation import gettext, gettext_lazy
from reportlab import rl_config
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Flowable, Frame, PageBreak, PageTemplate

from patients.models import Study

from . import formats, report_full, report_ward
from .models import Analysis, Reading
from .pipeline.report import software_version
from .report_style import BOLD, FAINT, FONT, INK, MARGIN, RULE, WIDTH, register_fonts, short
from .trend import TimePoint

rl_config.useA85 = False  # images as text, which reportlab would write, take a second longer and a quarter more room

DISCLAIMER = gettext_lazy("Research use only, not for diagnosis")
HEADER, WHOSE, FOOTER = 56.0, 16.0, 34.0  # heights in points; WHOSE: of the line with patient and date, from page 2 on
FOOTER_SIZE = 7


def render(analysis: Analysis, points: Sequence[TimePoint], *, full: bool = False) -> bytes:
    """The PDF of a finished analysis in the active language.

    ``points``: the patient's time points, from ``trend.trend``; ``full``: with the pages of ``report_full`` after the
    one for the ward.
    """
    register_fonts()
    story = report_ward.sections(analysis, points, A4[1] - HEADER - FOOTER)
    if full:
        story += [PageBreak(), *report_full.sections(analysis, points)]
    return _document([*story, _PageWords()], analysis.series.study, full=full)


def _document(story: list[Flowable], study: Study, *, full: bool) -> bytes:
    title = (
        gettext("CoronaTrend full report, CT of %(date)s") if full else gettext("CoronaTrend report, CT of %(date)s")
    )
    buffer = io.BytesIO()
    document = BaseDocTemplate(
        buffer,
        pagesize=A4,
        # Never the patient's name: titles show in tabs and histories.
        title=title % {"date": formats.date_text(study.study_date)},
        author="CoronaTrend",
        subject=str(DISCLAIMER),
        lang=translation.to_locale(translation.get_language()).replace("_", "-"),
    )
    draw_around = _around(study)
    document.addPageTemplates(
        [
            PageTemplate("first", [_body(HEADER)], onPage=draw_around, autoNextPageTemplate="later"),
            PageTemplate("later", [_body(HEADER + WHOSE)], onPage=draw_around),
        ]
    )
    document.build(story)
    return buffer.getvalue()


def _body(header: float) -> Frame:
    return Frame(MARGIN, FOOTER, WIDTH, A4[1] - header - FOOTER, 0, 0, 0, 0)


def _around(study: Study) -> Callable[[Canvas, BaseDocTemplate], None]:
    """What draws head and foot of each page."""
    site = study.patient.site
    printed = gettext("Printed %(when)s") % {"when": formats.moment_text(timezone.now(), site.time_zone)}
    if not study.readings.filter(state=Reading.State.SIGNED).exists():
        unread = gettext("not reported by a reader yet")
        printed = f"{printed} · {unread}"

    def draw(canvas: Canvas, document: BaseDocTemplate) -> None:
        _header(canvas, short(site.name))
        if canvas.getPageNumber() > 1:
            _whose(canvas, study)
        _footer(canvas, f"CoronaTrend {software_version()} · {printed}")

    return draw


def _header(canvas: Canvas, site_name: str) -> None:
    top = A4[1] - 36
    canvas.setFillColor(INK)
    canvas.setFont(BOLD, 15)
    canvas.drawString(MARGIN, top, "CoronaTrend")
    canvas.setFont(FONT, 9)
    canvas.setFillColor(FAINT)
    canvas.drawString(MARGIN + 98, top, site_name)
    canvas.setFont(BOLD, 9)
    canvas.setFillColor(INK)
    canvas.drawRightString(A4[0] - MARGIN, top, str(DISCLAIMER))
    canvas.setStrokeColor(INK)
    canvas.setLineWidth(0.8)
    canvas.line(MARGIN, top - 8, A4[0] - MARGIN, top - 8)


def _whose(canvas: Canvas, study: Study) -> None:
    """Patient and CT, so that a page that comes loose is still whose it is."""
    patient = study.patient
    whose = [short(patient.display_name), short(patient.patient_id)]
    if patient.birth_date:
        whose.append(gettext("born %(date)s") % {"date": formats.date_text(patient.birth_date)})
    line = A4[1] - HEADER - 2
    canvas.setFont(FONT, 8)
    canvas.setFillColor(INK)
    canvas.drawString(MARGIN, line, ", ".join(whose))
    of = gettext("CT of %(date)s") % {"date": formats.date_text(study.study_date)}
    canvas.drawRightString(A4[0] - MARGIN, line, of)
    canvas.setStrokeColor(RULE)
    canvas.setLineWidth(0.4)
    canvas.line(MARGIN, line - 5, A4[0] - MARGIN, line - 5)


def _footer(canvas: Canvas, text: str) -> None:
    canvas.setFont(FONT, FOOTER_SIZE)
    canvas.setFillColor(FAINT)
    canvas.drawString(MARGIN, 20, text)
    canvas.doForm(_page_words(canvas.getPageNumber()))


def _page_words(number: int) -> str:
    """The name under which a page's footer refers to what ``_PageWords`` draws."""
    return f"page-words-{number}"


class _PageWords(Flowable):
    """The end of the story: here it is known how many pages there are, which every footer says."""

    def wrap(self, available_width: float, available_height: float) -> tuple[float, float]:
        return 0, 0

    def draw(self) -> None:
        canvas: Canvas = self.canv
        count = canvas.getPageNumber()
        for number in range(1, count + 1):
            words = gettext("page %(number)s / %(count)s") % {"number": number, "count": count}
            canvas.beginForm(_page_words(number), 0, 0, *A4)
            canvas.setFont(FONT, FOOTER_SIZE)
            canvas.setFillColor(FAINT)
            canvas.drawRightString(A4[0] - MARGIN, 20, f"{DISCLAIMER} · {words}")
            canvas.endForm()
