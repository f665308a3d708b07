"""From the headers of a series to an honest geometry, or to the reason why there is none.

Positions alone say where a slice lies: InstanceNumber, SliceLocation and SliceThickness are
often wrong and never used for geometry (DICOM PS3.3 C.7.6.2 "Image Plane Module").
"""

import filecmp
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.errors import InvalidDicomError

from .headers import SliceHeader, UnusableSeries, normal_to_head, read_header
from .marked import gettext_noop
from .report import QualityFlag

__all__ = ["Geometry", "SliceHeader", "UnusableSeries", "check_series", "find_series", "is_sharp_kernel", "read_header"]

MIN_SLICES = 10
"""Fewer slices say nothing reliable about a lung (about 300 mm long)."""
MAX_LOCALISERS = 4
"""Planning images that may be filed with the slices of a scan: front and side view, seldom each twice."""
MAX_GAP_RATIO = 1.5
"""A step between neighbours over this times the median step: slices are missing."""
MAX_DRIFT_SLICES = 1.0
"""Slices may stray from a regular grid by this many steps at most."""
SAME_POSITION_MM = 0.01
"""Closer positions count as one."""
SAME_DIRECTION = 1e-3
"""Largest difference of direction cosines within one series; scanners write 6 digits."""
SAME_PIXEL_SPACING = 1e-3
"""Largest relative difference of pixel spacings within one series."""
MAX_TILT_DEGREES = 1.0
"""A larger angle between the slice normal and the line through the slices shears the volume:
5 mm over a lung of 300 mm. GantryDetectorTilt is held to it too."""
MAX_OFF_LINE_MM = 1.0
"""Slices may stray sideways from the line through them by this much."""
MAX_OBLIQUE_DEGREES = 10.0
"""Largest angle between the slice normal and the patient's head-feet axis for an axial series."""
PIXEL_SPACING_RANGE_MM = (0.1, 5.0)
"""Reconstruction fields of 50 to 2,500 mm over 512 pixels; outside it the header is wrong."""
MAX_PIXELS_PER_SIDE = 2048
"""The largest matrix of a CT scanner."""
MAX_VOXELS = 1_000_000_000
"""2 GB of Hounsfield units, 3,800 slices of 512 × 512."""
THICK_SLICES_MM = 5.0
"""Slices this far apart blur small opacities (Fleischner Society 2017 asks for 1.5 mm)."""
COARSE_PIXELS_MM = 2.0
"""The networks see slices of 256 × 256, whose pixels have up to 2 mm in large patients. Coarser ones blur vessels into
haze: at 3 mm the Corona score of covid_P001 is a fifth higher (`python -m analysis.training.repeatability`)."""
UNEVEN_STEPS, UNEVEN_MM = 0.1, 0.25
"""Difference of the widest and the narrowest step, ÷ the mean one and in mm, from which volumes are rough: less may be
positions rounded to 0.1 mm."""
ADULT_YEARS = 16.0
"""Younger patients were in no training set: their lungs are smaller and denser."""
SHARP_SIEMENS_NUMBER = 57
"""Siemens kernels carry their sharpness: B30f, Br40 smooth; Bl57, B60f, B70f, Br64 for lung and bone."""
NOT_SUPINE = ("HFP", "FFP", "HFDR", "HFDL", "FFDR", "FFDL")
"""Values of PatientPosition, prone or on a side (DICOM PS3.3 C.7.3.1.1.2)."""
SHARP_KERNEL_WORDS = ("LUNG", "BONE", "EDGE", "ULTRA")
"""GE (BONE, BONEPLUS, LUNG, EDGE, ULTRA), also used by other vendors in clear text."""
SHARP_PHILIPS_KERNELS = frozenset({"D", "E", "EB", "EC", "L", "YB", "YC", "YD", "YE"})
SHARP_CANON_DECADES = frozenset({3, 5, 8})
"""Canon/Toshiba FC30–39 bone, FC50–59 lung, FC80–89 high resolution."""
HOUNSFIELD = frozenset({"", "HU", "US"})
"""RescaleType of Hounsfield units; US: unspecified (DICOM PS3.3 C.11.1.1.2). Others: electron density, percent, …"""
PROJECTIONS = frozenset({"MIP", "MINIP", "PROJECTION IMAGE", "VOLUME RENDER", "VRT"})
"""ImageType values of pictures whose pixels are not the mean density of a slice."""

