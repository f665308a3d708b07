"""The one mechanism by which users see only the rows of their own sites.

Every model that belongs to a site names the way to it in ``SITE_PATH``; every query made for a
user starts at :func:`visible`.
"""

from typing import Any, TypeVar

from django.conf import settings
from django.db.models import Model, QuerySet
from django.shortcuts import get_object_or_404

from .models import Site

M = TypeVar("M", bound=Model)


def visible(what: type[M] | QuerySet[M], user: Any) -> QuerySet[M]:
    """The rows of a model or queryset that belong to a site of ``user``."""
    rows = what if isinstance(what, QuerySet) else what._default_manager.all()
    path = f"{rows.model.SITE_PATH}__in" if rows.model.SITE_PATH else "pk__in"
    return rows.filter(**{path: Site.objects.filter(users=user.pk).values("pk")})


def time_zone_of(user: Any) -> str:
    """Of the user's site, the first of several; that of the server for a user without any."""
    site = Site.objects.filter(users=user.pk).first()
    return site.time_zone if site else settings.TIME_ZONE


def pk_of(text: str) -> int | None:
    """The row's number that a request names; None where it is no number that a row can have."""
    return int(text) if text.isdecimal() and len(text) < 19 else None


def visible_or_404(what: type[M] | QuerySet[M], user: Any, pk: Any) -> M:
    """One row of the user's sites; Http404 where it is another site's, or nobody's."""
    return get_object_or_404(visible(what, user), pk=pk)
