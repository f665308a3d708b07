"""``manage.py import_dicom PATH... --site CODE [--json]``: files, folders and zips from the disk."""

import json
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.files.base import File
from django.core.management.base import BaseCommand, CommandError

from analysis import queue, services, tasks
from analysis.api.serializers import UploadSerializer
from patients.models import Site, Upload

WORKING = (Upload.State.RECEIVED, Upload.State.WORKING)


class Command(BaseCommand):
    help = "Store DICOM files, folders and zips, queue their analysis, and say what became of each file."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("paths", nargs="+", type=Path, metavar="PATH")
        parser.add_argument("--site", required=True, metavar="CODE", help="the site that the patients belong to")
        parser.add_argument("--json", action="store_true", dest="as_json", help="print the upload as the API shows it")

    def handle(self, *, paths: list[Path], site: str, as_json: bool, **options: Any) -> None:
        upload = work_off(import_paths(paths, find_site(site)))
        shown = UploadSerializer(upload).data
        self.stdout.write(_as_json(shown) if as_json else _as_text(shown))
        if not any(file["outcome"] in ("stored", "already_stored") for file in upload.files):
            raise SystemExit(1)


def find_site(code: str) -> Site:
    try:
        return Site.objects.get(code=code)
    except Site.DoesNotExist:
        known = ", ".join(Site.objects.values_list("code", flat=True)) or "none yet; make one in the admin pages"
        raise CommandError(f"There is no site {code!r}. Known sites: {known}.") from None


def import_paths(paths: list[Path], site: Site) -> Upload:
    """Hand the files at the paths to the one way in."""
    files = [file for path in paths for file in _files(path)]
    try:
        return services.receive((_opened(file, name) for file, name in files), site=site)
    except services.Refusal as refusal:
        raise CommandError(str(refusal)) from refusal


def _files(path: Path) -> list[tuple[Path, str]]:
    if path.is_dir():
        return [(file, str(file.relative_to(path.parent))) for file in sorted(path.rglob("*")) if file.is_file()]
    if path.is_file():
        return [(path, path.name)]
    raise CommandError(f"{path} is neither a file nor a folder.")


def _opened(path: Path, name: str) -> File:
    return File(path.open("rb"), name=name)


def work_off(upload: Upload) -> Upload:
    """Work the upload off here, unless a worker was quicker; wait until it is final.

    An attempt that met a passing fault (here or in a worker) is followed by another once its lease has run out, also
    where no worker runs.
    """
    upload.refresh_from_db()
    while upload.state in WORKING:
        if job := queue.claim(Upload, upload.pk):
            tasks.do(job)
        else:
            time.sleep(0.5)
            queue.sweep()
        upload.refresh_from_db()
    return upload


def _as_json(shown: dict[str, Any]) -> str:
    return json.dumps(shown, indent=2, default=str)


def _as_text(shown: dict[str, Any]) -> str:
    counts = {
        word: sum(file["outcome"] == word for file in shown["files"])
        for word in ("stored", "already_stored", "refused", "collision")
    }
    lines = [", ".join(f"{count} {word.replace('_', ' ')}" for word, count in counts.items())]
    lines += [f"{file['name']}: {file['reason']}" for file in shown["files"] if file["reason"]]
    lines += [f"series {series['series_instance_uid']}: {series['reason'] or 'used'}" for series in shown["series"]]
    return "\n".join(lines)
