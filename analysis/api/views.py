"""The API's views: find what the user may see, call one service, answer."""

from typing import Any

from django.http import HttpResponse
from django.utils.translation import gettext_lazy as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import status, viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import APIException, NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from patients.access import visible
from patients.forms import NewPatientForm
from patients.models import Patient, Series, Study
from patients.search import matching

from .. import finding_reviews, results_csv, services
from ..models import Analysis, Comparison, Finding
from ..report_pdf import render as render_pdf
from ..trend import trend
from .serializers import (
    AnalysisSerializer,
    AnalysisSummarySerializer,
    ChosenSeriesSerializer,
    ComparisonSerializer,
    FindingReviewSerializer,
    FindingSerializer,
    NewFindingReviewSerializer,
    NewPatientSerializer,
    NewSliceCorrectionSerializer,
    PatientSerializer,
    ReadingSerializer,
    SeriesSerializer,
    SliceCorrectionSerializer,
    StudyDateSerializer,
    StudySerializer,
    TrendSerializer,
)

REPORT_PAGES = ("ward", "all")


class Conflict(APIException):
    """The request cannot be done as things stand."""

    status_code = status.HTTP_409_CONFLICT


class VisibleRows:
    """Only rows of the user's sites; those of others do not exist for them.

    ``belongs_to``: query parameters that narrow a list to what belongs to one row, and the way to its id.
    """

    belongs_to: dict[str, str] = {}

    def get_queryset(self) -> Any:
        if getattr(self, "swagger_fake_view", False):  # the schema is made without a user
            return self.queryset.none()
        return visible(self.queryset.all(), self.request.user)

    def filter_queryset(self, rows: Any) -> Any:
        for name, path in self.belongs_to.items():
            if named := self.request.query_params.get(name):
                if not named.isdecimal():
                    raise ValidationError({name: [_("Enter the id, a whole number.")]})
                rows = rows.filter(**{path: int(named)})
        return rows


def _narrowed(name: str) -> Any:
    """Says in the schema that a list takes this parameter."""
    parameter = OpenApiParameter(name, int, description=f"Only what belongs to the {name} with this id")
    return extend_schema_view(list=extend_schema(parameters=[parameter]))


class PatientViewSet(VisibleRows, viewsets.ReadOnlyModelViewSet):
    queryset = Patient.objects.select_related("site").prefetch_related("studies")
    serializer_class = PatientSerializer

    def get_queryset(self) -> Any:
        rows = super().get_queryset()
        return matching(rows, self.request.query_params.get("search", "")) if self.request else rows

    @extend_schema(parameters=[OpenApiParameter("search", description="Words of the name or the patient ID")])
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().list(request, *args, **kwargs)

    @extend_schema(request=NewPatientSerializer, responses={201: PatientSerializer})
    def create(self, request: Request) -> Response:
        """Make a patient, for scans whose files do not name theirs."""
        form = NewPatientForm(request.data, user=request.user)
        if not form.is_valid():
            raise ValidationError(form.errors)
        return Response(PatientSerializer(form.save()).data, status=status.HTTP_201_CREATED)

    @extend_schema(responses=TrendSerializer)
    @action(detail=True)
    def trend(self, request: Request, pk: str) -> Response:
        """The Corona score over time: dated studies that are analysed or about to be."""
        points = [point for point in trend(self.get_object()) if point.in_trend]
        return Response(TrendSerializer({"points": points}).data)


