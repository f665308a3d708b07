"""Administrators make sites and memberships here, and look at what is stored."""

from django.contrib import admin

from .models import Membership, Patient, Series, Site, Study, Upload


class MembershipInline(admin.TabularInline):
    model = Membership
    extra = 1


@admin.register(Site)
class SiteAdmin(admin.ModelAdmin):
    list_display = ("code", "name", "time_zone")
    inlines = (MembershipInline,)


@admin.register(Patient)
class PatientAdmin(admin.ModelAdmin):
    list_display = ("patient_id", "display_name", "site", "birth_date", "sex")
    list_filter = ("site",)
    search_fields = ("patient_id", "patient_name")


@admin.register(Study)
class StudyAdmin(admin.ModelAdmin):
    list_display = ("pk", "patient", "study_date", "description")
    list_select_related = ("patient",)
    raw_id_fields = ("patient", "chosen_series")


@admin.register(Series)
class SeriesAdmin(admin.ModelAdmin):
    list_display = ("pk", "study", "description", "slice_count", "usable", "reason")
    list_select_related = ("study",)
    raw_id_fields = ("study",)


@admin.register(Upload)
class UploadAdmin(admin.ModelAdmin):
    list_display = ("id", "site", "user", "state", "created_at")
    list_filter = ("state", "site")
    raw_id_fields = ("patient", "user")