_Float = npt.NDArray[np.float64]

ONE_MISSING = gettext_noop("About 1 slice is missing between {above:.1f} and {below:.1f} mm: send the complete series.")
MISSING = gettext_noop(
    "About {count} slices are missing between {above:.1f} and {below:.1f} mm: send the complete series."
)
MISSING_AT_PLACES = gettext_noop(
    "About {count} slices are missing at {places} places, the first between {above:.1f} and {below:.1f} mm: "
    "send the complete series."
)


@dataclass(frozen=True, eq=False)
class Geometry:
    """A usable series: ``headers`` from head to feet; ``affine_lps`` and ``z_mm`` as in Volume."""

    headers: tuple[SliceHeader, ...]
    affine_lps: _Float
    z_mm: _Float
    quality: tuple[QualityFlag, ...]

    @property
    def series_instance_uid(self) -> str:
        return self.headers[0].series_instance_uid

    @property
    def shape(self) -> tuple[int, int, int]:
        """(slices, rows, columns)"""
        return len(self.headers), self.headers[0].rows, self.headers[0].columns

    @property
    def slice_spacing_mm(self) -> float:
        return float(np.linalg.norm(self.affine_lps[:3, 2]))


def find_series(folder: Path) -> list[SliceHeader]:
    """The headers of the one series in ``folder`` and below; files that are not DICOM images are skipped.

    Raises UnusableSeries where there is none or more than one.
    """
    if not folder.is_dir():
        raise UnusableSeries("no_series", f"There is no folder {folder}.")
    series: dict[str, list[SliceHeader]] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            header = read_header(path)
        except InvalidDicomError:
            continue
        if header.rows and header.columns:
            series.setdefault(header.series_instance_uid, []).append(header)
    if not series:
        raise UnusableSeries("no_series", f"No DICOM images were found in {folder}.")
    if len(series) > 1:
        names = "; ".join(
            f"{headers[0].series_description or headers[0].modality or 'unnamed'}, {len(headers)} images"
            for headers in series.values()
        )
        raise UnusableSeries(
            "several_series", f"{folder} holds {len(series)} series, name a folder with one of them: {names}."
        )
    return _without_copies(*series.values())


def _without_copies(headers: list[SliceHeader]) -> list[SliceHeader]:
    """Leave out files that are byte for byte another file of the folder."""
    kept: dict[tuple[object, ...], list[SliceHeader]] = {}
    for header in headers:
        same_slice = kept.setdefault((header.sop_instance_uid, header.position), [])
        if not any(filecmp.cmp(other.path, header.path, shallow=False) for other in same_slice):
            same_slice.append(header)
    return [header for same_slice in kept.values() for header in same_slice]


def check_series(headers: Sequence[SliceHeader]) -> Geometry:
    """Order the slices from head to feet and make sure that they form one regular axial CT volume.

    Looks at the headers alone. A few localisers are left out, with a flag. Raises UnusableSeries with the first
    reason found.
    """
    headers, left_out = _without_localisers(headers)
    _check_kind(headers)
    spacing = _check_grid(headers)
    along_row, along_column, normal = _directions(headers)
    positions = np.array([header.position for header in headers], dtype=np.float64)  # (slice, xyz)
    head_to_feet = np.argsort(-(positions @ normal), kind="stable")
    positions = positions[head_to_feet]
    ordered = tuple(headers[index] for index in head_to_feet)
    z_mm: _Float = positions @ normal

    _check_duplicates(z_mm)
    _check_tilt(ordered, positions, normal)
    _check_axial(normal)
    _check_steps(z_mm)

    affine = np.eye(4)
    affine[:3, 0] = along_row * spacing[1]
    affine[:3, 1] = along_column * spacing[0]
    affine[:3, 2] = (positions[-1] - positions[0]) / (len(positions) - 1)
    affine[:3, 3] = positions[0]
    return Geometry(headers=ordered, affine_lps=affine, z_mm=z_mm, quality=(*left_out, *_header_flags(ordered, z_mm)))


