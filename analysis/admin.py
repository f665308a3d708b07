"""Administrators look at analyses, comparisons and workers here."""

from django.contrib import admin

from patients.admin import LookOnly, OfTheUsersSites

from .models import Analysis, Comparison, WorkerSeen


@admin.register(Analysis)
class AnalysisAdmin(LookOnly, OfTheUsersSites):
    list_display = ("pk", "series", "state", "stage", "progress", "attempt", "created_at", "error")
    list_filter = ("state",)
    list_select_related = ("series",)


@admin.register(Comparison)
class ComparisonAdmin(LookOnly, OfTheUsersSites):
    list_display = ("pk", "analysis", "prior", "days", "state", "attempt", "created_at", "error")
    list_filter = ("state",)
    list_select_related = ("analysis", "prior")


@admin.register(WorkerSeen)
class WorkerSeenAdmin(LookOnly):
    list_display = ("hostname", "seen_at")
