"""Where a point of one scan lies in an earlier scan of the same patient: the lungs of both are registered.

An affine transform brings the lungs' masks together, then a B-spline (free-form deformation, Rueckert et al. 1999) what
is in them: a deeper breath moves the base of the lungs by centimetres and the top hardly.
"""

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk  # noqa: N813 - as everywhere

STEP_MM = 3.0  # of the cubic grid on which the lungs' content is registered
MASK_STEP_MM = 6.0  # and of that for their masks, which are smooth
MARGIN_MM = 12.0  # around the lungs
MASK_SIGMA_MM = 5.0  # blur of the masks: the affine transform follows their slopes
KNOTS_MM = 60.0  # between control points of the B-spline, halved for its second round
SAMPLED = 0.1  # share of the cells that are compared
CONTENT_HU = (-1000, -400)  # vessels and lung tissue; the wall is as bright as what lies outside the lungs
AFFINE_ITERATIONS, SPLINE_ITERATIONS = 50, 40
INVERSE_ITERATIONS = 20

Points = npt.NDArray[np.float64]  # (point, 3) in mm, DICOM patient coordinates
Affine = npt.NDArray[np.float64]  # 4×4, as in Volume


class NotRegistered(Exception):
    """The two scans have too little in common."""


@dataclass(frozen=True, eq=False)
class Motion:
    """The way from a scan to an earlier one."""

    transform: sitk.Transform

    def to_prior(self, points_mm: Points) -> Points:
        """Where points of the current scan lie in the prior one."""
        moved = [self.transform.TransformPoint(point) for point in points_mm.tolist()]
        return np.array(moved, float).reshape(-1, 3)

    def to_current(self, points_mm: Points) -> Points:
        """The way back, by fixed-point iteration (Chen et al. 2008): the motion is smooth."""
        current = points_mm.copy()
        for _ in range(INVERSE_ITERATIONS):
            current += points_mm - self.to_prior(current)
        return current

    def warped(
        self, labels: npt.NDArray[Any], prior_affine: Affine, shape: tuple[int, ...], affine: Affine
    ) -> npt.NDArray[Any]:
        """Labels (slice, row, column) of the prior scan as they lie in the current one of this shape and affine."""
        grid = _image(np.zeros(shape, np.uint8), affine)
        moved = sitk.Resample(_image(labels, prior_affine), grid, self.transform, sitk.sitkNearestNeighbor, 0)
        return np.asarray(sitk.GetArrayFromImage(moved))


def register(
    hu: npt.NDArray[np.int16],
    lungs: npt.NDArray[np.bool_],
    affine: Affine,
    prior_hu: npt.NDArray[np.int16],
    prior_lungs: npt.NDArray[np.bool_],
    prior_affine: Affine,
) -> Motion:
    """The motion from the current scan to the prior one; all arrays (slice, row, column), no lungs empty.

    Raises NotRegistered.
    """
    try:
        affine_motion = _register_masks(_Lungs.of(lungs, affine), _Lungs.of(prior_lungs, prior_affine))
        grid = _grid_over(lungs, affine, STEP_MM)
        prior_grid = _grid_over(prior_lungs, prior_affine, STEP_MM)
        content, inside = _content(hu, lungs, affine, grid)
        prior_content, _ = _content(prior_hu, prior_lungs, prior_affine, prior_grid)
        inside &= _scanned(lungs.shape, affine, grid)
        prior_scanned = _scanned(prior_lungs.shape, prior_affine, prior_grid)
        spline = _register_content(content, inside, prior_content, prior_scanned, affine_motion)
    except RuntimeError as failed:  # SimpleITK's only error
        raise NotRegistered from failed
    return Motion(sitk.CompositeTransform([affine_motion, spline]))


@dataclass(frozen=True, eq=False)
class _Lungs:
    """``mask``: the lungs as a smooth image on a coarse grid; ``scanned``: where on it the scan lies. A scan that ends
    inside the lungs says nothing of what is beyond."""

    mask: sitk.Image
    scanned: sitk.Image

    @classmethod
    def of(cls, lungs: npt.NDArray[np.bool_], affine: Affine) -> "_Lungs":
        grid = _grid_over(lungs, affine, MASK_STEP_MM)
        mask = _resampled(lungs.astype(np.float32), affine, grid)
        return cls(sitk.SmoothingRecursiveGaussian(mask, MASK_SIGMA_MM), _scanned(lungs.shape, affine, grid))

    def places_mm(self) -> Points:
        mask = sitk.GetArrayFromImage(self.mask * sitk.Cast(self.scanned, sitk.sitkFloat32))
        places: Points = np.argwhere(mask > mask.max() / 2)[:, ::-1] * MASK_STEP_MM + self.mask.GetOrigin()
        return places


def _register_masks(now: _Lungs, before: _Lungs) -> sitk.Transform:
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMeanSquares()
    method.SetMetricFixedMask(now.scanned)
    method.SetMetricMovingMask(before.scanned)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsGradientDescentLineSearch(1.0, AFFINE_ITERATIONS, 1e-5, 10)
    method.SetOptimizerScalesFromPhysicalShift()

    def disagreement(start: sitk.Transform) -> float:
        method.SetInitialTransform(start, inPlace=False)
        return float(method.MetricEvaluate(now.mask, before.mask))

    best = min(_starts(now.places_mm(), before.places_mm()), key=disagreement)
    method.SetInitialTransform(best, inPlace=False)
    motion: sitk.Transform = method.Execute(now.mask, before.mask)
    return motion


