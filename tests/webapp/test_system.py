"""The administrators' page on services, jobs, workers and storage."""

import shutil
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from analysis import services
from analysis.models import WorkerSeen
from patients.models import Site, Upload
from webapp import health, system

GIB = 2**30


@pytest.fixture
def administrator(client, django_user_model):
    client.force_login(django_user_model.objects.create_user("it", password="a-long-test-password", is_staff=True))
    return client


def words(answer):
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def test_only_administrators_see_it(client, user):
    address = reverse("system")
    assert client.get(address).headers["Location"].startswith("/accounts/login/")
    client.force_login(user)
    assert client.get(address).status_code == 403
    assert address not in client.get("/").content.decode()


def test_jobs_are_counted_by_state(administrator, site):
    day_old = timezone.now() - timedelta(days=2)
    for state, created_at in (
        ("received", day_old), ("received", timezone.now()), ("working", timezone.now()),
        ("failed", timezone.now()), ("failed", day_old), ("done", timezone.now()),
    ):  # fmt: skip
        Upload.objects.create(site=site, state=state, created_at=created_at)
    Upload.objects.create(site=site, state="failed", reason=services.NOTHING_STORED)  # sent what is no scan
    uploads, *others = administrator.get(reverse("system")).context["lines"]
    assert (uploads.name, uploads.waiting, uploads.running, uploads.failed) == ("Uploads", 2, 1, 1)
    assert uploads.oldest == day_old
    assert [(each.name, each.waiting) for each in others] == [("Analyses", 0), ("Comparisons", 0)]


def test_silent_workers_are_told_from_working_ones(administrator):
    assert "No worker was ever seen" in words(administrator.get(reverse("system")))
    now = timezone.now()
    WorkerSeen.objects.create(hostname="here", seen_at=now)
    WorkerSeen.objects.create(hostname="gone", seen_at=now - 2 * health.WORKER_SILENT_AFTER)
    page = administrator.get(reverse("system"))
    assert [(each.hostname, here) for each, here in page.context["workers"]] == [("here", True), ("gone", False)]
    assert "silent since" in words(page)


def test_times_are_those_of_the_administrators_site(administrator, site):
    WorkerSeen.objects.create(hostname="silent", seen_at=datetime(2026, 3, 5, 23, 30, tzinfo=UTC))
    Site.objects.filter(pk=site.pk).update(time_zone="Asia/Tokyo")
    site.users.add(User.objects.get(username="it"))
    assert "silent since 6 Mar 2026, 08:30 JST" in administrator.get(reverse("system")).text


def test_a_fault_of_a_service_is_named(administrator, monkeypatch):
    monkeypatch.setitem(health.CHECKS, "broker", lambda: "OperationalError")
    health._seen.cache_clear()
    assert "OperationalError" in words(administrator.get(reverse("system")))
    health._seen.cache_clear()


@pytest.mark.parametrize(("free", "warned"), [(5, True), (50, False)])
def test_little_room_is_warned_of(administrator, monkeypatch, free, warned):
    disk = SimpleNamespace(free=free * GIB, total=100 * GIB)
    monkeypatch.setattr(system.shutil, "disk_usage", lambda path: disk)
    text = words(administrator.get(reverse("system")))
    assert f"{free}.0 GB</span> of" in text
    assert ("Little room is left" in text) == warned


def test_the_disk_asked_is_that_of_the_files(administrator, settings, tmp_path):
    assert administrator.get(reverse("system")).context["storage"]["total"] == shutil.disk_usage(tmp_path).total
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": "", "OPTIONS": {"bucket_name": "ct"}}}
    assert "the bucket <code>ct</code>" in words(administrator.get(reverse("system")))


def test_many_jobs_take_as_many_queries_as_few(administrator, site, django_assert_max_num_queries):
    for _ in range(30):
        Upload.objects.create(site=site)
    administrator.get(reverse("system"))
    with django_assert_max_num_queries(16):
        administrator.get(reverse("system"))
