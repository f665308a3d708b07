"""All addresses."""

from allauth.account import views as account
from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.templatetags.static import static
from django.urls import include, path
from django.views.i18n import set_language

from . import health
from .script_words import ScriptWords
from .system import system

admin.site.login = secure_admin_login(admin.site.login)  # the one log-in page, whose attempts are limited


def favicon(request: HttpRequest) -> HttpResponse:
    return redirect(static("favicon.svg"))


# Of allauth's pages those that need no e-mail: nobody signs up, and forgotten passwords go to the administrator.
account_urls = [
    path("login/", account.login, name="account_login"),
    path("logout/", account.logout, name="account_logout"),
    path("inactive/", account.account_inactive, name="account_inactive"),
    path("password/change/", account.password_change, name="account_change_password"),
]

urlpatterns = [
    path("favicon.ico", login_not_required(favicon), name="favicon"),  # /admin/ names none
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("language/", login_not_required(set_language), name="set_language"),
    path("words/<slug:language>/<slug:digest>.js", ScriptWords.as_view(), name="script_words"),
    path("system/", system, name="system"),
    path("accounts/", include(account_urls)),
    path("admin/", admin.site.urls),
    path("api/", include("analysis.api.urls")),
    path("", include("analysis.page_urls")),
]
