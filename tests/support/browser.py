"""The browser of tests of what has a face: Debian's Chromium, driven by Playwright. Fixture `page` is a tab of it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

FLAGS = (
    "--no-sandbox",  # root in a container has none
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",  # a container's 64 MB are too few
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",  # nothing from outside
)
SIZE = {"width": 1440, "height": 900}
LONGEST_WAIT = 60_000  # milliseconds until something that is looked for must be there


def chromium() -> str:
    """The path of Chromium; skips the test where there is none."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    return found or pytest.skip("There is no Chromium here: apt-get install chromium.")


@contextmanager
def launched() -> Iterator[Browser]:
    """A headless Chromium that reaches this machine and nothing else."""
    path = chromium()
    expect.set_options(timeout=LONGEST_WAIT)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, headless=True, args=[*FLAGS])
        yield browser
        browser.close()


@contextmanager
def tab(browser: Browser, picture: Path) -> Iterator[Page]:
    """A tab with cookies of its own; what it last showed is left in `picture`, to look at when a test has failed."""
    context = browser.new_context(viewport=SIZE, locale="en-GB", timezone_id="UTC", reduced_motion="reduce")
    context.set_default_timeout(LONGEST_WAIT)
    page = context.new_page()
    try:
        yield page
    finally:
        page.screenshot(path=picture)
        context.close()
