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
from django.db.models.fields.files import FieldFile
from django.utils import timezone
from PIL import Image

from patients.models import Instance

from . import queue
from .models import Analysis
from .pipeline.headers import UnusableSeries

if TYPE_CHECKING:
    from .pipeline.run import Analysis as Result

logger = logging.getLogger(__name__)

IMAGE_GONE = "A stored image of this series is missing: send the scan again, and tell your IT."
HEATMAP_SIZE = 256  # pixels per side of the stored map, several to each of the network's own cells


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
    """Files first, then the row, and only while this attempt holds the lease (else LeaseLost)."""
    name = default_storage.save(
        f"analyses/{analysis.pk}/{analysis.attempt}/heatmap.gz", ContentFile(_packed_heatmap(result.heatmap))
    )
    report = result.report
    as_json = report.to_json()
    try:
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
            quality=as_json["quality"],
            model_versions=as_json["models"],
            heatmap=name,
        )
    except queue.LeaseLost:
        default_storage.delete(name)
        raise


def _packed_heatmap(heatmap: npt.NDArray[np.uint8]) -> bytes:
    """gzip of uint8 (slice, 256, 256), head to feet, in the frame of the CT slice."""
    size = (HEATMAP_SIZE, HEATMAP_SIZE)
    small = [np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BOX)) for plane in heatmap]
    return gzip.compress(np.stack(small).tobytes(), compresslevel=4, mtime=0)


def read_heatmap(analysis: Analysis) -> npt.NDArray[np.uint8]:
    """uint8 (slice, 256, 256), head to feet as ``report["slices"]``; 255 is the fixed scale's maximum."""
    with analysis.heatmap.open("rb") as file:
        flat = np.frombuffer(gzip.decompress(file.read()), dtype=np.uint8)
    return flat.reshape(-1, HEATMAP_SIZE, HEATMAP_SIZE)
