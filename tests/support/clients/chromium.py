"""Chromium by Playwright."""

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

from support.clients.insecure_host import HOST


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
                f"--host-resolver-rules=MAP {HOST} 127.0.0.1",
            ],
            # As a person's browser has it; Playwright turns it off.
            ignore_default_args=["--disable-back-forward-cache"],
        )
        yield browser
        browser.close()
