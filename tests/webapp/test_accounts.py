"""Who gets in, and by which door."""

import pytest
from django.core.cache import cache
from django.urls import reverse

PASSWORD = "a-long-test-password"


@pytest.fixture(autouse=True)
def no_failed_attempts():
    """The limits count in the cache, which outlives a test."""
    cache.clear()
    yield
    cache.clear()


def log_in(client, password=PASSWORD, address="/accounts/login/"):
    return client.post(address, {"login": "ward", "password": password})


def test_a_user_logs_in_and_out(client, user):
    assert log_in(client).headers["Location"] == "/"
    assert client.get("/").status_code == 200
    client.post("/accounts/logout/")
    assert client.get("/").status_code == 302


def test_an_account_that_was_closed_is_told_so(client, user):
    user.is_active = False
    user.save()
    answer = client.get(log_in(client).headers["Location"])
    assert "inactive" in answer.content.decode()
    assert client.get("/").status_code == 302


def test_a_user_changes_the_password(client, user):
    log_in(client)
    assert client.get("/accounts/password/change/").status_code == 200
    new = "another-long-password"
    client.post("/accounts/password/change/", {"oldpassword": PASSWORD, "password1": new, "password2": new})
    user.refresh_from_db()
    assert user.check_password(new)


@pytest.mark.parametrize("page", ["signup/", "email/", "confirm-email/", "password/reset/", "password/set/", ""])
def test_there_are_no_pages_that_need_mail(client, user, page):
    assert client.get(f"/accounts/{page}").status_code == 404
    assert client.post(f"/accounts/{page}", {"email": "ward@example.org"}).status_code == 404


def test_guessing_a_password_is_stopped(client, user):
    for _ in range(20):
        log_in(client, "wrong")
    assert log_in(client).status_code != 302
    assert client.get("/").status_code == 302


@pytest.mark.parametrize(("proxies", "others_get_in"), [(0, False), (1, True)])
def test_behind_a_proxy_the_limit_is_each_clients_own(client, user, settings, proxies, others_get_in):
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = proxies
    for number in range(12):
        guess = {"login": f"nobody{number}", "password": "wrong"}
        client.post("/accounts/login/", guess, headers={"X-Forwarded-For": "6.6.6.6, 10.0.0.7"})
    fields = {"login": "ward", "password": PASSWORD}
    assert client.post("/accounts/login/", fields, headers={"X-Forwarded-For": "10.0.0.7"}).status_code != 302
    answer = client.post("/accounts/login/", fields, headers={"X-Forwarded-For": "10.0.0.7, 10.0.0.8"})
    assert (answer.status_code == 302) == others_get_in


def test_the_administration_has_no_log_in_page_of_its_own(client, user):
    answer = client.get("/admin/login/", {"next": "/admin/"})
    assert answer.headers["Location"] == f"{reverse('account_login')}?next=%2Fadmin%2F"
    user.is_staff = True
    user.save()
    client.post("/admin/login/", {"username": "ward", "password": PASSWORD})
    assert client.get("/admin/").status_code == 302


def test_a_clinician_does_not_get_into_the_administration(client, user):
    client.force_login(user)
    assert client.get("/admin/login/").status_code == 403
