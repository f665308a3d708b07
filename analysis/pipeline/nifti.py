"""Masks and maps as NIfTI files in the series' own geometry."""

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""DICOM counts x to the Left and y to the Posterior, NIfTI to the Right and the Anterior."""


def write_nifti(path: Path, values: npt.NDArray[Any], affine_lps: npt.NDArray[np.float64]) -> None:
    """Write ``values`` (slice, row, column), compressed where ``path`` ends in ``.gz``.

    ``affine_lps``: as in Volume. bool is written as uint8; the file's axes are (column, row, slice).
    """
    if values.dtype == np.bool_:
        values = values.astype(np.uint8)
    image = nibabel.Nifti1Image(values.transpose(2, 1, 0), LPS_TO_RAS @ affine_lps)  # type: ignore[no-untyped-call]
    image.header.set_xyzt_units("mm")  # type: ignore[no-untyped-call]
    nibabel.save(image, path)
