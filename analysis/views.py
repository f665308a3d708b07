"""The pages: find what the user may see, show it; moving parts answer htmx with their fragment."""

from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Exists, F, Max, OuterRef, prefetch_related_objects
from django.forms import ModelForm
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from patients.access import pk_of, time_zone_of, visible, visible_or_404
from patients.forms import NewPatientForm, PatientEventForm, SymptomOnsetForm
from patients.models import Patient, PatientEvent, Series, Site, Study
from patients.search import matching

from . import about as ai
from . import help as user_help
from . import lesions, services
from .charts import noted_days, trend_figures
from .checks import has_evaluation
from .finding_reviews import in_short, reviewed, reviewed_change
from .formats import HEAT_OPACITY, HEAT_THRESHOLD, opacity_rows
from .live import STOP_POLLING, live, state
from .models import Analysis, Comparison, FindingReview, SliceCorrection
from .reading_views import proposals_of, reading_context
from .trend import TimePoint, since_last, trend, trends
from .upload_views import finished_uploads, waiting_uploads
from .viewer_scan import map_of, scan_of

PATIENTS_A_PAGE = 50


@dataclass(frozen=True)
class PatientRow:
    """One line of the patient list. ``latest``: the newest dated time point, else the newest undated one."""

    patient: Patient
    points: list[TimePoint]

    @property
    def latest(self) -> TimePoint | None:
        dated = [point for point in self.points if point.date]
        return (dated or self.points or [None])[-1]

    @property
    def scored(self) -> TimePoint | None:
        """The newest time point of the trend that has a score."""
        return next((p for p in reversed(self.points) if p.in_trend and p.corona_score_cm3 is not None), None)

    @property
    def quality(self) -> list[dict[str, str]]:
        """The flags of the time point whose numbers the line shows."""
        shown = self.scored or self.latest
        return shown.analysis.quality if shown and shown.analysis else []

    @property
    def pending(self) -> Analysis | None:
        """The run that is furthest of those that wait or work."""
        return max((p.pending for p in self.points if p.pending), key=lambda run: run.progress, default=None)

    @property
    def pending_count(self) -> int:
        return sum(1 for point in self.points if point.pending)


@require_safe
@never_cache
@vary_on_headers("HX-Request")
def patients(request: HttpRequest) -> HttpResponse:
    """The patients of the user's sites, the newest study first; ``?q=`` words of name or ID."""
    query = request.GET.get("q", "").strip()
    found = visible(Patient, request.user).select_related("site").annotate(newest=Max("studies__study_date"))
    found = matching(found, query).order_by(F("newest").desc(nulls_last=True), "patient_name", "pk")
    page = Paginator(found, PATIENTS_A_PAGE).get_page(request.GET.get("page"))
    courses = trends(page.object_list)
    rows = [PatientRow(patient, courses[patient.pk]) for patient in page.object_list]
    runs = [(row.pending.pk, row.pending.state, row.pending.stage, row.pending.progress) for row in rows if row.pending]
    seen = [(row.patient.pk, state(row.points)) for row in rows], runs, page.paginator.count

    def context() -> dict[str, Any]:
        sites = visible(Site, request.user)
        shown = {"query": query, "address": urlencode({"q": query}) if query else ""}
        return shown | {"section": "patients", "page": page, "rows": rows, "sites": sites}

    return live(request, "pages/patients.html", "parts/patient_list.html", seen, context)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def new_patient(request: HttpRequest) -> HttpResponse:
    """Make a patient by hand; the page of the new one takes the upload."""
    form = NewPatientForm(request.POST or None, user=request.user)
    if form.is_valid():
        return redirect("pages:patient", form.save().pk)
    return render(request, "pages/new_patient.html", {"section": "patients", "form": form})


