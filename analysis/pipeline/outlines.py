"""The outline of one blob in 3D: what is as dense as its core, without the vessels and the wall that hang on it."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from analysis.pipeline.blobs import OF_A_MASS_MM, Blob, Float, Mask, SpacingMm, interpolated

REACH_RADII, REACH_MM = 3.0, 3.0  # half the side of the cube in which a blob is outlined
STEP_RADII, STEP_MM = 1 / 6, (0.7, 1.6)  # its cells ÷ radius, and their limits
SMOOTHING_MM = 0.6  # against noise, where cells are smaller than 1 mm
AERATED_RISE_HU = 130.0  # above the median of the lungs: lung beside the blob that is denser is ill itself
MIN_AERATED_CELLS = 50
HALF = 0.5  # between the density around and that of the core: the edge of a blurred ball
EDGE, EDGE_HU, BEYOND = 0.36, 150.0, 0.25
"""The outline may run on to this part of the contrast (not below the noise of ground-glass), by this part of the
radius: readers of LIDC-IDRI draw a little outside."""
NECK = 0.5  # what hangs on by necks thinner than this part of the radius is a vessel or the wall
MIN_CONTRAST_HU = 100.0
GROUND_GLASS_HU = 100.0  # above the aerated lung around: the outer edge of ground-glass
HALO_VOLUME, ADDED, HALO_COMPACT = (1.5, 2.0), (0.0, 0.2), (0.89, 0.94)
"""How sure it is that the lower threshold adds ground-glass around a denser core, from not at all to entirely: volume
with it ÷ that of the core; part of it that is neither core nor blurred edge; its volume ÷ that of the ellipsoid with
the same moments, as what surrounds a mass is ragged. In between a part of it is taken: where a limit decides, noise
does, and one lesion has one volume or twice that."""
MOSTLY = 0.5  # of the ground-glass, from which on what hangs on it counts, not what hangs on the core
HALO_HU, DENSE_HALO_HU = (100.0, 140.0), (480.0, 560.0)
"""The same by the median of the halo above the lung around: less is lung, and denser, from entirely to not at all, a
vessel, or the wall."""
RIM_MM = 1.3  # blurred edge, which has the density of ground-glass around everything solid
MIN_CELLS = 12
WIDER = 2.0  # the cube is made so much larger, once, where the outline reaches its end
MIN_NARROW = 0.35  # shortest ÷ longest axis of what is worth that: it is no vessel


@dataclass(frozen=True, eq=False)
class Surroundings:
    """What blobs are outlined in: ``hu`` int16 and ``hull`` bool, both (slice, row, column), as ``find_blobs`` takes
    and returns them; ``lung_hu``: median of the aerated lungs."""

    hu: npt.NDArray[np.int16]
    hull: Mask
    spacing_mm: SpacingMm
    lung_hu: float


@dataclass(frozen=True, eq=False)
class Outlined:
    """A blob with its outline: a cube of cubic cells of ``step_mm`` around it.

    ``hu`` float32 and ``mask`` bool (slice, row, column); ``whole``: the mask with what hangs on it; ``hull``: lung;
    ``around_hu``: aerated lung around it; ``core_hu``: its centre.
    """

    blob: Blob
    hu: Float
    mask: Mask
    whole: Mask
    hull: Mask
    step_mm: float
    around_hu: float
    core_hu: float

    @property
    def volume_ml(self) -> float:
        return float(self.mask.sum() * self.step_mm**3 / 1000)

    @property
    def radius_mm(self) -> float:
        """Of the ball of the same volume."""
        return float((self.volume_ml * 1000 * 3 / 4 / np.pi) ** (1 / 3))

    def centroid(self, spacing_mm: SpacingMm) -> npt.NDArray[np.float64]:
        """(slice, row, column) of the volume, fractional."""
        off_mm = (np.argwhere(self.mask).mean(0) - np.array(self.mask.shape) // 2) * self.step_mm
        centroid: npt.NDArray[np.float64] = np.array(self.blob.centre) + off_mm / np.array(spacing_mm)
        return centroid


def outline(scan: Surroundings, blob: Blob) -> Outlined | None:
    """The blob's outline; None where nothing stands out, or no end is found."""
    found = _outlined(scan, blob)
    if found is None or not _at_the_edge(found.mask):
        return found
    if blob.radius_mm > OF_A_MASS_MM:
        return None  # its cube is 12 cm wide and more: this is no mass, but the mediastinum or the wall
    axes_mm, _ = ellipsoid(found.mask, found.step_mm)
    if axes_mm[0] < MIN_NARROW * axes_mm[2]:
        return None
    centre = tuple(found.centroid(scan.spacing_mm).tolist())
    found = _outlined(scan, replace(blob, centre=centre, radius_mm=WIDER * blob.radius_mm))
    return None if found is None or _at_the_edge(found.mask) else found


