"""One scan of one synthetic patient: who, when, with which lesions, how breathed in and where on the table."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .anatomy import Anatomy
from .lesions import Lesion

GONE = 0.01  # a lesion shrunk below this part of a ml has vanished
BREATH_TOP_MM, BREATH_BASE_MM = 40.0, -100.0  # breathing moves what lies between ever more, and all below alike


@dataclass(frozen=True)
class Pose:
    """``breath_mm``: how far the diaphragm lies lower than at the reference; ``shift_mm``: (x, y, z) on the table."""

    breath_mm: float = 0.0
    shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def _fall(self, z: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
        t = np.clip((BREATH_TOP_MM - z) / (BREATH_TOP_MM - BREATH_BASE_MM), 0, 1)
        return self.breath_mm * t * t * (3 - 2 * t)

    def to_scanner(self, points_xyz: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
        """Reference points (…, xyz) in mm to where they lie in this scan."""
        moved = points_xyz + np.asarray(self.shift_mm, points_xyz.dtype)
        moved[..., 2] -= self._fall(points_xyz[..., 2]).astype(points_xyz.dtype)
        return moved

    def reference_z(self, z_mm: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Levels in the scan to reference levels."""
        reference = np.linspace(-400, 400, 3201)
        return np.interp(z_mm, reference + self.shift_mm[2] - self._fall(reference), reference)


@dataclass(frozen=True, eq=False)
class Visit:
    """``day``: days since the patient's first scan."""

    anatomy: Anatomy
    lesions: tuple[Lesion, ...] = ()
    day: int = 0
    pose: Pose = Pose()


def follow_up(visit: Visit, day: int, volume_factors: float | Sequence[float], *, moved: bool = True) -> Visit:
    """The same patient on a later day, each lesion's volume times its factor (one for all, or one each).

    A factor of 0 lets a lesion vanish. ``moved``: breathed in and placed on the table a little
    differently; else exactly as before. Noise always differs. Raises ValueError where the number
    of factors is not that of the lesions or a factor is negative.
    """
    factors = np.broadcast_to(np.asarray(volume_factors, float), len(visit.lesions))
    if (factors < 0).any():
        raise ValueError("A lesion cannot shrink below nothing: a volume factor is negative.")
    lesions = (lesion.grown(f) for lesion, f in zip(visit.lesions, factors, strict=True))
    pose = visit.pose
    if moved:
        rng = np.random.default_rng([visit.anatomy.seed, 5, day])
        x, y, z = rng.uniform(-6, 6, 3)
        pose = Pose(float(rng.uniform(-8, 8)), (float(x), float(y) / 2, float(z)))
    return Visit(visit.anatomy, tuple(lesion for lesion in lesions if lesion.volume_ml > GONE), day, pose)
