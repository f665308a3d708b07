"""What readers said of slices and of findings, with the slices, for training: a folder that names no patient.

``corrections.csv``, ``findings.csv`` and a folder of de-identified DICOM files for each series, which
``pipeline.series.find_series`` reads, with the outlines of opacity that a reader may mend.
"""

import csv
import shutil
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from django.db.models import QuerySet
from django.utils.crypto import salted_hmac
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, generate_uid

from patients.models import Instance, Series

from .finding_reviews import reviewed
from .models import Analysis, FindingReview, SliceCorrection
from .pipeline.decoding import read_to_pixels, transfer_syntax
from .pipeline.series import UnusableSeries, check_series, find_series
from .storage import local_images, read_map

COLUMNS = ("patient", "series_instance_uid", "sop_instance_uid", "abnormal")
FINDING_COLUMNS = ("patient", "series_instance_uid", "found_by", "present", "x_mm", "y_mm", "z_mm", "long_axis_mm")
"""Of each finding of which a reader said something. ``found_by``: networks or reader; the place is in DICOM patient
coordinates."""
KEPT = (
    "SpecificCharacterSet", "SOPClassUID", "Modality", "ImageType", "InstanceNumber",
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "GantryDetectorTilt",
    "PatientPosition", "ConvolutionKernel", "LossyImageCompression", "RescaleSlope", "RescaleIntercept", "RescaleType",
    "SamplesPerPixel", "PhotometricInterpretation", "Rows", "Columns", "NumberOfFrames", "BitsAllocated", "BitsStored",
    "HighBit", "PixelRepresentation", "PixelPaddingValue", "PixelPaddingRangeLimit", "PixelData",
)  # fmt: skip
"""What the pipeline reads (pipeline/headers.py, decoding.py) and says nothing of the patient: no free text, no date.
All else is left behind, so an attribute that nobody thought of cannot slip through."""
FOUND_OPACITY = "opacity_found.nii.gz"
METHOD = "Only what CoronaTrend reads was kept"
BURNED_IN = "its images carry burned-in text, which may name the patient."


@dataclass(frozen=True)
class Exported:
    """How many went out; ``left_out``: a sentence for each series that did not."""

    corrections: int
    findings: int
    series: int
    patients: int
    left_out: tuple[str, ...]


def export(corrections: QuerySet[SliceCorrection], reviews: QuerySet[FindingReview], folder: Path) -> Exported:
    """The newest of a slice counts, also over several results of its series; of findings those of the newest result
    that was reviewed.

    ``folder``: there, and empty. The table of slices is written last, so a folder without it is not whole.
    """
    slices, results = _newest(corrections), _newest_reviewed(reviews)
    rows, finding_rows, left_out = [], [], []
    for series_instance_uid in dict.fromkeys([*slices, *results]):
        said, result = slices.get(series_instance_uid, {}), results.get(series_instance_uid)
        # of all sites that hold the series, whichever of them is exported, so that it is always the same one
        holders = Series.objects.filter(series_instance_uid=series_instance_uid)
        patient = _pseudonym(min(holders.values_list("study__patient_id", flat=True)))
        identifier = _identifier(series_instance_uid)
        try:
            analyses = {each.analysis_id for each in said.values()} | ({result.pk} if result else set())
            _write_series(folder / identifier, patient, analyses)
        except UnusableSeries as unusable:
            shutil.rmtree(folder / identifier, ignore_errors=True)
            left_out.append(f"{identifier} was left out: {unusable.message}")
            continue
        rows += [(patient, identifier, _identifier(uid), int(each.abnormal)) for uid, each in said.items()]
        finding_rows += [(patient, identifier, *row) for row in _findings(result)]
    _write_table(folder / "findings.csv", FINDING_COLUMNS, finding_rows)
    _write_table(folder / "corrections.csv", COLUMNS, rows)
    series = {row[1]: row[0] for row in [*rows, *finding_rows]}
    return Exported(len(rows), len(finding_rows), len(series), len(set(series.values())), tuple(left_out))


def _write_table(path: Path, columns: tuple[str, ...], rows: list[tuple]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])


def _newest_reviewed(reviews: QuerySet[FindingReview]) -> dict[str, Analysis]:
    """By series: the newest result of whose findings a reader said something."""
    analyses = Analysis.objects.filter(pk__in=reviews.values("analysis")).select_related("series").order_by("pk")
    return {each.series.series_instance_uid: each for each in analyses}


