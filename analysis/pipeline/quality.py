"""What the pixels, and the lungs found in them, say about the quality of a scan."""

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from .blobs import SpacingMm
from .findings import Found
from .marked import gettext_noop
from .regions import THIRDS, gaps
from .report import QualityFlag
from .unmarked import Amount, Ball, doubtful, standing_out, tissue_at_wall, unmarked
from .volume import Volume

NOISY_HU = 45.0
"""Noise in soft tissue above which ground glass (200 to 400 HU above lung) gets hard to delineate."""
NOISE_SAMPLES = 7
"""Slices in which noise is measured, evenly over the middle half of the series."""
NOISE_WINDOW_MM = 6.0
"""Side of the square in which the standard deviation is taken."""
SOFT_TISSUE_HU = (-20.0, 100.0)
"""Muscle, blood, liver: range of the mean of such a square."""
UNIFORM_SHARE = 0.25
"""Of all squares of soft tissue the quarter with the smallest deviation counts as uniform."""
MIN_SQUARES = 200
"""Fewer squares say nothing."""


CUT_OFF_AREA_CM2 = 20.0
"""More lung than this on the first or last slice or at a side of the images: the scan ends inside the lungs."""
CIRCLE_PIXELS = 4
"""Width of the ring inside a round field of view in which lung is counted: its mask ends a little before."""
SMALLER_LUNG = 0.4
"""Volume of the smaller lung ÷ that of the larger: about 0.8 to 0.9 in healthy adults."""
END_CM2, APART_MM = 5.0, 50.0
"""A lung begins and ends with the first and last slice that hold more of it."""
MISSED_ML = 10.0
"""Of what is too thick at the lungs' outside to be chest wall and of dense tissue in them that nothing marks, together:
the tests hold that the four real scans have less."""
LUNGS_ML = (1500.0, 9000.0)
"""Adults' lungs, breathed out and in; the networks were trained on no others."""
AERATED_HU = -500.0
"""Lung below counts as aerated."""
AERATED_MEDIAN_HU = (-960.0, -700.0)
"""Median of the aerated lung of adults, from emphysema to breathed out."""
DENSE_MEDIAN_HU = -770.0
"""Training saw −900 to −770 HU of healthy lungs; where lungs are denser a part of that counts as opacity."""

RIGHT_LUNG, LEFT_LUNG = gettext_noop("The right lung found"), gettext_noop("The left lung found")

AIR_HU = -975.0
"""Mean of about a centimetre of lung: less is air alone, in emphysema too."""
AIR_STEP_MM = 4.0
"""Voxels at which air alone is looked for."""
AIR_ML = 25.0
"""In one piece: the airways that the lungs' mask holds have less than 1 ml."""

ENHANCED_HU = 100.0
"""Blood has 30 to 60 HU, and more than 120 after contrast agent."""
FRONT_OF_CHEST = (0.15, 0.55)
"""Of the lungs' depth from the front: heart and great vessels, but neither sternum nor spine."""
BLOOD_SQUARE = 5
"""Pixels of 256²: side of the square over which HU are averaged, all of it between the lungs."""

BREATHING_PERCENT = 0.5
"""What lies between lung above and lung below ÷ the lungs: a still scan has next to none, one whose slices show the
dome of the diaphragm twice more than this."""
BREATHING_GAP_MM = 40.0
"""Higher is no repeated dome of the diaphragm."""
BREATHING_PIECE_MM = 14.0
"""Narrower pieces are vessels."""
BREATHING_PIXEL_MM = 3.0
"""Pixels at which it is measured."""


def pixel_flags(volume: Volume) -> tuple[QualityFlag, ...]:
    """Flags that need the decoded volume, next to those of the headers."""
    noise = noise_hu(volume)
    if noise is None or noise <= NOISY_HU:
        return ()
    message = gettext_noop("The images are noisy ({noise:.0f} HU in soft tissue); small opacities are unsure.")
    return (QualityFlag("noise", message.format(noise=noise)),)


