"""What is missing is said by ``manage.py check``."""

import pytest
from django.core.checks import Tags, run_checks
from django.core.management import call_command


def problems():
    """As ``collectstatic`` asks for them."""
    return [message.id for message in run_checks(tags=[Tags.staticfiles])]


@pytest.fixture
def front_end(settings, tmp_path):
    """The folders that the build and ``collectstatic`` write to, empty."""
    built, collected = tmp_path / "dist", tmp_path / "static"
    built.mkdir()
    collected.mkdir()
    settings.STATICFILES_DIRS, settings.STATIC_ROOT = [built], collected
    return built, collected


def test_a_front_end_that_was_not_built_is_said(front_end):
    assert problems() == ["analysis.W003"]


def test_commands_that_make_no_pages_run_without_the_front_end(front_end, capsys, db):
    call_command("migrate", "--check", skip_checks=False, verbosity=0)
    assert "`make build`" in capsys.readouterr().err


@pytest.mark.parametrize("place", [0, 1])
def test_a_built_or_collected_front_end_will_do(front_end, place):
    (front_end[place] / "site.js").touch()
    assert problems() == []


def test_a_catalogue_that_was_not_compiled_is_said(settings, tmp_path):
    settings.LOCALE_PATHS = [tmp_path]
    folder = tmp_path / "de" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    (folder / "django.po").touch()
    assert [message.id for message in run_checks(tags=[Tags.translation])] == ["analysis.W005"]
    (folder / "django.mo").touch()
    assert run_checks(tags=[Tags.translation]) == []
