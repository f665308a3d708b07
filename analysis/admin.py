"""Administrators look at analyses and workers here."""

from django.contrib import admin

from .models import Analysis, WorkerSeen


@admin.register(Analysis)
class AnalysisAdmin(admin.ModelAdmin):
    list_display = ("pk", "series", "state", "stage", "progress", "attempt", "created_at", "error")
    list_filter = ("state",)
    list_select_related = ("series",)
    raw_id_fields = ("series",)


@admin.register(WorkerSeen)
class WorkerSeenAdmin(admin.ModelAdmin):
    list_display = ("hostname", "seen_at")
