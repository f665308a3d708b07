"""Log-in is asked for everywhere, of pages and of their moving parts; what is answered stays off the PC's disk."""

from collections.abc import Callable
from typing import Any

from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.http import HttpRequest, HttpResponse


class LoginRequired(LoginRequiredMiddleware):
    """Django's, but a request of htmx makes the page on screen load anew, and that leads to the log-in page.

    A browser follows a redirect unseen by htmx, which would then swap the log-in page into a list.
    """

    def handle_no_permission(self, request: HttpRequest, view_func: Callable[..., Any]) -> HttpResponse:
        if request.headers.get("HX-Request"):
            return HttpResponse(status=204, headers={"HX-Refresh": "true"})
        return super().handle_no_permission(request, view_func)


def not_kept(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Answers may hold names: the browser keeps none, unless a view says for how long it may."""

    def answer(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers.setdefault("Cache-Control", "private, no-store")
        return response

    return answer
