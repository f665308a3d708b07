"""Synthetic opacities pasted into normal slices, with their exact masks, and gas pasted beside the lungs."""

import numpy as np
import numpy.typing as npt
from scipy.ndimage import (
    binary_dilation,
    binary_fill_holes,
    binary_opening,
    distance_transform_cdt,
    distance_transform_edt,
    gaussian_filter,
)

COUNT = (1, 5)  # patches per slice, the last excluded
RADIUS = (3.0, 48.0)  # pixels at 256², about 4–65 mm: from a first focus to a lobe
RIM = 2  # pixels beyond the mask's edge: else a dark line would part every patch from the chest wall
TARGET_HU = (-700.0, 40.0)  # ground-glass to consolidation (Hansell et al. 2008, Fleischner glossary)
TEXTURE_HU = 90.0  # standard deviation inside a patch at most
PLEURAL_SHARE = 0.6  # COVID-19 patches lie mostly under the pleura (Bernheim et al. 2020)
PLEURAL_PIXELS = 8  # along rows, columns or diagonals
MIDLINE = 0.12  # of the lungs' width either side of their middle: below lie spine and aorta, not the chest wall
VISIBLE_RISE_HU = 80.0  # a voxel counts as opacity where the patch lifted it by more

# Haze
HAZE_COVER = (0.2, 0.9)  # of the lung
HAZE_ISLAND = (3.0, 20.0)  # standard deviation of the noise that shapes it, pixels at 256²
HAZE_TILT = 8.0  # standard deviations of that noise from one side of the slice to the other, at most
HAZE_EDGE = (2.0, 10.0)  # steepness of its edge: hazy to sharp
HAZE_FILLED = (0.18, 0.5)  # of the air, with fluid: 160 to 450 HU in aerated lung
HAZE_TEXTURE = 0.4  # standard deviation of that inside the haze at most

# Gas in bowel and stomach
BODY_HU = -300.0  # soft tissue lies above
GAS_RADIUS = (4.0, 22.0)  # pixels at 256²
GAS_HU = (-1000.0, -350.0)  # gas to gas mixed with contents, or with tissue in a thick slice
GAS_TEXTURE_HU = 150.0  # standard deviation inside a pocket at most
GAS_WALL, WALL_HU = 2, 30.0  # pixels of bowel wall; none nearer to the lung than this
GAS_FAT, FAT_HU = 6.0, (-110.0, 20.0)  # pixels of fat, or of tissue, around
PATCH_MARGIN = 16  # pixels beyond what a patch reaches: the layers around gas


def paste_opacities(
    hu: npt.NDArray[np.int16],
    lung: npt.NDArray[np.bool_],
    random: np.random.Generator,
    *,
    radius_pixels: tuple[float, float] = RADIUS,
    target_hu: tuple[float, float] = TARGET_HU,
    dependent: bool = False,
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.bool_]]:
    """Return the slice (256, 256) with patches inside its lung, and the mask of what they changed.

    ``dependent``: all of them at the posterior chest wall, where consolidation gathers in a patient lying on the back.
    """
    reach = binary_dilation(lung, iterations=RIM)
    inside = np.argwhere(lung)
    pleural = (
        _posterior_wall(lung) if dependent else np.argwhere(lung & (distance_transform_cdt(lung) < PLEURAL_PIXELS))
    )
    changed = hu.astype(np.float32)
    for _ in range(random.integers(*COUNT)):
        centre = random.choice(pleural if dependent or random.random() < PLEURAL_SHARE else inside)
        radius = np.exp(random.uniform(*np.log(radius_pixels)))
        around, distance = _blob(hu.shape, centre, radius, random)
        edge = random.uniform(4, 14)  # hazy to sharp
        share = 1 / (1 + np.exp(np.clip(edge * (distance - 1), -30, 30)))
        texture = _standard(gaussian_filter(_noise(distance.shape, random), random.uniform(0.7, 2.5)))
        target = random.uniform(*target_hu) + random.uniform(0, TEXTURE_HU) * texture
        changed[around] += share * np.maximum(target - changed[around], 0) * reach[around]
    rise = changed - hu
    return changed.astype(np.int16), lung & (rise > VISIBLE_RISE_HU)