@_narrowed("patient")
class StudyViewSet(VisibleRows, viewsets.ReadOnlyModelViewSet):
    queryset = Study.objects.prefetch_related("series")
    serializer_class = StudySerializer
    belongs_to = {"patient": "patient__pk"}

    @extend_schema(request=ChosenSeriesSerializer, responses=StudySerializer)
    @action(detail=True, methods=["post"])
    def choose_series(self, request: Request, pk: str) -> Response:
        """Say which series stands for the study; its analysis is queued."""
        form = ChosenSeriesSerializer(data=request.data)
        form.fields["series"].queryset = visible(Series, request.user)
        form.is_valid(raise_exception=True)
        return self._change(services.choose_series, form.validated_data["series"])

    @extend_schema(request=StudyDateSerializer, responses=StudySerializer)
    @action(detail=True, methods=["post"])
    def date(self, request: Request, pk: str) -> Response:
        """Say when a CT was taken whose files carry no date."""
        form = StudyDateSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        return self._change(services.date_study, form.validated_data["date"])

    @extend_schema(responses=ReadingSerializer(many=True))
    @action(detail=True)
    def readings(self, request: Request, pk: str) -> Response:
        """What readers reported of the study, the newest version first; a draft is not signed yet."""
        page = self.paginate_queryset(self.get_object().readings.select_related("reader"))
        return self.get_paginated_response(ReadingSerializer(page, many=True).data)

    def _change(self, change: Any, value: Any) -> Response:
        study = self.get_object()
        try:
            change(study, value)
        except services.Refusal as refusal:
            raise Conflict(str(refusal)) from refusal
        return Response(StudySerializer(self.get_object()).data)

    @extend_schema(request=None, responses={202: AnalysisSerializer})
    @action(detail=True, methods=["post"])
    def reanalyse(self, request: Request, pk: str) -> Response:
        """Queue a new analysis of the chosen series; the old result counts until it is done."""
        try:
            analysis = services.reanalyse(self.get_object())
        except services.Refusal as refusal:
            raise Conflict(str(refusal)) from refusal
        return Response(AnalysisSerializer(analysis).data, status=status.HTTP_202_ACCEPTED)


@_narrowed("study")
class SeriesViewSet(VisibleRows, viewsets.ReadOnlyModelViewSet):
    queryset = Series.objects.all()
    serializer_class = SeriesSerializer
    belongs_to = {"study": "study__pk"}


