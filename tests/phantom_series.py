"""Synthetic chest CT exams of one patient on disk, for tests that run the whole pipeline.

The seeds are none of those that the networks were trained on.
"""

from pathlib import Path

from analysis.phantoms import Grid, Visit, follow_up, make_patient, random_opacities, render, write_series

SEED = 71


def write_exams(folder: Path, *volume_factors: float, slice_mm: float = 5.0, percent_of_lung: float = 12) -> list[Path]:
    """A folder with a DICOM series per exam, ten days apart; factors scale the first exam's opacity volumes."""
    patient = make_patient(seed=SEED)
    first = Visit(patient, random_opacities(patient, SEED, percent_of_lung))
    grid = Grid.over_lungs(patient, (slice_mm, 1.45, 1.45), matrix=256)
    folders = []
    for number, factor in enumerate((1.0, *volume_factors)):
        visit = follow_up(first, day=10 * number, volume_factors=factor) if number else first
        folders.append(folder / f"exam{number}")
        write_series(render(visit, grid), folders[-1])
    return folders
