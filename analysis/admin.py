"""Administrators look at analyses and workers here."""

from django.contrib import admin

from patients.admin import LookOnly, OfTheUsersSites

from .models import Analysis, WorkerSeen


@admin.register(Analysis)
class AnalysisAdmin(LookOnly, OfTheUsersSites):
    list_display = ("pk", "series", "state", "stage", "progress", "attempt", "created_at", "error")
    list_filter = ("state",)
    list_select_related = ("series",)


@admin.register(WorkerSeen)
class WorkerSeenAdmin(LookOnly):
    list_display = ("hostname", "seen_at")
