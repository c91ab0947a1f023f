"""The page of an example in a tab of any browser."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from playwright.sync_api import Browser

from live_page import WATCH
from support.servers.service import wait_for
from tab import Tab, TabOfChromium

AnyPage = TypeVar("AnyPage", bound="ExamplePage")

# The narrowest that a page has to fit into (WCAG 2.2, criterion 1.4.10).
NARROW_PX = 320
WIDE = {"width": 720, "height": 320}


class ExamplePage:
    """A page that says in #state how its stream is.

    Args:
        tab: Where it is opened.
        url: Its address.
    """

    def __init__(self, tab: Tab, url: str) -> None:
        self.tab = tab
        tab.open(url)

    def text(self, selector: str) -> str:
        """Return the text of the first element."""
        return str(self.tab.evaluate(f"document.querySelector({json.dumps(selector)}).textContent"))

    def texts(self, selector: str) -> list[str]:
        """Return the text of each element, with one space for any white space."""
        found: list[str] = self.tab.evaluate(
            f"Array.from(document.querySelectorAll({json.dumps(selector)}))"
            ".map((each) => each.textContent)"
        )
        return [" ".join(each.split()) for each in found]

    def shows(self, selector: str, text: str) -> bool:
        """Return whether one of the elements has a text."""
        return text in self.texts(selector)

    def fill(self, selector: str, text: str) -> None:
        """Put a text into a field."""
        found = f"document.querySelector({json.dumps(selector)})"
        self.tab.evaluate(f"{found}.value = {json.dumps(text)}")

    def press(self, selector: str) -> None:
        """Press a button."""
        # An expression that is undefined has no JSON.
        self.tab.evaluate(f"document.querySelector({json.dumps(selector)}).click() ?? null")

    def press_text(self, selector: str, text: str) -> None:
        """Press the one button that has a text."""
        self.tab.evaluate(
            f"Array.from(document.querySelectorAll({json.dumps(selector)}))"
            f".find((each) => each.textContent === {json.dumps(text)}).click() ?? null"
        )

    def wait_for_state(self, state: str) -> None:
        """Wait until the page says how its stream is."""
        wait_for(state, lambda: self.text("#state") == state)

    @property
    def complaints(self) -> list[str]:
        """Errors of scripts, and violations of the content security policy."""
        complaints: list[str] = self.tab.evaluate("shown().complaints")
        return complaints


def take_pictures(
    chromium: Browser,
    kind: type[AnyPage],
    url: str,
    name: Path,
    prepare: Callable[[AnyPage], None],
) -> None:
    """Take pictures of a page: in light and dark colours, and in a narrow window, which it fits."""
    looks: dict[str, dict[str, Any]] = {
        "": {"viewport": WIDE},
        "-dark": {"viewport": WIDE, "color_scheme": "dark"},
        "-narrow": {"viewport": {**WIDE, "width": NARROW_PX}},
    }
    for suffix, options in looks.items():
        with chromium.new_context(**options) as context:
            context.add_init_script(WATCH)
            tab = TabOfChromium(context.new_page())
            page = kind(tab, url)
            page.wait_for_state("live")
            if not suffix:
                prepare(page)
            tab.page.screenshot(path=name.with_name(f"{name.name}{suffix}.png"), full_page=True)
            if suffix == "-narrow":
                assert tab.evaluate("document.documentElement.scrollWidth") <= NARROW_PX
            assert page.complaints == []
