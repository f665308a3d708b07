"""Type, colours and building blocks of the printed report."""

import unicodedata
from functools import cache
from pathlib import Path
from xml.sax.saxutils import escape

import fontpkg_fira_sans
from django.utils.functional import Promise
from reportlab.lib.colors import Color, HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import Flowable, Paragraph, Spacer, Table

FONT, BOLD = "Report", "Report-Bold"
INK, FAINT, RULE, PALE = HexColor("#1d2733"), HexColor("#5b6775"), HexColor("#d9dee4"), HexColor("#f3f5f7")
SUSPECTED, NOT_SUSPECTED = HexColor("#b3361c"), HexColor("#3c4a59")  # one accent, and it never stands alone
GAP, MARGIN = 7.0, 40.0  # points
WIDTH = A4[0] - 2 * MARGIN  # of what stands on a page
MAX_TEXT = 60  # characters of a free text from a file; longer ones are cut


@cache
def register_fonts() -> None:
    """Fira Sans (OFL): Latin, Greek and Cyrillic with the signs of the field, embedded as a subset."""
    folder = Path(fontpkg_fira_sans.ROOT) / "files"
    pdfmetrics.registerFont(TTFont(FONT, folder / "FiraSans-Regular.ttf"))
    pdfmetrics.registerFont(TTFont(BOLD, folder / "FiraSans-SemiBold.ttf"))
    pdfmetrics.registerFontFamily(FONT, normal=FONT, bold=BOLD, italic=FONT, boldItalic=BOLD)


def printable(text: str) -> str:
    """``text`` with a ``?`` for each character that the font does not have."""
    glyphs = pdfmetrics.getFont(FONT).face.charToGlyph
    return "".join(letter if ord(letter) in glyphs else "?" for letter in unicodedata.normalize("NFC", text))


def short(text: str) -> str:
    text = printable(" ".join(text.split()))
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"


def paragraph(text: str | Promise, size: float = 8, colour: Color = INK, *, bold: bool = False) -> Paragraph:
    style = ParagraphStyle(
        "text",
        fontName=BOLD if bold else FONT,
        fontSize=size,
        leading=size * 1.3,
        textColor=colour,
    )
    return Paragraph(escape(printable(str(text))), style)


def heading(text: str) -> list[Flowable]:
    return [Spacer(0, GAP + 2), paragraph(text, 9.5, bold=True), Spacer(0, 3)]


def table(
    rows: list[list[object]], widths: list[float], *style: tuple[object, ...], pad: float = 0, repeat_head: bool = False
) -> Table:
    """``repeat_head``: the first row stands again on each page that the table runs over."""
    return Table(
        rows,
        colWidths=widths,
        hAlign="LEFT",
        repeatRows=int(repeat_head),
        splitInRow=1,  # a reader's reason may be longer than a page
        style=[
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LEFTPADDING", (0, 0), (-1, -1), pad),
            ("RIGHTPADDING", (0, 0), (-1, -1), pad),
            ("TOPPADDING", (0, 0), (-1, -1), pad / 2),
            ("BOTTOMPADDING", (0, 0), (-1, -1), pad / 2),
            *style,
        ],
    )