def _without_localisers(headers: Sequence[SliceHeader]) -> tuple[Sequence[SliceHeader], list[QualityFlag]]:
    """Some scanners file the one or two planning images of a scan with its slices."""
    slices = [header for header in headers if "LOCALIZER" not in header.image_type]
    localisers = len(headers) - len(slices)
    if localisers > MAX_LOCALISERS or (localisers and not slices):
        sentence = gettext_noop("{localisers} of {count} images are planning images (localiser), not axial slices.")
        raise UnusableSeries("localiser", sentence.format(localisers=localisers, count=len(headers)))
    if not localisers:
        return headers, []
    message = (
        gettext_noop("1 planning image (localiser) was found among the slices and left out.")
        if localisers == 1
        else gettext_noop("{count} planning images (localisers) were found among the slices and left out.")
    )
    return slices, [QualityFlag("localisers_left_out", message.format(count=localisers))]


def _check_kind(headers: Sequence[SliceHeader]) -> None:
    others = sorted({header.modality or gettext_noop("unknown") for header in headers} - {"CT"})
    if others:
        sentence = gettext_noop("This is not a CT series (modality {modalities!s}).")
        raise UnusableSeries("not_ct", sentence.format(modalities=", ".join(others)))
    if any(header.frames > 1 for header in headers):
        raise UnusableSeries(
            "multi_frame",
            gettext_noop("The images are multi-frame (Enhanced CT): export the scan as single CT slices."),
        )
    if any(PROJECTIONS & set(header.image_type) for header in headers):
        raise UnusableSeries(
            "reformat",
            gettext_noop("The images are projections (such as MIP) or renderings: send the original axial slices."),
        )
    other_units = sorted({header.rescale_type for header in headers} - HOUNSFIELD)
    if other_units:
        sentence = gettext_noop(
            "The values are no Hounsfield units (rescale type {units}): send the original CT series."
        )
        raise UnusableSeries("not_hounsfield", sentence.format(units=", ".join(other_units)))
    if len({header.series_instance_uid for header in headers}) > 1:
        raise UnusableSeries("mixed_series", gettext_noop("The images belong to more than one series."))
    if len(headers) < MIN_SLICES:
        sentence = (
            gettext_noop("The series has 1 slice; at least {least} are needed.")
            if len(headers) == 1
            else gettext_noop("The series has {count} slices; at least {least} are needed.")
        )
        raise UnusableSeries("too_few_slices", sentence.format(count=len(headers), least=MIN_SLICES))


def _check_grid(headers: Sequence[SliceHeader]) -> tuple[float, float]:
    """All slices share one matrix and one pixel spacing, which is returned (rows, columns; mm)."""
    for header in headers:
        if header.position is None or header.orientation is None:
            sentence = gettext_noop("Where the slice lies is not said in {label!s} (no valid position or orientation).")
            raise UnusableSeries("no_position", sentence.format(label=header.label))
        low, high = PIXEL_SPACING_RANGE_MM
        if header.pixel_spacing_mm is None or not all(low <= mm <= high for mm in header.pixel_spacing_mm):
            sentence = gettext_noop("There is no valid pixel spacing in {label!s}.")
            raise UnusableSeries("no_pixel_spacing", sentence.format(label=header.label))
    sizes = sorted({(header.columns, header.rows) for header in headers})
    if len(sizes) > 1:
        listed = ", ".join(f"{columns} × {rows}" for columns, rows in sizes)
        sentence = gettext_noop("The slices differ in size ({sizes} pixels).")
        raise UnusableSeries("mixed_sizes", sentence.format(sizes=listed))
    columns, rows = sizes[0]
    if max(columns, rows) > MAX_PIXELS_PER_SIDE or columns * rows * len(headers) > MAX_VOXELS:
        sentence = gettext_noop("The series is too large to analyse ({count} slices of {columns} × {rows} pixels).")
        raise UnusableSeries("too_large", sentence.format(count=len(headers), columns=columns, rows=rows))
    spacings = np.array([header.pixel_spacing_mm for header in headers])
    if (np.ptp(spacings, axis=0) > SAME_PIXEL_SPACING * spacings.min(axis=0)).any():
        sentence = gettext_noop("The slices differ in pixel size ({least:.3f} to {most:.3f} mm).")
        raise UnusableSeries("mixed_pixel_spacing", sentence.format(least=spacings.min(), most=spacings.max()))
    return float(spacings[0, 0]), float(spacings[0, 1])


