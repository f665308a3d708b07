"""The one place where the pipeline's dataclasses meet rows and files."""

import gzip
import logging
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models.fields.files import FieldFile
from django.utils import timezone
from PIL import Image

from patients.models import Instance

from . import queue
from .models import Analysis, Finding
from .pipeline.headers import UnusableSeries

if TYPE_CHECKING:
    from .pipeline.run import Analysis as Result

logger = logging.getLogger(__name__)

IMAGE_GONE = "A stored image of this series is missing: send the scan again, and tell your IT."
MAPS = ("heatmap", "opacity_map", "findings_map")  # the fields of Analysis that hold one
MAP_SIZE = 256  # pixels per side of the stored maps: the grid on which the networks see a slice


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
def local_images(instances: Iterable[Instance]) -> Iterator[list[Path]]:
    """The DICOM files of instances as local paths. UnusableSeries where one is gone: no later attempt would find it."""
    with ExitStack() as stack:
        try:
            paths = stack.enter_context(local_copies([instance.file for instance in instances]))
        except FileNotFoundError as gone:
            logger.exception("a stored image is gone")
            raise UnusableSeries("image_gone", IMAGE_GONE) from gone
        yield paths


def save_result(analysis: Analysis, result: "Result") -> None:
    """Files first, then the rows in one transaction, and only while this attempt holds the lease (else LeaseLost)."""
    folder = f"analyses/{analysis.pk}/{analysis.attempt}"
    maps = {
        "heatmap": _packed(result.heatmap, Image.Resampling.BOX),
        "opacity_map": _packed(result.opacity, Image.Resampling.NEAREST),  # labels have no mean
        "findings_map": _packed(result.findings.clip(max=255).astype(np.uint8), Image.Resampling.NEAREST),
    }
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
                model_versions=as_json["models"],
                **names,
            )
            Finding.objects.bulk_create(rows)
    except BaseException:  # nothing of a result that is not stored stays
        for name in names.values():
            default_storage.delete(name)
        raise


def _packed(planes: npt.NDArray[np.uint8], resampling: Image.Resampling) -> bytes:
    """gzip of uint8 (slice, 256, 256), head to feet, in the frame of the CT slice."""
    size = (MAP_SIZE, MAP_SIZE)
    small = [np.asarray(Image.fromarray(plane).resize(size, resampling)) for plane in planes]
    return gzip.compress(np.stack(small).tobytes(), compresslevel=4, mtime=0)


def read_heatmap(analysis: Analysis) -> npt.NDArray[np.uint8]:
    """uint8 (slice, 256, 256), head to feet as ``report["slices"]``; 255 is the fixed scale's maximum."""
    with analysis.heatmap.open("rb") as file:
        flat = np.frombuffer(gzip.decompress(file.read()), dtype=np.uint8)
    return flat.reshape(-1, MAP_SIZE, MAP_SIZE)
