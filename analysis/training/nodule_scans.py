"""Scans with known nodules: synthetic patients, nodules pasted into a real scan, and the readers' of LIDC-0003."""

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from analysis.phantoms import (
    Anatomy,
    Grid,
    Lesion,
    Phantom,
    Visit,
    make_patient,
    nodules_of_all_sizes,
    one_mass,
    render,
)
from analysis.phantoms.lesions import CALCIFIED, CORE_HU, NODULES
from analysis.phantoms.render import drawn
from analysis.phantoms.visit import Pose
from analysis.pipeline.grid import to_grid
from analysis.pipeline.inference import Network
from analysis.pipeline.lungs import clean, lung_logits, lung_mask
from analysis.pipeline.volume import Volume
from analysis.training import data
from analysis.training.cases import ct_volume

READ_BY_SEVERAL = "nodules_LIDC-0003"
SAME_NODULE_MM = 10.0  # between the middles of two readers' outlines of one nodule
FIELD_MM = 360.0  # side of the slices of synthetic patients
AT_WALL = 3  # every third pasted nodule is cut by the wall of the lung
APART_MM = 10.0
_LIDC = "{http://www.nih.gov}"


@dataclass(frozen=True)
class Nodule:
    """``center_mm``: (x, y, z) in patient coordinates; ``radius_mm``: a finding whose centroid is nearer has found it;
    ``counts``: whether it is missed where nothing finds it."""

    kind: str
    center_mm: tuple[float, float, float]
    radius_mm: float
    volume_ml: float
    long_axis_mm: float
    counts: bool = True

    def holds(self, centroid_mm: tuple[float, float, float]) -> bool:
        return bool(np.linalg.norm(np.array(centroid_mm) - self.center_mm) <= self.radius_mm)


@dataclass(frozen=True, eq=False)
class NoduleScan:
    """``lungs``: bool (slice, row, column), found by the released network as the pipeline does."""

    volume: Volume
    lungs: npt.NDArray[np.bool_]
    nodules: tuple[Nodule, ...]


def lungs_of(volume: Volume, lung_unet: Network) -> npt.NDArray[np.bool_]:
    """Of an upright volume."""
    _, rows, columns = volume.hu.shape
    pixel_mm = volume.spacing_mm[1:]
    grid_hu = to_grid(volume.hu, pixel_mm)
    logits = clean(lung_logits(grid_hu, lung_unet), grid_hu)
    return lung_mask(logits, rows, columns, pixel_mm)


def phantom_scan(seed: int, grid_mm: tuple[float, float], count: int, lung_unet: Network) -> NoduleScan:
    """A synthetic patient with nodules. ``grid_mm``: distance of the slices and of the pixels."""
    patient = make_patient(seed)
    return _phantom(seed, patient, nodules_of_all_sizes(patient, seed, count), grid_mm, lung_unet)


def phantom_with_mass(seed: int, grid_mm: tuple[float, float], lung_unet: Network) -> NoduleScan:
    patient = make_patient(seed)
    return _phantom(seed, patient, one_mass(patient, seed), grid_mm, lung_unet)


def _phantom(
    seed: int, patient: Anatomy, lesions: tuple[Lesion, ...], grid_mm: tuple[float, float], lung_unet: Network
) -> NoduleScan:
    slice_mm, pixel_mm = grid_mm
    grid = Grid.over_lungs(patient, (slice_mm, pixel_mm, pixel_mm), round(FIELD_MM / pixel_mm))
    phantom = render(Visit(patient, lesions), grid)
    volume = _series(phantom, f"phantom {seed}, {slice_mm} × {pixel_mm} mm")
    nodules = tuple(
        Nodule(true.kind, true.centroid_mm, lesion.radius_mm, true.volume_ml, true.long_axis_mm)
        for lesion, true in zip(lesions, phantom.truth.lesions, strict=True)
    )
    return NoduleScan(volume, lungs_of(volume, lung_unet), nodules)


def _series(phantom: Phantom, name: str) -> Volume:
    uids = tuple(f"{name}.{index}" for index in range(len(phantom.hu)))
    return Volume(phantom.hu, phantom.affine_lps, phantom.grid.z_mm, name, uids)