def _directions(headers: Sequence[SliceHeader]) -> tuple[_Float, _Float, _Float]:
    """Unit vectors along a row, along a column, and the slice normal that points to the head (LPS)."""
    cosines = np.array([header.orientation for header in headers], dtype=np.float64)
    if (np.ptp(cosines, axis=0) > SAME_DIRECTION).any():
        raise UnusableSeries(
            "mixed_orientations",
            gettext_noop("The slices point in different directions: the series mixes orientations."),
        )
    along_row, along_column = cosines[0, :3], cosines[0, 3:]
    lengths = np.linalg.norm(along_row), np.linalg.norm(along_column)
    if max(abs(length - 1) for length in lengths) > 0.01 or abs(along_row @ along_column) > 0.01:
        raise UnusableSeries(
            "no_position", gettext_noop("The orientation in the header is not valid (axes not perpendicular).")
        )
    return along_row / lengths[0], along_column / lengths[1], normal_to_head(cosines[0])


def _check_duplicates(z_mm: _Float) -> None:
    steps = -np.diff(z_mm)
    doubles = int((steps < SAME_POSITION_MM).sum())
    if doubles == len(steps):
        raise UnusableSeries(
            "no_slice_spacing", gettext_noop("All slices carry the same position: the spacing is unknown.")
        )
    if doubles:
        where = z_mm[1:][steps < SAME_POSITION_MM][0]
        sentence = (
            gettext_noop(
                "1 slice lies where another one lies (first at {where:.1f} mm): "
                "the series holds more than one phase or reconstruction."
            )
            if doubles == 1
            else gettext_noop(
                "{count} slices lie where another one lies (first at {where:.1f} mm): "
                "the series holds more than one phase or reconstruction."
            )
        )
        raise UnusableSeries("duplicate_positions", sentence.format(count=doubles, where=where))


def _check_tilt(headers: Sequence[SliceHeader], positions: _Float, normal: _Float) -> None:
    """The slices must be stacked along their normal; ``positions`` (slice, xyz) from head to feet."""
    tilts = [abs(header.gantry_detector_tilt_degrees or 0.0) for header in headers]
    way = positions[-1] - positions[0]
    along = abs(float(way @ normal))
    sideways = math.sqrt(max(float(way @ way) - along**2, 0.0))
    tilt = max(*tilts, math.degrees(math.atan2(sideways, along)))
    if tilt > MAX_TILT_DEGREES:
        sentence = gettext_noop("The gantry was tilted (by about {tilt:.0f}°): send a series without tilt.")
        raise UnusableSeries("gantry_tilt", sentence.format(tilt=tilt))
    fractions = ((positions - positions[0]) @ way / (way @ way))[:, None]
    off_line = np.linalg.norm(positions - positions[0] - fractions * way, axis=1)
    if off_line.max() > MAX_OFF_LINE_MM:
        label = headers[int(off_line.argmax())].label
        sentence = gettext_noop(
            "The slices are not stacked in one line: {label!s} lies {distance:.1f} mm beside the others."
        )
        raise UnusableSeries("uneven_positions", sentence.format(label=label, distance=off_line.max()))


def _check_axial(normal: _Float) -> None:
    angle = math.degrees(math.acos(min(1.0, abs(float(normal[2])))))
    if angle <= MAX_OBLIQUE_DEGREES:
        return
    planes = {gettext_noop("sagittal"): abs(normal[0]), gettext_noop("coronal"): abs(normal[1])}
    plane = next(
        (name for name, cosine in planes.items() if cosine > math.cos(math.radians(45))), gettext_noop("oblique")
    )
    sentence = gettext_noop("The slices are not axial ({plane!s}, {angle:.0f}° off): send the original axial series.")
    raise UnusableSeries("reformat", sentence.format(plane=plane, angle=angle))


def _check_steps(z_mm: _Float) -> None:
    """``z_mm`` strictly decreasing, in even steps."""
    steps = -np.diff(z_mm)
    step = float(np.median(steps))
    wide = steps > MAX_GAP_RATIO * step
    if wide.any():
        first = int(wide.argmax())
        missing = max(1, int(np.round(steps[wide] / step - 1).sum()))
        places = int(wide.sum())
        sentence = MISSING_AT_PLACES if places > 1 else MISSING if missing > 1 else ONE_MISSING
        above, below = z_mm[first : first + 2]
        raise UnusableSeries("missing_slices", sentence.format(count=missing, above=above, below=below, places=places))
    grid = np.linspace(z_mm[0], z_mm[-1], len(z_mm))
    if (steps < step / MAX_GAP_RATIO).any() or np.abs(z_mm - grid).max() > MAX_DRIFT_SLICES * step:
        sentence = gettext_noop("The slices are unevenly spaced ({least:.2f} to {most:.2f} mm apart).")
        raise UnusableSeries("uneven_spacing", sentence.format(least=steps.min(), most=steps.max()))


