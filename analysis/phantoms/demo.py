"""The demo's patients: made-up people whose scans show one story each."""

import multiprocessing
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from .anatomy import make_patient
from .build import Build
from .dicom import Header, write_series
from .lesions import random_nodules, random_opacities
from .render import Grid, render
from .visit import Visit, follow_up

SPACING_MM, MATRIX = (5.0, 1.5, 1.5), 256
PATIENT_WITHIN_SECONDS = 1800  # some minutes on a slow machine; a process that was killed would never answer


@dataclass(frozen=True)
class DemoPatient:
    """``days``: since the first scan; ``volume_factors``: of the first scan's volumes, per later day (all or each)."""

    number: int
    seed: int
    story: str
    first_scan: datetime
    days: tuple[int, ...]
    volume_factors: tuple[float | tuple[float, ...], ...] = ()
    opacity_percent: float = 0.0
    nodules: int = 0

    @property
    def patient_id(self) -> str:
        return f"DEMO-{self.number:02d}"

    @property
    def header(self) -> Header:
        build = Build.of_seed(self.seed)
        birth_year = self.first_scan.year - build.age
        return Header(
            patient_id=self.patient_id,
            patient_name=f"Synthetic^Demo {self.number:02d}",
            birth_date=self.first_scan.date().replace(year=birth_year, day=self.number),
            sex=build.sex,
            first_scan=self.first_scan,
        )

    def visits(self) -> Iterator[Visit]:
        anatomy = make_patient(self.seed)
        lesions = random_opacities(anatomy, self.seed, self.opacity_percent)
        first = Visit(anatomy, lesions + random_nodules(anatomy, self.seed, self.nodules))
        yield first
        for day, factors in zip(self.days[1:], self.volume_factors, strict=True):
            yield follow_up(first, day, factors)


DEMO_PATIENTS = (
    DemoPatient(1, 9101, "improving", datetime(2026, 1, 12, 9, 40), (0, 6, 15, 40), (0.6, 0.25, 0.04), 13),
    DemoPatient(
        2, 9102, "worsening, then improving", datetime(2026, 2, 3, 14, 5), (0, 3, 8, 19, 61), (2.6, 3.4, 1.3, 0.1), 5
    ),
    DemoPatient(3, 9103, "normal throughout", datetime(2025, 3, 17, 8, 15), (0, 92, 366), (1.0, 1.0)),
    DemoPatient(
        4,
        9104,
        "nodules: the first grows, the second is gone in the end, the others stay",
        datetime(2025, 9, 8, 11, 25),
        (0, 91, 183),
        ((1.8, 0.4, 1.0, 1.0), (3.2, 0.0, 1.0, 1.0)),
        nodules=4,
    ),
)


@dataclass(frozen=True)
class DemoSeries:
    patient_id: str
    day: int
    folder: Path


def write_demo(folder: Path, *, processes: int = 2) -> Iterator[DemoSeries]:
    """Write all series of all demo patients below ``folder``; yields them patient by patient, in order of time."""
    context = multiprocessing.get_context("spawn")  # the caller may hold database connections that must not be shared
    with context.Pool(processes) as pool:  # leaving it ends its processes at once, also by an exception
        patients = pool.imap(partial(_write_patient, folder), DEMO_PATIENTS)
        for _ in DEMO_PATIENTS:
            yield from patients.next(timeout=PATIENT_WITHIN_SECONDS)


def _write_patient(folder: Path, patient: DemoPatient) -> list[DemoSeries]:
    written = []
    for visit in patient.visits():
        place = folder / patient.patient_id / f"day-{visit.day:03d}"
        write_series(render(visit, Grid.over_lungs(visit.anatomy, SPACING_MM, MATRIX)), place, patient.header)
        written.append(DemoSeries(patient.patient_id, visit.day, place))
    return written
