"""Nodules and focal opacities: which outlines are some, and what a reader would measure of them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from analysis.pipeline.blobs import OF_A_MASS_MM, Box, Mask, SpacingMm, find_blobs, lungs_box
from analysis.pipeline.nodule_model import NoduleModel
from analysis.pipeline.outlines import Outlined, Surroundings, distance_mm, ellipsoid, outline
from analysis.pipeline.regions import ZONES
from analysis.pipeline.report import Finding

MIN_DIAMETER_MM = 4.0
"""Of the ball of the same volume; smaller ones are not reported (Fleischner Society, MacMahon et al. 2017, asks for no
follow-up below 6 mm)."""
MASS_MM = 30.0
"""A longer rounded opacity is a mass (Hansell et al. 2008, Fleischner glossary: above 3 cm, usually solid or partly
solid). The glossary asks for no density; here what on average is not denser than SOLID_HU stays a focal opacity."""
ROUND_NARROW, ROUND_COMPACT = 0.5, 0.8
"""Shortest ÷ longest axis, and volume ÷ that of the ellipsoid with the same moments, from which an opacity is called
rounded."""
SOLID_HU = -350.0  # denser is solid: ground-glass lies below −300, blurred by its edge
PART_SOLID = (0.02, 0.6)  # share of solid cells in the inside of a part-solid nodule
CALCIFIED_HU = 200.0  # of the core (Ko et al. 2003 and others take 200)
INSIDE = 0.4  # of the greatest depth: cells less deep, or than the blurred rim, say nothing of the texture
RIM_MM = 1.3
SURE = 0.9  # confidence beyond which there is nothing to choose
MAX_AERATED_HU = -550.0  # lung that is denser holds vessels or disease; that of lungs without any less dense
DOUBTFUL_ML = 25.0
"""A solid outline from this volume on is handed out too if it was judged to be no finding, as a shift of a pixel may
turn over what is said of a large tumour, or if a part of it is listed instead."""
SAMPLED = 4  # every so many rows and columns of the lungs are enough for their median, and for the nearest of them
THREADS = 2  # that outline blobs: they share Python's lock, so that more gain little
DIRECTIONS = 60  # in which a diameter is taken: every 3°
GAP_CELLS = 1.5  # cells of a slanted line that touch lie up to 1.42 apart


@dataclass(frozen=True, eq=False)
class Candidate:
    """An outline that may be a finding. ``mask``: bool, of the voxels in ``box`` of the volume (slice, row, column)."""

    outlined: Outlined
    centroid: npt.NDArray[np.float64]
    box: Box
    mask: Mask

    @property
    def mean_hu(self) -> float:
        return float(self.outlined.hu[self.outlined.mask].mean())


@dataclass(frozen=True, eq=False)
class Found:
    """``findings``: the longest first; ``labels``: uint16 (slice, row, column), k of the k-th, 0 elsewhere;
    ``doubtful``: large solid outlines that were judged to be none, or that overlap a surer one."""

    findings: tuple[Finding, ...]
    labels: npt.NDArray[np.uint16]
    doubtful: tuple[Candidate, ...] = ()


def find_findings(
    hu: npt.NDArray[np.int16],
    lungs: Mask,
    of_zone: npt.NDArray[np.uint8],
    affine_lps: npt.NDArray[np.float64],
    model: NoduleModel,
) -> Found:
    """The outlines of which ``model`` is sure enough.

    ``hu`` and ``lungs``: (slice, row, column), upright, the lungs not empty; ``of_zone``: from ``zones``;
    ``affine_lps``: as in Volume.
    """
    column_mm, row_mm, slice_mm = (float(np.linalg.norm(affine_lps[:3, axis])) for axis in range(3))
    found, others = [], []
    for candidate in candidates(hu, lungs, (slice_mm, row_mm, column_mm)):
        confidence = model.confidence(features(candidate.outlined, slice_mm))
        if confidence >= model.threshold:
            found.append((confidence, candidate))
        else:
            others.append(candidate)
    taken = np.zeros(hu.shape, bool)
    chosen: list[tuple[Finding, Candidate]] = []
    # Of two that overlap the surer one; of two that are sure the one that comes first
    for confidence, candidate in sorted(found, key=lambda one: -min(one[0], SURE)):
        here = taken[candidate.box]
        if here[candidate.mask].any():
            others.append(candidate)
        else:
            here |= candidate.mask
            chosen.append((_finding(candidate, of_zone, affine_lps, confidence), candidate))
    chosen.sort(key=lambda one: -one[0].long_axis_mm)
    labels = np.zeros(hu.shape, np.uint16)
    for number, (_, candidate) in enumerate(chosen, 1):
        labels[candidate.box][candidate.mask] = number
    doubtful = [one for one in others if one.outlined.volume_ml >= DOUBTFUL_ML and one.mean_hu > SOLID_HU]
    return Found(tuple(finding for finding, _ in chosen), labels, tuple(doubtful))


def candidates(hu: npt.NDArray[np.int16], lungs: Mask, spacing_mm: SpacingMm) -> Iterator[Candidate]:
    """Outlines of blobs in the order of ``find_blobs``; but for those of a mass's size none begins inside another."""
    part = lungs_box(lungs, spacing_mm)
    start = np.array([one.start for one in part])
    hu, lungs = hu[part], lungs[part]
    blobs, hull = find_blobs(hu, lungs, spacing_mm)
    in_lungs = hu[:, ::SAMPLED, ::SAMPLED][lungs[:, ::SAMPLED, ::SAMPLED]]
    aerated = in_lungs[in_lungs < MAX_AERATED_HU]
    scan = Surroundings(hu, hull, spacing_mm, float(np.median(aerated)) if len(aerated) else MAX_AERATED_HU)
    outlined_before = np.zeros(hu.shape, bool)
    with ThreadPoolExecutor(THREADS) as pool:  # in advance, for one blob in ten in vain
        for blob, outlined in zip(blobs, pool.map(partial(outline, scan), blobs), strict=True):
            inside = outlined_before[tuple(np.rint(blob.centre).astype(int))]
            if outlined is None or (inside and blob.radius_mm <= OF_A_MASS_MM):
                continue
            box, mask = _on_voxels(outlined, spacing_mm, hu.shape)
            outlined_before[box] |= mask
            if 2 * outlined.radius_mm >= MIN_DIAMETER_MM:
                yield Candidate(outlined, start + outlined.centroid(spacing_mm), _moved(box, start), mask)


