"""Administrators look at analyses, comparisons, corrections and workers here, and choose the networks that analyse."""

from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from patients.admin import LookOnly, OfTheUsersSites

from . import about, network_sets
from .models import Analysis, Comparison, FindingReview, NetworkSet, Reading, SliceCorrection, WorkerSeen
from .stored_text import stored_text


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


class OfReaders(LookOnly, OfTheUsersSites):
    """What readers say is not deleted by itself, but with the result, CT or patient that it is of."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        own_pages = f"{self.opts.app_label}_{self.opts.model_name}_"
        asked_here = request.resolver_match.url_name.startswith(own_pages)
        return not asked_here and super().has_delete_permission(request, obj)


@admin.register(Reading)
class ReadingAdmin(OfReaders):
    list_display = ("pk", "study", "version", "state", "reader", "saved_at", "signed_at")
    list_filter = ("state",)
    list_select_related = ("study", "reader")


@admin.register(NetworkSet)
class NetworkSetAdmin(LookOnly):
    """A set is added by ``manage.py add_networks``; whoever may change sets chooses here which one analyses."""

    list_display = ("name", "active", "added_at", "activated_at", "activated_by")
    list_select_related = ("activated_by",)
    fields = ("name", "active", "added_at", "activated_at", "activated_by", "files", "rendered_card")
    readonly_fields = ("files", "rendered_card")
    actions = ("activate", "return_to_released")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # results name their networks, and a name never stands for other files

    def has_choose_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("analysis.change_networkset")

    def files(self, network_set: NetworkSet) -> SafeString:
        lines = ((model["name"], model["version"], model["sha256"]) for model in network_set.versions)
        return format_html_join("", "{} {} <code>{}</code><br>", lines)

    @admin.display(description=_("card"))
    def rendered_card(self, network_set: NetworkSet) -> SafeString:
        return about.rendered(network_set.card)

    @admin.action(description=_("Activate"), permissions=["choose"])
    def activate(self, request: HttpRequest, chosen: QuerySet[NetworkSet]) -> None:
        if len(chosen) != 1:
            self.message_user(request, _("Choose the one set of networks that is to analyse."), messages.ERROR)
            return
        (network_set,) = chosen
        if fault := network_sets.fault(network_set):
            words = _("The networks {name} cannot analyse, for their files are not as they were added ({fault}).")
            self.message_user(request, words.format(name=network_set, fault=stored_text(fault)), messages.ERROR)
            return
        with transaction.atomic():
            network_sets.activate(network_set, request.user)
            self.log_change(request, network_set, "Activated.")
        words = _("The networks {name} analyse from now on. Results made before are kept.")
        self.message_user(request, words.format(name=network_set))

    @admin.action(description=_("Return to the released networks (whatever is chosen)"), permissions=["choose"])
    def return_to_released(self, request: HttpRequest, chosen: QuerySet[NetworkSet]) -> None:
        with transaction.atomic():
            network_set = network_sets.active()
            network_sets.activate(None, request.user)
            if network_set:
                self.log_change(request, network_set, "Returned to the released networks.")
        self.message_user(request, _("The released networks analyse from now on. Results made before are kept."))


@admin.register(SliceCorrection)
class SliceCorrectionAdmin(OfReaders):
    list_display = ("pk", "analysis_id", "sop_instance_uid", "abnormal", "user", "created_at", "reason")
    list_filter = ("abnormal",)
    list_select_related = ("user",)


@admin.register(FindingReview)
class FindingReviewAdmin(OfReaders):
    list_display = ("pk", "analysis_id", "number", "present", "user", "created_at", "reason")
    list_filter = ("present",)
    list_select_related = ("user",)


@admin.register(WorkerSeen)
class WorkerSeenAdmin(LookOnly):
    list_display = ("hostname", "seen_at")
