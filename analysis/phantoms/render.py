"""A visit as a CT volume on any grid, with its exact truth.

Every level is drawn on sub-levels at most ``SUB_LEVEL_MM`` apart with edges as wide as a pixel and
then averaged over the slice; vessels and bronchi are spread as small portions of volume. So
volumes do not depend on the grid.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from .anatomy import FIELDS, Anatomy
from .deposit import spread
from .grid import Grid
from .lesions import CONSOLIDATION, CORE_HU, CORE_RADIUS, GROUND_GLASS, PART_SOLID, Lesion
from .truth import Truth, measure
from .visit import Pose, Visit

Image = npt.NDArray[np.float32]
Coordinates = npt.NDArray[np.float64]
SUB_LEVEL_MM = 1.25
AIR_HU, SKIN_HU, FAT_HU, MUSCLE_HU, CORTEX_HU, MARROW_HU, FISSURE_HU = -1000, 0, -103, 52, 720, 170, -350
SKIN_MM, CORTEX_MM, AIRWAY_WALL_MM, FISSURE_MM = 1.8, 1.2, 1.0, 0.6
VESSEL_HU, BRONCHUS_WALL_HU = 42, -50
BRONCHUS_LUMEN = 0.72  # of the outer radius
NOISE_HU = (
    34.0  # standard deviation in soft tissue at 2 mm slices and 0.7 mm pixels, as in routine chest CT (D40s kernel)
)
MOTTLING_PER_HU = 0.012  # the lung's own texture of some ±18 HU becomes ±20 % of a ground-glass patch
TABLE_SHELLS = ((4, 1.5, -350), (18, 2.0, 120))  # below the back (mm), thickness (mm), HU
TABLE_RADIUS_MM, TABLE_HALF_WIDTH_MM = 620, 205
CT_RANGE_HU = (-1024, 3071)


@dataclass(frozen=True, eq=False)
class Phantom:
    """All arrays (slice, row, column), slices head to feet.

    ``hu`` int16; ``lungs`` uint8, 1 right, 2 left (vessels and opacities inside included);
    ``opacity`` uint8, 1 ground-glass, 2 consolidation; ``nodules`` uint8, the label of each;
    ``vessels`` uint8, 1 vessel, 2 bronchus. ``affine_lps`` as in ``analysis.pipeline.volume``.
    """

    visit: Visit
    grid: Grid
    hu: npt.NDArray[np.int16]
    lungs: npt.NDArray[np.uint8]
    opacity: npt.NDArray[np.uint8]
    nodules: npt.NDArray[np.uint8]
    vessels: npt.NDArray[np.uint8]
    truth: Truth

    @property
    def affine_lps(self) -> npt.NDArray[np.float64]:
        return self.grid.affine_lps


def render(visit: Visit, grid: Grid) -> Phantom:
    """The CT of this visit on this grid; the same visit and grid give the same voxels."""
    hu, lung = _body(visit, grid)
    pose, anatomy = visit.pose, visit.anatomy
    opacity = np.zeros(grid.shape, np.uint8)
    nodules = np.zeros(grid.shape, np.uint8)
    label = 0
    for lesion in visit.lesions:
        label += lesion.is_nodule
        box, part, core = drawn(lesion, pose, grid)
        part *= lung[box]
        mottled = _mottled(hu[box], anatomy.build.lung_hu) if lesion.kind == GROUND_GLASS else 1
        _mix(hu[box], part * mottled, lesion.mean_hu)
        _mix(hu[box], core * lung[box], CORE_HU)
        inside = part >= 0.5
        if lesion.is_nodule:
            nodules[box][inside] = label
        else:
            np.maximum(opacity[box], inside * np.uint8(2 if lesion.kind == CONSOLIDATION else 1), out=opacity[box])
    vessel = spread(anatomy.vessels, pose, grid)
    wall = spread(anatomy.bronchi, pose, grid, hollow=BRONCHUS_LUMEN)
    lumen = spread(anatomy.bronchi.narrowed(BRONCHUS_LUMEN), pose, grid)
    soft = np.where(nodules > 0, 0, lung)  # nothing runs through a nodule, so that its density is known
    _mix(hu, vessel * soft, VESSEL_HU)
    _mix(hu, wall * soft, BRONCHUS_WALL_HU)
    _mix(hu, lumen * soft, AIR_HU + 30)
    vessels = np.where(lumen + wall > 0.5, np.uint8(2), (vessel > 0.5).astype(np.uint8)) * (lung > 0.5)
    hu += _noise(visit, grid, hu)
    midline = anatomy.midline_x_mm(grid.y_mm - pose.shift_mm[1]) + pose.shift_mm[0]
    side = np.where(grid.x_mm[None, :] < midline[:, None], 1, 2).astype(np.uint8)
    return Phantom(
        visit=visit,
        grid=grid,
        hu=np.clip(np.rint(hu), *CT_RANGE_HU).astype(np.int16),
        lungs=(lung >= 0.5) * side,
        opacity=opacity,
        nodules=nodules,
        vessels=vessels,
        truth=measure(visit),
    )


def _body(visit: Visit, grid: Grid) -> tuple[Image, Image]:
    """HU without lesions, vessels and noise, and the part of each voxel that is lung."""
    table = _table(visit, grid)
    hu = np.tile(table, (grid.slices, 1, 1))
    lung = np.zeros(grid.shape, np.float32)
    y_mm = grid.y_mm - visit.pose.shift_mm[1]
    front, back = visit.anatomy.body_y_mm
    rows = np.flatnonzero((y_mm > front - 5) & (y_mm < back + 5))
    if not len(rows):
        return hu, lung
    rows = slice(rows[0], rows[-1] + 1)  # above and below there is only air and table
    steps = int(np.ceil(grid.spacing_mm[0] / SUB_LEVEL_MM))
    offset = ((np.arange(steps) + 0.5) / steps - 0.5) * grid.spacing_mm[0]
    levels = visit.pose.reference_z((grid.z_mm[:, None] - offset[None, :]).ravel())
    x_mm = grid.x_mm - visit.pose.shift_mm[0]
    width = float(np.sqrt(grid.spacing_mm[1] * grid.spacing_mm[2]))
    hu[:, rows] = 0
    for i, fields in enumerate(_resampled(visit.anatomy, levels, y_mm[rows], x_mm)):
        level_hu, level_lung = _paint(dict(zip(FIELDS, fields, strict=True)), table[rows], width)
        hu[i // steps, rows] += level_hu / steps
        lung[i // steps, rows] += level_lung / steps
    return hu, lung


def _resampled(anatomy: Anatomy, z_mm: Coordinates, y_mm: Coordinates, x_mm: Coordinates) -> Iterator[Image]:
    """All fields (field, row, column) at each of the descending reference levels, linearly."""
    axes = anatomy.axes
    row, row_part = _neighbours(y_mm, axes.y)
    column, column_part = _neighbours(x_mm, axes.x)
    planes: dict[int, Image] = {}

    def plane(k: int) -> Image:
        if k not in planes:
            source = anatomy.fields[:, k]
            rows = source[:, row] * (1 - row_part[:, None]) + source[:, row + 1] * row_part[:, None]
            planes[k] = rows[:, :, column] * (1 - column_part) + rows[:, :, column + 1] * column_part
            for old in [key for key in planes if key > k + 2]:
                del planes[old]
        return planes[k]

    for k, part in zip(*_neighbours(z_mm, axes.z), strict=True):
        upper, lower = plane(k + 1), plane(k)
        yield lower + (upper - lower) * part


def _neighbours(positions: Coordinates, axis: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.intp], Image]:
    """Index of the grid point below each position and the distance beyond it, 0 to 1; outside: the edge."""
    index = np.clip((positions - axis[0]) / (axis[1] - axis[0]), 0, len(axis) - 1.001)
    below = index.astype(np.intp)
    return below, (index - below).astype(np.float32)


def _paint(fields: dict[str, Image], table: Image, width_mm: float) -> tuple[Image, Image]:
    """One level: tissue over tissue, from the outside in."""
    hu = table.copy()

    def part(distance: Image) -> Image:
        return np.clip(0.5 - distance / width_mm, 0, 1)

    _mix(hu, part(fields["body"]), SKIN_HU)
    _mix(hu, part(fields["body"] + SKIN_MM), FAT_HU)
    _mix(hu, part(fields["muscle"]), MUSCLE_HU)
    _mix(hu, part(fields["cavity"]), FAT_HU)
    _mix(hu, part(fields["organ"]), fields["organ_hu"])
    _mix(hu, part(fields["bone"]), CORTEX_HU)
    _mix(hu, part(fields["bone"] + CORTEX_MM), MARROW_HU)
    lung = part(fields["lung"])
    fissure = np.clip(1 - np.abs(fields["fissure"]) / width_mm, 0, 1) * (FISSURE_MM / width_mm)
    _mix(hu, lung, fields["lung_hu"] + np.minimum(fissure, 1) * (FISSURE_HU - fields["lung_hu"]))
    wall = part(fields["airway"] - AIRWAY_WALL_MM)
    _mix(hu, wall, MUSCLE_HU)
    _mix(hu, part(fields["airway"]), AIR_HU)
    return hu, lung * (1 - wall)


def _mix(hu: Image, part: Image, other: float | Image) -> None:
    """Replace ``part`` of each voxel, in place."""
    hu += part * (other - hu)


def _table(visit: Visit, grid: Grid) -> Image:
    """Two curved shells of the table with air-like foam between, under the patient's back, the same on every slice."""
    back = visit.anatomy.body_y_mm[1] + visit.pose.shift_mm[1]
    x, y = grid.x_mm[None, :], grid.y_mm[:, None]
    image = np.full((grid.rows, grid.columns), AIR_HU, np.float32)
    width = max(grid.spacing_mm[1:])
    for below_mm, thickness_mm, shell_hu in TABLE_SHELLS:
        distance = np.abs(np.hypot(x, y - back - below_mm + TABLE_RADIUS_MM) - TABLE_RADIUS_MM) - thickness_mm / 2
        part = np.clip(0.5 - distance / width, 0, 1) * np.clip((TABLE_HALF_WIDTH_MM - np.abs(x)) / 4, 0, 1)
        image += (part * (shell_hu - AIR_HU)).astype(np.float32)
    return image


