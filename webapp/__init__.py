"""The Django project: settings, urls, Celery, health."""

from .celery import app as celery_app

__all__ = ["celery_app"]
