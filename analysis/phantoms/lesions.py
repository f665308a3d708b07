"""Lesions: star-shaped bodies of known volume, their random placing, and their change over time."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from .anatomy import STEP_MM, Anatomy

GROUND_GLASS, CONSOLIDATION = "ground-glass", "consolidation"
SOLID, PART_SOLID, GROUND_GLASS_NODULE, CALCIFIED = "solid", "part-solid", "ground-glass nodule", "calcified"
NODULES = (SOLID, PART_SOLID, GROUND_GLASS_NODULE, CALCIFIED)
# Mean HU inside; published ranges: ground-glass −750 to −300, consolidation above −300, calcified nodules above 200.
HU = {GROUND_GLASS: -560, CONSOLIDATION: -20, SOLID: 30, PART_SOLID: -600, GROUND_GLASS_NODULE: -600, CALCIFIED: 350}
CORE_RADIUS, CORE_HU = 0.5, 25  # the solid part of a part-solid nodule: half the radius
BUMP_COUNT = 10
SMALLEST_PATCH_ML = 0.5
LARGE_VESSEL_MM = 2.5  # radius; of segments of the lung


@dataclass(frozen=True)
class Lesion:
    """``radius_mm``: of the sphere of equal volume, so the whole body has 4/3·π·radius³.

    ``center_mm`` (x, y, z) in the patient's reference coordinates (LPS). ``flattening``: the
    semi-axes along x, y, z relative to each other. ``roughness``: standard deviation of the
    surface's distance, as part of the radius. ``hu``: mean inside.
    """

    kind: str
    center_mm: tuple[float, float, float]
    radius_mm: float
    seed: int = 0
    flattening: tuple[float, float, float] = (1.0, 1.0, 1.0)
    roughness: float = 0.06
    hu: float | None = None

    @property
    def is_nodule(self) -> bool:
        return self.kind in NODULES

    @property
    def mean_hu(self) -> float:
        return HU[self.kind] if self.hu is None else self.hu

    @property
    def edge_mm(self) -> float:
        """Width over which the density rises; ground-glass fades out."""
        soft = {GROUND_GLASS: min(0.3 * self.radius_mm, 7.0), CONSOLIDATION: 2.5, GROUND_GLASS_NODULE: 1.5}
        return soft.get(self.kind, 0.6)

    @property
    def volume_ml(self) -> float:
        """Of the whole body, also where it would stick out of the lung."""
        return 4 / 3 * np.pi * self.radius_mm**3 / 1000

    def grown(self, volume_factor: float) -> "Lesion":
        return replace(self, radius_mm=self.radius_mm * volume_factor ** (1 / 3))

    @cached_property
    def _surface(self) -> npt.NDArray[np.float64]:
        """Distance of the surface, about 1, in evenly spread directions."""
        return self._bumps(_sphere(1500))

    @cached_property
    def semi_axes(self) -> npt.NDArray[np.float64]:
        """(x, y, z) relative to ``radius_mm``, such that the volume is that of the sphere."""
        axes = np.array(self.flattening) / np.prod(self.flattening) ** (1 / 3)
        return axes / np.mean(self._surface**3) ** (1 / 3)

    @property
    def reach_mm(self) -> float:
        """Radius of a sphere around the centre that holds the whole body."""
        along = np.linalg.norm(_sphere(1500) * self.semi_axes, axis=1)
        return 1.05 * self.radius_mm * float((along * self._surface).max())

    def distance_mm(self, offset_xyz: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Distance to the surface (negative inside) at points (…, xyz) given from the centre."""
        scaled = offset_xyz / self.semi_axes.astype(np.float32)
        length = np.sqrt(np.einsum("...i,...i->...", scaled, scaled))
        low, high = 0.95 * self._surface.min() * self.radius_mm, 1.05 * self._surface.max() * self.radius_mm
        distance = np.where(length < low, length - np.float32(low), length - np.float32(high))
        near = (length > low - self.edge_mm) & (length < high + self.edge_mm)
        direction = scaled[near] / np.maximum(length[near], 1e-3)[:, None]
        distance[near] = length[near] - np.float32(self.radius_mm) * self._bumps(direction)
        return distance

    def _bumps(self, direction: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
        """Surface distance by direction, around 1: a sum of plane waves over the unit sphere."""
        rng = np.random.default_rng([self.seed, 7])
        out = np.ones(direction.shape[:-1], direction.dtype)
        for _ in range(BUMP_COUNT):
            wave = rng.normal(0, 2.6, 3).astype(direction.dtype)
            phase = direction.dtype.type(rng.uniform(0, 2 * np.pi))
            out += np.sin(direction @ wave + phase) * direction.dtype.type(self.roughness * np.sqrt(2 / BUMP_COUNT))
        return np.maximum(out, direction.dtype.type(0.2))


def _sphere(count: int) -> npt.NDArray[np.float64]:
    """Evenly spread directions (Fibonacci lattice)."""
    i = np.arange(count) + 0.5
    z, turn = 1 - 2 * i / count, np.pi * (1 + 5**0.5) * i
    flat = np.sqrt(1 - z * z)
    return np.stack([flat * np.cos(turn), flat * np.sin(turn), z], axis=-1)


def random_opacities(anatomy: Anatomy, seed: int, percent_of_lung: float) -> tuple[Lesion, ...]:
    """COVID-like patches, mostly at the back, the base and the pleura, that fill about this part of the lungs.

    Larger patches may carry a consolidated core; overlaps make the true part somewhat smaller.
    """
    rng = np.random.default_rng([seed, 3])
    lung = anatomy.field("lung")
    points = _positions(anatomy, np.argwhere((lung < -4) & (lung > -22)))
    low, high = anatomy.lung_z_mm
    weight = np.exp(points[:, 1] / 45 + 1.2 * (high - points[:, 2]) / (high - low))
    weight /= weight.sum()
    missing_ml = percent_of_lung / 100 * float((lung < 0).sum()) * STEP_MM**3 / 1000
    largest_mm = 12 + 4 * np.sqrt(percent_of_lung)
    lesions: list[Lesion] = []
    while missing_ml > SMALLEST_PATCH_ML / 2:
        x, y, z = points[rng.choice(len(points), p=weight)]
        radius = float(rng.uniform(8, largest_mm))
        flat = (float(rng.uniform(0.7, 1.3)), float(rng.uniform(0.7, 1.2)), float(rng.uniform(0.8, 1.5)))
        own, rough, hu = int(rng.integers(2**31)), float(rng.uniform(0.14, 0.24)), float(rng.uniform(-660, -450))
        patch = Lesion(GROUND_GLASS, (float(x), float(y), float(z)), radius, own, flat, rough, hu)
        in_lung_ml = patch.volume_ml * _part_in_lung(anatomy, patch)
        if in_lung_ml > missing_ml:
            patch = patch.grown(max(missing_ml, SMALLEST_PATCH_ML) / in_lung_ml)
        missing_ml -= in_lung_ml
        lesions.append(patch)
        if patch.radius_mm > 12 and rng.random() < min(0.25 + percent_of_lung / 60, 0.7):
            core = patch.radius_mm * float(rng.uniform(0.35, 0.65))
            lesions.append(
                Lesion(CONSOLIDATION, patch.center_mm, core, own + 1, flat, 0.25, float(rng.uniform(-90, 30)))
            )
    return tuple(lesions)


def _part_in_lung(anatomy: Anatomy, lesion: Lesion) -> float:
    """Estimated on a few hundred points of the lesion's ellipsoid."""
    shells = [_sphere(120) * part ** (1 / 3) for part in (0.125, 0.375, 0.625, 0.875)]
    points = np.concatenate(shells) * lesion.semi_axes * lesion.radius_mm + np.array(lesion.center_mm)
    return max(float(anatomy.in_lung(points).mean()), 0.1)


def random_nodules(anatomy: Anatomy, seed: int, count: int) -> tuple[Lesion, ...]:
    """Nodules of 4 to 12 mm radius of all four textures, wholly inside the lung and apart from each other."""
    rng = np.random.default_rng([seed, 4])
    lesions: list[Lesion] = []
    for i in range(count):
        kind = NODULES[i % len(NODULES)]
        radius = float(rng.uniform(4, 7) if kind == CALCIFIED else rng.uniform(4, 12))
        lesions.append(_nodule(rng, anatomy, kind, radius, (1.35 * radius + 2, np.inf), lesions))
    return tuple(lesions)


def nodules_of_all_sizes(anatomy: Anatomy, seed: int, count: int) -> tuple[Lesion, ...]:
    """Nodules of 4 to 30 mm diameter (calcified ones to 14 mm) of all four textures, apart from each other; every third
    is cut by the wall of the lung, and none sits on a large vessel."""
    rng = np.random.default_rng([seed, 8])
    lesions: list[Lesion] = []
    for i in range(count):
        kind = NODULES[i % len(NODULES)]
        radius = float(rng.uniform(2, 7 if kind == CALCIFIED else 15))
        depth_mm = (0.3 * radius, 0.8 * radius) if i % 3 == 2 else (1.35 * radius + 2, np.inf)
        nodule = _nodule(rng, anatomy, kind, radius, depth_mm, lesions)
        while _on_large_vessel(anatomy, nodule):
            nodule = _nodule(rng, anatomy, kind, radius, depth_mm, lesions)
        lesions.append(nodule)
    return tuple(lesions)


def one_mass(anatomy: Anatomy, seed: int) -> tuple[Lesion]:
    """A solid mass of 30 to 60 mm diameter, anywhere that its middle is lung."""
    rng = np.random.default_rng([seed, 9])
    radius = float(rng.uniform(15, 30))
    return (_nodule(rng, anatomy, SOLID, radius, (0.3 * radius, np.inf), []),)


def _on_large_vessel(anatomy: Anatomy, nodule: Lesion) -> bool:
    """Whether the middle of a large vessel runs through the nodule."""
    large = anatomy.vessels.thicker_than(LARGE_VESSEL_MM)
    along, center = large.end - large.start, np.array(nodule.center_mm, np.float32)
    part = ((center - large.start) * along).sum(1) / np.maximum((along**2).sum(1), 1e-6)
    nearest = large.start + np.clip(part, 0, 1)[:, None] * along
    return bool((np.linalg.norm(nearest - center, axis=1) < nodule.radius_mm).any())


def _nodule(
    rng: np.random.Generator,
    anatomy: Anatomy,
    kind: str,
    radius: float,
    depth_mm: tuple[float, float],
    others: list[Lesion],
) -> Lesion:
    """A nodule whose centre lies so deep in the lung, away from the others."""
    lung = anatomy.field("lung")
    points = _positions(anatomy, np.argwhere((-lung > depth_mm[0]) & (-lung < depth_mm[1])))
    for other in others:
        away = np.linalg.norm(points - np.array(other.center_mm), axis=1)
        points = points[away > 1.4 * (radius + other.radius_mm) + 10]
    x, y, z = points[rng.integers(len(points))]
    flat = (1.0, float(rng.uniform(0.85, 1.1)), float(rng.uniform(0.85, 1.15)))
    rough = 0.03 if kind == CALCIFIED else float(rng.uniform(0.04, 0.1))
    return Lesion(kind, (float(x), float(y), float(z)), radius, int(rng.integers(2**31)), flat, rough)


def _positions(anatomy: Anatomy, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """(point, xyz) in mm of field indices (point, zyx)."""
    origin = np.array([anatomy.axes.x[0], anatomy.axes.y[0], anatomy.axes.z[0]], float)
    return origin + indices[:, ::-1] * STEP_MM
