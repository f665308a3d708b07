"""Pages whose moving part htmx asks for anew every second."""

import hashlib
from collections.abc import Callable, Iterable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from .trend import TimePoint

STOP_POLLING = 286  # htmx: take this answer and ask no more


def live(request: HttpRequest, page: str, part: str, seen: Any, context: Callable[[], dict[str, Any]]) -> HttpResponse:
    """The page; for htmx its moving part alone, or nothing where the one on screen shows the same (``seen``).

    Open pages ask every second, so ``context``, the expensive part, is made only where something is shown.
    """
    fingerprint = hashlib.sha256(repr(seen).encode()).hexdigest()[:16]
    from_htmx = bool(request.headers.get("HX-Request"))
    if from_htmx and request.GET.get("seen") == fingerprint:
        return HttpResponse(status=204)
    return render(request, part if from_htmx else page, context() | {"seen": fingerprint, "in_part": from_htmx})


def state(points: Iterable[TimePoint]) -> list[Any]:
    """What decides how time points look, but for the progress that each run's own fragment shows."""
    shown = [(p.study.pk, p.date, p.signed and p.signed.pk, (p.analysis, p.pending, p.failed)) for p in points]
    return [(*said, [run and (run.pk, run.state) for run in runs]) for *said, runs in shown]
