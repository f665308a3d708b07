"""Pictures in print: a slice with the letters of its sides and a scale bar, and the heat map's legend."""

import io

import numpy as np
from django.utils.translation import gettext
from PIL import Image
from reportlab.lib.colors import black, white
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, Spacer

from .formats import HEAT_THRESHOLD, number_text
from .report_images import SliceImage, heat_rgba
from .report_style import BOLD, FAINT, FONT, GAP, WIDTH, paragraph, table
from .slice_images import as_jpeg

SCALE_BARS_MM = (50, 20, 10)
LONGEST_BAR = 0.4  # of a picture's width


class Picture(Flowable):
    """One view of a slice with the letters of the sides and a scale bar."""

    def __init__(self, image: SliceImage, view: Image.Image, width: float) -> None:
        super().__init__()
        self.image, self.view = image, view
        self.width, self.height = width, width * view.height / view.width

    def wrap(self, available_width: float, available_height: float) -> tuple[float, float]:
        return self.width, self.height

    def draw(self) -> None:
        canvas: Canvas = self.canv
        canvas.drawImage(ImageReader(io.BytesIO(as_jpeg(self.view))), 0, 0, self.width, self.height)
        points_per_mm = self.width / self.view.width / self.image.mm_per_pixel
        fitting = (mm for mm in SCALE_BARS_MM if mm * points_per_mm <= LONGEST_BAR * self.width)
        bar_mm = next(fitting, SCALE_BARS_MM[-1])
        bar = bar_mm * points_per_mm
        self._plate(2, self.height - 14, 11, 12)
        self._plate(self.width - 13, self.height - 14, 11, 12)
        self._plate(2, 2, bar + 6, 13)
        canvas.setFillColor(white)
        canvas.setFont(BOLD, 9)
        canvas.drawCentredString(7.5, self.height - 11.2, self.image.left)
        canvas.drawCentredString(self.width - 7.5, self.height - 11.2, self.image.right)
        canvas.setFont(FONT, 6)
        canvas.drawString(5, 7.5, f"{bar_mm // 10} cm")
        canvas.setStrokeColor(white)
        canvas.setLineWidth(1.2)
        canvas.line(5, 5, 5 + bar, 5)

    def _plate(self, left: float, bottom: float, width: float, height: float) -> None:
        """A dark ground, so that white letters are legible on bright tissue."""
        self.canv.saveState()
        self.canv.setFillColor(black, alpha=0.55)
        self.canv.rect(left, bottom, width, height, stroke=0, fill=1)
        self.canv.restoreState()


class HeatLegend(Flowable):
    """The heat map's colours from 0 to 1, as they look over soft tissue."""

    HEIGHT, BAR = 10.0, 60.0

    def __init__(self) -> None:
        super().__init__()
        words = gettext("Heat map, drawn from %(least)s; one scale for all scans")
        self.words = f"{words % {'least': number_text(HEAT_THRESHOLD, 1)}}   0"
        self.width = stringWidth(self.words, FONT, 7) + self.BAR + 16

    def wrap(self, available_width: float, available_height: float) -> tuple[float, float]:
        return self.width, self.HEIGHT

    def draw(self) -> None:
        canvas: Canvas = self.canv
        rgba = heat_rgba(np.linspace(0, 1, 64)[None])
        bar = rgba[..., :3] * rgba[..., 3:] + 128 * (1 - rgba[..., 3:])
        left = self.width - self.BAR - 10
        canvas.drawImage(ImageReader(Image.fromarray(bar.round().astype(np.uint8))), left, 1, self.BAR, 7)
        canvas.setFont(FONT, 7)
        canvas.setFillColor(FAINT)
        canvas.drawRightString(left - 4, 2, self.words)
        canvas.drawRightString(self.width, 2, "1")


def heading_with_legend(title: str) -> list[Flowable]:
    """Of a section whose pictures show the heat map."""
    legend = HeatLegend()
    row = table(
        [[paragraph(title, 9.5, bold=True), legend]],
        [WIDTH - legend.width - GAP, legend.width + GAP],
        ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
    )
    return [Spacer(0, GAP + 2), row]
