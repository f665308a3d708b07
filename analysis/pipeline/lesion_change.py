"""What became of each lesion between two registered scans of one patient: matched one to one, with a status."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from analysis.pipeline.kept import MAP_SIZE, kept_maps
from analysis.pipeline.quality import CUT_OFF_AREA_CM2
from analysis.pipeline.registration import Motion
from analysis.pipeline.report import Finding
from analysis.pipeline.volume import Volume

if TYPE_CHECKING:
    from analysis.pipeline.run import Analysis

NEAR_MM, NEAR_RADIUS = 8.0, 0.6
"""Centroids this near, or nearer than this part of the larger lesion's radius where the outlines touch as well, may be
one lesion: registration is about 2 mm off, and the centroid of an irregular lesion shifts as it grows or shrinks."""
PART_SHARED = 0.5  # of the smaller outline, from which on one lesion is a part of the other
PART_OF_WHOLE = 0.25  # of the larger one, which its parts must be at least
SIZE_WEIGHT = 0.1  # of a factor e in volume, against a distance as long as may be
NO_MATCH = 1.5  # what it costs to leave two unmatched, so that two far ones are no better than one near one
SIGNIFICANT = 1.25
"""Factor of the volume from which on a lesion has grown (British Thoracic Society, Callister et al. 2015: 25 %); below
its inverse it has shrunk."""
SEARCH_MM = 3.0  # around the place where a lesion that is outlined in one scan only should lie in the other
BALL_STEPS = 5  # points of a lattice from the middle of a ball to its surface
CORE = 0.8  # of the radius: the blurred rim says nothing
MOSTLY = 0.5  # of a ball
AERATED_HU = -550.0  # lung below it is aerated
THICK_MM = 2.55  # slices farther apart are too thick to measure small nodules, which then fill one or two of them
BEYOND_LUNGS_MM = 10.0  # a place farther from the other scan's lungs was not scanned there, or is no lung there

LEAST_IN_BOTH_ML = 0.034  # a ball of 4 mm, the smallest that is a finding: of less of a cut lesion nothing is said

MIN_DAYS = 30
"""In less time no tumour doubles, and what grows is inflammation or error: no doubling time is given."""

Number = TypeVar("Number", bound=np.generic)

NEW, GROWN, STABLE, SHRUNK, RESOLVED = "new", "grown", "stable", "shrunk", "resolved"
PART, UNCLEAR, ABSENT, CUT = "part of another", "unclear", "not in the other scan", "cut off"


@dataclass(frozen=True, eq=False)
class Scan:
    """What is compared of a scan. ``volume``: its HU, on any matrix; ``lungs`` bool and ``opacity`` uint8 (the labels
    of ``opacity.py``) of the same shape; ``findings`` of its report, their centroids in DICOM patient coordinates, and
    ``outlines``: k where the k-th of them lies."""

    volume: Volume
    lungs: npt.NDArray[np.bool_]
    opacity: npt.NDArray[np.uint8]
    findings: tuple[Finding, ...]
    outlines: npt.NDArray[np.unsignedinteger]

    @classmethod
    def of(cls, analysis: "Analysis") -> "Scan":
        """On the matrix of the maps that are kept, as comparisons have it."""
        maps = dict(kept_maps(analysis))
        volume, findings = analysis.volume.resized(MAP_SIZE), analysis.report.findings or ()
        return cls(volume, maps["lungs_map"] > 0, maps["opacity_map"], findings, maps["findings_map"])

    @property
    def is_cut_off(self) -> bool:
        """Whether the scan begins or ends inside the lungs."""
        ends_cm2 = self.lungs[[0, -1]].sum((1, 2)) * self.volume.pixel_area_mm2 / 100
        return bool((ends_cm2 > CUT_OFF_AREA_CM2).any())

    def cuts(self, number: int) -> bool:
        """Whether the scan ends in the finding of this number: its volume is of a part."""
        return bool((self.outlines[[0, -1]] == number).any())

    def holds(self, points_mm: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Which of the points (…, 3) lie in the scan: (…)."""
        index = self._nearest(points_mm)
        return np.asarray(((index >= 0) & (index < self.lungs.shape)).all(-1))

    def at(self, values: npt.NDArray[Number], points_mm: npt.NDArray[np.float64]) -> npt.NDArray[Number]:
        """What an array of its shape has in the voxels nearest to points (…, 3): (…), 0 outside the scan."""
        index = self._nearest(points_mm).clip(0, np.array(self.lungs.shape) - 1)
        found: npt.NDArray[Number] = values[tuple(np.moveaxis(index, -1, 0))] * self.holds(points_mm)
        return found

    def _nearest(self, points_mm: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """(…, 3): slice, row and column, outside the scan too."""
        to_index = np.linalg.inv(self.volume.affine_lps)
        index: npt.NDArray[np.int64] = np.rint(points_mm @ to_index[:3, :3].T + to_index[:3, 3]).astype(int)
        return index[..., ::-1]


@dataclass(frozen=True)
class LesionChange:
    """One lesion. ``number`` and ``prior_number``: its place in the reports' findings from 1, None where it is not
    among them; ``centroid_mm``: in the current scan, where it would lie if it is gone.

    ``status``: "new", "grown", "stable", "shrunk", "resolved"; "part of another" where it shares its place with a
    finding of the other scan that is not its like (``part_of``: that finding's number there, the largest of several),
    as lesions merge and fall apart; "unclear" where the other scan has dense tissue at the place that is no finding
    there, or the scans could not be laid over each other well; "not in the other scan" where that does not reach the
    place, or has no lung near it; "cut off" where the end of a scan leaves too little of it that both hold. ``cut``:
    whether the end of a scan cuts it: the status is then of the part that both hold, and ``volume_change_percent``
    None. ``doubling_time_days``: of a nodule or mass that grew in 30 days or more, if the slices of both scans are
    thin. ``kind``, ``lung`` and ``zone``: of the current finding, else the prior one's.
    """

    status: str
    number: int | None
    prior_number: int | None
    centroid_mm: tuple[float, float, float]
    volume_ml: float | None
    prior_volume_ml: float | None
    volume_change_percent: float | None
    doubling_time_days: float | None
    part_of: int | None
    cut: bool
    kind: str
    lung: str
    zone: str


def lesion_changes(
    current: Scan, prior: Scan, motion: Motion, days: int | None, *, poor: bool = False
) -> tuple[LesionChange, ...]:
    """Every finding of both scans once: those of the current one in its order, then those that are gone. ``poor``: the
    scans could not be laid over each other well: then none is new or resolved, but unclear."""
    centers_mm = motion.to_prior(_centroids(current.findings))  # in the prior scan
    prior_centers_mm = _centroids(prior.findings)
    common, own, prior_own = _overlap(current, prior, motion)
    voxel_ml = current.volume.voxel_volume_ml
    matched = match(current.findings, centers_mm, prior.findings, prior_centers_mm, common > 0)
    changes = []
    for index, finding in enumerate(current.findings):
        before = matched.get(index)
        if before is not None:
            thin = max(current.volume.spacing_mm[0], prior.volume.spacing_mm[0]) <= THICK_MM
            cut = current.cuts(index + 1) or prior.cuts(before + 1)
            of_both_ml = (voxel_ml * own[index], voxel_ml * prior_own[before]) if cut else None
            of_days = days if thin and not cut else None
            changes.append(_persisting(index, finding, before, prior.findings[before], of_days, of_both_ml))
        else:
            parts = _parts(common[index], own[index], prior_own)
            status, part_of = _unmatched(prior, centers_mm[index], finding, parts, UNCLEAR if poor else NEW)
            changes.append(_alone(status, finding, finding.centroid_mm, part_of, number=index + 1))
    places_mm = motion.to_current(prior_centers_mm)
    for index, finding in enumerate(prior.findings):
        if index not in matched.values():
            parts = _parts(common[:, index], prior_own[index], own)
            status, part_of = _unmatched(current, places_mm[index], finding, parts, UNCLEAR if poor else RESOLVED)
            x, y, z = places_mm[index].tolist()
            changes.append(_alone(status, finding, (x, y, z), part_of, prior_number=index + 1))
    return tuple(changes)


Voxels = npt.NDArray[np.int64]


def _overlap(current: Scan, prior: Scan, motion: Motion) -> tuple[Voxels, Voxels, Voxels]:
    """Voxels that each finding has in common with each prior one, brought to its scan (finding, prior finding), and
    those of each finding and of each prior one, all as far as both scans go."""
    shape, affine = current.lungs.shape, current.volume.affine_lps
    there = motion.warped(prior.outlines.astype(np.uint32) + 1, prior.volume.affine_lps, shape, affine)  # 0: not held
    moved, outlines = there.clip(1) - 1, np.where(there > 0, current.outlines, 0)
    size, prior_size = len(current.findings) + 1, len(prior.findings) + 1
    both = (outlines > 0) & (moved > 0)
    pairs = outlines[both].astype(np.int64) * prior_size + moved[both]
    common = np.bincount(pairs, minlength=size * prior_size).reshape(size, prior_size)
    own = np.bincount(outlines[outlines > 0], minlength=size)
    prior_own = np.bincount(moved[moved > 0], minlength=prior_size)
    return common[1:, 1:], own[1:], prior_own[1:]


def _parts(common: Voxels, own: int, others: Voxels) -> list[int]:
    """Index of each finding of the other scan that holds a finding of ``own`` voxels, or is a piece of it; none where
    all pieces together are little of it, as where a large lesion came over a speck."""
    parts = np.flatnonzero((common > 0) & (common >= PART_SHARED * np.minimum(own, others)))
    return parts.tolist() if common[parts].sum() >= PART_OF_WHOLE * own else []


def _unmatched(
    other: Scan,
    center_mm: npt.NDArray[np.float64],
    finding: Finding,
    parts: list[int],
    otherwise: str,
) -> tuple[str, int | None]:
    """Status of a finding without its like in the other scan, and number of the finding there that holds its place, or
    of the largest of its ``parts``."""
    largest = max(parts, key=lambda index: other.findings[index].volume_ml, default=-1)
    part_of = int(other.at(other.outlines, center_mm)) or largest + 1
    if part_of:
        return PART, part_of
    if not other.holds(center_mm) or not other.at(other.lungs, center_mm + _ball(BEYOND_LUNGS_MM)).any():
        return ABSENT, None
    return UNCLEAR if is_dense(other, center_mm, finding) else otherwise, None


def _alone(
    status: str,
    finding: Finding,
    place_mm: tuple[float, float, float],
    part_of: int | None,
    *,
    number: int | None = None,
    prior_number: int | None = None,
) -> LesionChange:
    """A finding of one of the scans."""
    return LesionChange(
        status=status,
        number=number,
        prior_number=prior_number,
        centroid_mm=place_mm,
        volume_ml=finding.volume_ml if number else None,
        prior_volume_ml=finding.volume_ml if prior_number else None,
        volume_change_percent=None,
        doubling_time_days=None,
        part_of=part_of,
        cut=False,
        kind=finding.kind,
        lung=finding.lung,
        zone=finding.zone,
    )


def match(
    findings: tuple[Finding, ...],
    centers_mm: npt.NDArray[np.float64],
    prior_findings: tuple[Finding, ...],
    prior_centers_mm: npt.NDArray[np.float64],
    touching: npt.NDArray[np.bool_],
) -> dict[int, int]:
    """Index of each finding that is one of the prior ones → that one's; no index twice. Centres in one frame;
    ``touching``: whether the outlines do (finding, prior finding)."""
    away_mm = np.linalg.norm(centers_mm[:, None] - prior_centers_mm[None], axis=-1)
    radii = [np.array([_radius_mm(one) for one in group]) for group in (findings, prior_findings)]
    allowed_mm = np.maximum(NEAR_MM, NEAR_RADIUS * np.maximum.outer(*radii))
    size = np.abs(np.subtract.outer(*(3 * np.log(of) for of in radii)))
    possible = (away_mm <= NEAR_MM) | ((away_mm <= allowed_mm) & touching)
    cost = np.where(possible, away_mm / allowed_mm + SIZE_WEIGHT * size, NO_MATCH)
    return {int(a): int(b) for a, b in zip(*linear_sum_assignment(cost), strict=True) if possible[a, b]}


def _status(ml: float, prior_ml: float) -> str:
    factor = ml / prior_ml
    return GROWN if factor >= SIGNIFICANT else SHRUNK if factor <= 1 / SIGNIFICANT else STABLE


def _persisting(
    index: int, finding: Finding, before: int, prior: Finding, days: int | None, of_both_ml: tuple[float, float] | None
) -> LesionChange:
    """``of_both_ml``: of a lesion that the end of a scan cuts, the volumes of what both scans hold of it."""
    compared_ml = of_both_ml or (finding.volume_ml, prior.volume_ml)
    status = _status(*compared_ml) if of_both_ml is None or min(of_both_ml) >= LEAST_IN_BOTH_ML else CUT
    factor = finding.volume_ml / prior.volume_ml
    doubling_days = None
    is_nodule = {finding.kind, prior.kind} != {"focal opacity"}
    if days is not None and days >= MIN_DAYS and status == GROWN and is_nodule:
        doubling_days = float(days * np.log(2) / np.log(factor))  # Schwartz 1961
    return LesionChange(
        status=status,
        number=index + 1,
        prior_number=before + 1,
        centroid_mm=finding.centroid_mm,
        volume_ml=finding.volume_ml,
        prior_volume_ml=prior.volume_ml,
        volume_change_percent=100 * (factor - 1) if of_both_ml is None else None,
        doubling_time_days=doubling_days,
        part_of=None,
        cut=of_both_ml is not None,
        kind=finding.kind,
        lung=finding.lung,
        zone=finding.zone,
    )


def is_dense(scan: Scan, center_mm: npt.NDArray[np.float64], finding: Finding) -> bool:
    """Whether a ball of the finding's volume at this place of the scan, or near it, is nearer to the finding's density
    than to aerated lung. Outside the lungs nothing counts as dense, or the chest wall would take the place of what it
    lies beside; but where most of the ball at the place itself lies outside and is dense, as at the hilum, of which the
    lungs found hold now more and now less, none can tell."""
    hu, lungs = scan.volume.hu, scan.lungs
    aerated_hu = float(np.median(hu[lungs & (hu < AERATED_HU)]))
    dense_hu = (aerated_hu + finding.mean_hu) / 2
    ball = _ball(CORE * _radius_mm(finding))
    points_mm = center_mm + ball
    if (~scan.at(lungs, points_mm) & (scan.at(hu, points_mm) > dense_hu)).mean() > MOSTLY:
        return True
    points_mm = points_mm + _ball(SEARCH_MM)[:, None]  # (place, point, xyz)
    density = np.where(scan.at(lungs, points_mm), scan.at(hu, points_mm), aerated_hu).mean(1)
    return bool(density.max() > dense_hu)


def _ball(radius_mm: float) -> npt.NDArray[np.float64]:
    """Points (point, 3) of a lattice in a ball around 0."""
    reach = np.arange(-BALL_STEPS, BALL_STEPS + 1) * radius_mm / BALL_STEPS
    points = np.stack(np.meshgrid(reach, reach, reach), -1).reshape(-1, 3)
    inside: npt.NDArray[np.float64] = points[np.linalg.norm(points, axis=1) <= radius_mm * 1.001]
    return inside


def _radius_mm(finding: Finding) -> float:
    """Of the ball of the same volume."""
    return float((3000 * finding.volume_ml / (4 * np.pi)) ** (1 / 3))


def _centroids(findings: tuple[Finding, ...]) -> npt.NDArray[np.float64]:
    return np.array([finding.centroid_mm for finding in findings], float).reshape(-1, 3)
