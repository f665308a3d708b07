"""What changed between two scans of a patient: every lesion (``lesion_change.py``), and the opacity voxel by voxel."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from analysis.pipeline.lesion_change import THICK_MM, LesionChange, Scan, lesion_changes
from analysis.pipeline.marked import gettext_noop
from analysis.pipeline.opacity import CONSOLIDATION
from analysis.pipeline.registration import Motion, NotRegistered, register
from analysis.pipeline.report import QualityFlag, software_version
from analysis.pipeline.series import UnusableSeries

TOLERANCE_MM = 3.0
"""Opacity nearer than this to opacity of the other scan is the same one: registration is not better than that. From
slice to slice it is the thicker slices' distance, where that is more: they do not say better where opacity ends."""
POOR_OVERLAP = 0.9  # Dice of the registered lungs, where both scans lie
SAME_MM = 0.05  # distances of slices closer than this read alike
LEVEL_POINTS = 60  # of a slice's lung that say where it lies in the other scan
REFUSED_OVERLAP = 0.8  # Dice below which nothing is said
WHOLE = 0.95  # share of the lungs of either scan from which on the other holds them all
POOR_COMMON, REFUSED_COMMON = 0.5, 0.25
"""Shares below which little is known of how the scans lie to each other, and below which nothing is said."""
HELD_POINTS = 500  # of the lungs of either scan, which tell that share
BREATH_FACTOR = 1.25  # between the lungs' volumes: "the same breath" differs by less


NOT_REGISTERED = gettext_noop("The lungs of the two scans could not be laid over each other: compare them by eye.")
WORSE, BETTER, UNCHANGED = 1, 2, 3  # labels of the map


@dataclass(frozen=True)
class Change:
    """``worse_ml``: newly opaque or denser, ``better_ml``: cleared or less dense, ``unchanged_ml``: opaque as before;
    ``prior_z_mm``: of each slice of the current scan, where its lung lies in the prior one on average, as in
    ``Volume.z_mm``, None where it has no lung; ``lung_overlap``: Dice of the registered lungs where both scans lie;
    ``lung_volume_factor``: current ÷ prior, as far as each was scanned."""

    lesions: tuple[LesionChange, ...]
    worse_ml: float
    better_ml: float
    unchanged_ml: float
    prior_z_mm: tuple[float | None, ...]
    lung_overlap: float
    lung_volume_factor: float
    quality: tuple[QualityFlag, ...]
    software_version: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def compare(current: Scan, prior: Scan, days: int | None) -> tuple[Change, npt.NDArray[np.uint8], Motion]:
    """What changed, the map of it (slice, row, column) on the current scan's voxels (1 worse, 2 better, 3 unchanged
    opacity), and the motion from the current scan to the prior one. ``days`` lie between the two, None: not known.

    Raises UnusableSeries where the lungs cannot be laid over each other.
    """
    motion = _registered(current, prior)
    shape, affine = current.lungs.shape, current.volume.affine_lps
    prior_affine = prior.volume.affine_lps
    there = motion.warped(prior.lungs.astype(np.uint8) + np.uint8(1), prior_affine, shape, affine)  # 0: not scanned
    prior_lungs, common_lungs = there == 2, current.lungs & (there > 0)
    lung_ml, prior_lung_ml = (float(scan.lungs.sum() * scan.volume.voxel_volume_ml) for scan in (current, prior))
    held = min(
        float(prior.holds(motion.to_prior(_lung_points_mm(current))).mean()),
        float(current.holds(motion.to_current(_lung_points_mm(prior))).mean()),
    )
    overlap = float(2 * (prior_lungs & common_lungs).sum() / max(1, prior_lungs.sum() + common_lungs.sum()))
    if overlap < REFUSED_OVERLAP or held < REFUSED_COMMON:
        raise UnusableSeries("not_registered", NOT_REGISTERED)
    prior_opacity = motion.warped(prior.opacity, prior_affine, shape, affine)
    slice_mm = (current.volume.spacing_mm[0], prior.volume.spacing_mm[0])
    between_mm = max(TOLERANCE_MM, *slice_mm)
    labels = opacity_change(current.opacity, prior_opacity, current.volume.spacing_mm, between_mm)
    labels[~(current.lungs & prior_lungs)] = 0  # of what was not scanned, or not found to be lung, nothing is known
    worse_ml, better_ml, unchanged_ml = (
        float(np.count_nonzero(labels == label) * current.volume.voxel_volume_ml)
        for label in (WORSE, BETTER, UNCHANGED)
    )
    change = Change(
        lesions=lesion_changes(current, prior, motion, days, poor=is_poor(overlap, held)),
        worse_ml=worse_ml,
        better_ml=better_ml,
        unchanged_ml=unchanged_ml,
        prior_z_mm=prior_levels(current, prior, motion),
        lung_overlap=overlap,
        lung_volume_factor=lung_ml / prior_lung_ml,
        quality=flags(
            overlap,
            lung_ml / prior_lung_ml,
            slice_mm,
            held=held,
            cut_off=current.is_cut_off or prior.is_cut_off or held < WHOLE,
        ),
        software_version=software_version(),
    )
    return change, labels, motion


