"""The Celery application. The database holds the jobs; the broker only wakes workers."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")

app = Celery("coronatrend")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