def pasted_scan(
    scan: NoduleScan,
    seed: int,
    count: int,
    lung_unet: Network,
    kinds: tuple[str, ...] = NODULES,
    radius_mm: tuple[float, float] = (2, 15),
    at_wall: bool | None = None,
) -> NoduleScan:
    """The scan with ``count`` more nodules, drawn as in the synthetic patients. ``at_wall``: whether the wall of the
    lung cuts them, as it does every third otherwise."""
    volume, random = scan.volume, np.random.default_rng(seed)
    grid = Grid(volume.spacing_mm, *volume.hu.shape[1:], len(volume.hu), 0.0)
    depth_mm = ndimage.distance_transform_edt(scan.lungs, sampling=volume.spacing_mm)
    hu, nodules = volume.hu.astype(np.float32), list(scan.nodules)
    while len(nodules) < len(scan.nodules) + count:
        kind = kinds[len(nodules) % len(kinds)]
        radius = float(random.uniform(radius_mm[0], 7 if kind == CALCIFIED else radius_mm[1]))
        cut = len(nodules) % AT_WALL == 0 if at_wall is None else at_wall
        least, most = (0.3 * radius, 0.8 * radius) if cut else (radius + 2, np.inf)
        z, y, x = random.choice(np.argwhere((depth_mm > least) & (depth_mm < most)))
        center_mm = (volume.affine_lps @ [x, y, z, 1.0])[:3]
        if any(np.linalg.norm(center_mm - one.center_mm) < radius + one.radius_mm + APART_MM for one in nodules):
            continue
        on_grid = (float(grid.x_mm[x]), float(grid.y_mm[y]), float(grid.z_mm[z]))
        flat, rough = (1.0, *random.uniform(0.8, 1.15, 2).tolist()), float(random.uniform(0.04, 0.12))
        lesion = Lesion(kind, on_grid, radius, int(random.integers(2**31)), flat, rough)
        box, part, core = drawn(lesion, Pose(), grid)
        in_lung = ndimage.binary_dilation(scan.lungs[box])  # with the edge that the lung and the wall share
        hu[box] += in_lung * part * (lesion.mean_hu - hu[box])
        hu[box] += in_lung * core * (CORE_HU - hu[box])
        volume_ml = float((in_lung * part).sum() * volume.voxel_volume_ml)
        nodules.append(Nodule(kind, tuple(center_mm.tolist()), radius, volume_ml, 2 * radius))
    name = f"{volume.series_instance_uid}, pasted {seed}"
    pasted = Volume(hu.astype(np.int16), volume.affine_lps, volume.z_mm, name, volume.sop_instance_uids)
    return NoduleScan(pasted, lungs_of(pasted, lung_unet), tuple(nodules))


def read_scan(lung_unet: Network) -> NoduleScan:
    """LIDC-0003 with the medians of its readers; what one reader alone outlined does not count."""
    volume = ct_volume(READ_BY_SEVERAL)
    groups: list[list[Nodule]] = []
    for outlined in _outlined_by_readers(volume):
        near = [
            group
            for group in groups
            if np.linalg.norm(np.array(group[0].center_mm) - outlined.center_mm) < SAME_NODULE_MM
        ]
        if near:
            near[0].append(outlined)
        else:
            groups.append([outlined])
    return NoduleScan(volume, lungs_of(volume, lung_unet), tuple(_median(group) for group in groups))


def _outlined_by_readers(volume: Volume) -> list[Nodule]:
    """Each reader's nodules of 3 mm and more: area of the outlines × spacing of the slices, longest chord."""
    slice_mm, pixel_mm, _ = volume.spacing_mm
    root = ElementTree.parse(data.SHARED_DATA / "ct" / READ_BY_SEVERAL / "contours.xml").getroot()
    found = []
    for nodule in root.iter(f"{_LIDC}unblindedReadNodule"):
        middles, area, chord = [], 0.0, 0.0
        for roi in nodule.iter(f"{_LIDC}roi"):
            points = np.array([[int(edge[0].text), int(edge[1].text)] for edge in roi.iter(f"{_LIDC}edgeMap")], float)
            if len(points) < 3:  # a mark of what is smaller than 3 mm
                continue
            x, y = points.T
            sign = 1 if roi.findtext(f"{_LIDC}inclusion") == "TRUE" else -1
            area += sign * abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) / 2
            chord = max(chord, np.linalg.norm(points[:, None] - points, axis=-1).max())
            z_mm = float(roi.findtext(f"{_LIDC}imageZposition"))
            middles.append([*(volume.affine_lps @ [*points.mean(0), 0, 1])[:2], z_mm])
        if middles:
            center_mm = tuple(np.mean(middles, 0).tolist())
            volume_ml, long_mm = area * pixel_mm**2 * slice_mm / 1000, chord * pixel_mm
            found.append(Nodule("read", center_mm, long_mm / 2, volume_ml, long_mm))
    return found


def _median(readings: list[Nodule]) -> Nodule:
    volume_ml, long_mm = (np.median([getattr(one, name) for one in readings]) for name in ("volume_ml", "long_axis_mm"))
    center_mm = tuple(np.median([one.center_mm for one in readings], 0).tolist())
    return Nodule("read", center_mm, long_mm / 2, float(volume_ml), float(long_mm), counts=len(readings) > 1)
