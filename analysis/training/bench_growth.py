"""How time and memory of an analysis grow with the number of slices."""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pydicom
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from analysis.pipeline.pixels import read_volume
from analysis.pipeline.series import Geometry
from analysis.training import data

COUNTS = (50, 100, 200, 400, 600, 800, 1200)
STRETCHED, STRETCHED_MM = 600, 1.0
INTERCEPT_HU = -1024


def growth(geometry: Geometry, counts: tuple[int, ...]) -> list[tuple[int, float, float]]:
    """(slices, seconds, GB at most) of the command line on the series interpolated to so many slices."""
    length_mm = float(abs(geometry.z_mm[-1] - geometry.z_mm[0]))
    return [(count, *_of_series(geometry, count, length_mm / (count - 1))) for count in counts]


def stretched(geometry: Geometry) -> tuple[float, float]:
    """Seconds and GB at most, of STRETCHED slices as far apart as STRETCHED_MM."""
    return _of_series(geometry, STRETCHED, STRETCHED_MM)


def _of_series(geometry: Geometry, count: int, slice_mm: float) -> tuple[float, float]:
    template = pydicom.dcmread(geometry.headers[0].path)
    with tempfile.TemporaryDirectory() as folder:
        _write(read_volume(geometry).hu, template, count, slice_mm, Path(folder))
        return _measured(Path(folder))


def _write(hu: np.ndarray, template: pydicom.Dataset, count: int, slice_mm: float, folder: Path) -> None:
    """The series interpolated to so many slices, and said to lie so far apart."""
    template.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    template.SeriesInstanceUID = generate_uid()
    template.RescaleSlope, template.RescaleIntercept = 1, INTERCEPT_HU
    template.BitsAllocated, template.BitsStored, template.HighBit, template.PixelRepresentation = 16, 16, 15, 0
    x_mm, y_mm, top_mm = template.ImagePositionPatient
    for number, place in enumerate(np.linspace(0, len(hu) - 1, count)):
        low = min(int(place), len(hu) - 2)
        mixed = hu[low] + (place - low) * (hu[low + 1].astype(np.float32) - hu[low])
        template.SOPInstanceUID = template.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        template.InstanceNumber = number + 1
        template.ImagePositionPatient = [x_mm, y_mm, round(float(top_mm) - number * slice_mm, 4)]
        template.PixelData = np.rint(mixed - INTERCEPT_HU).clip(0).astype("<u2").tobytes()
        template["PixelData"].VR = "OW"
        template.save_as(folder / f"{number:04d}.dcm", enforce_file_format=True)


def _measured(folder: Path) -> tuple[float, float]:
    """Seconds, and GB at most, of the command line on the series; its memory is read by a process in between, since
    the peak of all children is all that a process can ask for."""
    command = [sys.executable, "-m", "analysis.training.bench_growth", str(folder)]
    said = subprocess.run(command, cwd=data.ROOT, check=True, capture_output=True, text=True).stdout
    seconds, gigabytes = map(float, said.split()[-2:])
    return seconds, gigabytes


if __name__ == "__main__":
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "analysis.pipeline", sys.argv[1]], check=True, stdout=subprocess.DEVNULL)
    print(time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024**2)
