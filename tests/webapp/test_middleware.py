"""How long a session lasts, and what stays on the PC after it."""

import time
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from django.contrib.sessions.models import Session
from django.urls import reverse
from django.utils import timezone

HTMX = {"HX-Request": "true"}


@pytest.fixture
def ward_pc(client, user):
    """A browser whose user logged in an hour ago."""
    client.force_login(user)
    session = client.session
    session["used_at"] = int(time.time()) - 3600
    session.save()
    Session.objects.update(expire_date=timezone.now() + timedelta(minutes=1))
    return client


def hours_left():
    return (Session.objects.get().expire_date - timezone.now()) / timedelta(hours=1)


def test_a_page_opened_or_a_button_pressed_renews_the_session(ward_pc, settings):
    settings.SESSION_COOKIE_AGE = 7200
    ward_pc.get("/")
    assert hours_left() == pytest.approx(2, abs=0.1)


def test_a_button_of_htmx_renews_the_session(ward_pc, settings):
    settings.SESSION_COOKIE_AGE = 7200
    ward_pc.post("/analyses/0/retry/", headers=HTMX)
    assert hours_left() == pytest.approx(2, abs=0.1)


def test_what_an_open_page_asks_by_itself_does_not_renew_the_session(ward_pc):
    assert ward_pc.get("/", headers=HTMX).status_code == 200
    assert hours_left() < 0.1


def test_a_page_made_for_another_user_is_answered_as_if_nobody_was_logged_in(client, user):
    client.force_login(user)
    assert client.get("/", headers=HTMX | {"X-User": str(user.pk)}).status_code == 200
    for made_for in ("0", "None", ""):
        assert client.get("/", headers=HTMX | {"X-User": made_for}).status_code == 401
        assert client.post("/analyses/0/retry/", headers=HTMX | {"X-User": made_for}).status_code == 401


@pytest.mark.parametrize(
    ("page", "leads_to"),
    [
        ("http://testserver/studies/3/?level=0.4", "/studies/3/?level=0.4"),
        ("http://elsewhere.example/studies/3/", "/"),
        ("http://testserver//elsewhere.example/", "/"),
        ("javascript:alert(1)", "/"),
        ("http://[testserver", "/"),
        (None, "/"),
    ],
)
def test_a_form_sent_without_log_in_leads_to_the_page_that_held_it(client, user, page, leads_to):
    headers = {"Referer": page} if page else {}
    log_in = client.post("/studies/3/reading/", headers=headers).headers["Location"]
    assert log_in == f"/accounts/login/?{urlencode({'next': leads_to}, safe='/')}"
    fields = {"login": "ward", "password": "a-long-test-password", "next": leads_to}
    assert client.post(log_in, fields).headers["Location"] == leads_to


def test_a_session_is_written_once_in_some_minutes(ward_pc, django_assert_max_num_queries):
    ward_pc.get("/")
    with django_assert_max_num_queries(50) as asked:
        ward_pc.get("/")
    assert not [query for query in asked.captured_queries if query["sql"].startswith("UPDATE")]


def test_without_log_in_no_session_is_made(client, db):
    for address in ("/", "/healthz", "/accounts/login/"):
        client.get(address)
    assert not Session.objects.exists()


def test_logging_out_ends_the_session(ward_pc):
    ward_pc.post("/accounts/logout/")
    assert not [row for row in Session.objects.all() if "_auth_user_id" in row.get_decoded()]


@pytest.mark.parametrize("address", ["account_logout", "admin:logout"])
def test_who_logs_out_leaves_no_files_in_the_browsers_cache(admin_client, address):
    assert "Clear-Site-Data" not in admin_client.get("/").headers
    assert admin_client.post(reverse(address)).headers["Clear-Site-Data"] == '"cache"'
