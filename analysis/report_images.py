"""The images of a report: the slices shown, each as CT and as CT with the heat map, and a cut around each finding.

Only the shown slices are decoded. Everything is drawn in the frame of the stored image; the side
letters follow from ImageOrientationPatient (DICOM PS3.3 C.7.6.2.1.1), so nothing is ever mirrored.
"""

import logging
import zlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from django.db.models.fields.files import FieldFile
from PIL import Image
from pydicom.errors import InvalidDicomError
from scipy import ndimage

from . import storage
from .formats import HEAT_OPACITY, HEAT_THRESHOLD
from .models import Analysis
from .pipeline.series import SliceHeader, UnusableSeries
from .slice_images import Grey, as_jpeg, heights_mm, in_lung_window, read_slice

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
"""Width of a key image: 58 mm in print at 280 dots per inch."""
SHEET_SLICES, SHEET_PIXELS_WIDE = 30, 280
"""Pictures on the contact sheet, which fill a page, and the width of one: 35 mm at 200 dots per inch."""
CUT_PIXELS_WIDE, CUT_MM, CUT_AXES = 320, 80.0, 2.5
"""Of the cut around a finding: 40 mm in print, which show this much of the lung, or this many long axes if more."""
OUTLINE_RGB = (64, 255, 128)
"""As ``static/src/viewer/outline.ts`` draws findings."""
OUTLINE_EDGE_RGB = (0, 24, 8)
HEAT_EDGE = 12 / 255
"""Activations above the threshold over which the colour fades in, as in ``static/src/viewer/heatmap.ts``."""
THUMBNAIL, THUMBNAIL_QUALITY = (400, 300), 80  # pixels, twice what the timeline shows


@dataclass(frozen=True)
class SliceImage:
    """One slice, or a cut of it. ``ct`` and ``overlay``: pictures of the same size; ``mm_per_pixel`` of both.

    ``left`` and ``right``: letters of the patient's sides at the picture's edges (R, L, A, P, H, F).
    ``outlined``: numbers of the findings that are drawn in ``overlay``.
    """

    number: int  # 1 is next to the head
    ct: Image.Image
    overlay: Image.Image
    mm_per_pixel: float
    left: str
    right: str
    header: SliceHeader
    outlined: tuple[int, ...] = ()


@dataclass(frozen=True)
class Frame:
    """The part of an image that is shown: its centre and its width, from the image's corner."""

    row_mm: float
    column_mm: float
    width_mm: float
    pixels_wide: int

    @property
    def mm_per_pixel(self) -> float:
        return self.width_mm / self.pixels_wide


class Place(Protocol):
    """Of a finding, ``number`` as its label in the map."""

    number: int
    centroid_mm: Sequence[float]
    long_axis_mm: float


def choose_slices(
    slices: Sequence[dict[str, Any]], instead_mm: float | None = None, called_normal: Collection[str] = ()
) -> list[int]:
    """Indices of up to three positive slices with the most activation, well apart, head to feet.

    Without positive slices: that at the height ``instead_mm``; without one the middle one of the lungs (of the series
    where no lung was found). ``called_normal``: SOP instance UIDs of those that readers call so.
    """
    positive = _positive(slices, called_normal)
    if not positive and instead_mm is not None:
        return [_nearest(slices, instead_mm)]
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


def most_affected_z_mm(
    slices: Sequence[dict[str, Any]], instead_mm: float | None = None, called_normal: Collection[str] = ()
) -> float:
    """The height of the positive slice with the most activation; where none is positive ``instead_mm``; without it the
    middle of the lungs, of all slices where there is no lung. ``called_normal`` as in ``choose_slices``."""
    lung = [each for each in slices if each["probability"] is not None] or slices
    middle = (lung[0]["z_mm"] + lung[-1]["z_mm"]) / 2
    positive = [slices[index] for index in _positive(slices, called_normal)]
    if positive:
        return float(max(positive, key=lambda each: each["activation_cm2"])["z_mm"])
    return float(middle if instead_mm is None else instead_mm)


def _positive(slices: Sequence[dict[str, Any]], called_normal: Collection[str]) -> list[int]:
    """Indices of the positive slices; without those that readers call normal, where others are left."""
    positive = [index for index, each in enumerate(slices) if each["positive"]]
    agreed = [index for index in positive if slices[index]["sop_instance_uid"] not in called_normal]
    return agreed or positive


def _nearest(slices: Sequence[dict[str, Any]], z_mm: float) -> int:
    """Index of the slice nearest to a height."""
    return min(range(len(slices)), key=lambda index: abs(slices[index]["z_mm"] - z_mm))


def _levels(analysis: Analysis, findings: Sequence[Place]) -> dict[int, int]:
    """Index of the slice of the centre of each, by number."""
    slices = analysis.report["slices"]
    heights = heights_mm(analysis, [each.centroid_mm for each in findings])
    return {each.number: _nearest(slices, z_mm) for each, z_mm in zip(findings, heights, strict=True)}


