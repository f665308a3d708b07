"""Addresses of the pages."""

from django.urls import path

from . import compare_views, file_views, reading_views, upload_views, views, worklist_views
from .storage import MAPS

app_name = "pages"
urlpatterns = [
    path("", worklist_views.worklist, name="home"),
    path("worklist.csv", worklist_views.worklist_csv, name="worklist_csv"),
    path("worklist/", worklist_views.act, name="worklist_act"),
    path("worklist/next/", worklist_views.next_study, name="next_study"),
    path("worklist/filters/", worklist_views.save_filter, name="save_filter"),
    path("worklist/filters/<int:pk>/forget/", worklist_views.forget_filter, name="forget_filter"),
    path("about/", views.about, name="about"),
    path("help/", views.help_page, name="help"),
    path("upload/", upload_views.upload, name="upload"),
    path("uploads/<uuid:pk>/", upload_views.upload_status, name="upload_status"),
    path("uploads/<uuid:pk>/<str:decision>/", upload_views.decide_upload, name="decide_upload"),
    path("patients/", views.patients, name="patients"),
    path("patients/new/", views.new_patient, name="new_patient"),
    path("patients/<int:pk>/", views.patient, name="patient"),
    path("patients/<int:pk>/compare/", compare_views.compare, name="compare"),
    path("patients/<int:pk>/compare/directly/", compare_views.compare_directly, name="compare_directly"),
    path("patients/<int:pk>/symptom_onset/", views.symptom_onset, name="symptom_onset"),
    path("patients/<int:pk>/events/", views.add_event, name="add_event"),
    path("events/<int:pk>/forget/", views.forget_event, name="forget_event"),
    path("studies/<int:pk>/", views.study, name="study"),
    path("studies/<int:pk>/series/", views.choose_series, name="choose_series"),
    path("studies/<int:pk>/reanalyse/", views.reanalyse, name="reanalyse"),
    path("studies/<int:pk>/reading/", reading_views.save_reading, name="save_reading"),
    path("studies/<int:pk>/date/", views.date_study, name="date_study"),
    path("analyses/<int:pk>/progress/", views.analysis_progress, name="analysis_progress"),
    path("analyses/<int:pk>/findings/", reading_views.review_findings, name="review_findings"),
    path("analyses/<int:pk>/retry/", views.retry, name="retry"),
    *(path(f"analyses/<int:pk>/{name}/", file_views.analysis_map, {"name": name}, name=name) for name in MAPS),
    path("analyses/<int:pk>/thumbnail/<int:of>/", file_views.thumbnail, name="thumbnail"),
    path("comparisons/<int:pk>/again/", compare_views.compare_again, name="compare_again"),
    path("comparisons/<int:pk>/map/", file_views.change_map, name="change_map"),
    path("instances/<int:pk>/file/", file_views.instance_file, name="instance_file"),
    path("instances/<int:pk>/image/", file_views.instance_image, name="instance_image"),
]
