"""``manage.py export_corrections FOLDER [--site CODE]``: what readers said of slices and findings, for training."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from analysis.corrections_export import export
from analysis.management.commands.import_dicom import find_site
from analysis.models import FindingReview, SliceCorrection


class Command(BaseCommand):
    help = "Write the readers' corrections and the de-identified slices of each corrected series into a new folder."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, metavar="FOLDER", help="new or empty")
        parser.add_argument("--site", metavar="CODE", help="only the patients of this site")

    def handle(self, *, folder: Path, site: str | None, **options: Any) -> None:
        corrections, reviews = SliceCorrection.objects.all(), FindingReview.objects.all()
        if site:
            of_site = {"analysis__series__study__patient__site": find_site(site)}
            corrections, reviews = corrections.filter(**of_site), reviews.filter(**of_site)
        if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
            raise CommandError(f"{folder} is there already and not empty: nothing was written, name a new folder.")
        folder.mkdir(parents=True, exist_ok=True)
        exported = export(corrections, reviews, folder)
        for sentence in exported.left_out:
            self.stderr.write(sentence)
        self.stdout.write(
            f"{exported.corrections} corrected slices and {exported.findings} findings in {exported.series} series "
            f"of {exported.patients} patients, "
            f"{len(exported.left_out)} series left out"
        )