def thumbnail(analysis: Analysis, z_mm: float) -> bytes | None:
    """A small JPEG of the slice of the lungs nearest to a height, with the heat map; None where it cannot be read."""
    slices = analysis.report["slices"]
    lung = [index for index, each in enumerate(slices) if each["probability"] is not None] or list(range(len(slices)))
    images = _images(analysis, [min(lung, key=lambda index: abs(slices[index]["z_mm"] - z_mm))])
    if not images:
        return None
    return as_jpeg(images[0].overlay.resize(THUMBNAIL, Image.Resampling.LANCZOS), THUMBNAIL_QUALITY)


def key_images(analysis: Analysis, findings: Sequence[Place], instead_mm: float | None) -> list[SliceImage]:
    """The chosen slices of a finished analysis, with what the findings outline there."""
    chosen = choose_slices(analysis.report["slices"], instead_mm, analysis.called_normal)
    return _images(analysis, chosen, findings=findings)


def sheet_images(analysis: Analysis) -> list[SliceImage]:
    """The positive slices; where they are more than SHEET_SLICES, that many evenly chosen ones."""
    positive = [index for index, each in enumerate(analysis.report["slices"]) if each["positive"]]
    return _images(analysis, evenly_chosen(positive, SHEET_SLICES), SHEET_PIXELS_WIDE)


def evenly_chosen(indices: Sequence[int], most: int) -> list[int]:
    """All, or ``most`` of them from the first to the last."""
    if len(indices) <= most:
        return list(indices)
    return [indices[round(number * (len(indices) - 1) / (most - 1))] for number in range(most)]


def finding_images(analysis: Analysis, findings: Sequence[Place]) -> dict[int, SliceImage]:
    """By number the cut around each finding, on the slice of its centre; one whose image cannot be read is left out.

    ``overlay``: with the outline of the map, or with a ring as wide as the long axis where the map has none there.
    """
    level = _levels(analysis, findings)
    read = _read(analysis, set(level.values()))
    labels = _read_map(analysis, analysis.findings_map) if analysis.findings_map else None
    images = {}
    for each in findings:
        index = level[each.number]
        if index in read:
            plane = None if labels is None else labels[index] == each.number
            images[each.number] = _cut_around(each, index, *read[index], plane)
    return images


def _images(
    analysis: Analysis, chosen: Sequence[int], pixels_wide: int = PIXELS_WIDE, findings: Sequence[Place] = ()
) -> list[SliceImage]:
    """Slices in one frame, with the outlines of these findings; one whose image cannot be read is left out.

    None at all where the heat map cannot be read: a CT alone would pass for one without findings.
    """
    read = _read(analysis, chosen)
    heatmap = _read_map(analysis, analysis.heatmap) if read else None
    if heatmap is None:
        return []
    header, _ = next(iter(read.values()))
    assert header.pixel_spacing_mm is not None  # an analysed series has one, the same on all slices
    frame = _body_frame([hu for _, hu in read.values()], header.pixel_spacing_mm, pixels_wide)
    images = [_with_heat_map(index, *read[index], heatmap[index], frame) for index in chosen if index in read]
    labels = _read_map(analysis, analysis.findings_map) if findings and analysis.findings_map else None
    levels = _levels(analysis, findings) if findings else {}
    return [_with_outlines(image, findings, levels, labels, frame) for image in images]


def _read_map(analysis: Analysis, stored: FieldFile) -> Grey | None:
    """A plane for each slice of the report."""
    try:
        planes = storage.read_map(stored)
        if len(planes) != len(analysis.report["slices"]):
            raise ValueError(f"it has {len(planes)} planes")
        return planes
    except (OSError, EOFError, ValueError, zlib.error) as fault:
        log.error("images of analysis %s: %s cannot be read: %s", analysis.pk, stored.field.name, fault)
        return None


def _read(analysis: Analysis, chosen: Iterable[int]) -> dict[int, tuple[SliceHeader, npt.NDArray[np.int16]]]:
    """By index in the report, those that can be read."""
    uids = {analysis.report["slices"][index]["sop_instance_uid"]: index for index in chosen}
    read = {}
    for instance in analysis.series.instances.filter(sop_instance_uid__in=uids):
        index = uids[instance.sop_instance_uid]
        try:
            read[index] = read_slice(instance)
        except (UnusableSeries, InvalidDicomError, OSError) as fault:
            log.warning("images of analysis %s: slice %s cannot be shown: %s", analysis.pk, index + 1, fault)
    return read


def _body_frame(slices: Sequence[npt.NDArray[np.int16]], spacing_mm: tuple[float, float], pixels_wide: int) -> Frame:
    """What holds the body on all slices."""
    boxes = [box for hu in slices if (box := _body_box_mm(hu, spacing_mm))]
    rows_mm, columns_mm = np.array(slices[0].shape) * spacing_mm
    top, left, bottom, right = 0.0, 0.0, rows_mm, columns_mm
    if boxes:
        edges = np.array(boxes)
        top, left = edges[:, :2].min(axis=0) - BODY_MARGIN_MM
        bottom, right = edges[:, 2:].max(axis=0) + BODY_MARGIN_MM
    return Frame((top + bottom) / 2, (left + right) / 2, max(right - left, (bottom - top) * ASPECT), pixels_wide)


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


