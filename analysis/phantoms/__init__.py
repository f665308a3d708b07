"""Synthetic chest CT with exact ground truth, for tests, training and the demo. NumPy, SciPy and pydicom only."""

from .anatomy import Anatomy, make_patient
from .dicom import Header, write_series
from .lesions import Lesion, nodules_of_all_sizes, one_mass, random_nodules, random_opacities
from .render import Grid, Phantom, Truth, render
from .visit import Pose, Visit, follow_up

__all__ = [
    "Anatomy",
    "Grid",
    "Header",
    "Lesion",
    "Phantom",
    "Pose",
    "Truth",
    "Visit",
    "follow_up",
    "make_patient",
    "nodules_of_all_sizes",
    "one_mass",
    "random_nodules",
    "random_opacities",
    "render",
    "write_series",
]