def _moved(box: Box, start: npt.NDArray[np.int64]) -> Box:
    z, y, x = (slice(one.start + first, one.stop + first) for one, first in zip(box, start.tolist(), strict=True))
    return z, y, x


def _on_voxels(outlined: Outlined, spacing_mm: SpacingMm, shape: tuple[int, ...]) -> tuple[Box, Mask]:
    """The outline on voxels: a box of an array of this ``shape``, and the mask in it."""
    half = np.array(outlined.mask.shape) // 2
    box, cells = [], []
    for axis, mm in enumerate(spacing_mm):
        centre, reach = outlined.blob.centre[axis], half[axis] * outlined.step_mm / mm
        part = slice(max(0, int(np.ceil(centre - reach))), min(shape[axis], int(centre + reach) + 1))
        box.append(part)
        cells.append(
            np.rint((np.arange(part.start, part.stop) - centre) * mm / outlined.step_mm).astype(int) + half[axis]
        )
    return (box[0], box[1], box[2]), outlined.mask[np.ix_(*cells)]


def features(one: Outlined, slice_mm: float) -> npt.NDArray[np.float64]:
    """What tells nodules from vessels and the wall, in the order of FEATURES: thick slices make short pieces of vessels
    look round."""
    cells = np.argwhere(one.mask) * one.step_mm
    centroid, radius_mm = cells.mean(0), one.radius_mm
    axes_mm, compact = ellipsoid(one.mask, one.step_mm)
    z, y, x = (np.arange(count) * one.step_mm - at for count, at in zip(one.mask.shape, centroid, strict=True))
    near = np.sqrt(z[:, None, None] ** 2 + y[:, None] ** 2 + x**2) < 2 * radius_mm + 2
    rim = ndimage.binary_dilation(one.mask) & ~one.mask
    hanging = rim & one.whole
    away_mm = distance_mm(one.mask, 2.5, one.step_mm)
    around = one.hu[np.isfinite(away_mm) & (away_mm > 1.5) & one.hull]
    contrast_hu = one.core_hu - one.around_hu
    middle_mm = (np.array(one.mask.shape) // 2) * one.step_mm
    return np.array(
        [
            np.log(radius_mm),
            axes_mm[0] / axes_mm[2],
            axes_mm[1] / axes_mm[2],
            compact,
            np.linalg.norm(cells - centroid, axis=1).max() / radius_mm,
            (rim & ~one.hull).sum() / rim.sum(),
            hanging.sum() / rim.sum(),
            one.mask.sum() / (one.whole & near).sum(),
            ndimage.label(hanging, np.ones((3, 3, 3)))[1],
            contrast_hu / 1000,
            one.blob.response_hu / contrast_hu,
            one.blob.roundness,
            np.linalg.norm(centroid - middle_mm) / radius_mm,
            float(one.core_hu > -100),
            (np.median(around) - one.around_hu) / contrast_hu if len(around) else 0.0,
            np.log(one.blob.radius_mm),
            np.log(slice_mm),
        ]
    )


def _finding(
    candidate: Candidate, of_zone: npt.NDArray[np.uint8], affine_lps: npt.NDArray[np.float64], confidence: float
) -> Finding:
    outlined = candidate.outlined
    long_mm, short_mm = axial_diameters(outlined.mask, outlined.step_mm)
    x, y, z = (affine_lps @ [*candidate.centroid[::-1], 1.0])[:3].tolist()
    lung, zone = _place(candidate, of_zone, affine_lps)
    return Finding(
        kind=_kind(candidate, long_mm),
        texture=_texture(outlined),
        centroid_mm=(x, y, z),
        volume_ml=outlined.volume_ml,
        long_axis_mm=long_mm,
        short_axis_mm=short_mm,
        mean_hu=candidate.mean_hu,
        calcified=outlined.core_hu > CALCIFIED_HU,
        confidence=confidence,
        lung=lung,
        zone=zone,
    )


def axial_diameters(mask: Mask, step_mm: float) -> tuple[float, float]:
    """Longest diameter in mm of a connected piece of any axial section, and the longest line at right angles to it
    that lies within that piece, as RECIST measures them (Eisenhauer et al. 2009). ``mask``: (slice, row, column) in
    cubic cells."""
    angles = np.arange(DIRECTIONS) * np.pi / DIRECTIONS
    directions = np.stack([np.sin(angles), np.cos(angles)])
    long_mm, short_mm = 0.0, 0.0
    for section in mask[mask.any((1, 2))]:
        pieces, _ = ndimage.label(section, np.ones((3, 3)))
        cells = np.argwhere(pieces == np.bincount(pieces.ravel())[1:].argmax() + 1)
        extents_mm = (np.ptp(cells @ directions, axis=0) + 1) * step_mm
        longest = int(extents_mm.argmax())
        if extents_mm[longest] > long_mm:
            along, across = (cells @ directions[:, [longest, (longest + DIRECTIONS // 2) % DIRECTIONS]]).T
            long_mm, short_mm = float(extents_mm[longest]), _longest_line(along, across) * step_mm
    return long_mm, short_mm


def _longest_line(along: npt.NDArray[np.float64], across: npt.NDArray[np.float64]) -> float:
    """Length of the longest line of cells across, without a gap, in cells."""
    line = np.rint(along)
    in_order = np.lexsort((across, line))
    line, across = line[in_order], across[in_order]
    ends = np.append((np.diff(line) != 0) | (np.diff(across) > GAP_CELLS), True)
    begins = np.roll(ends, 1)
    return float((across[ends] - across[begins]).max()) + 1


def _kind(candidate: Candidate, long_mm: float) -> str:
    axes_mm, compact = ellipsoid(candidate.outlined.mask, candidate.outlined.step_mm)
    rounded = axes_mm[0] >= ROUND_NARROW * axes_mm[2] and compact >= ROUND_COMPACT
    if rounded and long_mm <= MASS_MM:
        return "nodule"
    return "mass" if rounded and candidate.mean_hu > SOLID_HU else "focal opacity"


def _texture(outlined: Outlined) -> str:
    depth_mm = ndimage.distance_transform_edt(outlined.mask, sampling=outlined.step_mm)
    inside = outlined.hu[depth_mm > min(RIM_MM, INSIDE * depth_mm.max())]
    solid_share = float((inside > SOLID_HU).mean())
    least, most = PART_SOLID
    return "ground-glass" if solid_share < least else "part-solid" if solid_share < most else "solid"


def _place(
    candidate: Candidate, of_zone: npt.NDArray[np.uint8], affine_lps: npt.NDArray[np.float64]
) -> tuple[str, str]:
    """Lung and third of its height: those of most of the finding, or of the lung nearest to one that lies beside it."""
    inside = of_zone[candidate.box][candidate.mask]
    inside = inside[inside > 0]
    if not len(inside):
        places = np.argwhere(of_zone[:, ::SAMPLED, ::SAMPLED]) * (1, SAMPLED, SAMPLED)
        away_mm = np.linalg.norm((places - candidate.centroid)[:, ::-1] @ affine_lps[:3, :3].T, axis=1)
        inside = of_zone[tuple(places[away_mm.argmin()])].reshape(1)
    lung, zone = ZONES[int(np.bincount(inside).argmax()) - 1].split()
    return lung, zone
