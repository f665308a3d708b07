"""Stored files for the viewer: DICOM images and the maps of results."""

import logging
from typing import Any

from django.db.models.fields.files import FieldFile
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from pydicom.errors import InvalidDicomError

from patients.access import visible_or_404
from patients.models import Instance
from patients.part10 import Refused, as_part10

from . import report_images, slice_images
from .finding_reviews import instead_mm, reviewed
from .lesions import of_neighbours
from .matching import by_height, match
from .models import Analysis, Comparison
from .pipeline.headers import UnusableSeries
from .trend import trend

logger = logging.getLogger(__name__)

KEPT_BY_THE_BROWSER = "private, max-age=3600"  # ward PCs are shared, and DICOM files hold names


@require_safe
def analysis_map(request: HttpRequest, pk: int, name: str) -> FileResponse:
    """A done run's heat map or labels: uint8 (slice, row, column), head to feet, gzip for the way."""
    return _map_file(getattr(visible_or_404(Analysis.objects.only(name), request.user, pk), name))


@require_safe
def change_map(request: HttpRequest, pk: int) -> FileResponse:
    """The map of what changed since an earlier result, as the maps of an analysis are sent."""
    return _map_file(visible_or_404(Comparison.objects.only("change_map"), request.user, pk).change_map)


@require_safe
def thumbnail(request: HttpRequest, pk: int, of: int) -> HttpResponse:
    """A done run's slice at the level to look at in the run ``of``, of the same patient. The page names the comparisons
    that are done, by which levels are matched, and the newest words of readers: after a change browsers ask anew."""
    done = Analysis.objects.filter(state=Analysis.State.DONE)
    shown = visible_or_404(done, request.user, pk)
    leading = visible_or_404(done.filter(series__study__patient=shown.series.study.patient_id), request.user, of)
    jpeg = report_images.thumbnail(shown, _same_level_mm(shown, leading))
    if jpeg is None:
        raise Http404
    return HttpResponse(jpeg, content_type="image/jpeg", headers={"Cache-Control": KEPT_BY_THE_BROWSER})


def _same_level_mm(shown: Analysis, leading: Analysis) -> float:
    """The height in ``shown`` of the slice to look at in ``leading``: by registration where it is a later
    result of the course, else by its height in the lungs."""
    instead = instead_mm(leading, reviewed(leading))
    z_mm = report_images.most_affected_z_mm(leading.report["slices"], instead, leading.called_normal)
    if shown == leading:
        return z_mm
    points = trend(shown.series.study.patient)
    course = [point for point in points if point.in_trend and point.corona_score_cm3 is not None]
    results = [point.analysis for point in course]
    if shown in results and leading in results[results.index(shown) :]:
        between = course[results.index(shown) : results.index(leading) + 1]
        return match(between, of_neighbours(between, with_change=True)).in_other(z_mm)
    return by_height(shown, leading).in_other(z_mm)


def _map_file(stored: FieldFile) -> FileResponse:
    if not stored:
        raise Http404
    headers = {"Content-Encoding": "gzip", "Cache-Control": KEPT_BY_THE_BROWSER}
    return FileResponse(_opened(stored), content_type="application/octet-stream", headers=headers)


@require_safe
def instance_file(request: HttpRequest, pk: int) -> FileResponse:
    """One stored DICOM file, with what the viewer needs at its start."""
    instance = visible_or_404(Instance.objects.only("file"), request.user, pk)
    try:
        file = as_part10(_opened(instance.file))
    except Refused as refused:
        logger.error("the stored file of image %s is damaged: %s", instance.pk, refused.code)
        raise Http404 from None
    return FileResponse(file, content_type="application/dicom", headers={"Cache-Control": KEPT_BY_THE_BROWSER})


@require_safe
def instance_image(request: HttpRequest, pk: int) -> HttpResponse:
    """One stored slice as JPEG in the lung window, which the viewer shows until it has the pixels."""
    try:
        jpeg = slice_images.whole_slice(visible_or_404(Instance.objects.only("file"), request.user, pk))
    except (UnusableSeries, InvalidDicomError):
        raise Http404 from None
    return HttpResponse(jpeg, content_type="image/jpeg", headers={"Cache-Control": KEPT_BY_THE_BROWSER})


def _opened(file: FieldFile) -> Any:
    try:
        return file.open("rb")
    except FileNotFoundError:
        logger.exception("a stored file is gone")
        raise Http404 from None