def is_sharp_kernel(kernel: str) -> bool:
    """Whether a ConvolutionKernel is an edge-enhancing one (lung, bone), by the vendors' names."""
    name = kernel.split("\\")[0].strip().upper()
    if any(word in name for word in SHARP_KERNEL_WORDS) or name in SHARP_PHILIPS_KERNELS:
        return True
    if canon := re.match(r"FC(\d)\d", name):
        return int(canon[1]) in SHARP_CANON_DECADES
    siemens = re.match(r"[A-Z]{1,2}(\d{2})(?!\d)", name)
    return bool(siemens and int(siemens[1]) >= SHARP_SIEMENS_NUMBER)


def _header_flags(headers: Sequence[SliceHeader], z_mm: _Float) -> tuple[QualityFlag, ...]:
    flags = []
    step = float(z_mm[0] - z_mm[-1]) / (len(z_mm) - 1)
    if step >= THICK_SLICES_MM:
        message = gettext_noop("The slices are {distance:.1f} mm apart; small opacities may be missed.")
        flags.append(QualityFlag("thick_slices", message.format(distance=step)))
    pixel_mm = max(headers[0].pixel_spacing_mm or (0.0,))
    if pixel_mm > COARSE_PIXELS_MM:
        message = gettext_noop("The pixels are {size:.1f} mm wide: scores are too high, small opacities may be missed.")
        flags.append(QualityFlag("coarse_pixels", message.format(size=pixel_mm), severe=True))
    steps = -np.diff(z_mm)
    narrowest, widest = float(steps.min()), float(steps.max())
    if widest - narrowest > max(UNEVEN_STEPS * step, UNEVEN_MM):
        message = gettext_noop("The slices are {least:.2f} to {most:.2f} mm apart; volumes are rough.")
        flags.append(QualityFlag("uneven_spacing", message.format(least=narrowest, most=widest)))
    age_years = headers[0].age_years
    if age_years is not None and age_years < ADULT_YEARS:
        message = (
            gettext_noop("The patient was {years} years old: the networks were trained on adults.")
            if age_years >= 2
            else gettext_noop("The patient was {months} months old: the networks were trained on adults.")
        ).format(years=int(age_years), months=int(12 * age_years))
        flags.append(QualityFlag("outside_training_range", message, severe=True))
    if headers[0].patient_position in NOT_SUPINE:
        message = gettext_noop(
            "The patient did not lie on the back (PatientPosition {position}): what lies lowest is denser in healthy "
            "lungs too, and the networks know that of the back alone."
        )
        flags.append(QualityFlag("not_supine", message.format(position=headers[0].patient_position)))
    if is_sharp_kernel(headers[0].kernel):
        message = gettext_noop("Sharp reconstruction kernel ({kernel}); densities are noisier.")
        flags.append(QualityFlag("sharp_kernel", message.format(kernel=headers[0].kernel)))
    if any(header.contrast_bolus_agent for header in headers):
        flags.append(
            QualityFlag("contrast", gettext_noop("Contrast agent was given; vessels and opacities are denser."))
        )
    if any(header.lossy for header in headers):
        flags.append(
            QualityFlag(
                "lossy_compression", gettext_noop("The images were compressed with loss; faint opacities are unsure.")
            )
        )
    distinct = len({header.sop_instance_uid for header in headers})
    if distinct < len(headers):
        message = (
            gettext_noop("{count} slices carry 1 SOP Instance UID; they were told apart by their positions.")
            if distinct == 1
            else gettext_noop(
                "{count} slices carry {distinct} SOP Instance UIDs; they were told apart by their positions."
            )
        )
        flags.append(QualityFlag("shared_sop_instance_uid", message.format(count=len(headers), distinct=distinct)))
    return tuple(flags)
