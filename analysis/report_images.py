"""The key images of a report: which slices are shown, and each as CT and as CT with the heat map.

Only the shown slices are decoded. Everything is drawn in the frame of the stored image; the side
letters follow from ImageOrientationPatient (DICOM PS3.3 C.7.6.2.1.1), so nothing is ever mirrored.
"""

import io
import logging
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from reportlab.lib.colors import black, white
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable
from scipy import ndimage

from . import storage
from .formats import HEAT_OPACITY, HEAT_THRESHOLD
from .models import Analysis
from .pipeline.series import SliceHeader, UnusableSeries
from .report_style import BOLD, FAINT, FONT
from .slice_images import Grey, as_jpeg, in_lung_window, read_slice

log = logging.getLogger(__name__)

MAX_SLICES = 3
MIN_APART_MM = 25.0
"""Key slices closer than this show the same lesions again (a segment of the lung is about 40 mm high)."""
ASPECT = 4 / 3
"""Width ÷ height of every picture: a chest lying down."""
BODY_HU = -500.0
BODY_MARGIN_MM = 10.0
BODY_OPENING = 2
"""Cells taken off and put on again, which parts the body from the table under it."""
BODY_CELL_MM = 4.0
"""Cell size at which the body is looked for; thin things such as a blanket vanish in it."""
PIXELS_WIDE = 640
"""Width of a picture: 58 mm in print at 280 dots per inch."""
HEAT_EDGE = 12 / 255
"""Activations above the threshold over which the colour fades in, as in ``static/src/viewer/heatmap.ts``."""
THUMBNAIL, THUMBNAIL_QUALITY = (400, 300), 80  # pixels, twice what the timeline shows
SCALE_BAR_MM = 50


@dataclass(frozen=True)
class KeyImage:
    """One slice. ``ct`` and ``overlay``: pictures of the same size; ``mm_per_pixel`` of both.

    ``left`` and ``right``: letters of the patient's sides at the picture's edges (R, L, A, P, H, F).
    """

    number: int  # 1 is next to the head
    ct: Image.Image
    overlay: Image.Image
    mm_per_pixel: float
    left: str
    right: str
    header: SliceHeader


