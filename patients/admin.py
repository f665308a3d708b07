"""Administrators make sites and memberships here, and look at what is stored."""

from typing import Any

from django.contrib import admin
from django.db.models import ForeignKey, QuerySet
from django.forms import ModelChoiceField
from django.http import HttpRequest

from . import removal
from .access import visible
from .models import Membership, Patient, Series, Site, Study, Upload
from .search import matching


class OfTheUsersSites(admin.ModelAdmin):
    """Staff see, and point to, the rows of their own sites; superusers, who make the sites, those of all.

    What is deleted goes with its files.
    """

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        removal.delete(type(obj)._default_manager.filter(pk=obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        removal.delete(queryset)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return _allowed(super().get_queryset(request), request)

    def formfield_for_foreignkey(
        self, db_field: ForeignKey[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> ModelChoiceField | None:
        if hasattr(db_field.related_model, "SITE_PATH"):
            kwargs["queryset"] = _allowed(db_field.related_model._default_manager.all(), request)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)


def _allowed(rows: QuerySet[Any], request: HttpRequest) -> QuerySet[Any]:
    return rows if request.user.is_superuser else visible(rows, request.user)


class LookOnly(admin.ModelAdmin):
    """Rows that the program alone writes, by conditional updates. They may be deleted, with what they belong to."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class MembershipInline(admin.TabularInline):
    model = Membership
    extra = 1


@admin.register(Site)
class SiteAdmin(OfTheUsersSites):
    list_display = ("code", "name", "time_zone")
    inlines = (MembershipInline,)


@admin.register(Patient)
class PatientAdmin(OfTheUsersSites):
    list_display = ("patient_id", "display_name", "site", "birth_date", "sex")
    list_filter = (("site", admin.RelatedOnlyFieldListFilter),)
    search_fields = ("search_text",)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return matching(queryset, search_term), False


@admin.register(Study)
class StudyAdmin(OfTheUsersSites):
    """Whose it is comes with its files; its date and series are set on its page, as comparisons follow from them."""

    list_display = ("pk", "patient", "study_date", "description")
    list_select_related = ("patient",)
    readonly_fields = ("patient", "study_date", "study_time", "chosen_series")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False


@admin.register(Series)
class SeriesAdmin(OfTheUsersSites):
    list_display = ("pk", "study", "description", "slice_count", "usable", "reason")
    list_select_related = ("study",)
    readonly_fields = ("study",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False


@admin.register(Upload)
class UploadAdmin(LookOnly, OfTheUsersSites):
    list_display = ("id", "site", "user", "state", "created_at")
    list_filter = ("state", ("site", admin.RelatedOnlyFieldListFilter))
