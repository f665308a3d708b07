"""The worklist's page, its table as a file, what is done with many studies at a time, and saved filters."""

from collections import Counter
from typing import Any

from django.contrib import messages
from django.contrib.auth import get_user_model
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from patients.access import pk_of, visible
from patients.models import Site, Study

from . import results_csv, services
from .live import live, state
from .models import PRIORITY_BATCH, SavedFilter
from .worklist import SHOWN, Filter, Row, counts, in_parts, next_to_report, rows_of, studies

STUDIES_A_PAGE = 50
AT_ONCE = 500  # studies of one action: each is looked at in the request


@require_safe
@never_cache
@vary_on_headers("HX-Request")
def worklist(request: HttpRequest) -> HttpResponse:
    """Every study, whom to look at first on top; the address says the filter."""
    shown = Filter.of(request.GET)
    counted = counts(request.user, shown)
    paginator = Paginator(studies(request.user, shown), STUDIES_A_PAGE)
    paginator.count = counted[shown.show]  # else asked of the database once more
    page = paginator.get_page(request.GET.get("page"))
    rows = rows_of(page.object_list)

    def context() -> dict[str, Any]:
        return {
            "section": "worklist",
            "query": shown.q,
            "filter": shown,
            "leaves_out": shown.leaves_out(request.GET),
            "tabs": [(show, word, counted[show], shown.showing(show).address) for show, word in SHOWN.items()],
            "page": page,
            "rows": rows,
            "sites": visible(Site, request.user),
            "readers": _readers(request.user),
            "saved": request.user.saved_filters.all(),
        }

    return live(request, "pages/worklist.html", "parts/worklist.html", _seen(rows, counted), context)


def _seen(rows: list[Row], counted: dict[str, int]) -> list[Any]:
    """What decides how the list looks, but for the progress of runs: else it would be replaced under the pointer."""
    people = [(row.study.reader_id, row.report, str(row.drafted_by), row.findings, row.news or None) for row in rows]
    course = [(row.point.days_since_first, row.point.prior and row.point.prior.pk) for row in rows]
    arriving = [row.study.arriving for row in rows]
    return [state(row.point for row in rows), people, course, arriving, counted]


def _readers(user: Any) -> QuerySet[Any]:
    """Who can be asked to read: the users of the user's sites."""
    return (
        get_user_model().objects.filter(is_active=True, sites__in=visible(Site, user)).distinct().order_by("username")
    )


@require_safe
@never_cache
def worklist_csv(request: HttpRequest) -> HttpResponse:
    """The studies of the filter, all pages of it."""
    return _csv(studies(request.user, Filter.of(request.GET)))


def _csv(found: QuerySet[Study]) -> HttpResponse:
    headers = {"Content-Disposition": 'attachment; filename="worklist.csv"', "Cache-Control": "private, no-store"}
    return HttpResponse(results_csv.of_studies(in_parts(found)), content_type="text/csv", headers=headers)


@require_safe
@never_cache
def next_study(request: HttpRequest) -> HttpResponse:
    """From the study ``after`` to the next one to report on; to the worklist where none waits."""
    after = pk_of(request.GET.get("after", "")) or 0
    pk = next_to_report(request.user, after)
    if pk:
        return redirect("pages:study", pk)
    others = studies(request.user, Filter(show="unreported")).exclude(pk=after).count()
    words = ngettext(
        "No other CT waits for your report; {count} waits for other readers.",
        "No other CT waits for your report; {count} wait for other readers.",
        others,
    )
    messages.info(request, words.format(count=others) if others else _("No other CT waits for your report."))
    return redirect("pages:home")


@require_POST
def act(request: HttpRequest) -> HttpResponse:
    """Do one thing with the studies that were ticked: ``action`` is assign, reanalyse or export."""
    back = _worklist(request)
    named = [pk for text in request.POST.getlist("study") if (pk := pk_of(text))][:AT_ONCE]
    chosen = studies(request.user, Filter()).filter(pk__in=named)
    action = {"assign": _assign, "reanalyse": _reanalyse}.get(request.POST.get("action", ""))
    if request.POST.get("action") == "export":
        return _csv(chosen)
    if action is None:
        raise Http404
    if chosen:
        action(request, chosen)
    else:
        messages.error(request, _("Tick the studies first."))
    return back


def _assign(request: HttpRequest, chosen: QuerySet[Study]) -> None:
    named = request.POST.get("reader", "")
    reader = _readers(request.user).filter(username=named).first()
    if named and reader is None:
        messages.error(request, _("There is no such reader at your sites."))
        return
    rows = Study.objects.filter(pk__in=[study.pk for study in chosen])
    if reader:
        rows = rows.filter(patient__site__in=reader.sites.all())
    count = rows.update(reader=reader)
    if count:
        messages.success(request, _assigned(count, reader))
    if count < len(chosen):
        left = len(chosen) - count
        words = ngettext(
            "{count} study of a site whose CTs {reader} may not see: not assigned.",
            "{count} studies of a site whose CTs {reader} may not see: not assigned.",
            left,
        )
        messages.error(request, words.format(count=left, reader=named))


def _assigned(count: int, reader: Any) -> str:
    if reader is None:
        words = ngettext("{count} study assigned to nobody now.", "{count} studies assigned to nobody now.", count)
        return words.format(count=count)
    words = ngettext("{count} study assigned to {reader}.", "{count} studies assigned to {reader}.", count)
    return words.format(count=count, reader=reader.get_username())


def _reanalyse(request: HttpRequest, chosen: QuerySet[Study]) -> None:
    queued, refused = 0, []
    for study in chosen:
        try:
            services.reanalyse(study, priority=PRIORITY_BATCH)
            queued += 1
        except services.Refusal as refusal:
            refused.append(str(refusal))
    if queued:
        words = ngettext(
            "{count} study will be analysed again; the present result counts until then.",
            "{count} studies will be analysed again; the present results count until then.",
            queued,
        )
        messages.success(request, words.format(count=queued))
    for reason, count in Counter(refused).items():
        words = ngettext("{count} study not queued: {reason}", "{count} studies not queued: {reason}", count)
        messages.error(request, words.format(count=count, reason=reason))


@require_POST
def save_filter(request: HttpRequest) -> HttpResponse:
    """Keep the filter on show under a name; a name used before now means this one."""
    name, address = (
        request.POST.get("name", "").strip()[:40],
        Filter.of(QueryDict(request.POST.get("filter", ""))).address,
    )
    if name and address:
        SavedFilter.objects.update_or_create(user=request.user, name=name, defaults={"address": address})
    else:
        messages.error(request, _("Choose a filter and a name for it."))
    return _worklist(request)


@require_POST
def forget_filter(request: HttpRequest, pk: int) -> HttpResponse:
    request.user.saved_filters.filter(pk=pk).delete()
    return _worklist(request)


def _worklist(request: HttpRequest) -> HttpResponse:
    """Back to the list as it was filtered."""
    shown = Filter.of(QueryDict(request.POST.get("filter", "")))
    return redirect(f"{reverse('pages:home')}?{shown.address}" if shown.address else "pages:home")
