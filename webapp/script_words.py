"""The catalogue of the words that scripts show.

It lies at an address made from its contents, so that a browser asks for it once. A language without one, as English,
in which the scripts are written, costs no request.
"""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.translation import get_language, override, to_locale
from django.views.i18n import JavaScriptCatalog

KEPT = "public, max-age=31536000, immutable"


@cache
def _digest(language: str) -> str | None:
    """Of the catalogue; None where the language has none."""
    file = Path(settings.LOCALE_PATHS[0], to_locale(language), "LC_MESSAGES", "djangojs.mo")
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12] if file.is_file() else None


def script_words(request: HttpRequest) -> dict[str, str | None]:
    """For every template: the address of the catalogue in the reader's language, None where there is none."""
    language = get_language() or settings.LANGUAGE_CODE
    digest = _digest(language)
    return {"script_words": digest and reverse("script_words", args=[language, digest])}


@method_decorator(login_not_required, name="dispatch")
class ScriptWords(JavaScriptCatalog):
    packages = ("ours",)  # not Django's, whose administration brings its own

    def get(self, request: HttpRequest, language: str, digest: str) -> HttpResponse:
        if language not in dict(settings.LANGUAGES) or digest != _digest(language):
            raise Http404
        with override(language):
            return super().get(request)

    def get_paths(self, packages: Any) -> list[Path]:
        return settings.LOCALE_PATHS

    def render_to_response(self, context: dict[str, Any], **kwargs: Any) -> HttpResponse:
        response = super().render_to_response(context, **kwargs)
        response.headers["Cache-Control"] = KEPT
        return response