def _outlined(scan: Surroundings, blob: Blob) -> Outlined | None:
    step_mm = float(np.clip(STEP_RADII * blob.radius_mm, *STEP_MM))
    half = int(np.ceil((REACH_RADII * blob.radius_mm + REACH_MM) / step_mm))
    image = _cube(scan.hu, scan.spacing_mm, blob, half, step_mm)
    inside = (_cube(scan.hull, scan.spacing_mm, blob, half, step_mm) > 0.5) & _scanned(scan, blob, half, step_mm)
    if step_mm < 1:
        image = ndimage.gaussian_filter(image, SMOOTHING_MM / step_mm, truncate=3.0)
    line = (np.arange(-half, half + 1) * step_mm) ** 2
    away_mm = np.sqrt(line[:, None, None] + line[:, None] + line)
    aerated = image[inside & (away_mm > 1.6 * blob.radius_mm) & (image < scan.lung_hu + AERATED_RISE_HU)]
    around_hu = float(np.median(aerated)) if len(aerated) > MIN_AERATED_CELLS else scan.lung_hu
    core_hu = float(np.percentile(image[away_mm < max(0.5 * blob.radius_mm, 1.1 * step_mm)], 80))
    if core_hu - around_hu < MIN_CONTRAST_HU:
        return None
    found = _mask(image - around_hu, inside, core_hu - around_hu, step_mm)
    return found and Outlined(blob, image, *found, inside, step_mm, around_hu, core_hu)


def _cube(values: npt.NDArray[np.generic], spacing_mm: SpacingMm, blob: Blob, half: int, step_mm: float) -> Float:
    """Cells of ``step_mm`` around the blob, ``half`` to each side; beyond the scan what its edge has."""
    positions = _positions(spacing_mm, blob, half, step_mm)
    first = [max(0, int(line[0]) - 1) for line in positions]
    out = values[tuple(slice(f, int(line[-1]) + 3) for f, line in zip(first, positions, strict=True))]
    cube = out.astype(np.float32)
    for axis, (line, f) in enumerate(zip(positions, first, strict=True)):
        cube = interpolated(cube, line - f, axis)
    return cube


def _positions(spacing_mm: SpacingMm, blob: Blob, half: int, step_mm: float) -> list[npt.NDArray[np.floating]]:
    """Of a cube's cells along each axis, in voxels of the scan."""
    offsets = np.arange(-half, half + 1) * step_mm
    return [at + offsets / mm for at, mm in zip(blob.centre, spacing_mm, strict=True)]


def _scanned(scan: Surroundings, blob: Blob, half: int, step_mm: float) -> Mask:
    """The cells of a cube that the scan holds: a nodule that its last slice cuts ends there."""
    positions = _positions(scan.spacing_mm, blob, half, step_mm)
    held = [(line > -0.5) & (line < count - 0.5) for line, count in zip(positions, scan.hu.shape, strict=True)]
    scanned: Mask = held[0][:, None, None] & held[1][:, None] & held[2]
    return scanned


def _mask(above_hu: Float, inside: Mask, contrast_hu: float, step_mm: float) -> tuple[Mask, Mask] | None:
    """The outline in a cube around its centre, and the same with what hangs on it.

    ``above_hu``: HU above the aerated lung around; ``contrast_hu``: of the core.
    """
    found = _grown(inside & (above_hu > HALF * contrast_hu), step_mm)
    if found is None or found[0].sum() < MIN_CELLS:
        return None
    body, whole = found
    radius_mm = (body.sum() * step_mm**3 * 3 / 4 / np.pi) ** (1 / 3)
    shell_mm, beyond_mm = max(2 * RIM_MM, step_mm), max(BEYOND * radius_mm, step_mm)
    away_mm = distance_mm(body, max(shell_mm, beyond_mm), step_mm)
    shell = above_hu[inside & (away_mm > RIM_MM) & (away_mm <= shell_mm)]
    shell_hu = float(np.median(shell)) if len(shell) else 0.0
    edge_hu = max(EDGE * contrast_hu, min(HALF * contrast_hu, EDGE_HU))
    dense = body | ((away_mm <= beyond_mm) & inside & (above_hu > edge_hu) & ~whole)
    lower_hu = max(GROUND_GLASS_HU, HALF * shell_hu)
    halo = _grown(inside & (above_hu > lower_hu), step_mm) if shell_hu > GROUND_GLASS_HU else None
    share = _halo_share(above_hu, body, halo[0], step_mm) if halo else 0.0
    if halo is None or share == 0:
        return dense, whole
    return _between(dense, halo[0], share, above_hu), halo[1] if share > MOSTLY else whole


