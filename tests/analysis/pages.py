"""Addresses of pages, and what an open one asks for news."""

import datetime
import html
import re

from django.urls import reverse

DAY = datetime.date(2020, 3, 5)
HTMX = {"HX-Request": "true"}


def patient_page(patient):
    return reverse("pages:patient", args=[patient.pk])


def study_page(analysis):
    return reverse("pages:study", args=[analysis.series.study_id])


def question(browser, address):
    """What the open page asks every second, as its own markup says."""
    page = browser.get(address).content.decode()
    return html.unescape(re.search(r'hx-get="([^"]*seen=[^"]*)" hx-trigger="every 1s', page)[1])
