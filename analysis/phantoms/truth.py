"""Exact figures of a visit, taken on meshes of their own so that they do not depend on any grid."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from .lesions import CONSOLIDATION, Lesion
from .visit import Visit

Image = npt.NDArray[np.float32]
TRUTH_STEP_MM = 2.0


@dataclass(frozen=True)
class LesionTruth:
    """What a perfect reader would measure. ``label``: its number in the nodule mask, 0 for opacities."""

    kind: str
    label: int
    centroid_mm: tuple[float, float, float]
    volume_ml: float
    long_axis_mm: float
    short_axis_mm: float
    mean_hu: float


@dataclass(frozen=True)
class Truth:
    """Exact figures of the whole patient, independent of the grid. Centroids in LPS mm in this scan."""

    lung_volume_ml: float
    right_lung_ml: float
    left_lung_ml: float
    ground_glass_ml: float
    consolidation_ml: float
    lesions: tuple[LesionTruth, ...]

    @property
    def opacity_percent(self) -> float:
        return 100 * (self.ground_glass_ml + self.consolidation_ml) / self.lung_volume_ml


def measure(visit: Visit) -> Truth:
    """The figures of the whole patient on a fixed fine grid, whatever grid it is rendered on."""
    axes, pose = visit.anatomy.axes, visit.pose
    lung_field = visit.anatomy.field("lung")
    part = np.clip(0.5 - lung_field / axes.step_mm, 0, 1)
    stretch = -np.gradient(pose.to_scanner(np.stack([axes.z * 0, axes.z * 0, axes.z], -1))[:, 2], axes.step_mm)
    by_side = part * np.abs(stretch)[:, None, None] * axes.step_mm**3 / 1000
    is_right = axes.x[None, :] < visit.anatomy.midline_x_mm(axes.y)[:, None]
    right, left = float(by_side[:, is_right].sum()), float(by_side[:, ~is_right].sum())
    label = 0
    lesions = []
    for lesion in visit.lesions:
        label += lesion.is_nodule
        lesions.append(_measure_lesion(visit, lesion, label if lesion.is_nodule else 0))
    ground_glass, consolidation = _opacity_ml(visit)
    return Truth(right + left, right, left, ground_glass, consolidation, tuple(lesions))


def _inside(visit: Visit, lesion: Lesion, z: Image, y: Image, x: Image) -> npt.NDArray[np.bool_]:
    """Inside the lesion and the lung, on a mesh (z, y, x) of scanner coordinates."""
    center = visit.pose.to_scanner(np.array(lesion.center_mm, np.float32))
    mesh = np.meshgrid(z, y, x, indexing="ij")
    inside = lesion.distance_mm(np.stack(mesh[::-1], axis=-1) - center) < 0
    reference = np.meshgrid(
        visit.pose.reference_z(z), y - visit.pose.shift_mm[1], x - visit.pose.shift_mm[0], indexing="ij"
    )
    axes = visit.anatomy.axes
    index = [(c - a[0]) / axes.step_mm for c, a in zip(reference, (axes.z, axes.y, axes.x), strict=True)]
    return inside & (ndimage.map_coordinates(visit.anatomy.field("lung"), index, order=1, mode="nearest") < 0)


def _mesh(visit: Visit, lesion: Lesion, step_mm: float) -> list[Image]:
    """z, y, x of a mesh around the lesion whose points are multiples of the step."""
    center = visit.pose.to_scanner(np.array(lesion.center_mm, np.float32))
    reach = lesion.reach_mm
    return [
        (np.arange(np.floor((c - reach) / step_mm), np.ceil((c + reach) / step_mm) + 1) * step_mm).astype(np.float32)
        for c in center[::-1]
    ]


def _measure_lesion(visit: Visit, lesion: Lesion, label: int) -> LesionTruth:
    step = float(np.clip(lesion.radius_mm / 10, 0.3, 2.0))
    z, y, x = _mesh(visit, lesion, step)
    inside = _inside(visit, lesion, z, y, x)
    k, i, j = np.nonzero(inside)
    if not len(k):
        center = visit.pose.to_scanner(np.array(lesion.center_mm))
        return LesionTruth(lesion.kind, label, tuple(center.tolist()), 0.0, 0.0, 0.0, lesion.mean_hu)
    areas = inside.sum(axis=(1, 2))
    long_mm, short_mm = _axial_diameters(inside[areas.argmax()], step)
    centroid = (float(x[j].mean()), float(y[i].mean()), float(z[k].mean()))
    return LesionTruth(lesion.kind, label, centroid, len(k) * step**3 / 1000, long_mm, short_mm, lesion.mean_hu)


def _axial_diameters(mask: npt.NDArray[np.bool_], step_mm: float) -> tuple[float, float]:
    """Longest diameter of an axial section and the longest one at right angles to it."""
    points = np.argwhere(mask & ~ndimage.binary_erosion(mask)) * step_mm
    angles = np.deg2rad(np.arange(0, 180, 3))
    extents = np.ptp(points @ np.stack([np.sin(angles), np.cos(angles)]), axis=0) + step_mm
    longest = int(extents.argmax())
    return float(extents[longest]), float(extents[(longest + 30) % 60])


def _opacity_ml(visit: Visit) -> tuple[float, float]:
    """Ground-glass and consolidation in the lung without counting overlaps twice; consolidation wins."""
    opacities = [lesion for lesion in visit.lesions if not lesion.is_nodule]
    if not opacities:
        return 0.0, 0.0
    meshes = [_mesh(visit, lesion, TRUTH_STEP_MM) for lesion in opacities]
    first = [min(mesh[axis][0] for mesh in meshes) for axis in range(3)]
    last = [max(mesh[axis][-1] for mesh in meshes) for axis in range(3)]
    shape = [round(float(b - a) / TRUTH_STEP_MM) + 1 for a, b in zip(first, last, strict=True)]
    kind = np.zeros(shape, np.uint8)
    for lesion, mesh in zip(opacities, meshes, strict=True):
        start = [round(float(axis[0] - a) / TRUTH_STEP_MM) for axis, a in zip(mesh, first, strict=True)]
        box = tuple(slice(s, s + len(axis)) for s, axis in zip(start, mesh, strict=True))
        value = np.uint8(2 if lesion.kind == CONSOLIDATION else 1)
        np.maximum(kind[box], _inside(visit, lesion, *mesh) * value, out=kind[box])
    ml = TRUTH_STEP_MM**3 / 1000
    return float((kind == 1).sum() * ml), float((kind == 2).sum() * ml)
