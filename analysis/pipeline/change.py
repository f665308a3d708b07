"""What changed between two scans of one patient: every lesion, and the opacity voxel by voxel."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

from analysis.pipeline.opacity import CONSOLIDATION
from analysis.pipeline.registration import Motion, register
from analysis.pipeline.report import Finding, QualityFlag, software_version
from analysis.pipeline.volume import Volume

if TYPE_CHECKING:
    from analysis.pipeline.run import Analysis

NEAR_MM, NEAR_RADIUS = 8.0, 0.6
"""Centroids this near, or nearer than this part of the larger lesion's radius, may be one lesion: registration is about
2 mm off, and the centroid of an irregular lesion shifts as it grows or shrinks."""
SIZE_WEIGHT = 0.1  # of a factor e in volume, against a distance as long as may be
SIGNIFICANT = 1.25
"""Factor of the volume from which on a lesion has grown (British Thoracic Society, Callister et al. 2015: 25 %); below
its inverse it has shrunk."""
SEARCH_MM = 3.0  # around the place where a lesion that is outlined in one scan only should lie in the other
BALL_STEP_MM = 1.0
CORE = 0.8  # of the radius: the blurred rim says nothing
AERATED_HU = -550.0  # lung below it is aerated
TOLERANCE_MM = 3.0
"""Opacity nearer than this to opacity of the other scan is the same one: registration is not better than that."""
POOR_OVERLAP = 0.9  # Dice of the registered lungs
THICK_MM = 2.5  # slices farther apart are too thick to measure small nodules, which then fill one or two of them
BREATH_FACTOR = 1.25  # between the lungs' volumes: "the same breath" differs by less

NEW, GROWN, STABLE, SHRUNK, RESOLVED, ONE_OUTLINE = "new", "grown", "stable", "shrunk", "resolved", "outlined once"
WORSE, BETTER, UNCHANGED = 1, 2, 3  # labels of the map


@dataclass(frozen=True, eq=False)
class Scan:
    """What is compared of a scan. ``volume``: its HU, on any matrix; ``lungs`` bool and ``opacity`` uint8 (the labels
    of ``opacity.py``) of the same shape; ``findings`` of its report, their centroids in DICOM patient coordinates."""

    volume: Volume
    lungs: npt.NDArray[np.bool_]
    opacity: npt.NDArray[np.uint8]
    findings: tuple[Finding, ...]

    @classmethod
    def of(cls, analysis: "Analysis") -> "Scan":
        return cls(analysis.volume, analysis.lungs, analysis.opacity, analysis.report.findings or ())


@dataclass(frozen=True)
class LesionChange:
    """One lesion. ``number`` and ``prior_number``: its place in the reports' findings from 1, None where it is not
    among them; ``centroid_mm``: in the current scan, where it would lie if it is gone.

    ``status``: "new", "grown", "stable", "shrunk", "resolved", or "outlined once" where the other scan has dense tissue
    at the same place that is no finding there. ``doubling_time_days``: of one that grew.
    """

    status: str
    number: int | None
    prior_number: int | None
    centroid_mm: tuple[float, float, float]
    volume_ml: float | None
    prior_volume_ml: float | None
    volume_change_percent: float | None
    doubling_time_days: float | None


@dataclass(frozen=True)
class Change:
    """``worse_ml``: newly opaque or denser, ``better_ml``: cleared or less dense, ``unchanged_ml``: opaque as before;
    ``lung_overlap``: Dice of the registered lungs; ``lung_volume_factor``: current ÷ prior."""

    lesions: tuple[LesionChange, ...]
    worse_ml: float
    better_ml: float
    unchanged_ml: float
    lung_overlap: float
    lung_volume_factor: float
    quality: tuple[QualityFlag, ...]
    software_version: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def compare(current: Scan, prior: Scan, days: int | None) -> tuple[Change, npt.NDArray[np.uint8], Motion]:
    """What changed, the map of it (slice, row, column) on the current scan's voxels (1 worse, 2 better, 3 unchanged
    opacity), and the motion from the current scan to the prior one. ``days`` lie between the two, None: not known."""
    motion = register(
        current.volume.hu,
        current.lungs,
        current.volume.affine_lps,
        prior.volume.hu,
        prior.lungs,
        prior.volume.affine_lps,
    )
    shape, affine = current.lungs.shape, current.volume.affine_lps
    prior_affine = prior.volume.affine_lps
    prior_lungs = motion.warped(prior.lungs.astype(np.uint8), prior_affine, shape, affine) > 0
    prior_opacity = motion.warped(prior.opacity, prior_affine, shape, affine)
    labels = opacity_change(current.opacity, prior_opacity, current.volume.spacing_mm)
    worse_ml, better_ml, unchanged_ml = (
        float(np.count_nonzero(labels == label) * current.volume.voxel_volume_ml)
        for label in (WORSE, BETTER, UNCHANGED)
    )
    overlap = float(2 * (prior_lungs & current.lungs).sum() / (prior_lungs.sum() + current.lungs.sum()))
    lung_ml, prior_lung_ml = (float(scan.lungs.sum() * scan.volume.voxel_volume_ml) for scan in (current, prior))
    change = Change(
        lesions=lesion_changes(current, prior, motion, days),
        worse_ml=worse_ml,
        better_ml=better_ml,
        unchanged_ml=unchanged_ml,
        lung_overlap=overlap,
        lung_volume_factor=lung_ml / prior_lung_ml,
        quality=flags(overlap, lung_ml / prior_lung_ml, (current.volume.spacing_mm[0], prior.volume.spacing_mm[0])),
        software_version=software_version(),
    )
    return change, labels, motion


def opacity_change(
    opacity: npt.NDArray[np.uint8], prior: npt.NDArray[np.uint8], spacing_mm: tuple[float, float, float]
) -> npt.NDArray[np.uint8]:
    """The map of the change; both (slice, row, column) with the labels of ``opacity.py``, on the same voxels."""
    labels = np.zeros(opacity.shape, np.uint8)
    either = (opacity > 0) | (prior > 0)
    if not either.any():
        return labels
    (box,) = ndimage.find_objects(either.astype(np.uint8))
    now, before = opacity[box], prior[box]
    part = labels[box]
    part[now > 0] = UNCHANGED  # what is new, but nearer to the former opacity than registration can tell, too
    for worse_or_better, here, there in ((WORSE, now, before), (BETTER, before, now)):
        part[(here > 0) & _far_from(there > 0, spacing_mm)] = worse_or_better
        denser = (here == CONSOLIDATION) & (there > 0) & _far_from(there == CONSOLIDATION, spacing_mm)
        part[denser] = worse_or_better
    return labels


def _far_from(mask: npt.NDArray[np.bool_], spacing_mm: tuple[float, float, float]) -> npt.NDArray[np.bool_]:
    if not mask.any():
        return np.ones(mask.shape, bool)
    far: npt.NDArray[np.bool_] = ndimage.distance_transform_edt(~mask, sampling=spacing_mm) > TOLERANCE_MM
    return far


def lesion_changes(current: Scan, prior: Scan, motion: Motion, days: int | None) -> tuple[LesionChange, ...]:
    """Every finding of both scans once: those of the current one in its order, then those that are gone."""
    centers_mm = motion.to_prior(_centroids(current.findings))  # in the prior scan
    prior_centers_mm = _centroids(prior.findings)
    matched = match(current.findings, centers_mm, prior.findings, prior_centers_mm)
    changes = []
    for index, finding in enumerate(current.findings):
        before = matched.get(index)
        if before is not None:
            changes.append(_persisting(index, finding, before, prior.findings[before], days))
        else:
            status = ONE_OUTLINE if is_dense(prior, centers_mm[index], finding) else NEW
            place, volume_ml = finding.centroid_mm, finding.volume_ml
            changes.append(LesionChange(status, index + 1, None, place, volume_ml, None, None, None))
    places_mm = motion.to_current(prior_centers_mm)
    for index, finding in enumerate(prior.findings):
        if index not in matched.values():
            status = ONE_OUTLINE if is_dense(current, places_mm[index], finding) else RESOLVED
            x, y, z = places_mm[index].tolist()
            changes.append(LesionChange(status, None, index + 1, (x, y, z), None, finding.volume_ml, None, None))
    return tuple(changes)


def match(
    findings: tuple[Finding, ...],
    centers_mm: npt.NDArray[np.float64],
    prior_findings: tuple[Finding, ...],
    prior_centers_mm: npt.NDArray[np.float64],
) -> dict[int, int]:
    """Index of each finding that is one of the prior ones → that one's; no index twice. Centres in one frame."""
    away_mm = np.linalg.norm(centers_mm[:, None] - prior_centers_mm[None], axis=-1)
    radii = [np.array([_radius_mm(one) for one in group]) for group in (findings, prior_findings)]
    allowed_mm = np.maximum(NEAR_MM, NEAR_RADIUS * np.maximum.outer(*radii))
    size = np.abs(np.subtract.outer(*(3 * np.log(of) for of in radii)))
    possible = away_mm <= allowed_mm
    cost = np.where(possible, away_mm / allowed_mm + SIZE_WEIGHT * size, 1e6)
    return {int(a): int(b) for a, b in zip(*linear_sum_assignment(cost), strict=True) if possible[a, b]}


