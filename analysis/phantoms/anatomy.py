"""One synthetic patient: the chest as signed distances on a 2.5 mm grid, and its trees.

Patient coordinates in mm, LPS: x to the left, y to the back, z to the head; the carina lies at
(0, 15, 0). Everything follows from the seed.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from . import organs
from .build import Build
from .shapes import Axes, Field, smooth_noise, soft_union, tube, union
from .tree import Tree, grow, join

STEP_MM = 2.5
LOW_ZYX_MM, HIGH_ZYX_MM = (-220, -165, -215), (150, 145, 215)

FIELDS = ("body", "muscle", "cavity", "organ", "bone", "lung", "fissure", "airway", "organ_hu", "lung_hu")
BLOOD_HU, CARTILAGE_HU = 42, 95


@dataclass(frozen=True, eq=False)
class Anatomy:
    """``fields``: float32 (field, z, y, x) in the order of ``FIELDS``, on ``axes``.

    Distances in mm, negative inside; ``organ_hu`` and ``lung_hu`` in HU. ``bronchi`` radii are
    outer ones. ``lung_z_mm``: lowest and highest level of the lungs.
    """

    seed: int
    build: Build
    axes: Axes
    fields: npt.NDArray[np.float32]
    vessels: Tree
    bronchi: Tree
    lung_z_mm: tuple[float, float]

    @cached_property
    def body_y_mm(self) -> tuple[float, float]:
        """Foremost and hindmost y of the skin."""
        inside = self.axes.y[(self.field("body") < 0).any(axis=(0, 2))]
        return float(inside[0]), float(inside[-1])

    def field(self, name: str) -> Field:
        return self.fields[FIELDS.index(name)]

    def midline_x_mm(self, y_mm: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
        """x of the border between the right and the left lung at each y."""
        return organs.midline_x(y_mm / self.build.depth) * self.build.width

    def in_lung(self, points_xyz: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
        """Whether reference points (…, xyz) in mm lie in a lung, to the nearest grid point."""
        index = [
            np.clip(np.rint((points_xyz[..., i] - axis[0]) / STEP_MM).astype(np.intp), 0, len(axis) - 1)
            for i, axis in ((2, self.axes.z), (1, self.axes.y), (0, self.axes.x))
        ]
        return self.field("lung")[tuple(index)] < 0


@lru_cache(maxsize=2)
def make_patient(seed: int) -> Anatomy:
    """The patient of this seed; takes seconds, and the last two are kept."""
    build = Build.of_seed(seed)
    rng = np.random.default_rng([seed, 2])
    axes = Axes.between(LOW_ZYX_MM, HIGH_ZYX_MM, STEP_MM)
    unit = _in_average_patient(axes, build)

    cavity = organs.cavity(unit) + 1.5 * smooth_noise(rng, axes, 45)
    body = organs.body(unit, build) + 3 * smooth_noise(rng, axes, 70)
    dome = organs.above_diaphragm(unit, build.dome_mm) + 1.5 * smooth_noise(rng, axes, 40)
    airway = organs.central_airways(unit)
    heart = organs.heart(unit, build.heart) + 2 * smooth_noise(rng, axes, 25)
    heart = np.maximum(heart, np.minimum(2.0 - 12 * np.abs(smooth_noise(rng, axes, 45)), heart + 11))  # fat grooves
    vessels = organs.great_vessels(unit)
    upper = np.maximum(union(heart, airway - 1.5), -dome - 2)
    chest_organs = union(upper, vessels, tube(unit, organs.OESOPHAGUS, 6), organs.crura(unit))
    bone, cartilage = organs.bones(unit, cavity)
    bone = np.maximum(bone, body + 6)
    centre = soft_union(organs.mediastinum(unit), union(heart - 4, vessels - 2, airway - 3), 20)
    lung = np.maximum(np.maximum(cavity, -dome), 1 - centre) + 0.5 * smooth_noise(rng, axes, 20)
    belly, belly_hu = organs.belly_organs(unit, dome, cavity, rng)
    in_belly = belly < np.minimum(chest_organs, cartilage)
    organ_hu = np.where(in_belly, belly_hu, np.where(cartilage < chest_organs, CARTILAGE_HU, BLOOD_HU))

    y = axes.open[1]
    lung_hu = build.lung_hu + 0.55 * y + 14 * smooth_noise(rng, axes, 5) + 12 * smooth_noise(rng, axes, 24)
    fields = {
        "body": body,
        "muscle": organs.with_fat_planes(rng, axes, organs.muscle(unit, body, cavity, bone, build), cavity),
        "cavity": np.maximum(cavity, -organs.column(unit)),
        "organ": union(chest_organs, belly, cartilage),
        "bone": bone,
        "lung": lung,
        "fissure": organs.fissures(unit, 6 * smooth_noise(rng, axes, 60)),
        "airway": airway,
        "organ_hu": organ_hu + 3 * smooth_noise(rng, axes, 8),
        "lung_hu": lung_hu,
    }
    stack = np.stack([fields[name].astype(np.float32) for name in FIELDS])
    scale = np.array([build.width, build.depth, build.height])
    vessel_tree, bronchi = _trees(rng, axes, lung, scale)
    levels = axes.z[(lung < 0).any(axis=(1, 2))]
    return Anatomy(seed, build, axes, stack, vessel_tree, bronchi, (float(levels[0]), float(levels[-1])))


def _in_average_patient(axes: Axes, build: Build) -> Axes:
    """The grid in the coordinates of the average patient, for whom the figures below are given."""
    return Axes(axes.z / np.float32(build.height), axes.y / np.float32(build.depth), axes.x / np.float32(build.width))


def _trees(rng: np.random.Generator, axes: Axes, lung: Field, scale: npt.NDArray[np.float64]) -> tuple[Tree, Tree]:
    """Arteries and veins of both lungs, and the bronchi that run beside the thicker arteries."""
    arteries, veins = [], []
    for side in (-1, 1):
        in_side = np.argwhere((lung < -3) & (side * axes.x[None, None, :] > 0))
        artery_root = np.array((40 * side, 2, -4 if side > 0 else -12)) * scale
        vein_root = np.array((40 * side, 10, -38)) * scale
        for trees, root, count, tip_mm in ((arteries, artery_root, 1100, 0.62), (veins, vein_root, 900, 0.62)):
            chosen = in_side[rng.choice(len(in_side), count)] + rng.uniform(-0.5, 0.5, (count, 3))
            targets = np.stack([axes.x[0], axes.y[0], axes.z[0]]) + chosen[:, ::-1] * STEP_MM
            trees.append(grow(rng, root, targets, tip_mm))
    artery = join(*arteries)
    thick = artery.thicker_than(1.6)
    beside = np.array((0.35, 1.0, -0.35), np.float32)
    offset = beside * thick.radius_mm[:, None] * 1.9
    bronchi = Tree(thick.start + offset, thick.end + offset, thick.radius_mm * 0.85)
    return join(artery, *veins), bronchi
