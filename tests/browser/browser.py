"""Debian's Chromium, headless, driven by Playwright."""

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import BrowserContext, Page, sync_playwright

from tests.servers import program
from tests.stack import PASSWORD

FLAGS = [
    "--no-sandbox",  # tests may run as root
    "--use-angle=swiftshader",  # WebGL without a GPU
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@contextmanager
def chromium(width: int = 1440, height: int = 900, theme: str = "light") -> Iterator[BrowserContext]:
    """A fresh browser profile; the test is skipped where Chromium is not installed."""
    path = program("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        try:
            yield browser.new_context(
                viewport={"width": width, "height": height}, color_scheme=theme, accept_downloads=True
            )
        finally:
            browser.close()


def log_in(page: Page, url: str, user: str = "clinician") -> None:
    page.goto(f"{url}/accounts/login/")
    page.fill("input[name=login]", user)
    page.fill("input[name=password]", PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{url}/")
