"""The system page, for administrators: are all services there, what waits, who works, how much room is left."""

import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.core.files.storage import default_storage
from django.db.models import Count, Max, Min, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from analysis import network_sets, queue, services
from analysis.models import WorkerSeen
from analysis.pipeline.report import software_version
from patients.access import time_zone_of
from patients.models import Instance, Upload

from . import health

NAMES = {"upload": _("Uploads"), "analysis": _("Analyses"), "comparison": _("Comparisons")}
FAILURES_OF = timedelta(days=1)
LITTLE_ROOM = 0.1  # of the disk


@dataclass(frozen=True)
class Line:
    """The jobs of one kind. ``failed``: of those made in the last day."""

    name: str
    waiting: int
    oldest: datetime | None
    running: int
    failed: int
    newest: datetime | None


@require_safe
def system(request: HttpRequest) -> HttpResponse:
    if not request.user.is_staff:
        raise PermissionDenied
    lately = timezone.now() - health.WORKER_SILENT_AFTER
    context = {
        "section": "system",
        "services": health.seen(),
        "lines": [_line(model) for model in queue.MODELS],
        "workers": [(each, each.seen_at >= lately) for each in WorkerSeen.objects.order_by("-seen_at")[:20]],
        "storage": _storage(),
        "images": Instance.objects.count(),
        "network_set": network_sets.active(),
        "version": software_version(),
        "time_zone": time_zone_of(request.user),
    }
    return render(request, "pages/system.html", context)


def _line(model: type[queue.Task]) -> Line:
    waiting, running = Q(state=queue.WAITING[model]), Q(state=queue.WORKING[model])
    failed = Q(state=model.State.FAILED, created_at__gte=timezone.now() - FAILURES_OF)
    if model is Upload:
        failed &= ~Q(reason__in=(services.NOTHING_STORED, services.NO_FILES))  # what was sent is no scan
    found = model._default_manager.aggregate(
        waiting=Count("pk", filter=waiting),
        oldest=Min("created_at", filter=waiting),
        running=Count("pk", filter=running),
        failed=Count("pk", filter=failed),
        newest=Max("created_at"),
    )
    return Line(name=NAMES[model._meta.model_name], **found)


def _storage() -> dict[str, Any]:
    """Where images and maps lie; the room left, in bytes, where that is this machine's disk."""
    if bucket := settings.STORAGES["default"]["OPTIONS"].get("bucket_name"):
        return {"bucket": bucket}
    disk = shutil.disk_usage(default_storage.path(""))
    return {"free": disk.free, "total": disk.total, "little": disk.free < LITTLE_ROOM * disk.total}