def _persisting(index: int, finding: Finding, before: int, prior: Finding, days: int | None) -> LesionChange:
    factor = finding.volume_ml / prior.volume_ml
    status = GROWN if factor >= SIGNIFICANT else SHRUNK if factor <= 1 / SIGNIFICANT else STABLE
    doubling_days = days * np.log(2) / np.log(factor) if days and status == GROWN else None  # Schwartz 1961
    return LesionChange(
        status=status,
        number=index + 1,
        prior_number=before + 1,
        centroid_mm=finding.centroid_mm,
        volume_ml=finding.volume_ml,
        prior_volume_ml=prior.volume_ml,
        volume_change_percent=100 * (factor - 1),
        doubling_time_days=None if doubling_days is None else float(doubling_days),
    )


def is_dense(scan: Scan, center_mm: npt.NDArray[np.float64], finding: Finding) -> bool:
    """Whether a ball of the finding's volume at this place of the scan, or near it, is nearer to the finding's density
    than to aerated lung. Outside the lungs nothing counts as dense."""
    hu, lungs = scan.volume.hu, scan.lungs
    aerated_hu = float(np.median(hu[lungs & (hu < AERATED_HU)]))
    ball = _ball(max(CORE * _radius_mm(finding), BALL_STEP_MM))
    to_index = np.linalg.inv(scan.volume.affine_lps)
    points_mm = center_mm + _ball(SEARCH_MM)[:, None] + ball  # (place, point, 3)
    index = (points_mm @ to_index[:3, :3].T + to_index[:3, 3])[..., ::-1]
    nearest = np.rint(index).astype(int).clip(0, np.array(hu.shape) - 1)
    at = tuple(np.moveaxis(nearest, -1, 0))
    density = np.where(lungs[at], hu[at], aerated_hu).mean(1)
    return bool(density.max() > (aerated_hu + finding.mean_hu) / 2)