def noise_hu(volume: Volume) -> float | None:
    """Standard deviation of uniform soft tissue in HU; None where there is too little of it."""
    count = len(volume.hu)
    chosen = np.unique(np.linspace(count // 4, (3 * count) // 4, NOISE_SAMPLES).round().astype(int).clip(0, count - 1))
    _, row_mm, column_mm = volume.spacing_mm
    window = max(3, round(NOISE_WINDOW_MM / row_mm)), max(3, round(NOISE_WINDOW_MM / column_mm))
    deviations = np.concatenate([_deviations_in_soft_tissue(volume.hu[index], window) for index in chosen])
    if deviations.size < MIN_SQUARES:
        return None
    return float(np.quantile(deviations, UNIFORM_SHARE))


def _deviations_in_soft_tissue(hu: npt.NDArray[np.int16], window: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Standard deviation in each square of soft tissue of one slice (row, column), as a flat array."""
    values = hu.astype(np.float64)
    mean = ndimage.uniform_filter(values, size=window)
    variance = ndimage.uniform_filter(values**2, size=window) - mean**2
    low, high = SOFT_TISSUE_HU
    squares: npt.NDArray[np.float64] = np.sqrt(variance[(mean >= low) & (mean <= high)].clip(min=0))
    return squares


def lung_flags(
    hu: npt.NDArray[np.int16], of_zone: npt.NDArray[np.uint8], spacing_mm: SpacingMm
) -> tuple[QualityFlag, ...]:
    """Flags of lungs that are cut off, unlike those of the training, or that look as if they were not found right.

    ``hu`` and ``of_zone``, from ``regions.zones``: (slice, row, column), upright; ``spacing_mm`` in the same order.
    """
    left = np.array([np.count_nonzero(one_slice > THIRDS) for one_slice in of_zone])
    right = np.array([np.count_nonzero(one_slice) for one_slice in of_zone]) - left
    right_ml, left_ml = (float(lung.sum()) * _voxel_ml(spacing_mm) for lung in (right, left))
    density_hu = aerated_hu(hu, of_zone)
    space = air(hu, of_zone, spacing_mm)
    ends_differ, ends_in = _ends(right, left, spacing_mm)
    severe = {
        "lungs_cut_off": _cut_off(hu, of_zone, spacing_mm),
        "lungs_unequal": _unequal(right_ml, left_ml),
        "lung_ends_differ": ends_differ,
        "lung_volume_unusual": _unusual_volume(right_ml + left_ml),
        "lung_density_unusual": _unusual_density(density_hu),
        "air_space": _air(space),
    }
    noted = {} if severe["lung_density_unusual"] else {"dense_lungs": _dense(density_hu)}
    most_in = {"air_space": space.most_in, "lung_ends_differ": ends_in}
    return _said(severe, severe=True, most_in=most_in) + _said(noted, severe=False)


def missed_flags(
    hu: npt.NDArray[np.int16],
    of_zone: npt.NDArray[np.uint8],
    opacity: npt.NDArray[np.uint8],
    found: Found,
    spacing_mm: SpacingMm,
) -> tuple[QualityFlag, ...]:
    """Flags of what looks like lung that was not found, or like disease that nothing marks.

    ``opacity``: labels, 0 where there is none; all else as for ``lung_flags``.
    """
    at_wall = tissue_at_wall(hu, of_zone, spacing_mm)
    left = max(
        unmarked(hu, of_zone, opacity, found.labels, spacing_mm),
        doubtful(found.doubtful, opacity, found.labels, spacing_mm),
    )
    ball = standing_out(hu, of_zone, opacity, found.labels, spacing_mm)
    breathed, breathed_in = breathing(of_zone, found.labels, spacing_mm)
    missed = at_wall.volume_ml + left.volume_ml >= MISSED_ML
    severe = {
        "ball_unmarked": _ball(ball) if ball else "",
        "dense_unmarked": _left(left) if missed else "",
        "tissue_at_wall": _at_wall(at_wall) if missed else "",
        "breathing": _breathed(breathed, breathed_in),
    }
    most_in = {"dense_unmarked": left.most_in, "tissue_at_wall": at_wall.most_in, "breathing": breathed_in}
    if ball:
        most_in["ball_unmarked"] = ball.middle_in
    return _said(severe, severe=True, most_in=most_in)


def _said(messages: dict[str, str], *, severe: bool, most_in: dict[str, int] | None = None) -> tuple[QualityFlag, ...]:
    """``most_in``: index of the slice to look at, by code."""
    number = {code: index + 1 for code, index in (most_in or {}).items()}
    return tuple(QualityFlag(code, message, severe, number.get(code)) for code, message in messages.items() if message)


def _cut_off(hu: npt.NDArray[np.int16], of_zone: npt.NDArray[np.uint8], spacing_mm: SpacingMm) -> str:
    """Which ends and sides of the scan lie inside the lungs; the sides of a round field of view are one."""
    slice_mm, row_mm, column_mm = spacing_mm
    ends = {gettext_noop("the top"): of_zone[0], gettext_noop("the bottom"): of_zone[-1]}
    sides = {gettext_noop("the front"): of_zone[:, 0], gettext_noop("the back"): of_zone[:, -1]}
    flanks = {gettext_noop("the right side"): of_zone[..., 0], gettext_noop("the left side"): of_zone[..., -1]}
    area_cm2: dict[str, float] = {}
    for faces, one_mm, other_mm in (
        (ends, row_mm, column_mm),
        (sides, slice_mm, column_mm),
        (flanks, slice_mm, row_mm),
    ):
        area_cm2 |= {name: np.count_nonzero(face) * one_mm * other_mm / 100 for name, face in faces.items()}
    at_the_circle = _lung_at_the_circle(hu, of_zone) * slice_mm * row_mm / 100
    area_cm2[gettext_noop("the edge of the round field of view")] = at_the_circle
    cut = [name for name, area in area_cm2.items() if area > CUT_OFF_AREA_CM2]
    sentence = gettext_noop("The lungs are cut off at {places!s} of the scan; volumes and scores are too small.")
    return sentence.format(places=" and ".join(cut)) if cut else ""


def _lung_at_the_circle(hu: npt.NDArray[np.int16], of_zone: npt.NDArray[np.uint8]) -> float:
    """Pixels of lung along the circle that a square slice holds, where the scan is empty outside it."""
    slices, rows, columns = of_zone.shape
    if rows != columns:
        return 0.0
    row, column = np.ogrid[:rows, :columns]
    away = np.hypot(row - (rows - 1) / 2, column - (columns - 1) / 2)
    outside = hu[slices // 2][away > rows / 2 + 1]
    if outside.min() != outside.max():
        return 0.0
    ring = (away < rows / 2 - 1) & (away >= rows / 2 - 1 - CIRCLE_PIXELS)
    return float(np.count_nonzero(of_zone[:, ring]) / CIRCLE_PIXELS)


def _unequal(right_ml: float, left_ml: float) -> str:
    if min(right_ml, left_ml) >= SMALLER_LUNG * max(right_ml, left_ml):
        return ""
    sentence = gettext_noop(
        "The right lung found has {right:.0f} ml, the left one {left:.0f} ml: look whether the lungs were found right, "
        "or whether one is collapsed, removed or surrounded by fluid."
    )
    return sentence.format(right=right_ml, left=left_ml)


def _ends(right: npt.NDArray[np.int64], left: npt.NDArray[np.int64], spacing_mm: SpacingMm) -> tuple[str, int]:
    """What to look at where one lung begins or ends far from the other's end, and the index of the slice in which it
    does. ``right`` and ``left``: pixels of each lung in each slice."""
    slice_mm, row_mm, column_mm = spacing_mm
    least = END_CM2 * 100 / (row_mm * column_mm)
    right, left = np.flatnonzero(right > least), np.flatnonzero(left > least)
    if not len(right) or not len(left):
        return "", 0  # lungs_unequal says so
    begins_at, ends_at = max(right[0], left[0]), min(right[-1], left[-1])
    begin_mm, end_mm = (begins_at - min(right[0], left[0])) * slice_mm, (max(right[-1], left[-1]) - ends_at) * slice_mm
    if max(begin_mm, end_mm) <= APART_MM:
        return "", 0
    if end_mm >= begin_mm:
        lung = RIGHT_LUNG if ends_at == right[-1] else LEFT_LUNG
        sentence = gettext_noop(
            "{lung!s} ends {apart:.0f} mm above the other, in slice {number:d}: look whether dense consolidation or "
            "fluid hides its lower part, or whether the diaphragm is raised."
        )
        return sentence.format(lung=lung, apart=end_mm, number=ends_at + 1), int(ends_at)
    lung = RIGHT_LUNG if begins_at == right[0] else LEFT_LUNG
    sentence = gettext_noop(
        "{lung!s} begins {apart:.0f} mm below the other, in slice {number:d}: look whether dense consolidation or "
        "fluid hides its upper part."
    )
    return sentence.format(lung=lung, apart=begin_mm, number=begins_at + 1), int(begins_at)


def _at_wall(tissue: Amount) -> str:
    if tissue.volume_ml < MISSED_ML / 2:
        return ""
    sentence = gettext_noop(
        "At least {volume:.0f} ml of soft tissue lie between the lungs found and the ribs behind or beside them, most "
        "around slice {number:d}: fluid, a mass, or dense consolidation that was taken for chest wall and is in no "
        "number."
    )
    return sentence.format(volume=tissue.volume_ml, number=tissue.most_in + 1)


def _left(tissue: Amount) -> str:
    if tissue.volume_ml < MISSED_ML / 2:
        return ""
    sentence = gettext_noop(
        "About {volume:.0f} ml of dense tissue in, between or beside the lungs found, most around slice {number:d}, "
        "are marked neither as opacity nor as a finding: a mass, dense consolidation, or a part of the heart or aorta."
    )
    return sentence.format(volume=tissue.volume_ml, number=tissue.most_in + 1)


def _ball(ball: Ball) -> str:
    sentence = gettext_noop(
        "A ball of dense tissue, {diameter:.0f} mm across or more, stands out into the lungs around slice {number:d} "
        "and is marked neither as opacity nor as a finding: a mass, or a part of the heart, aorta or diaphragm."
    )
    return sentence.format(diameter=ball.diameter_mm, number=ball.middle_in + 1)


def _breathed(percent: float, most_in: int) -> str:
    if percent <= BREATHING_PERCENT:
        return ""
    sentence = gettext_noop(
        "The lungs found stop and begin again further down, most around slice {number:d}: the patient may have "
        "breathed during the scan, or a part of the lungs was not found, a mass or dense consolidation for example."
    )
    return sentence.format(number=most_in + 1)


def _unusual_volume(lungs_ml: float) -> str:
    least, most = LUNGS_ML
    if least <= lungs_ml <= most:
        return ""
    sentence = gettext_noop(
        "The lungs found have {volume:.0f} ml together: the networks were trained on lungs of adults, "
        "{least:.0f} to {most:.0f} ml. Look whether the lungs were found right."
    )
    return sentence.format(volume=lungs_ml, least=least, most=most)


def _unusual_density(density_hu: float | None) -> str:
    least, most = AERATED_MEDIAN_HU
    if density_hu is None:
        return gettext_noop("No part of the lungs found is aerated: look whether they were found right.")
    if least <= density_hu <= most:
        return ""
    sentence = gettext_noop(
        "The aerated lung has a density of {density:.0f} HU, outside the {least:.0f} to {most:.0f} HU of the scans "
        "that the networks know: emphysema, a scan breathed out, or images not in Hounsfield units."
    )
    return sentence.format(density=density_hu, least=least, most=most)


def _dense(density_hu: float | None) -> str:
    if density_hu is None or density_hu <= DENSE_MEDIAN_HU:
        return ""
    sentence = gettext_noop(
        "The aerated lung has a density of {density:.0f} HU, denser than the healthy lungs that the networks know, as "
        "when the patient breathed out: scores may be too high."
    )
    return sentence.format(density=density_hu)


def _air(space: Amount) -> str:
    if space.volume_ml < AIR_ML:
        return ""
    sentence = gettext_noop(
        "The lungs found hold a space of {volume:.0f} ml or more with nothing but air, most around slice {number:d}: "
        "pneumothorax, a bulla, or gas in the stomach or bowel that was taken for lung. The lung volume is too large, "
        "percentages are too small."
    )
    return sentence.format(volume=space.volume_ml, number=space.most_in + 1)


def air(hu: npt.NDArray[np.int16], of_zone: npt.NDArray[np.uint8], spacing_mm: SpacingMm) -> Amount:
    """The largest connected part of the lungs with air alone, without its rim."""
    every = [max(1, round(AIR_STEP_MM / mm)) for mm in spacing_mm]
    thinned = tuple(slice(None, None, count) for count in every)
    inside = ndimage.binary_erosion(of_zone[thinned] > 0)
    alone = inside & (ndimage.uniform_filter(hu[thinned].astype(np.float32), 3) < AIR_HU)
    pieces, count = ndimage.label(alone)
    if not count:
        return Amount(0.0, 0)
    largest = pieces == np.bincount(pieces.ravel())[1:].argmax() + 1
    of_slices_ml = largest.sum((1, 2)) * np.prod(every) * _voxel_ml(spacing_mm)
    return Amount(float(of_slices_ml.sum()), int(of_slices_ml.argmax()) * every[0])


def _voxel_ml(spacing_mm: SpacingMm) -> float:
    return float(np.prod(spacing_mm)) / 1000


def aerated_hu(hu: npt.NDArray[np.int16], of_zone: npt.NDArray[np.uint8]) -> float | None:
    """Median HU of the aerated lung, of every eighth pixel; None where there is none."""
    lung = hu[:, ::4, ::2][of_zone[:, ::4, ::2] > 0]
    aerated = lung[lung < AERATED_HU]
    return float(np.median(aerated)) if len(aerated) else None


def breathing(
    of_zone: npt.NDArray[np.uint8], findings: npt.NDArray[np.uint16], spacing_mm: SpacingMm
) -> tuple[float, int]:
    """What lies between lung above and lung below in the same place and is no finding, in % of the lungs, and the index
    of the slice with the most of it."""
    slice_mm, row_mm, column_mm = spacing_mm
    every = max(1, round(BREATHING_PIXEL_MM / row_mm)), max(1, round(BREATHING_PIXEL_MM / column_mm))
    thinned = np.s_[:, :: every[0], :: every[1]]
    lungs = of_zone[thinned] > 0
    between = ~lungs & ((gaps(lungs, 0) + 1) * slice_mm <= BREATHING_GAP_MM) & (findings[thinned] == 0)
    piece = [max(1, round(BREATHING_PIECE_MM / (count * mm))) for count, mm in zip(every, spacing_mm[1:], strict=True)]
    wide = ndimage.binary_opening(between, np.ones((1, *piece), bool))
    of_slices = wide.sum((1, 2))
    return float(100 * of_slices.sum() / lungs.sum()), int(of_slices.argmax())


def contrast_flags(grid_hu: npt.NDArray[np.float32], lung: npt.NDArray[np.bool_]) -> tuple[QualityFlag, ...]:
    """Whether the heart and the great vessels look enhanced, whatever the headers say."""
    blood_hu = mediastinum_hu(grid_hu, lung)
    if blood_hu is None or blood_hu <= ENHANCED_HU:
        return ()
    message = gettext_noop(
        "Contrast agent seems to have been given ({density:.0f} HU between the lungs); vessels and opacities are "
        "denser."
    )
    return (QualityFlag("contrast", message.format(density=blood_hu)),)


def mediastinum_hu(grid_hu: npt.NDArray[np.float32], lung: npt.NDArray[np.bool_]) -> float | None:
    """Median HU of heart and vessels between the lungs, HU and mask (slice, 256, 256); None where there is none."""
    area = lung.sum((1, 2))
    values = []
    for index in np.flatnonzero(area > area.max() / 2):
        rows = np.flatnonzero(lung[index].any(1))
        top, bottom = (rows[0] + int(share * (rows[-1] - rows[0])) for share in FRONT_OF_CHEST)
        here = lung[index, top:bottom]
        right_of_it, left_of_it = np.logical_or.accumulate(here, 1), np.logical_or.accumulate(here[:, ::-1], 1)[:, ::-1]
        inside = ndimage.binary_erosion(~here & right_of_it & left_of_it, np.ones((BLOOD_SQUARE, BLOOD_SQUARE), bool))
        averaged = ndimage.uniform_filter(grid_hu[index, top:bottom], BLOOD_SQUARE)[inside]
        values.append(averaged[averaged > SOFT_TISSUE_HU[0]])
    blood = np.concatenate(values) if values else np.empty(0)
    return float(np.median(blood)) if len(blood) >= MIN_SQUARES else None