@require_safe
@never_cache
@vary_on_headers("HX-Request")
def patient(request: HttpRequest, pk: int) -> HttpResponse:
    """One patient's course: chart, time points, upload of a follow-up."""
    patient = visible_or_404(Patient.objects.select_related("site"), request.user, pk)
    points = trend(patient)
    prefetch_related_objects([point.study for point in points], "series")
    reasons = [series.reason for point in points for series in point.study.series.all()]
    compared = lesions.of_neighbours(points)

    def context() -> dict[str, Any]:
        shown = _trend_context(patient, points)
        followed = lesions.followed(points, lesions.of_neighbours(points, with_change=True))
        lanes = [lesion.along(shown["charted"]) for lesion in followed]
        news = lesions.news(points)
        return shown | {
            "section": "patients",
            "waiting": [upload for upload in waiting_uploads(request) if upload.concerns(patient)],
            "finished": finished_uploads(request, patient),
            "said_of_newest": _said_of(shown["newest"]),
            "time_points": [(point, news.get(point.analysis.pk) if point.analysis else None) for point in points],
            "leading": max(
                (lane for lane in lanes if lane.course), key=lambda lane: lane.course[-1].volume_ml, default=None
            ),
            "lanes": lanes[: lesions.open_rows(followed)],
            "more_lanes": lanes[lesions.open_rows(followed) :],
            "has_unclear": any(lane.is_unclear for lane in lanes),
            "comparing": any(one.is_active for one in compared.values()),
            "compared": "-".join(str(one.pk) for one in compared.values() if one.state == Comparison.State.DONE),
        }

    runs = [point.analysis.pk for point in points if point.analysis]
    noted = patient.symptom_onset, list(patient.events.values_list("date", "text"))
    words = [model.objects.filter(analysis__in=runs).aggregate(Max("pk")) for model in (SliceCorrection, FindingReview)]
    said = noted, words
    seen = [state(points), reasons, sorted((one.pk, one.state) for one in compared.values()), said]
    return live(request, "pages/patient.html", "parts/timeline.html", seen, context)


def _said_of(point: TimePoint | None) -> str:
    """Another word where other findings or slices of it count: the level of the thumbnails may be theirs."""
    if point is None or point.analysis is None:
        return ""
    found = in_short([point.analysis.pk]).values()
    corrected = point.analysis.corrections.values_list("pk", flat=True).first()
    return "-".join([str(corrected or 0), *(f"{each.count}-{each.largest_mm}" for each in found)])


@require_POST
def symptom_onset(request: HttpRequest, pk: int) -> HttpResponse:
    """The user says on which day the symptoms began, or that it is not known."""
    patient = visible_or_404(Patient, request.user, pk)
    form = SymptomOnsetForm(request.POST, instance=patient)
    return _saved(request, form, patient.pk)


@require_POST
def add_event(request: HttpRequest, pk: int) -> HttpResponse:
    """The user notes what happened to the patient."""
    patient = visible_or_404(Patient, request.user, pk)
    form = PatientEventForm(request.POST, instance=PatientEvent(patient=patient, user=request.user))
    return _saved(request, form, patient.pk)


def _saved(request: HttpRequest, form: ModelForm, patient_pk: int) -> HttpResponse:
    """Back to the patient, with what is wrong if the form was not saved."""
    if form.is_valid():
        form.save()
    for errors in form.errors.values():
        for error in errors:
            messages.error(request, error)
    return redirect("pages:patient", patient_pk)


@require_POST
def forget_event(request: HttpRequest, pk: int) -> HttpResponse:
    event = visible_or_404(PatientEvent, request.user, pk)
    event.delete()
    return redirect("pages:patient", event.patient_id)


def _trend_context(patient: Patient, points: list[TimePoint], here: Study | None = None) -> dict[str, Any]:
    events = list(patient.events.select_related("user"))
    charted = [point for point in points if point.in_trend and point.corona_score_cm3 is not None]
    return {
        "patient": patient,
        "points": points,
        "events": events,
        "noted": noted_days(points, events),
        "charted": charted,
        "newest": charted[-1] if charted else None,
        "relative_defined": any(point.relative_corona_score is not None for point in charted),
        "figures": trend_figures(points, here=here, onset=patient.symptom_onset, events=events),
        "noise_drawn": len({point.date for point in charted}) > 1 and all(point.score_noise for point in charted),
        "opacity_known": any(point.analysis.opacity_percent is not None for point in charted),
        "running": any(point.pending for point in points),
        "mixed_versions": len({point.analysis.made_by for point in charted}) > 1,
    }


@require_safe
def about(request: HttpRequest) -> HttpResponse:
    """What the numbers mean and how sure they are, from the evaluation in the checkout."""
    if not has_evaluation():
        raise Http404(_("This installation came without the results of the evaluation."))
    return render(
        request, "pages/about.html", {"section": "about", "time_zone": time_zone_of(request.user)} | ai.page()
    )


@require_safe
def help_page(request: HttpRequest) -> HttpResponse:
    """What the numbers mean, the viewer's keys and the guide."""
    return render(request, "pages/help.html", {"section": "help"} | user_help.page())