def _lung_points_mm(scan: Scan) -> npt.NDArray[np.float64]:
    """Points (point, 3) all over the lungs, in patient coordinates."""
    voxels = np.argwhere(scan.lungs)[:, ::-1]
    voxels = voxels[:: max(1, len(voxels) // HELD_POINTS)]
    points_mm: npt.NDArray[np.float64] = voxels @ scan.volume.affine_lps[:3, :3].T + scan.volume.affine_lps[:3, 3]
    return points_mm


def prior_levels(current: Scan, prior: Scan, motion: Motion) -> tuple[float | None, ...]:
    """Of each slice: the mean place along the prior scan's normal, mm, of points all over its lung; None without
    lung."""
    along_row, along_column, to_feet, _ = prior.volume.affine_lps[:3].T
    normal = np.cross(along_row, along_column)
    to_head = normal / np.linalg.norm(normal) * -np.sign(normal @ to_feet)
    levels: list[float | None] = []
    for number, lung in enumerate(current.lungs):
        cells = np.argwhere(lung)
        if not len(cells):
            levels.append(None)
            continue
        cells = cells[:: max(1, len(cells) // LEVEL_POINTS)]
        index = np.column_stack([cells[:, ::-1], np.full(len(cells), number)])  # column, row, slice
        affine_lps = current.volume.affine_lps
        points_mm = index @ affine_lps[:3, :3].T + affine_lps[:3, 3]
        levels.append(float((motion.to_prior(points_mm) @ to_head).mean()))
    return tuple(levels)


def _registered(current: Scan, prior: Scan) -> Motion:
    now, before = current.volume, prior.volume
    try:
        return register(now.hu, current.lungs, now.affine_lps, before.hu, prior.lungs, before.affine_lps)
    except NotRegistered as failed:
        raise UnusableSeries("not_registered", NOT_REGISTERED) from failed


def opacity_change(
    opacity: npt.NDArray[np.uint8],
    prior: npt.NDArray[np.uint8],
    spacing_mm: tuple[float, float, float],
    between_mm: float = TOLERANCE_MM,
) -> npt.NDArray[np.uint8]:
    """The map of the change; both (slice, row, column) with the labels of ``opacity.py``, on the same voxels;
    ``between_mm``: what is nearer than this from slice to slice is the same."""
    labels = np.zeros(opacity.shape, np.uint8)
    either = (opacity > 0) | (prior > 0)
    if not either.any():
        return labels
    (box,) = ndimage.find_objects(either.astype(np.uint8))
    now, before = opacity[box], prior[box]
    part = labels[box]
    slice_mm, *in_plane_mm = spacing_mm
    of_tolerance = (slice_mm * TOLERANCE_MM / between_mm, *in_plane_mm)
    part[now > 0] = UNCHANGED  # what is new, but nearer to the former opacity than registration can tell, too
    for worse_or_better, here, there in ((WORSE, now, before), (BETTER, before, now)):
        part[(here > 0) & _far_from(there > 0, of_tolerance)] = worse_or_better
        denser = (here == CONSOLIDATION) & (there > 0) & _far_from(there == CONSOLIDATION, of_tolerance)
        part[denser] = worse_or_better
    return labels


def _far_from(mask: npt.NDArray[np.bool_], spacing_mm: tuple[float, ...]) -> npt.NDArray[np.bool_]:
    if not mask.any():
        return np.ones(mask.shape, bool)
    far: npt.NDArray[np.bool_] = ndimage.distance_transform_edt(~mask, sampling=spacing_mm) > TOLERANCE_MM
    return far


def is_poor(overlap: float, held: float) -> bool:
    """Whether two scans lie too badly over each other to tell what is new; arguments as for ``flags``."""
    return overlap < POOR_OVERLAP or held < POOR_COMMON


def flags(
    overlap: float, lung_factor: float, slice_mm: tuple[float, float], *, held: float, cut_off: bool
) -> tuple[QualityFlag, ...]:
    """``slice_mm``: distance of the slices of the current and of the prior scan; ``held``: share of the lungs of either
    that the other holds, the smaller one; ``cut_off``: one's lungs are."""
    found = []
    if cut_off:
        message = gettext_noop(
            "One of the scans begins or ends inside the lungs: what lies beyond cannot be compared, the rest roughly."
        )
        found.append(QualityFlag("lungs_cut_off", message))
    if is_poor(overlap, held):
        message = gettext_noop(
            "The lungs of the two scans could not be laid over each other well: look at both beside each other."
        )
        found.append(QualityFlag("registration_poor", message))
    if not cut_off and not 1 / BREATH_FACTOR <= lung_factor <= BREATH_FACTOR:
        message = gettext_noop(
            "The lungs have {factor:.1f} times their former volume: a different depth of breath changes densities and "
            "volumes by itself."
        )
        found.append(QualityFlag("breath_differs", message.format(factor=lung_factor)))
    if max(slice_mm) > THICK_MM:
        now, then = slice_mm
        message = gettext_noop(
            "The slices lie {now:.1f} mm apart, before {then:.1f} mm: volumes of small lesions, and so their change, "
            "are rough."
        )
        if abs(now - then) < SAME_MM:
            message = gettext_noop(
                "The slices of both CTs lie {now:.1f} mm apart: volumes of small lesions, and so their change, are "
                "rough."
            )
        found.append(QualityFlag("thick_slices", message.format(now=now, then=then)))
    return tuple(found)