def _between(inner: Mask, outer: Mask, share: float, above_hu: Float) -> Mask:
    """``inner`` with this part of what ``outer`` has beside it: the nearest cells, of equally near ones the densest."""
    more = np.flatnonzero(outer & ~inner)
    away = ndimage.distance_transform_edt(~inner).flat[more]
    nearest = more[np.lexsort((-above_hu.flat[more], away))[: round(share * len(more))]]
    mask = inner.copy()
    mask.flat[nearest] = True
    return mask


def distance_mm(mask: Mask, reach_mm: float, step_mm: float) -> Float:
    """Distance to the mask up to ``reach_mm``, infinite beyond; worked out around the mask only."""
    box = _box_around(mask, int(reach_mm / step_mm) + 1)
    near = ndimage.distance_transform_edt(~mask[box], sampling=step_mm)
    out = np.full(mask.shape, np.inf, np.float32)
    out[box] = np.where(near <= reach_mm, near, np.inf)
    return out


def _box_around(mask: Mask, margin: int) -> tuple[slice, ...]:
    """The cells of the mask, which is not empty, and ``margin`` more to each side."""
    (tight,) = ndimage.find_objects(mask.view(np.uint8))
    return tuple(slice(max(0, one.start - margin), one.stop + margin) for one in tight)


def _grown(dense: Mask, step_mm: float) -> tuple[Mask, Mask] | None:
    """The part of ``dense`` around the centre without what hangs on by thin necks, and with it; None without any."""
    centre = np.array(dense.shape) // 2
    pieces, _ = ndimage.label(dense)
    near = pieces[tuple(slice(at - 2, at + 3) for at in centre)]
    if not near.any():
        return None
    whole = pieces == np.bincount(near[near > 0]).argmax()
    box = _box_around(whole, 1)
    depth = np.zeros(dense.shape)
    depth[box] = ndimage.distance_transform_edt(whole[box], sampling=step_mm)
    summit = _uphill(depth, centre)
    neck_mm = NECK * depth[summit]
    pieces, _ = ndimage.label(depth > neck_mm)
    core = pieces == pieces[summit]
    return whole & np.isfinite(distance_mm(core, neck_mm + 0.3 * step_mm, step_mm)), whole


def _uphill(depth: npt.NDArray[np.float64], start: npt.NDArray[np.int64]) -> tuple[int, int, int]:
    """The place of greatest depth that steps of two cells lead to."""
    place = start
    while True:
        window = tuple(slice(max(0, at - 2), at + 3) for at in place)
        best = np.unravel_index(int(depth[window].argmax()), depth[window].shape)
        higher = np.array([part.start + at for part, at in zip(window, best, strict=True)])
        if depth[tuple(higher)] <= depth[tuple(place)]:
            return int(place[0]), int(place[1]), int(place[2])
        place = higher


def _halo_share(above_hu: Float, core: Mask, halo: Mask, step_mm: float) -> float:
    """How much of what the lower threshold adds is taken for ground-glass around a denser core, in [0, 1]: 0 where it
    is a vessel, the wall or blur."""
    added = halo & ~np.isfinite(distance_mm(core, RIM_MM, step_mm))
    added &= ndimage.distance_transform_edt(halo, sampling=step_mm) > RIM_MM
    if not added.any():
        return 0.0
    volume, median_hu = halo.sum(), np.median(above_hu[added])
    sure = (
        (median_hu, HALO_HU),
        (-median_hu, (-DENSE_HALO_HU[1], -DENSE_HALO_HU[0])),
        (volume / core.sum(), HALO_VOLUME),
        (added.sum() / volume, ADDED),
        (ellipsoid(halo, step_mm)[1], HALO_COMPACT),
    )
    return float(min(np.interp(value, ends, (0, 1)) for value, ends in sure))


def ellipsoid(mask: Mask, step_mm: float) -> tuple[npt.NDArray[np.float64], float]:
    """Semi-axes in mm of the ellipsoid with the mask's moments, ascending, and the mask's volume ÷ its volume."""
    points = np.argwhere(mask) * step_mm
    spread = np.cov(points.T) + np.eye(3) * step_mm**2 / 12
    axes_mm = np.sqrt(5 * np.linalg.eigvalsh(spread))
    return axes_mm, float(len(points) * step_mm**3 / (4 / 3 * np.pi * axes_mm.prod()))


def _at_the_edge(mask: Mask) -> bool:
    return any(np.take(mask, end, axis).any() for axis in range(3) for end in (0, -1))
