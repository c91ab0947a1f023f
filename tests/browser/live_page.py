"""The page /test in any browser: what it shows, and all that it showed since it was loaded."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from support.servers.service import wait_for

WATCH = (Path(__file__).parent / "watch.js").read_text()

# Between two retries the page waits for 30 s at most.
PATIENCE_SECONDS = 60


@dataclass
class Shown:
    """What the page showed, and what its browser complained of.

    Attributes:
        texts: Every text of each element that has an id, in order.
        complaints: Errors of scripts, and violations of the content security policy.
    """

    texts: dict[str, list[str]]
    complaints: list[str]

    def all(self, element_id: str) -> list[str]:
        """Return every text of an element, in order."""
        return self.texts.get(element_id, [])

    def now(self, element_id: str) -> str:
        """Return the last text of an element."""
        return next(reversed(self.all(element_id)), "")

    @property
    def seconds(self) -> list[int]:
        """The second of each tick."""
        return [seconds_of(text) for text in self.all("last-id") if text.startswith("#")]


def seconds_of(tick_id: str) -> int:
    """Return the second that a tick of the clock stands for."""
    return int(tick_id.removeprefix("#").partition("-")[0]) // 1000


def are_whole(seconds: list[int]) -> bool:
    """Return whether each second from the first to the last is there exactly once."""
    return all(after == before + 1 for before, after in pairwise(seconds))


def is_counted_down(countdowns: list[str]) -> bool:
    """Return whether a time is followed by that of a second later."""
    remaining = [int(text.split()[1]) if text.startswith("in ") else 0 for text in countdowns]
    return any(before > 1 and after == before - 1 for before, after in pairwise(remaining))


class LivePage:
    """A tab with the page; `evaluate` runs an expression in it and returns its value."""

    def __init__(self, evaluate: Callable[[str], Any]) -> None:
        self.evaluate = evaluate

    def shown(self) -> Shown:
        """Return what the page showed until now."""
        return Shown(**self.evaluate("shown()"))

    def wait_for(self, what: str, condition: Callable[[Shown], bool]) -> None:
        """Wait until the condition is true of what the page showed."""
        wait_for(what, lambda: condition(self.shown()), PATIENCE_SECONDS)

    def wait_for_state(self, word: str) -> None:
        """Wait until the page names its state so."""
        self.wait_for(word, lambda shown: shown.now("state") == word)

    def wait_for_ticks(self, count: int) -> None:
        """Wait until the page shows so many more ticks."""
        wanted = len(self.shown().seconds) + count
        self.wait_for("the ticks", lambda shown: len(shown.seconds) >= wanted)

    def wait_for_countdown(self) -> None:
        """Wait until a retry was counted down by a second at least."""
        self.wait_for("a countdown", lambda shown: is_counted_down(shown.all("countdown")))