def _with_heat_map(index: int, header: SliceHeader, hu: npt.NDArray[np.int16], heat: Grey, frame: Frame) -> SliceImage:
    size_mm = _size_mm(header)
    ct = _cut(in_lung_window(hu), size_mm, frame)
    return _slice_image(index, header, frame, ct, _with_heat(ct, _cut(heat, size_mm, frame)))


def _with_outlines(
    image: SliceImage, findings: Sequence[Place], levels: dict[int, int], labels: Grey | None, frame: Frame
) -> SliceImage:
    """What the map (slice, row, column) holds of the findings on this slice; one that it has nowhere, as a reader
    marked it, as a ring on the slice of its centre. ``levels``: of each finding, by number."""
    index = image.number - 1
    shapes = {}
    for each in findings:
        mapped = labels is not None and bool((labels == each.number).any())
        labelled = labels[index] == each.number if labels is not None and mapped else None
        if labelled.any() if labelled is not None else levels[each.number] == index:
            shapes[each.number] = _shape(each, image.header, frame, labelled)
    return replace(image, overlay=_outlined(image.overlay, shapes.values()), outlined=tuple(shapes))


def _cut_around(
    place: Place, index: int, header: SliceHeader, hu: npt.NDArray[np.int16], labelled: npt.NDArray[np.bool_] | None
) -> SliceImage:
    """``labelled``: the finding on the slice, of any matrix; None where there is no map."""
    row_mm, column_mm = _in_image_mm(place, header)
    width_mm = max(CUT_MM, CUT_AXES * place.long_axis_mm)
    frame = Frame(row_mm, column_mm, width_mm, CUT_PIXELS_WIDE)
    ct = _cut(in_lung_window(hu), _size_mm(header), frame)
    here = labelled if labelled is not None and labelled.any() else None
    return _slice_image(index, header, frame, ct, _outlined(ct.convert("RGB"), [_shape(place, header, frame, here)]))


def _in_image_mm(place: Place, header: SliceHeader) -> tuple[float, float]:
    """Where its centre lies, down and across from the image's corner."""
    assert header.position is not None  # as an analysed series has
    assert header.orientation is not None
    assert header.pixel_spacing_mm is not None
    column_mm, row_mm = np.reshape(header.orientation, (2, 3)) @ (np.array(place.centroid_mm) - header.position)
    down_mm, across_mm = header.pixel_spacing_mm
    return float(row_mm + down_mm / 2), float(column_mm + across_mm / 2)


def _shape(
    place: Place, header: SliceHeader, frame: Frame, labelled: npt.NDArray[np.bool_] | None
) -> npt.NDArray[np.bool_]:
    """A finding in the frame's picture: as the map has it on the slice, without one a disc as wide as its long axis."""
    if labelled is not None:
        return np.asarray(_cut(labelled.astype(np.uint8) * 255, _size_mm(header), frame)) > 127
    row_mm, column_mm = _in_image_mm(place, header)
    rows, columns = np.indices((round(frame.pixels_wide / ASPECT), frame.pixels_wide))
    down = (rows - rows.shape[0] / 2) * frame.mm_per_pixel + frame.row_mm - row_mm
    across = (columns - rows.shape[1] / 2) * frame.mm_per_pixel + frame.column_mm - column_mm
    disc: npt.NDArray[np.bool_] = np.hypot(down, across) <= place.long_axis_mm / 2
    return disc


def _outlined(picture: Image.Image, shapes: Collection[npt.NDArray[np.bool_]]) -> Image.Image:
    """With a dark edge on either side of each line, which would be lost in the heat map."""
    pixels = np.array(picture)
    for width, colour in ((2, OUTLINE_EDGE_RGB), (1, OUTLINE_RGB)):
        for shape in shapes:
            pixels[ndimage.binary_dilation(shape, None, width) & ~ndimage.binary_erosion(shape, None, width)] = colour
    return Image.fromarray(pixels)


def _slice_image(index: int, header: SliceHeader, frame: Frame, ct: Image.Image, overlay: Image.Image) -> SliceImage:
    left, right = _sides(header)
    return SliceImage(index + 1, ct, overlay, frame.mm_per_pixel, left, right, header)


def _size_mm(header: SliceHeader) -> tuple[float, float]:
    """Of the whole image: rows, columns."""
    assert header.pixel_spacing_mm is not None
    return header.rows * header.pixel_spacing_mm[0], header.columns * header.pixel_spacing_mm[1]


def _cut(plane: Grey, size_mm: tuple[float, float], frame: Frame) -> Image.Image:
    """The frame's part of a plane that covers ``size_mm`` (rows, columns); black beyond its edges."""
    high = round(frame.pixels_wide / ASPECT)
    to_rows, to_columns = plane.shape[0] / size_mm[0], plane.shape[1] / size_mm[1]
    across, down = frame.mm_per_pixel * to_columns, frame.width_mm / ASPECT / high * to_rows
    left = (frame.column_mm - frame.width_mm / 2) * to_columns
    top = (frame.row_mm - frame.width_mm / ASPECT / 2) * to_rows
    return Image.fromarray(plane).transform(
        (frame.pixels_wide, high),
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
