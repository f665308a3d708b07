"""The frame of every page fits the window, however narrow it is and whatever the language."""

import pytest

from tests.browser.browser import chromium, log_in
from tests.stack import Stack

WIDTHS = (320, 390, 440, 620, 768, 780, 900, 992, 1000, 1100, 1152, 1160, 1280, 1920)
LONG_NAME = "Universitätsklinikum Nordstadt, Institut für Radiologie"
NAME_SITE = "from patients.models import Site; Site.objects.filter(code='demo').update(name={name!r})"


@pytest.fixture
def long_site_name(stack: Stack):
    said = stack.python("from patients.models import Site; print(Site.objects.get(code='demo').name)")
    stack.python(NAME_SITE.format(name=LONG_NAME))
    yield
    stack.python(NAME_SITE.format(name=said.splitlines()[-1]))


def test_no_page_is_wider_than_its_window(stack: Stack, long_site_name: None) -> None:
    with chromium(webgl=False) as browser:
        page = browser.new_page()
        log_in(page, stack.url)
        for language in ("en-GB", "de"):
            browser.set_extra_http_headers({"Accept-Language": language})
            for address in ("/", "/patients/", "/upload/"):
                page.goto(stack.url + address)
                for width in WIDTHS:
                    page.set_viewport_size({"width": width, "height": 800})
                    shown = page.evaluate("document.documentElement.scrollWidth")
                    assert shown <= width, f"{address} in {language} takes {shown} of {width} pixels"
