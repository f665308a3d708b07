"""``manage.py seed_demo``: the demo site, its users and its synthetic patients."""

import os
import secrets
import signal
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from analysis.phantoms.demo import DEMO_PATIENTS, write_demo
from patients.models import Membership, Patient, Site, Study

from .import_dicom import import_paths, work_off

SITE = "demo"
USERS = {"clinician": False, "radiologist": False, "admin": True}  # name: may use the admin pages


class Command(BaseCommand):
    help = "Make the demo site with its users, then its synthetic patients; what is there already stays."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--no-scans", action="store_true", help="make the site, its users and patients alone")

    def handle(self, *, no_scans: bool, **options: Any) -> None:
        refuse_a_real_database()
        site, _ = Site.objects.get_or_create(code=SITE, defaults={"name": "Demo hospital"})
        make_users(site, demo_password())
        make_patients(site)
        if no_scans or all_scans_are_there(site):
            return
        signal.signal(signal.SIGTERM, _leave)
        with tempfile.TemporaryDirectory(prefix="demo-") as folder:
            for series in write_demo(Path(folder)):
                work_off(import_paths([series.folder], site))


def refuse_a_real_database() -> None:
    """CommandError where DATABASE_URL is set: the demo's password would open ``admin`` beside real patients."""
    if os.environ.get("DATABASE_URL") and os.environ.get("DEMO_ON_DATABASE_URL") != "1":
        raise CommandError(
            "DATABASE_URL is set, and the demo would give its users, an administrator among them, the demo password "
            "there. Unset it, or set DEMO_ON_DATABASE_URL=1 if that database is for the demo alone."
        )


def all_scans_are_there(site: Site) -> bool:
    planned = {
        (patient.patient_id, (patient.first_scan + timedelta(days=day)).date())
        for patient in DEMO_PATIENTS
        for day in patient.days
    }
    return planned <= set(Study.objects.filter(patient__site=site).values_list("patient__patient_id", "study_date"))


def _leave(number: int, _frame: Any) -> None:
    """End by an exception, so that the pool's processes and the temporary folder go too."""
    sys.exit(128 + number)


def make_patients(site: Site) -> None:
    """The patients are known before their scans arrive, as in a hospital."""
    for header in (patient.header for patient in DEMO_PATIENTS):
        Patient.objects.get_or_create(
            site=site,
            patient_id=header.patient_id,
            issuer_of_patient_id="",
            defaults={
                "patient_name": header.patient_name,
                "birth_date": header.birth_date,
                "sex": header.sex,
                "synthetic": True,
            },
        )


def demo_password() -> str:
    """``DEMO_PASSWORD``, else one made up at the first start and kept."""
    if given := os.environ.get("DEMO_PASSWORD"):
        return given
    kept = settings.DATA_DIR / "demo_password"
    if not kept.exists():
        kept.touch(mode=0o600)
        kept.write_text(secrets.token_urlsafe(9))
    return kept.read_text()


def make_users(site: Site, password: str) -> None:
    for username, is_admin in USERS.items():
        user, _ = get_user_model().objects.get_or_create(username=username)
        user.is_staff = user.is_superuser = is_admin
        if not user.check_password(password):
            user.set_password(password)
        user.save()
        Membership.objects.get_or_create(site=site, user=user)
