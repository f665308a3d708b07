"""Debian's Chromium, headless, driven by Playwright."""

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import BrowserContext, Page, sync_playwright

from tests.servers import program
from tests.stack import PASSWORD

FLAGS = [
    "--no-sandbox",  # tests may run as root
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
WEBGL = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
NO_WEBGL = ["--disable-gpu"]  # as on a PC without a graphics card
LIKE_A_GPU = """
const told = WebGL2RenderingContext.prototype.getParameter
WebGL2RenderingContext.prototype.getParameter = function (name) {
  const value = told.call(this, name)
  return typeof value === 'string' ? value.replaceAll('SwiftShader', 'GPU') : value
}
"""
"""The viewer draws without WebGL where only software offers it: hides that it does, so that WebGL is what is tested."""


@contextmanager
def chromium(
    width: int = 1440, height: int = 900, theme: str = "light", *, webgl: bool = True, has_touch: bool = False
) -> Iterator[BrowserContext]:
    """A fresh browser profile; the test is skipped where Chromium is not installed."""
    path = program("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS + (WEBGL if webgl else NO_WEBGL))
        try:
            context = browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme=theme,
                accept_downloads=True,
                has_touch=has_touch,
            )
            if webgl:
                context.add_init_script(LIKE_A_GPU)
            yield context
        finally:
            browser.close()


MOVED = """(within) => new Promise((tell) => {
    const moved = []
    new PerformanceObserver((list) => {
        for (const { sources } of list.getEntries()) moved.push(...sources.map(({ node }) => node))
    }).observe({ type: 'layout-shift', buffered: true })
    const elements = () => moved.map((node) => (node?.closest ? node : node?.parentElement))
    const fixed = (element) => element?.closest(within) && !element.closest('.corner')
    setTimeout(() => tell(elements().filter(fixed).map((element) => element.outerHTML.slice(0, 80))), 200)
})"""


def moved(page: Page, within: str) -> list[str]:
    """What of the elements ``within`` jumped while the page was loaded, but for the texts over an image."""
    return page.evaluate(MOVED, within)


def complaints_of(page: Page) -> list[str]:
    """Errors that the page's console or scripts report from now on."""
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return complaints


def log_in(page: Page, url: str, user: str = "clinician") -> None:
    page.goto(f"{url}/accounts/login/")
    page.fill("input[name=login]", user)
    page.fill("input[name=password]", PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{url}/")
