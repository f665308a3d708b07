"""What readers say: of findings, and in their report, which is saved, signed and shown."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from patients.access import pk_of, visible_or_404
from patients.models import Study

from . import finding_reviews, readings
from .impression import proposed
from .models import Analysis, Comparison, Reading
from .services import Refusal
from .trend import TimePoint, point_of, since_last, trend
from .viewer_scan import map_of

BESIDE_REPORT = "reading"  # tag of messages that stand with the report, which the page scrolls to
UNSAVED = "unsaved_readings"  # in the session by study, until its page shows it
MOST_UNSAVED = 5  # the newest ones are kept


def reading_context(
    request: HttpRequest, study: Study, point: TimePoint, comparison: Comparison | None
) -> dict[str, Any]:
    """What the report's part of the study page shows; a text is proposed where the CT has a result."""
    written = list(study.readings.select_related("reader", "analysis").defer("analysis__report"))
    signed = [each for each in written if each.state == Reading.State.SIGNED]
    draft = next((each for each in written if each.state == Reading.State.DRAFT), None)
    unsaved = request.session.get(UNSAVED, {})
    if said := unsaved.pop(str(study.pk), None):
        request.session.modified = True
    return {
        "draft": draft,
        "signed": signed,
        "begun": draft or (signed[0] if signed and not point.superseded else None),
        "seen_reading": written[0].token if written else "",
        "proposals": proposals_of(point, comparison),
        "unsaved": said,
    }


def proposals_of(point: TimePoint, comparison: Comparison | None) -> dict[str, str] | None:
    """The text that is proposed, by the decision as the form has it; None without a result."""
    if point.analysis is None or point.analysis.state != Analysis.State.DONE:
        return None
    texts = proposed(point, comparison)
    return {"yes": texts[True], "no": texts[False]}


@require_POST
def save_reading(request: HttpRequest, pk: int) -> HttpResponse:
    """Save the draft, sign it or forget it, as ``action`` says."""
    study = visible_or_404(Study.objects.select_related("patient"), request.user, pk)
    action, seen = request.POST.get("action"), request.POST.get("seen", "")
    if action not in ("save", "sign", "discard"):
        raise Http404
    try:
        if action == "discard":
            readings.discard_draft(study, seen=seen)
        else:
            _save(request, study, seen, sign=action == "sign")
    except Refusal as refusal:
        messages.error(request, str(refusal), extra_tags=BESIDE_REPORT)
    except KeyError:  # no decision
        raise Http404 from None
    return redirect(f"{reverse('pages:study', args=[study.pk])}#report")


def _save(request: HttpRequest, study: Study, seen: str, *, sign: bool) -> None:
    """What cannot be signed is kept as a draft, and what cannot be saved is shown once more, so that no typing is
    lost."""
    said: dict[str, Any] = {name: request.POST.get(name, "") for name in ("reason", "impression")}
    said["suspected"] = {"yes": True, "no": False}[request.POST["suspected"]]
    result = pk_of(request.POST.get("result", "")) or 0
    try:
        draft = readings.save_draft(study, user=request.user, seen=seen, result=result, **said)
    except Refusal:
        if readings.is_written(study, user=request.user, result=result, sign=sign, **said):
            return
        kept = request.session.get(UNSAVED, {}) | {str(study.pk): said}
        request.session[UNSAVED] = dict(list(kept.items())[-MOST_UNSAVED:])
        raise
    if sign:
        readings.sign(draft, user=request.user)
    signed = _("Version {version} is signed.").format(version=draft.version)
    messages.success(request, signed if sign else _("The draft is saved."), extra_tags=BESIDE_REPORT)


@require_POST
def review_findings(request: HttpRequest, pk: int) -> HttpResponse:
    """Accept or reject a finding (``review`` is "3 yes" or "3 no") or add one (``at``, ``long_axis_mm``)."""
    done = Analysis.objects.filter(state=Analysis.State.DONE).select_related("series__study")
    analysis = visible_or_404(done, request.user, pk)
    reason, said, problem = request.POST.get("reason", "")[:500], None, ""
    try:
        if request.POST.get("review") != "add":
            number, word = request.POST["review"].split()
            present = {"yes": True, "no": False}[word]
            said = finding_reviews.say_of(
                analysis, user=request.user, number=int(number), present=present, reason=reason
            )
        else:
            centroid_mm = [float(each) for each in request.POST.get("at", "").split()]
            if len(centroid_mm) != 3:
                raise Refusal(finding_reviews.unmeasured())
            long_axis_mm = float(request.POST.get("long_axis_mm", ""))
            said = finding_reviews.mark(
                analysis, user=request.user, centroid_mm=centroid_mm, long_axis_mm=long_axis_mm, reason=reason
            )
    except Refusal as refusal:
        problem = str(refusal)
    except (ValueError, KeyError):
        raise Http404 from None
    if not request.headers.get("HX-Request"):
        if problem:
            messages.error(request, problem)
        return redirect(f"{reverse('pages:study', args=[analysis.series.study_id])}#findings")
    findings = finding_reviews.reviewed(analysis)
    context = {
        "done": analysis,
        "findings": findings,
        "said": said and next(each for each in findings if each.number == said.number),
        "problem": problem,
        **_anew(analysis),
    }
    return render(request, "parts/findings.html", context)


def _anew(analysis: Analysis) -> dict[str, Any]:
    """What else a word on a finding changes on its page: the text proposed for the report, and which lesions count;
    nothing where a newer result is the one to report on."""
    study = analysis.series.study
    points = trend(study.patient)
    point = point_of(points, analysis)
    if point is None:
        return {}
    comparison = since_last(points, analysis)
    return {
        "proposals": proposals_of(point, comparison),
        "comparison": comparison,
        "change": finding_reviews.reviewed_change(comparison),
        "change_map": map_of(comparison, "change_map"),
        "in_part": True,
    }
