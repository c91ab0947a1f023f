"""The page of examples/llm-chat in a tab of any browser."""

import json
import runpy
from collections.abc import Callable
from dataclasses import dataclass

from support.servers.asgi_app import EXAMPLE
from support.servers.service import PATIENCE_SECONDS, wait_for
from tab import Tab

_words: Callable[[str, int], list[str]] = runpy.run_path(str(EXAMPLE / "model.py"))["words"]

_LOOK = """({
    prompt: document.getElementById("prompt").textContent,
    answer: document.getElementById("answer").textContent,
    status: document.documentElement.dataset.status ?? "",
    told: document.getElementById("status").textContent,
    offers: ["send", "stop", "again"].filter((id) => !document.getElementById(id).hidden),
    pieces: shown().texts.answer ?? [],
    complaints: shown().complaints,
    stream: document.documentElement.dataset.stream ?? "idle",
})"""


def answer_to(prompt: str, tokens: int) -> str:
    """Return what the example's model writes."""
    return "".join(_words(prompt, tokens))


@dataclass(frozen=True)
class Look:
    """What the page shows, and what it has shown since it was loaded.

    Attributes:
        prompt: The question.
        answer: The answer, as far as it is shown.
        status: The word for it in the document.
        told: The sentence about it.
        offers: The ids of the buttons that are there.
        pieces: Every text that was put into the answer, in order.
        complaints: Errors of scripts, and violations of the content security policy.
        stream: What the client says of the stream.
    """

    prompt: str
    answer: str
    status: str
    told: str
    offers: list[str]
    pieces: list[str]
    complaints: list[str]
    stream: str


class ChatPage:
    """The page of one chat."""

    def __init__(self, tab: Tab, url: str) -> None:
        self.tab = tab
        tab.open(url)

    def look(self) -> Look:
        """Return what there is to see."""
        return Look(**self.tab.evaluate(_LOOK))

    def wait_for(
        self, what: str, condition: Callable[[Look], bool], seconds: float = PATIENCE_SECONDS
    ) -> Look:
        """Wait until the condition is true of a look, and return that look."""
        seen = self.look()

        def is_true() -> bool:
            nonlocal seen
            seen = self.look()
            return condition(seen)

        try:
            wait_for(what, is_true, seconds)
        except AssertionError as error:
            error.add_note(str(seen))
            raise
        return seen

    def wait_for_words(self, count: int) -> Look:
        """Wait until the answer has so many words."""
        return self.wait_for(f"{count} words", lambda seen: len(seen.answer.split()) >= count)

    def wait_for_status(self, status: str, seconds: float = PATIENCE_SECONDS) -> Look:
        """Wait until the page says how the answer is."""
        return self.wait_for(status, lambda seen: seen.status == status, seconds)

    def wait_for_ended_stream(self) -> None:
        """Wait until the page has no stream, and none will come back."""
        self.wait_for("the 204", lambda seen: seen.stream in ("idle", "ended"))

    def ask(self, prompt: str) -> None:
        """Send a question, as a person does."""
        self.tab.evaluate(f'document.getElementById("text").value = {json.dumps(prompt)}')
        self.press("send")

    def press(self, button: str) -> None:
        """Press a button that is there."""
        assert button in self.look().offers
        # An expression that is undefined has no JSON.
        self.tab.evaluate(f'document.getElementById("{button}").click() ?? null')