@require_safe
@never_cache
@vary_on_headers("HX-Request")
def study(request: HttpRequest, pk: int) -> HttpResponse:
    """One time point: its numbers, its slices with the heat map, and the trend it is part of.

    Where an open page shows another result or series than the current one, it is told to load anew.
    """
    study = visible_or_404(Study.objects.select_related("patient__site", "chosen_series"), request.user, pk)
    points = trend(study.patient)
    point = next(point for point in points if point.study.pk == study.pk)
    done = point.analysis if point.analysis and point.analysis.state == Analysis.State.DONE else None
    comparison = since_last(points, done)
    on_show = f"{done.pk if done else ''}-{study.chosen_series_id or ''}"  # what numbers and images are made from
    if request.headers.get("HX-Request") and request.GET.get("on_show") != on_show:
        return HttpResponse(status=204, headers={"HX-Trigger": "result-changed"})

    said_by_others = _said_by_others(done, request.user)
    results = Analysis.objects.filter(series=OuterRef("pk"), state=Analysis.State.DONE)
    misfit = study.chosen_series.reason if study.chosen_series else ""

    def context() -> dict[str, Any]:
        moving_parts = bool(request.headers.get("HX-Request"))  # the report is none: what is typed in it stays
        if moving_parts:
            reading = {"proposals": proposals_of(point, comparison)}
        else:
            reading = reading_context(request, study, point, comparison)
        return (
            _trend_context(study.patient, points, here=study)
            | reading
            | {
                "section": "patients",
                "study": study,
                "point": point,
                "done": done,
                "on_show": on_show,
                "said_by_others": said_by_others,
                "misfit": misfit,
                "report": done.report if done else None,
                "opacity": done.report["opacity"] if done else None,
                "findings": reviewed(done) if done else None,
                "comparison": comparison,
                "change": reviewed_change(comparison),
                "change_map": map_of(comparison, "change_map"),
                "opacity_rows": opacity_rows(done.report["opacity"]) if done else None,
                "seconds": sum(done.report["seconds"].values()) if done else None,
                "series": study.series.annotate(has_result=Exists(results)),
                "scan": scan_of(study.chosen_series, done) if study.chosen_series else None,
                "heat_opacity": HEAT_OPACITY,
                "heat_threshold": HEAT_THRESHOLD,
            }
        )

    seen = [state(points), misfit, comparison and (comparison.pk, comparison.state)]
    answer = live(request, "pages/study.html", "parts/study_moving.html", seen, context)
    if request.headers.get("HX-Request") and request.GET.get("said") != said_by_others:
        answer["HX-Trigger"] = "said-elsewhere"
    return answer


def _said_by_others(analysis: Analysis | None, user: Any) -> str:
    """Another word where other readers have said more of its findings or slices."""
    rows = (model.objects.filter(analysis=analysis).exclude(user=user) for model in (SliceCorrection, FindingReview))
    return "-".join(str(each.aggregate(Max("pk"))["pk__max"] or 0) for each in rows)


@require_POST
def choose_series(request: HttpRequest, pk: int) -> HttpResponse:
    """The user says which series stands for the study."""
    study = visible_or_404(Study, request.user, pk)
    series = visible_or_404(Series, request.user, pk_of(request.POST.get("series", "")))
    try:
        services.choose_series(study, series)
    except services.Refusal as refusal:
        messages.error(request, str(refusal))
    return redirect("pages:study", study.pk)


@require_POST
def reanalyse(request: HttpRequest, pk: int) -> HttpResponse:
    """Analyse a study's series once more, with the networks of today."""
    study = visible_or_404(Study, request.user, pk)
    try:
        services.reanalyse(study)
    except services.Refusal as refusal:
        messages.error(request, str(refusal))
    return redirect("pages:study", study.pk)


@require_POST
def date_study(request: HttpRequest, pk: int) -> HttpResponse:
    """The user says, or corrects, when a CT was taken whose files carry no date."""
    study = visible_or_404(Study, request.user, pk)
    try:
        services.date_study(study, date.fromisoformat(request.POST.get("date", "")))
    except ValueError:
        messages.error(request, _("Enter the date as year, month and day."))
    except services.Refusal as refusal:
        messages.error(request, str(refusal))
    return redirect("pages:study", study.pk)


@require_safe
@never_cache
def analysis_progress(request: HttpRequest, pk: int) -> HttpResponse:
    """The progress of one run; its last answer tells the page that the run has finished."""
    analysis = visible_or_404(Analysis.objects.defer("report"), request.user, pk)
    status = 200 if analysis.is_active else STOP_POLLING
    answer = render(request, "parts/progress.html", {"analysis": analysis}, status=status)
    if not analysis.is_active:
        answer["HX-Trigger"] = "analysis-finished"
    return answer


@require_POST
def retry(request: HttpRequest, pk: int) -> HttpResponse:
    """Try a failed run again, and show the page anew."""
    try:
        services.retry(visible_or_404(Analysis, request.user, pk))
    except services.Refusal as refusal:
        messages.error(request, str(refusal))
    return HttpResponse(status=204, headers={"HX-Refresh": "true"})
