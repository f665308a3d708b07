"""Uploads: where they are sent from, how far they are, and the question whose scan it is."""

from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from patients.access import visible, visible_or_404
from patients.models import Patient, Series, Site, Study, Upload

from . import piecewise, services
from .models import Analysis

FINAL_STATES = (Upload.State.DONE, Upload.State.FAILED)
NOT_STORED = ("refused", "collision")
UNDER_WAY = (Upload.State.RECEIVING, Upload.State.RECEIVED, Upload.State.WORKING)
REMEMBERED, MOST_REMEMBERED = timedelta(days=1), 20  # uploads whose outcome can be looked at again


@require_safe
@never_cache
def upload(request: HttpRequest) -> HttpResponse:
    """Send scans whose patient the files name."""
    waiting = waiting_uploads(request).filter(Q(patient=None) | ~Q(state=Upload.State.RECEIVING))
    shown = {"sites": visible(Site, request.user), "waiting": waiting, "finished": finished_uploads(request)}
    return render(request, "pages/upload.html", {"section": "upload"} | shown)


def waiting_uploads(request: HttpRequest) -> QuerySet[Upload]:
    """The user's own that are being sent or read, and those that ask whose scan it is: on the page until that is
    settled."""
    own = Q(state__in=UNDER_WAY, user=request.user)
    return visible(Upload, request.user).filter(own | Q(state=Upload.State.NEEDS_CONFIRMATION))


def finished_uploads(request: HttpRequest, patient: Patient | None = None) -> list[tuple[Upload, int]]:
    """The user's own of the last day, the newest first, and how many files of each were not stored; those sent to
    ``patient`` alone where one is given."""
    own = visible(Upload, request.user).filter(user=request.user, state__in=FINAL_STATES).select_related("site")
    own = own.filter(patient=patient) if patient else own
    found = own.filter(created_at__gte=timezone.now() - REMEMBERED)[:MOST_REMEMBERED]
    return [(upload, sum(file["outcome"] in NOT_STORED for file in upload.files)) for upload in found]


def upload_questions(request: HttpRequest) -> dict[str, Any]:
    """For every page: how many uploads wait for an answer whose scan it is, counted where the page asks."""
    asking = Upload.objects.filter(state=Upload.State.NEEDS_CONFIRMATION)
    return {"upload_questions": lambda: visible(asking, request.user).count()}


@require_safe
@never_cache
def upload_status(request: HttpRequest, pk: Any) -> HttpResponse:
    """How far an upload is, and in the end what became of each file and series."""
    return _upload_answer(request, visible_or_404(Upload, request.user, pk))


@require_POST
def decide_upload(request: HttpRequest, pk: Any, decision: str) -> HttpResponse:
    """The scan's patient is not the one named: store it all the same, or forget it. Or forget what broke off."""
    decide = {"confirm": partial(services.confirm, user=request.user), "discard": services.discard}.get(decision)
    if decide is None:
        raise Http404
    upload = visible_or_404(Upload.objects.exclude(piecewise.of_others(request.user)), request.user, pk)
    with suppress(services.Refusal):  # decided elsewhere meanwhile: the answer shows how
        decide(upload)
    upload.refresh_from_db()
    return _upload_answer(request, upload)


def _upload_answer(request: HttpRequest, upload: Upload) -> HttpResponse:
    outcomes = [file["outcome"] for file in upload.files]
    problems: dict[str, list[str]] = {}  # reason: names of the files
    for file in upload.files:
        if file["outcome"] in NOT_STORED:
            problems.setdefault(file["reason"], []).append(file["name"])
    series = {
        row.pk: row for row in visible(Series, request.user).filter(pk__in=[each["id"] for each in upload.series])
    }
    patients = visible(Patient, request.user).in_bulk([each["patient"] for each in upload.held_for])
    context = {
        "upload": upload,
        "held_for": [each | {"known": patients.get(each["patient"])} for each in upload.held_for],
        "final": upload.state in FINAL_STATES,
        "waits": upload.state == Upload.State.NEEDS_CONFIRMATION,
        "here": piecewise.share_here(upload) if upload.state == Upload.State.RECEIVING else None,
        "counts": {
            outcome: outcomes.count(outcome) for outcome in ("stored", "already_stored", "refused", "collision")
        },
        "problems": problems,
        "series": [each | {"row": series.get(each["id"])} for each in upload.series],
        "studies": visible(Study, request.user).filter(pk__in=upload.studies).select_related("patient"),
        "runs": visible(Analysis.objects.defer("report"), request.user)
        .filter(pk__in=upload.analyses)
        .select_related("series__study__patient"),
    }
    answer = render(request, "parts/upload_status.html", context)
    if context["final"]:
        answer["HX-Trigger"] = "upload-finished"
    return answer