def _findings(result: Analysis | None) -> list[tuple]:
    """Rows of FINDING_COLUMNS without patient and series."""
    said = [each for each in reviewed(result) if each.review] if result else []
    return [
        ("networks" if each.finding else "reader", int(each.present), *each.centroid_mm, each.long_axis_mm)
        for each in said
    ]


def _newest(corrections: QuerySet[SliceCorrection]) -> dict[str, dict[str, SliceCorrection]]:
    """By series and slice. A series that two sites hold is one: it must not stand for two patients."""
    rows = corrections.select_related("analysis__series__study").defer(
        "analysis__report", "analysis__quality", "analysis__model_versions"
    )
    newest: dict[str, dict[str, SliceCorrection]] = defaultdict(dict)
    for each in rows.order_by("created_at", "pk"):
        newest[each.analysis.series.series_instance_uid][each.sop_instance_uid] = each
    return newest


def _pseudonym(patient_pk: int) -> str:
    """The same in every export while SECRET_KEY stays; without that key it leads to nobody."""
    return salted_hmac(__name__, str(patient_pk), algorithm="sha256").hexdigest()[:16]


def _identifier(text: str) -> str:
    """A UID as it is. Real files carry other texts in its place, which could hold a name or a path: a UID of those."""
    return text if UID(text).is_valid else generate_uid(entropy_srcs=[salted_hmac(__name__, text).hexdigest()])


def _write_series(folder: Path, patient: str, analyses: set[int]) -> None:
    """The slices of these results of one series, by their keys; what else is stored (localisers, slices sent twice) is
    none of them. UnusableSeries where an image is missing or must not go out."""
    results = Analysis.objects.filter(pk__in=analyses)
    reports = results.values_list("report", flat=True)
    instances = Instance.objects.filter(
        series__in=results.values("series"),
        sop_instance_uid__in={each["sop_instance_uid"] for report in reports for each in report["slices"]},
    )
    once = {instance.sop_instance_uid: instance for instance in instances}  # head to feet
    folder.mkdir()
    with local_images(once.values()) as paths:
        for number, (sop_instance_uid, path) in enumerate(zip(once, paths, strict=True), start=1):
            kept = _deidentified(path)
            kept.PatientID, kept.SeriesInstanceUID = patient, folder.name
            kept.SOPInstanceUID = kept.file_meta.MediaStorageSOPInstanceUID = _identifier(sop_instance_uid)
            kept.save_as(folder / f"{number:04d}.dcm", enforce_file_format=True)
    _write_outlines(folder, results.order_by("pk").last())


def _write_outlines(folder: Path, result: Analysis | None) -> None:
    """Opacity as the newest of the results outlines it, in the geometry of the series. Mended and called
    ``opacity.nii.gz``, it trains outlines: under this name nothing takes it for the truth."""
    from .pipeline.nifti import write_nifti  # imports nibabel

    if result is None or not result.opacity_map:
        return
    geometry, labels = check_series(find_series(folder)), read_map(result.opacity_map)
    shown = [_identifier(each["sop_instance_uid"]) for each in result.report["slices"]]
    if [header.sop_instance_uid for header in geometry.headers] != shown:
        return  # an older result spoke of other slices
    size = geometry.headers[0].columns, geometry.headers[0].rows
    planes = [np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.NEAREST)) for plane in labels]
    write_nifti(folder / FOUND_OPACITY, np.stack(planes), geometry.affine_lps)


def _deidentified(path: Path) -> Dataset:
    """What is KEPT of a stored file, in its own transfer syntax; its pixels are those that came, bit by bit."""
    stored = read_to_pixels(path)
    if str(stored.get("BurnedInAnnotation")).upper() == "YES":
        raise UnusableSeries("burned_in_annotation", BURNED_IN)
    kept = Dataset()
    for keyword in KEPT:
        with suppress(KeyError, TypeError, ValueError, OverflowError):  # absent, or nonsense that counts as absent
            kept.add(stored[keyword])
    if stored.get("ContrastBolusAgent"):
        kept.ContrastBolusAgent = "YES"  # free text, of which the pipeline only sees whether there is any
    kept.PatientIdentityRemoved, kept.DeidentificationMethod = "YES", METHOD
    kept.SOPClassUID = kept.get("SOPClassUID", CTImageStorage)
    kept.file_meta = FileMetaDataset()
    kept.file_meta.TransferSyntaxUID = transfer_syntax(stored)
    kept.file_meta.MediaStorageSOPClassUID = kept.SOPClassUID
    return kept