def _posterior_wall(lung: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """(row, column) of the last lung pixel of each column that lies off the midline."""
    columns = np.flatnonzero(lung.any(0))
    columns = columns[np.abs(columns - columns.mean()) > MIDLINE * len(columns)]
    return np.stack([len(lung) - 1 - lung[::-1, columns].argmax(0), columns], 1)


def paste_haze(
    hu: npt.NDArray[np.int16], lung: npt.NDArray[np.bool_], random: np.random.Generator
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.bool_]]:
    """The same with one ground-glass opacity over much of the lung that spares islands, as in severe disease.

    Vessels stay visible in it, since what is dense already changes less.
    """
    island = random.uniform(*HAZE_ISLAND)
    field = _standard(gaussian_filter(_noise(hu.shape, random), island))
    down, across = (np.indices(hu.shape) / len(hu) - 0.5) * random.uniform(0, HAZE_TILT, (2, 1, 1))
    field = field + down + random.choice([-1, 1]) * across  # mostly below, as the patient lies
    limit = np.quantile(field[lung], 1 - random.uniform(*HAZE_COVER))
    share = 1 / (1 + np.exp(np.clip(random.uniform(*HAZE_EDGE) * (limit - field), -30, 30)))
    texture = _standard(gaussian_filter(_noise(hu.shape, random), random.uniform(0.7, 2.5)))
    filled = random.uniform(*HAZE_FILLED) * (1 + random.uniform(0, HAZE_TEXTURE) * texture).clip(0.2, 2)
    inside = gaussian_filter(lung.astype(np.float32), 0.7)
    changed = hu + inside * share * filled * np.maximum(TARGET_HU[1] - hu, 0)
    return changed.astype(np.int16), lung & (share > 0.5)


def paste_gas(
    hu: npt.NDArray[np.int16], lung: npt.NDArray[np.bool_], random: np.random.Generator
) -> npt.NDArray[np.int16]:
    """Return the slice (256, 256) with pockets of gas, often with contents, in its soft tissue, as bowel and stomach
    hold below the dome of the diaphragm; unchanged where there is no room for one."""
    body = binary_fill_holes(binary_opening(hu > BODY_HU, iterations=2))
    room = distance_transform_edt(body & ~binary_dilation(lung, iterations=GAS_WALL))
    changed = hu.astype(np.float32)
    for _ in range(random.integers(*COUNT)):
        radius = np.exp(random.uniform(*np.log(GAS_RADIUS)))
        centres = np.argwhere(room > min(radius / 2, 8) + GAS_WALL)
        if not len(centres):
            continue
        around, distance = _blob(hu.shape, random.choice(centres), radius, random)
        edge = random.uniform(4, 14)
        texture = _standard(gaussian_filter(_noise(distance.shape, random), random.uniform(0.7, 2.5)))
        filled = random.uniform(*GAS_HU) + random.uniform(0, GAS_TEXTURE_HU) * texture
        layers = (GAS_FAT, random.uniform(*FAT_HU)), (GAS_WALL, WALL_HU), (0.0, filled)
        for wider, inside in layers:  # each into the one before
            share = 1 / (1 + np.exp(np.clip(edge * (distance - 1 - wider / radius), -30, 30)))
            changed[around] += gaussian_filter(share * (room[around] > GAS_WALL), 0.7) * (inside - changed[around])
    return np.rint(changed.clip(-1024, 2000)).astype(np.int16)


def _blob(
    shape: tuple[int, int], centre: npt.NDArray[np.int64], radius: float, random: np.random.Generator
) -> tuple[tuple[slice, slice], npt.NDArray[np.float64]]:
    """Distance from the centre ÷ that of the edge of a stretched patch with a rough outline, and the part of the slice
    it is given for: all that the patch reaches."""
    angle, stretch = random.uniform(0, np.pi), random.uniform(1, 2)
    reach = int(3 * stretch * radius) + PATCH_MARGIN
    first, end = np.maximum(centre - reach, 0), np.minimum(centre + reach + 1, shape)
    rows, columns = np.ogrid[first[0] : end[0], first[1] : end[1]]
    along = (rows - centre[0]) * np.sin(angle) + (columns - centre[1]) * np.cos(angle)
    across = (rows - centre[0]) * np.cos(angle) - (columns - centre[1]) * np.sin(angle)
    rough = _standard(gaussian_filter(_noise(along.shape, random), max(1.0, radius / 4), truncate=3.0))
    distance: npt.NDArray[np.float64] = np.hypot(along / stretch, across) / radius + 0.35 * rough
    return (slice(first[0], end[0]), slice(first[1], end[1])), distance


def _noise(shape: tuple[int, ...], random: np.random.Generator) -> npt.NDArray[np.float32]:
    return random.standard_normal(shape, np.float32)


def _standard(field: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    return field / field.std()
