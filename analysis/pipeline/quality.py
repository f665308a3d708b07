"""What the pixels, and the lungs found in them, say about the quality of a scan."""

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from .regions import THIRDS
from .report import QualityFlag
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
SMALLER_LUNG = 0.4
"""Volume of the smaller lung ÷ that of the larger: about 0.8 to 0.9 in healthy adults."""
LUNGS_ML = (1500.0, 9000.0)
"""Adults' lungs, breathed out and in; the networks were trained on no others."""
AERATED_HU = -500.0
"""Lung below counts as aerated."""
AERATED_MEDIAN_HU = (-960.0, -700.0)
"""Median of the aerated lung of adults, from emphysema to breathed out; training saw −900 to −770 HU, and denser."""

ENHANCED_HU = 100.0
"""Blood has 30 to 60 HU, and more than 120 after contrast agent."""
FRONT_OF_CHEST = (0.15, 0.55)
"""Of the lungs' depth from the front: heart and great vessels, but neither sternum nor spine."""
BLOOD_SQUARE = 5
"""Pixels of 256²: side of the square over which HU are averaged, all of it between the lungs."""

BREATHING_PERCENT = 0.5
"""What lies between lung above and lung below ÷ the lungs. Still scans at hand have up to 0.20 %; where the diaphragm
moves by 10 mm every 25 mm of the table, so that slices show it twice, 1 to 2 %."""
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
    return (QualityFlag("noise", f"The images are noisy ({noise:.0f} HU in soft tissue); small opacities are unsure."),)


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


def lung_flags(hu: npt.NDArray[np.int16], of_zone: npt.NDArray[np.uint8], volume: Volume) -> tuple[QualityFlag, ...]:
    """Flags of lungs that are cut off, unlike those of the training, or that look as if they were not found right.

    ``hu`` and ``of_zone``, from ``regions.zones``: (slice, row, column), with the voxels of ``volume``, turned as it
    may be.
    """
    ends = _cut_off(of_zone, volume)
    cut_off = f"The lungs are cut off at the {' and the '.join(ends)} of the scan; volumes and scores are too small."
    lung, right = np.count_nonzero(of_zone), np.count_nonzero((of_zone > 0) & (of_zone <= THIRDS))
    right_ml, left_ml = right * volume.voxel_volume_ml, (lung - right) * volume.voxel_volume_ml
    unequal = (
        f"The right lung found has {right_ml:.0f} ml, the left one {left_ml:.0f} ml: look whether the lungs were found "
        "right, or whether one is collapsed, removed or surrounded by fluid."
    )
    (least_ml, most_ml), (least_hu, most_hu) = LUNGS_ML, AERATED_MEDIAN_HU
    unusual = (
        f"The lungs found have {right_ml + left_ml:.0f} ml together: the networks were trained on lungs of adults, "
        f"{least_ml:.0f} to {most_ml:.0f} ml. Look whether the lungs were found right."
    )
    density_hu = aerated_hu(hu, of_zone)
    density = (
        f"The aerated lung has a density of {density_hu:.0f} HU, outside the {least_hu:.0f} to {most_hu:.0f} HU of the "
        "scans that the networks know: emphysema, a scan breathed out, or images not in Hounsfield units."
    )
    breathing = (
        "The lungs stop and begin again further down, as when the patient breathes during the scan, or where a part of "
        "the lungs was not found: look at the lower slices."
    )
    holds = {
        ("lungs_cut_off", cut_off): bool(ends),
        ("lungs_unequal", unequal): min(right_ml, left_ml) < SMALLER_LUNG * max(right_ml, left_ml),
        ("lung_volume_unusual", unusual): not least_ml <= right_ml + left_ml <= most_ml,
        ("lung_density_unusual", density): not least_hu <= density_hu <= most_hu,
        ("breathing", breathing): breathing_percent(of_zone, volume) > BREATHING_PERCENT,
    }
    return tuple(QualityFlag(code, message, severe=True) for (code, message), flagged in holds.items() if flagged)


def _cut_off(of_zone: npt.NDArray[np.uint8], volume: Volume) -> list[str]:
    """The ends and sides of the scan that lie inside the lungs."""
    slice_mm, pixel_mm = volume.spacing_mm[0], _pixel_mm(volume)
    faces = {"top": of_zone[0], "bottom": of_zone[-1], "front": of_zone[:, 0], "back": of_zone[:, -1]}
    faces |= {"right side": of_zone[..., 0], "left side": of_zone[..., -1]}
    return [
        name
        for name, face in faces.items()
        if np.count_nonzero(face) * pixel_mm * (pixel_mm if name in ("top", "bottom") else slice_mm) / 100
        > CUT_OFF_AREA_CM2
    ]


def _pixel_mm(volume: Volume) -> float:
    return float(np.sqrt(volume.pixel_area_mm2))


def aerated_hu(hu: npt.NDArray[np.int16], of_zone: npt.NDArray[np.uint8]) -> float:
    """Median HU of the aerated lung, of every eighth pixel; NaN where there is none."""
    lung = hu[:, ::4, ::2][of_zone[:, ::4, ::2] > 0]
    aerated = lung[lung < AERATED_HU]
    return float(np.median(aerated)) if len(aerated) else float("nan")


def breathing_percent(of_zone: npt.NDArray[np.uint8], volume: Volume) -> float:
    """What lies between lung above and lung below in the same place, in % of the lungs."""
    every = max(1, round(BREATHING_PIXEL_MM / _pixel_mm(volume)))
    lungs, slices = of_zone[:, ::every, ::every] > 0, np.arange(len(of_zone), dtype=np.int32)[:, None, None]
    far = 1_000_000  # no slice
    above = np.maximum.accumulate(np.where(lungs, slices, -far))
    below = np.minimum.accumulate(np.where(lungs, slices, far)[::-1])[::-1]
    between = ~lungs & ((below - above) * volume.spacing_mm[0] <= BREATHING_GAP_MM)
    piece = max(1, round(BREATHING_PIECE_MM / (every * _pixel_mm(volume))))
    wide = ndimage.binary_opening(between, np.ones((1, piece, piece), bool))
    return float(100 * wide.sum() / lungs.sum())


def contrast_flags(grid_hu: npt.NDArray[np.float32], lung: npt.NDArray[np.bool_]) -> tuple[QualityFlag, ...]:
    """Whether the heart and the great vessels look enhanced, whatever the headers say."""
    blood_hu = mediastinum_hu(grid_hu, lung)
    if blood_hu is None or blood_hu <= ENHANCED_HU:
        return ()
    message = f"Contrast agent was given ({blood_hu:.0f} HU between the lungs); vessels and opacities are denser."
    return (QualityFlag("contrast", message),)


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
