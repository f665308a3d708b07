"""The one place where the pipeline's dataclasses meet rows and files."""

import gzip
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models.fields.files import FieldFile
from django.utils import timezone
from django.utils.translation import gettext_noop

from patients.models import Instance, UploadPart

from . import queue
from .models import Analysis, Comparison, Finding
from .pipeline.kept import MAP_SIZE, kept_maps
from .pipeline.series import UnusableSeries, check_series, read_header

if TYPE_CHECKING:
    from .pipeline.change import Change
    from .pipeline.lesion_change import Scan
    from .pipeline.run import Analysis as Result

logger = logging.getLogger(__name__)

IMAGE_GONE = gettext_noop("A stored image of this series is missing: send the scan again, and tell your IT.")
TOO_OLD = gettext_noop(
    "The CT of {day} was analysed by an older version, whose result cannot be compared: analyse that CT again."
)
MAPS = ("heatmap", "opacity_map", "findings_map", "lungs_map")  # the fields of Analysis that hold one


@contextmanager
def local_copies(files: Sequence[FieldFile]) -> Iterator[list[Path]]:
    """Stored files as local paths; fetched into a temporary folder from object storage.

    FileNotFoundError where one is gone.
    """
    try:
        paths = [Path(file.path) for file in files]
    except NotImplementedError:  # Django's word for a storage without local paths
        with tempfile.TemporaryDirectory(prefix="fetched-") as folder:
            yield [_fetch(file, Path(folder) / f"{number:05d}") for number, file in enumerate(files)]
    else:
        for path in paths:
            path.stat()
        yield paths


def _fetch(file: FieldFile, path: Path) -> Path:
    with file.open("rb") as source, path.open("wb") as target:
        target.writelines(source.chunks())
    return path


@contextmanager
def whole_files(parts: Iterable[UploadPart]) -> Iterator[list[tuple[str, Path]]]:
    """Name and local path of each file of an upload, its pieces put together. FileNotFoundError where one is gone."""
    files = [list(pieces) for _, pieces in groupby(parts, key=lambda part: part.number)]
    with (
        local_copies([piece.file for pieces in files for piece in pieces]) as paths,
        tempfile.TemporaryDirectory(prefix="joined-") as folder,
    ):
        left = iter(paths)
        yield [
            (pieces[0].name, _joined(list(islice(left, len(pieces))), Path(folder) / f"{number:05d}"))
            for number, pieces in enumerate(files)
        ]


def _joined(pieces: Sequence[Path], target: Path) -> Path:
    if len(pieces) == 1:
        return pieces[0]
    with target.open("wb") as whole:
        for piece in pieces:
            with piece.open("rb") as source:
                shutil.copyfileobj(source, whole)
    return target


@contextmanager
def local_images(instances: Iterable[Instance]) -> Iterator[list[Path]]:
    """The DICOM files of instances as local paths. UnusableSeries where one is gone: no later attempt would find it."""
    with ExitStack() as stack:
        try:
            paths = stack.enter_context(local_copies([instance.file for instance in instances]))
        except FileNotFoundError as gone:
            logger.exception("a stored image is gone")
            raise UnusableSeries("image_gone", IMAGE_GONE) from gone
        yield paths


def save_result(analysis: Analysis, result: "Result", and_then: Callable[[], None] = lambda: None) -> None:
    """Files first, then the rows and ``and_then`` in one transaction: only where this attempt holds the lease, else
    LeaseLost."""
    folder = f"analyses/{analysis.pk}/{analysis.attempt}"
    maps = {name: _packed(planes) for name, planes in kept_maps(result)}
    report = result.report
    as_json = report.to_json()
    rows = [
        Finding(analysis=analysis, number=number, **each)
        for number, each in enumerate(as_json["findings"] or (), start=1)
    ]
    names: dict[str, str] = {}
    try:
        for name, packed in maps.items():
            names[name] = default_storage.save(f"{folder}/{name}.gz", ContentFile(packed))
        with transaction.atomic():
            queue.write(
                analysis,
                state=Analysis.State.DONE,
                stage="",
                progress=1,
                error="",
                lease_until=None,
                finished_at=timezone.now(),
                report=as_json,
                corona_score_cm3=report.corona_score_cm3,
                corona_score_paper_cm3=report.corona_score_paper_cm3,
                score_variation=report.score_variation,
                positive_ratio=report.positive_ratio,
                threshold=report.threshold,
                suspected=report.suspected,
                lung_volume_ml=report.lung_volume_ml,
                opacity_percent=report.opacity.percent_of_lung,
                quality=as_json["quality"],
                needs_check=any(flag.severe for flag in report.quality),
                model_versions=as_json["models"],
                method_version=report.method.version,
                **names,
            )
            Finding.objects.bulk_create(rows)
            and_then()
    except BaseException:  # nothing of a result that is not stored stays
        for name in names.values():
            default_storage.delete(name)
        raise


def _packed(planes: npt.NDArray[np.uint8]) -> bytes:
    """gzip of uint8 (slice, 256, 256), head to feet, in the frame of the CT slice."""
    return gzip.compress(planes.tobytes(), compresslevel=4, mtime=0)


def read_map(map_file: FieldFile) -> npt.NDArray[np.uint8]:
    """uint8 (slice, 256, 256), head to feet as ``report["slices"]``; in a heat map 255 is the fixed scale's maximum."""
    with map_file.open("rb") as file:
        flat = np.frombuffer(gzip.decompress(file.read()), dtype=np.uint8)
    return flat.reshape(-1, MAP_SIZE, MAP_SIZE)


def read_scan(analysis: Analysis) -> "Scan":
    """A done analysis as the comparison wants it, on the matrix of its maps. UnusableSeries where a part is missing."""
    from .pipeline.lesion_change import Scan  # imports SimpleITK: only a worker comes here
    from .pipeline.pixels import read_volume
    from .pipeline.report import Finding as ReportedFinding

    report = analysis.report
    if not analysis.lungs_map or report["findings"] is None:
        day = analysis.series.study.study_date
        raise UnusableSeries("too_old", TOO_OLD.format(day=f"{day.day} {day:%b %Y}"))
    uids = [each["sop_instance_uid"] for each in report["slices"]]  # whatever came to the series later
    with local_images(analysis.series.instances.filter(sop_instance_uid__in=uids)) as paths:
        volume = read_volume(check_series([read_header(path) for path in paths]))
    findings = [each | {"centroid_mm": tuple(each["centroid_mm"])} for each in report["findings"]]
    return Scan(
        volume=volume.resized(MAP_SIZE),
        lungs=read_map(analysis.lungs_map) > 0,
        opacity=read_map(analysis.opacity_map),
        findings=tuple(ReportedFinding(**each) for each in findings),
        outlines=read_map(analysis.findings_map),
    )


def save_change(comparison: Comparison, change: "Change", labels: npt.NDArray[np.uint8]) -> None:
    """File first, then the row, and only while this attempt holds the lease (else LeaseLost)."""
    packed = ContentFile(_packed(labels))
    name = default_storage.save(f"comparisons/{comparison.pk}/{comparison.attempt}/change_map.gz", packed)
    try:
        queue.write(
            comparison,
            state=Comparison.State.DONE,
            progress=1,
            error="",
            lease_until=None,
            finished_at=timezone.now(),
            change=change.to_json(),
            change_map=name,
        )
    except BaseException:
        default_storage.delete(name)
        raise
