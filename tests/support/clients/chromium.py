"""Chromium by Playwright."""

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright


@contextmanager
def running_chromium(program: str) -> Iterator[Browser]:
    """Run a headless Chromium as long as the context lasts.

    In that time `asyncio.run` fails in the same thread: Playwright has a loop there.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program,
            args=[
                "--no-sandbox",
                "--disable-quic",
                "--disable-background-networking",
                "--disable-gpu",
                "--no-first-run",
            ],
        )
        yield browser
        browser.close()
