"""Synthetic opacities pasted into normal slices, with their exact masks."""

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_dilation, distance_transform_edt, gaussian_filter

COUNT = (1, 5)  # patches per slice, the last excluded
RADIUS = (3.0, 48.0)  # pixels at 256², about 4–65 mm: from a first focus to a lobe
RIM = 2  # pixels beyond the mask's edge: else a dark line would part every patch from the chest wall
TARGET_HU = (-700.0, 40.0)  # ground-glass to consolidation (Hansell et al. 2008, Fleischner glossary)
TEXTURE_HU = 90.0  # standard deviation inside a patch at most
PLEURAL_SHARE = 0.6  # COVID-19 patches lie mostly under the pleura (Bernheim et al. 2020)
PLEURAL_PIXELS = 8.0
VISIBLE_RISE_HU = 80.0  # a voxel counts as opacity where the patch lifted it by more


def paste_opacities(
    hu: npt.NDArray[np.int16],
    lung: npt.NDArray[np.bool_],
    random: np.random.Generator,
    *,
    radius_pixels: tuple[float, float] = RADIUS,
    target_hu: tuple[float, float] = TARGET_HU,
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.bool_]]:
    """Return the slice (256, 256) with patches inside its lung, and the mask of what they changed."""
    depth = distance_transform_edt(lung)
    reach = binary_dilation(lung, iterations=RIM)
    inside = np.argwhere(lung)
    pleural = np.argwhere(lung & (depth < PLEURAL_PIXELS))
    rows, columns = np.indices(hu.shape)
    changed = hu.astype(np.float32)
    for _ in range(random.integers(*COUNT)):
        centre = random.choice(pleural if random.random() < PLEURAL_SHARE else inside)
        radius = np.exp(random.uniform(*np.log(radius_pixels)))
        angle, stretch = random.uniform(0, np.pi), random.uniform(1, 2)
        along = (rows - centre[0]) * np.sin(angle) + (columns - centre[1]) * np.cos(angle)
        across = (rows - centre[0]) * np.cos(angle) - (columns - centre[1]) * np.sin(angle)
        rough = gaussian_filter(random.standard_normal(hu.shape), max(1.0, radius / 4))
        distance = np.hypot(along / stretch, across) / radius + 0.35 * rough / rough.std()
        edge = random.uniform(4, 14)  # hazy to sharp
        share = 1 / (1 + np.exp(np.clip(edge * (distance - 1), -30, 30)))
        texture = gaussian_filter(random.standard_normal(hu.shape), random.uniform(0.7, 2.5))
        target = random.uniform(*target_hu) + random.uniform(0, TEXTURE_HU) * texture / texture.std()
        changed += share * np.maximum(target - changed, 0) * reach
    rise = changed - hu
    return changed.astype(np.int16), lung & (rise > VISIBLE_RISE_HU)