def choose_slices(slices: Sequence[dict[str, Any]]) -> list[int]:
    """Indices of up to three positive slices with the most activation, well apart, head to feet.

    Without positive slices: the middle one of the lungs (of the series where no lung was found).
    """
    positive = [index for index, each in enumerate(slices) if each["positive"]]
    if not positive:
        lung = [index for index, each in enumerate(slices) if each["probability"] is not None]
        shown = lung or list(range(len(slices)))
        return [shown[len(shown) // 2]]
    chosen: list[int] = []
    for index in sorted(positive, key=lambda index: -(slices[index]["activation_cm2"] or 0)):
        apart = (abs(slices[index]["z_mm"] - slices[other]["z_mm"]) >= MIN_APART_MM for other in chosen)
        if len(chosen) < MAX_SLICES and all(apart):
            chosen.append(index)
    return sorted(chosen)


def most_affected_level(slices: Sequence[dict[str, Any]]) -> float:
    """Where the positive slice with the most activation lies between the first (0) and the last (1) of the lungs; their
    middle where none is positive."""
    lung = [each for each in slices if each["probability"] is not None]
    worst = max((each for each in lung if each["positive"]), key=lambda each: each["activation_cm2"], default=None)
    if worst is None or len(lung) < 2:
        return 0.5
    return float((lung[0]["z_mm"] - worst["z_mm"]) / (lung[0]["z_mm"] - lung[-1]["z_mm"]))


def thumbnail(analysis: Analysis, level: float) -> bytes | None:
    """A small JPEG of the slice at a level of the lungs, with the heat map; None where it cannot be read."""
    slices = analysis.report["slices"]
    lung = [index for index, each in enumerate(slices) if each["probability"] is not None] or list(range(len(slices)))
    top_mm, bottom_mm = (slices[lung[end]]["z_mm"] for end in (0, -1))
    wanted_mm = top_mm + level * (bottom_mm - top_mm)
    images = _images(analysis, [min(lung, key=lambda index: abs(slices[index]["z_mm"] - wanted_mm))])
    if not images:
        return None
    return as_jpeg(images[0].overlay.resize(THUMBNAIL, Image.Resampling.LANCZOS), THUMBNAIL_QUALITY)


def key_images(analysis: Analysis) -> list[KeyImage]:
    """The chosen slices of a finished analysis."""
    return _images(analysis, choose_slices(analysis.report["slices"]))


def _images(analysis: Analysis, chosen: Sequence[int]) -> list[KeyImage]:
    """Slices in one frame; one whose image cannot be read is left out.

    None at all where the heat map cannot be read: a CT alone would pass for one without findings.
    """
    read = [(index, *found) for index in chosen if (found := _read(analysis, index))]
    if not read:
        return []
    try:
        heatmap = storage.read_heatmap(analysis)
        planes = [heatmap[index] for index, _, _ in read]
    except (OSError, EOFError, ValueError, IndexError, zlib.error) as fault:
        log.error("images of analysis %s: the heat map cannot be read: %s", analysis.pk, fault)
        return []
    spacing_mm = read[0][1].pixel_spacing_mm
    assert spacing_mm is not None  # an analysed series has one, the same on all slices
    frame = _frame([hu for _, _, hu in read], spacing_mm)
    return [
        _picture(index, header, hu, plane, frame, spacing_mm)
        for (index, header, hu), plane in zip(read, planes, strict=True)
    ]


def _read(analysis: Analysis, index: int) -> tuple[SliceHeader, npt.NDArray[np.int16]] | None:
    uid = analysis.report["slices"][index]["sop_instance_uid"]
    instance = analysis.series.instances.filter(sop_instance_uid=uid).first()
    if instance is None:
        return None
    try:
        return read_slice(instance)
    except (UnusableSeries, OSError) as fault:
        log.warning("images of analysis %s: slice %s cannot be shown: %s", analysis.pk, index + 1, fault)
        return None


def _frame(slices: Sequence[npt.NDArray[np.int16]], spacing_mm: tuple[float, float]) -> tuple[float, float, float]:
    """The part of the image that holds the body on all slices, as centre row and column and width, in mm."""
    boxes = [box for hu in slices if (box := _body_box_mm(hu, spacing_mm))]
    rows_mm, columns_mm = np.array(slices[0].shape) * spacing_mm
    top, left, bottom, right = 0.0, 0.0, rows_mm, columns_mm
    if boxes:
        edges = np.array(boxes)
        top, left = edges[:, :2].min(axis=0) - BODY_MARGIN_MM
        bottom, right = edges[:, 2:].max(axis=0) + BODY_MARGIN_MM
    return (top + bottom) / 2, (left + right) / 2, max(right - left, (bottom - top) * ASPECT)


def _body_box_mm(
    hu: npt.NDArray[np.int16], spacing_mm: tuple[float, float]
) -> tuple[float, float, float, float] | None:
    """Top, left, bottom and right edge of the largest dense thing; None in an empty image."""
    cell = tuple(max(1, round(BODY_CELL_MM / mm)) for mm in spacing_mm)
    dense = ndimage.uniform_filter(hu.astype(np.float32), size=cell)[:: cell[0], :: cell[1]] > BODY_HU
    labels, count = ndimage.label(ndimage.binary_opening(dense, iterations=BODY_OPENING))
    if not count:
        return None
    rows, columns = ndimage.find_objects(labels)[np.bincount(labels.ravel())[1:].argmax()]
    down, across = cell[0] * spacing_mm[0], cell[1] * spacing_mm[1]
    return rows.start * down, columns.start * across, rows.stop * down, columns.stop * across


def _picture(
    index: int,
    header: SliceHeader,
    hu: npt.NDArray[np.int16],
    heat: Grey,
    frame: tuple[float, float, float],
    spacing_mm: tuple[float, float],
) -> KeyImage:
    size_mm = (hu.shape[0] * spacing_mm[0], hu.shape[1] * spacing_mm[1])
    ct = _cut(in_lung_window(hu), size_mm, frame)
    left, right = _sides(header)
    return KeyImage(
        number=index + 1,
        ct=ct,
        overlay=_with_heat(ct, _cut(heat, size_mm, frame)),
        mm_per_pixel=frame[2] / PIXELS_WIDE,
        left=left,
        right=right,
        header=header,
    )


def _cut(plane: Grey, size_mm: tuple[float, float], frame: tuple[float, float, float]) -> Image.Image:
    """The frame's part of a plane that covers ``size_mm`` (rows, columns); black beyond its edges."""
    row_mm, column_mm, width_mm = frame
    height_mm = width_mm / ASPECT
    to_rows, to_columns = plane.shape[0] / size_mm[0], plane.shape[1] / size_mm[1]
    across, down = width_mm / PIXELS_WIDE * to_columns, height_mm / round(PIXELS_WIDE / ASPECT) * to_rows
    left, top = (column_mm - width_mm / 2) * to_columns, (row_mm - height_mm / 2) * to_rows
    return Image.fromarray(plane).transform(
        (PIXELS_WIDE, round(PIXELS_WIDE / ASPECT)),
        Image.Transform.AFFINE,
        (across, 0, left, 0, down, top),
        resample=Image.Resampling.BICUBIC,
    )


def heat_rgba(value: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Colour (0–255) and opacity (0–1) of heat map values 0 to 1, with a last axis of 4.

    From blue to red ("jet"), as in the figures of Gozes et al. 2020 and in the viewer.
    """
    red, green, blue = (255 * (1.5 - np.abs(4 * value - centre)).clip(0, 1) for centre in (3, 2, 1))
    fade = ((value - HEAT_THRESHOLD) / HEAT_EDGE + 0.35).clip(0, 1)
    return np.stack([red, green, blue, np.where(value < HEAT_THRESHOLD, 0, HEAT_OPACITY * fade)], axis=-1)


def _with_heat(ct: Image.Image, heat: Image.Image) -> Image.Image:
    rgba = heat_rgba(np.asarray(heat) / 255.0)
    opacity = rgba[..., 3:]
    grey = np.asarray(ct, dtype=np.float64)[..., None]
    return Image.fromarray((grey * (1 - opacity) + rgba[..., :3] * opacity).round().astype(np.uint8))


def _sides(header: SliceHeader) -> tuple[str, str]:
    """Letters at the left and right edge, from the direction of a row in the patient (LPS)."""
    assert header.orientation is not None  # an analysed series has one
    direction = np.array(header.orientation[:3])
    axis = int(np.abs(direction).argmax())
    positive, negative = (("L", "R"), ("P", "A"), ("H", "F"))[axis]
    return (negative, positive) if direction[axis] > 0 else (positive, negative)


class Picture(Flowable):
    """One view of a key image with the letters of the sides and a scale bar."""

    def __init__(self, image: KeyImage, view: Image.Image, width: float) -> None:
        super().__init__()
        self.image, self.view = image, view
        self.width, self.height = width, width * view.height / view.width

    def wrap(self, available_width: float, available_height: float) -> tuple[float, float]:
        return self.width, self.height

    def draw(self) -> None:
        canvas: Canvas = self.canv
        canvas.drawImage(ImageReader(io.BytesIO(as_jpeg(self.view))), 0, 0, self.width, self.height)
        points_per_mm = self.width / self.view.width / self.image.mm_per_pixel
        bar = SCALE_BAR_MM * points_per_mm
        self._plate(2, self.height - 14, 11, 12)
        self._plate(self.width - 13, self.height - 14, 11, 12)
        self._plate(2, 2, bar + 6, 13)
        canvas.setFillColor(white)
        canvas.setFont(BOLD, 9)
        canvas.drawCentredString(7.5, self.height - 11.2, self.image.left)
        canvas.drawCentredString(self.width - 7.5, self.height - 11.2, self.image.right)
        canvas.setFont(FONT, 6)
        canvas.drawString(5, 7.5, f"{SCALE_BAR_MM // 10} cm")
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

    WIDTH, HEIGHT, BAR = 240.0, 10.0, 60.0

    def wrap(self, available_width: float, available_height: float) -> tuple[float, float]:
        return self.WIDTH, self.HEIGHT

    def draw(self) -> None:
        canvas: Canvas = self.canv
        rgba = heat_rgba(np.linspace(0, 1, 64)[None])
        bar = rgba[..., :3] * rgba[..., 3:] + 128 * (1 - rgba[..., 3:])
        left = self.WIDTH - self.BAR - 10
        canvas.drawImage(ImageReader(Image.fromarray(bar.round().astype(np.uint8))), left, 1, self.BAR, 7)
        canvas.setFont(FONT, 7)
        canvas.setFillColor(FAINT)
        canvas.drawRightString(left - 4, 2, f"Heat map, drawn from {HEAT_THRESHOLD:g}; one scale for all scans   0")
        canvas.drawRightString(self.WIDTH, 2, "1")
