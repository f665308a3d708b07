"""Two lungs as plain blocks in which a test draws balls and vessels, with edges as soft as a voxel."""

import numpy as np
import numpy.typing as npt

LUNG_HU, SOFT_TISSUE_HU, NOISE_HU = -860.0, 40.0, 15.0
SPACING_MM = (1.5, 0.8, 0.8)
SHAPE = (90, 130, 260)  # 135 × 104 × 208 mm
WALL_MM = (10.0, 12.0, 12.0)  # of soft tissue around the lungs
HALF_BETWEEN_MM = 22.0  # of the soft tissue between them
AFFINE_LPS = np.array(
    [[SPACING_MM[2], 0, 0, -104.0], [0, SPACING_MM[1], 0, -50.0], [0, 0, -SPACING_MM[0], 70.0], [0, 0, 0, 1]]
)
MIDDLE_MM = (67.5, 52.0)  # (slice, row) in mm from the first voxel, inside both lungs
RIGHT_MM, LEFT_MM = 47.0, 161.0  # columns in the middle of the right and of the left lung


class LungBlock:
    """``hu`` int16 and ``lungs`` bool (slice, row, column); places are in that order, in mm from the first voxel."""

    def __init__(self, seed: int = 0) -> None:
        self._mm = np.meshgrid(*(np.arange(n) * mm for n, mm in zip(SHAPE, SPACING_MM, strict=True)), indexing="ij")
        high = [n * mm for n, mm in zip(SHAPE, SPACING_MM, strict=True)]
        self.lungs = np.ones(SHAPE, bool)
        for at, wall, end in zip(self._mm, WALL_MM, high, strict=True):
            self.lungs &= (at > wall) & (at < end - wall)
        self.lungs &= np.abs(self._mm[2] - high[2] / 2) > HALF_BETWEEN_MM
        self._clean = np.where(self.lungs, LUNG_HU, SOFT_TISSUE_HU)
        self._noise = np.random.default_rng(seed).normal(0, NOISE_HU, SHAPE)

    @property
    def hu(self) -> npt.NDArray[np.int16]:
        return (self._clean + self._noise).astype(np.int16)

    def ball(self, place_mm: tuple[float, float, float], radius_mm: float, hu: float = SOFT_TISSUE_HU) -> float:
        """Draw one where there is lung; returns its volume there in ml."""
        away_mm = np.sqrt(sum((at - p) ** 2 for at, p in zip(self._mm, place_mm, strict=True)))
        return self._mix(np.clip(0.5 - (away_mm - radius_mm), 0, 1), hu)

    def vessel(
        self, start_mm: tuple[float, float, float], end_mm: tuple[float, float, float], radius_mm: float
    ) -> None:
        start, along = np.array(start_mm), np.array(end_mm) - start_mm
        offset = [at - s for at, s in zip(self._mm, start, strict=True)]
        part = sum(o * a for o, a in zip(offset, along, strict=True)) / (along @ along)
        part = np.clip(part, 0, 1)
        away_mm = np.sqrt(sum((o - part * a) ** 2 for o, a in zip(offset, along, strict=True)))
        self._mix(np.clip(0.5 - (away_mm - radius_mm), 0, 1), SOFT_TISSUE_HU)

    def _mix(self, part: npt.NDArray[np.float64], hu: float) -> float:
        part = part * self.lungs
        self._clean += part * (hu - self._clean)
        return float(part.sum() * np.prod(SPACING_MM) / 1000)
