"""Addresses below ``/api/``."""

from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView
from rest_framework.routers import SimpleRouter

from . import uploads, views

router = SimpleRouter()
router.register("patients", views.PatientViewSet)
router.register("studies", views.StudyViewSet)
router.register("series", views.SeriesViewSet)
router.register("uploads", uploads.UploadViewSet)
router.register("analyses", views.AnalysisViewSet)
router.register("findings", views.FindingViewSet)
router.register("comparisons", views.ComparisonViewSet)

analysis = views.AnalysisViewSet.as_view  # the exports are files: no slash at the end of their addresses

urlpatterns = [
    path("v1/analyses/<int:pk>/report.pdf", analysis({"get": "report_pdf"}), name="report_pdf"),
    path("v1/analyses/<int:pk>/results.csv", analysis({"get": "results_csv"}), name="results_csv"),
    path("v1/", include(router.urls)),
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
]