def drawn(lesion: Lesion, pose: Pose, grid: Grid) -> tuple[tuple[slice, slice, slice], Image, Image]:
    """The lesion's box on the grid, the part of each voxel inside, and inside a solid core."""
    center = pose.to_scanner(np.array(lesion.center_mm))
    reach = lesion.reach_mm + lesion.edge_mm
    step = max(float(np.clip(lesion.radius_mm / 8, 0.4, 1.25)), lesion.edge_mm / 3)
    counts = [int(np.ceil(mm / step)) for mm in grid.spacing_mm]
    box, offsets = [], []
    for axis, middle, mm, count in zip(
        (grid.z_mm, grid.y_mm, grid.x_mm), center[::-1], grid.spacing_mm, counts, strict=True
    ):
        near = np.flatnonzero(np.abs(axis - middle) <= reach + mm)
        box.append(slice(near[0], near[-1] + 1) if len(near) else slice(0, 0))
        fine = axis[near][:, None] + ((np.arange(count) + 0.5) / count - 0.5) * mm
        offsets.append((fine.ravel() - middle).astype(np.float32))
    z, y, x = np.meshgrid(*offsets, indexing="ij")
    distance = lesion.distance_mm(np.stack([x, y, z], axis=-1))
    core = np.zeros((1, 1, 1), np.float32)
    if lesion.kind == PART_SOLID:
        core = _block_mean(np.clip(0.5 - (distance + (1 - CORE_RADIUS) * lesion.radius_mm) / step, 0, 1), counts)
    edge = max(lesion.edge_mm, step)
    return (box[0], box[1], box[2]), _block_mean(np.clip(0.5 - distance / edge, 0, 1), counts), core


