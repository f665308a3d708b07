"""Who gets in, for how long, and what stays on the PC: rules that hold for every address."""

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from django.contrib.auth import SESSION_KEY
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

Answering = Callable[[HttpRequest], HttpResponse]
READING = ("GET", "HEAD")
RENEWED_EVERY_SECONDS = 300  # a session's time is written this often at most


class LoginRequired(LoginRequiredMiddleware):
    """Django's, but htmx is answered 401, and the page on screen decides what becomes of it (static/src/session.ts).

    A browser follows a redirect unseen by htmx, which would then swap the log-in page into a list. The page says for
    which user it was made: meanwhile another one may have logged in.
    """

    def process_view(self, request: HttpRequest, view_func: Callable[..., Any], *arguments: Any) -> HttpResponse | None:
        """What everybody may see is answered without a look at who asks, so that a browser may keep it."""
        if not getattr(view_func, "login_required", True):
            return None
        if request.headers.get("X-User", str(request.user.pk)) != str(request.user.pk):
            return self.handle_no_permission(request, view_func)
        return super().process_view(request, view_func, *arguments)

    def handle_no_permission(self, request: HttpRequest, view_func: Callable[..., Any]) -> HttpResponse:
        if request.headers.get("HX-Request"):
            return HttpResponse(status=401)
        if request.method not in READING:
            return redirect_to_login(_page_before(request))
        return super().handle_no_permission(request, view_func)


def _page_before(request: HttpRequest) -> str:
    """The path of the page whose form was sent, as the form's own address answers no GET; home where the browser does
    not tell, or it was another site's."""
    page = request.headers.get("Referer", "")
    if url_has_allowed_host_and_scheme(page, request.get_host()):
        path = urlsplit(page)._replace(scheme="", netloc="").geturl()
        if url_has_allowed_host_and_scheme(path, None):
            return path
    return reverse("pages:home")


def not_kept(get_response: Answering) -> Answering:
    """Answers may hold names: the browser keeps none, unless a view says for how long it may."""

    def answer(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers.setdefault("Cache-Control", "private, no-store")
        return response

    return answer


def forgotten_at_logout(get_response: Answering) -> Answering:
    """Who logs out leaves no files in the browser's cache (over HTTPS): DICOM files hold names, ward PCs are shared."""

    def answer(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if request.method == "POST" and request.path in (reverse("account_logout"), reverse("admin:logout")):
            response.headers["Clear-Site-Data"] = '"cache"'
        return response

    return answer


def renewed_by_use(get_response: Answering) -> Answering:
    """A session lasts SESSION_HOURS from the last page opened or button pressed.

    What an open page asks by itself (htmx's reading) does not count, so an abandoned one is logged out.
    """

    def answer(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        asked_by_itself = request.method in READING and request.headers.get("HX-Request")
        if asked_by_itself or not request.session.accessed or SESSION_KEY not in request.session:
            return response
        if time.time() - request.session.get("used_at", 0) > RENEWED_EVERY_SECONDS:
            request.session["used_at"] = int(time.time())
        return response

    return answer
