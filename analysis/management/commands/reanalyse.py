"""``manage.py reanalyse [--site CODE]``: bring results of earlier networks and measuring up to date."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from analysis import services
from analysis.management.commands.import_dicom import find_site
from analysis.models import PRIORITY_BATCH
from patients.models import Patient


class Command(BaseCommand):
    help = (
        "Queue a new analysis of every CT whose result other networks made than today's, or another way of measuring."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--site", metavar="CODE", help="only the patients of this site")

    def handle(self, *, site: str | None, **options: Any) -> None:
        patients = Patient.objects.filter(site=find_site(site)) if site else Patient.objects.all()
        queued = 0
        for study in services.outdated(patients.iterator()):
            try:
                services.reanalyse(study, priority=PRIORITY_BATCH)
                queued += 1
            except services.Refusal as refusal:
                self.stdout.write(f"{study}: {refusal}")
        self.stdout.write(f"{queued} queued")
