"""Two scans of one block of lung, and findings in them."""

from dataclasses import replace

import numpy as np
import SimpleITK as sitk  # noqa: N813 - as everywhere

from analysis.pipeline.lesion_change import Scan
from analysis.pipeline.registration import Motion
from analysis.pipeline.report import Finding
from analysis.pipeline.volume import Volume
from tests.pipeline.lung_block import AFFINE_LPS, LEFT_MM, MIDDLE_MM, RIGHT_MM, SHAPE, SPACING_MM, LungBlock


def finding(centroid_mm=(0.0, 0.0, 0.0), volume_ml=0.5):
    return Finding("nodule", "solid", centroid_mm, volume_ml, 10.0, 9.0, 20.0, False, 0.9, "left", "upper")


class Still(Motion):
    """Between two scans in which nothing moved."""

    def __init__(self):
        super().__init__(sitk.Transform())


def scan(block=None, findings=(), opacity=None):
    hu = (block or LungBlock()).hu
    volume = Volume(hu, AFFINE_LPS, 70.0 - np.arange(SHAPE[0]) * SPACING_MM[0], "1.2", ())
    none = np.zeros(SHAPE, np.uint8)
    lungs = (block or LungBlock()).lungs
    return Scan(volume, lungs, none if opacity is None else opacity, tuple(findings), none)


def part_of(whole, slices):
    """The scan as if no more than these slices, head first, had been made."""
    first, _, _ = slices.indices(len(whole.lungs))
    affine = whole.volume.affine_lps.copy()
    affine[:3, 3] += first * affine[:3, 2]
    volume = replace(whole.volume, hu=whole.volume.hu[slices], z_mm=whole.volume.z_mm[slices], affine_lps=affine)
    return Scan(volume, whole.lungs[slices], whole.opacity[slices], whole.findings, whole.outlines[slices])


def lps(place_mm):
    """(slice, row, column) in mm from the first voxel as patient coordinates."""
    index = np.array(place_mm) / SPACING_MM
    return tuple((AFFINE_LPS @ [*index[::-1], 1])[:3].tolist())


RIGHT, LEFT = (*MIDDLE_MM, RIGHT_MM), (*MIDDLE_MM, LEFT_MM)