def _block_mean(fine: Image, counts: list[int]) -> Image:
    (a, b, c), (z, y, x) = counts, fine.shape
    return fine.reshape(z // a, a, y // b, b, x // c, c).mean(axis=(1, 3, 5))


def _mottled(hu: Image, lung_hu: float) -> Image:
    """Ground-glass is denser where the lung under it is: a factor around 1."""
    return 1 + np.clip((hu - lung_hu) * np.float32(MOTTLING_PER_HU), -0.35, 0.35)


def _noise(visit: Visit, grid: Grid, hu: Image) -> Image:
    """Scanner noise: correlated in the slice, less in thick slices, more at the shoulders and belly, little in air."""
    rng = np.random.default_rng([visit.anatomy.seed, 6, visit.day])
    noise = rng.standard_normal(grid.shape, np.float32)
    pixel = [0.0, 0.55 / grid.spacing_mm[1], 0.55 / grid.spacing_mm[2]]
    noise = ndimage.gaussian_filter(noise, pixel, truncate=3)
    noise /= noise.std()
    tissue = (hu > -300).mean(axis=(1, 2)) * grid.rows * grid.columns * grid.spacing_mm[1] * grid.spacing_mm[2]
    dose = np.clip(tissue / 40_000, 0.7, 1.6).astype(np.float32)  # 400 cm² of soft tissue: an average level
    level = NOISE_HU * np.sqrt(2.0 / grid.spacing_mm[0]) * min(1.0, (0.7 / grid.spacing_mm[1]) ** 0.5)
    inside = np.where(hu < -950, np.float32(0.45), np.float32(0.75) + np.clip(hu + 900, 0, 900) / 3600)
    return noise * inside * (dose * np.float32(level))[:, None, None]