@_narrowed("study")
class AnalysisViewSet(VisibleRows, viewsets.ReadOnlyModelViewSet):
    queryset = Analysis.objects.select_related("series__study__patient__site")
    belongs_to = {"study": "series__study__pk"}

    def get_queryset(self) -> Any:
        rows = super().get_queryset()
        lists = self.action in ("list", "corrections", "reviews")
        return rows.defer("report") if lists else rows  # a report is large, and lists do not show it

    def get_serializer_class(self) -> Any:
        return AnalysisSummarySerializer if self.action == "list" else AnalysisSerializer

    @extend_schema(request=None, responses=AnalysisSerializer)
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: str) -> Response:
        """Queue a failed analysis again."""
        analysis = self.get_object()
        try:
            services.retry(analysis)
        except services.Refusal as refusal:
            raise Conflict(str(refusal)) from refusal
        analysis.refresh_from_db()
        return Response(AnalysisSerializer(analysis).data)

    @extend_schema(responses=SliceCorrectionSerializer(many=True))
    @action(detail=True)
    def corrections(self, request: Request, pk: str) -> Response:
        """What readers said of slices of this result, the newest first; the newest of a slice counts."""
        page = self.paginate_queryset(self.get_object().corrections.all())
        return self.get_paginated_response(SliceCorrectionSerializer(page, many=True).data)

    @extend_schema(request=NewSliceCorrectionSerializer, responses={201: SliceCorrectionSerializer})
    @corrections.mapping.post
    def correct(self, request: Request, pk: str) -> Response:
        """Say that a slice is abnormal, or normal; the numbers stay those of the networks."""
        form = NewSliceCorrectionSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        try:
            correction = services.correct(self.get_object(), user=request.user, **form.validated_data)
        except services.Refusal as refusal:
            raise Conflict(str(refusal)) from refusal
        return Response(SliceCorrectionSerializer(correction).data, status=status.HTTP_201_CREATED)

    @extend_schema(responses=FindingReviewSerializer(many=True))
    @action(detail=True, url_path="finding-reviews")
    def reviews(self, request: Request, pk: str) -> Response:
        """What readers said of findings of this result, the newest first; the newest of a number counts."""
        page = self.paginate_queryset(self.get_object().finding_reviews.all())
        return self.get_paginated_response(FindingReviewSerializer(page, many=True).data)

    @extend_schema(request=NewFindingReviewSerializer, responses={201: FindingReviewSerializer})
    @reviews.mapping.post
    def review_finding(self, request: Request, pk: str) -> Response:
        """Accept or reject a finding, or mark one that the networks missed; their result stays."""
        form = NewFindingReviewSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        say = finding_reviews.say_of if "number" in form.validated_data else finding_reviews.mark
        try:
            review = say(self.get_object(), user=request.user, **form.validated_data)
        except services.Refusal as refusal:
            raise Conflict(str(refusal)) from refusal
        return Response(FindingReviewSerializer(review).data, status=status.HTTP_201_CREATED)

    @extend_schema(
        parameters=[
            OpenApiParameter(
                "pages",
                enum=REPORT_PAGES,
                default="ward",
                description="One page for the ward, or all: every finding, abnormal slices, the course, readers' words",
            )
        ],
        responses={(200, "application/pdf"): OpenApiTypes.BINARY},
    )
    def report_pdf(self, request: Request, pk: str) -> HttpResponse:
        """The report: one page for the ward, or all pages."""
        analysis, pages = self._done(), request.query_params.get("pages", "ward")
        if pages not in REPORT_PAGES:
            raise ValidationError({"pages": [_("Enter one of: {pages}.").format(pages=", ".join(REPORT_PAGES))]})
        full = pages == "all"
        body = render_pdf(analysis, trend(analysis.series.study.patient), full=full)
        return _download(body, "application/pdf", f"corona-report-{analysis.pk}{'-full' if full else ''}.pdf")

    @extend_schema(responses={(200, "text/csv"): OpenApiTypes.STR})
    def results_csv(self, request: Request, pk: str) -> HttpResponse:
        """The numbers, one row per slice."""
        analysis = self._done()
        return _download(results_csv.render(analysis), "text/csv", f"corona-results-{analysis.pk}.csv")

    def _done(self) -> Analysis:
        analysis = self.get_object()
        if analysis.state != Analysis.State.DONE:
            raise NotFound(_("This analysis has no result yet."))
        return analysis


@_narrowed("patient")
@_narrowed("study")
@_narrowed("analysis")
class FindingViewSet(VisibleRows, viewsets.ReadOnlyModelViewSet):
    """Nodules and focal opacities of all analyses, those that newer ones replaced included: narrow to one analysis."""

    queryset = Finding.objects.select_related("analysis__series__study").defer(
        "analysis__report",
        "analysis__quality",
        "analysis__model_versions",  # large, and not shown
    )
    serializer_class = FindingSerializer
    belongs_to = {
        "patient": "analysis__series__study__patient__pk",
        "study": "analysis__series__study__pk",
        "analysis": "analysis__pk",
    }


@_narrowed("patient")
@_narrowed("analysis")
class ComparisonViewSet(VisibleRows, viewsets.ReadOnlyModelViewSet):
    """What changed from one result to the next, those that newer results replaced included."""

    queryset = Comparison.objects.select_related("analysis__series__study").defer(
        "analysis__report", "analysis__quality", "analysis__model_versions"
    )
    serializer_class = ComparisonSerializer
    belongs_to = {"patient": "analysis__series__study__patient__pk", "analysis": "analysis__pk"}


def _download(body: bytes | str, content_type: str, name: str) -> HttpResponse:
    headers = {"Content-Disposition": f'inline; filename="{name}"', "Cache-Control": "private, no-store"}
    return HttpResponse(body, content_type=content_type, headers=headers)