def _ball(radius_mm: float) -> npt.NDArray[np.float64]:
    """Points (point, 3) of a lattice in a ball around 0."""
    reach = np.arange(-int(radius_mm / BALL_STEP_MM), int(radius_mm / BALL_STEP_MM) + 1) * BALL_STEP_MM
    points = np.stack(np.meshgrid(reach, reach, reach), -1).reshape(-1, 3)
    inside: npt.NDArray[np.float64] = points[np.linalg.norm(points, axis=1) <= radius_mm]
    return inside


def _radius_mm(finding: Finding) -> float:
    """Of the ball of the same volume."""
    return float((3000 * finding.volume_ml / (4 * np.pi)) ** (1 / 3))


def _centroids(findings: tuple[Finding, ...]) -> npt.NDArray[np.float64]:
    return np.array([finding.centroid_mm for finding in findings], float).reshape(-1, 3)


def flags(overlap: float, lung_factor: float, slice_mm: tuple[float, float]) -> tuple[QualityFlag, ...]:
    """``slice_mm``: distance of the slices of the current and of the prior scan."""
    found = []
    if overlap < POOR_OVERLAP:
        message = "The lungs of the two scans could not be laid over each other well: look at both beside each other."
        found.append(QualityFlag("registration_poor", message))
    if not 1 / BREATH_FACTOR <= lung_factor <= BREATH_FACTOR:
        message = (
            f"The lungs have {lung_factor:.1f} times their former volume: a different depth of breath changes "
            "densities and volumes by itself."
        )
        found.append(QualityFlag("breath_differs", message))
    if max(slice_mm) > THICK_MM:
        message = (
            f"The slices lie {slice_mm[0]:.1f} mm apart, before {slice_mm[1]:.1f} mm: volumes of small lesions, and so "
            "their change, are rough."
        )
        found.append(QualityFlag("thick_slices", message))
    return tuple(found)