def _starts(places_mm: Points, prior_places_mm: Points) -> list[sitk.AffineTransform]:
    """Shifts that bring the lungs' middles, tops or bases to one height, and then what both scans show there to one
    place: where a scan cuts off the tops or the bases, the others are left."""
    heights, prior_heights = places_mm[:, 2], prior_places_mm[:, 2]
    starts = []
    for of in (np.mean, np.max, np.min):
        up_mm = of(prior_heights) - of(heights)
        low_mm = max(heights.min() + up_mm, prior_heights.min()) - MASK_STEP_MM / 2
        high_mm = min(heights.max() + up_mm, prior_heights.max()) + MASK_STEP_MM / 2
        common = places_mm[(heights + up_mm >= low_mm) & (heights + up_mm <= high_mm)]
        prior_common = prior_places_mm[(prior_heights >= low_mm) & (prior_heights <= high_mm)]
        aside_mm = prior_common[:, :2].mean(0) - common[:, :2].mean(0)
        start = sitk.AffineTransform(3)
        start.SetCenter(places_mm.mean(0).tolist())
        start.SetTranslation([*aside_mm.tolist(), float(up_mm)])
        starts.append(start)
    return starts


def _register_content(
    content: sitk.Image,
    inside: sitk.Image,
    prior_content: sitk.Image,
    prior_scanned: sitk.Image,
    start: sitk.Transform,
) -> sitk.Transform:
    knots = [max(2, round(count * STEP_MM / KNOTS_MM)) for count in content.GetSize()]
    spline = sitk.BSplineTransformInitializer(content, knots, 3)
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsCorrelation()  # the density of aerated lung changes with its volume
    method.SetMetricFixedMask(inside)
    method.SetMetricMovingMask(prior_scanned)
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(SAMPLED, seed=1)  # else by the clock
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsLBFGS2(solutionAccuracy=1e-4, numberOfIterations=SPLINE_ITERATIONS)
    method.SetMovingInitialTransform(start)
    method.SetInitialTransformAsBSpline(spline, inPlace=True, scaleFactors=[1, 2])
    method.SetShrinkFactorsPerLevel([2, 1])
    method.SetSmoothingSigmasPerLevel([STEP_MM, 0])
    method.Execute(content, prior_content)
    return spline


def _content(
    hu: npt.NDArray[np.int16], lungs: npt.NDArray[np.bool_], affine: Affine, grid: sitk.Image
) -> tuple[sitk.Image, sitk.Image]:
    """What is in the lungs, and where to compare it: in them and at their edge."""
    low, high = CONTENT_HU
    share = _resampled(lungs.astype(np.float32), affine, grid)
    clipped = _resampled(hu.clip(low, high).astype(np.float32), affine, grid)
    edge = sitk.BinaryDilate(sitk.Greater(share, 0.5), [2, 2, 2])
    return clipped * share + float(high) * (1.0 - share), sitk.Cast(edge, sitk.sitkUInt8)


def _resampled(values: npt.NDArray[np.float32], affine: Affine, grid: sitk.Image) -> sitk.Image:
    """On the grid, averaged first where the grid is coarser; beyond the scan what its edge has."""
    image = _image(values, affine)
    image = sitk.BinShrink(image, [max(1, int(grid.GetSpacing()[0] / mm)) for mm in image.GetSpacing()])
    resample = sitk.ResampleImageFilter()
    resample.SetReferenceImage(grid)
    resample.SetUseNearestNeighborExtrapolator(True)
    return resample.Execute(image)


def _scanned(shape: tuple[int, ...], affine: Affine, grid: sitk.Image) -> sitk.Image:
    """Where on the grid a scan of this shape and affine lies: 1, elsewhere 0."""
    whole = _image(np.ones(shape, np.uint8), affine)
    return sitk.Resample(whole, grid, sitk.Transform(), sitk.sitkNearestNeighbor, 0)


def _grid_over(lungs: npt.NDArray[np.bool_], affine: Affine, step_mm: float) -> sitk.Image:
    """An empty cubic grid along the patient's axes that holds the lungs with a margin."""
    ends = [np.flatnonzero(lungs.any(tuple({0, 1, 2} - {axis})))[[0, -1]] for axis in (2, 1, 0)]
    corners_mm = np.array([affine @ [*corner, 1] for corner in itertools.product(*ends)])
    low_mm, high_mm = corners_mm[:, :3].min(0) - MARGIN_MM, corners_mm[:, :3].max(0) + MARGIN_MM
    grid = sitk.Image((np.ceil((high_mm - low_mm) / step_mm).astype(int) + 1).tolist(), sitk.sitkFloat32)
    grid.SetOrigin(low_mm.tolist())
    grid.SetSpacing([step_mm] * 3)
    return grid


def _image(values: npt.NDArray[np.generic], affine: Affine) -> sitk.Image:
    """An array (slice, row, column) where it lies in the patient."""
    image = sitk.GetImageFromArray(values)
    spacing_mm = np.linalg.norm(affine[:3, :3], axis=0)
    image.SetSpacing(spacing_mm.tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    image.SetDirection((affine[:3, :3] / spacing_mm).ravel().tolist())
    return image
