"""The pages in the reader's language."""

from django.urls import reverse


def test_a_browser_that_asks_for_german_gets_it(client, db):
    page = client.get("/accounts/login/", headers={"Accept-Language": "de-CH,de;q=0.9,en;q=0.8"}).content.decode()
    assert '<html lang="de">' in page
    assert ">Anmelden</button>" in page


def test_the_language_chosen_outlives_the_session(client, user):
    client.force_login(user)
    answer = client.post(reverse("set_language"), {"language": "de", "next": "/patients/?q=x"})
    assert answer.headers["Location"] == "/patients/?q=x"
    assert '<html lang="de">' in client.get("/patients/").content.decode()
    client.post("/accounts/logout/")
    assert ">Anmelden</button>" in client.get("/accounts/login/").content.decode()


def test_the_language_is_chosen_before_logging_in(client, db):
    client.cookies["django_language"] = "de"
    client.post(reverse("set_language"), {"language": "en-gb", "next": "/accounts/login/"})
    assert ">Log in</button>" in client.get("/accounts/login/").content.decode()
