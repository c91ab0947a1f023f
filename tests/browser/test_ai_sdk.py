"""The AI SDK's useChat, as published and built with Vite, in Chromium and Firefox: its backend has
barestream run the answers.
"""

import secrets
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from chat_page import answer_to
from support.servers.asgi_app import AsgiApp
from support.servers.node_packages import install
from support.servers.outer_nginx import OuterNginx, outer_nginx
from support.servers.service import Service, wait_for
from tab import Tab

HERE = Path(__file__).parent / "ai_sdk"

PROMPT = "Why?"
TOKENS = 150
WHOLE = answer_to(PROMPT, TOKENS)


@pytest.fixture(scope="module")
def app(hub: Service, node: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AsgiApp]:
    """Return the backend, which serves the page too."""
    page = tmp_path_factory.mktemp("page")
    vite = install(HERE) / "vite/bin/vite.js"
    done = subprocess.run(
        [node, vite, "build", "--outDir", page],
        cwd=HERE,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # One process: it keeps the messages in its memory.
    with AsgiApp(HERE, "server:app", hub, 1, PAGE=str(page), TOKENS_PER_SECOND="30") as running:
        yield running


@dataclass(frozen=True)
class Seen:
    """What useChat gives the page.

    Attributes:
        messages: Each with its id, role and parts.
        status: submitted, streaming, ready or error.
        statuses: All that it was since the page was loaded, in order.
        errors: The text of each error.
    """

    messages: list[dict[str, Any]]
    status: str
    statuses: list[str]
    errors: list[str]

    @property
    def answer(self) -> str:
        """All text of the assistant, also where it is there twice."""
        of_assistant = [each for each in self.messages if each["role"] == "assistant"]
        parts = [part for message in of_assistant for part in message["parts"]]
        return "".join(part["text"] for part in parts if part["type"] == "text")


@pytest.fixture(scope="module")
def front(app: AsgiApp, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OuterNginx]:
    """Return an nginx before the backend."""
    with outer_nginx(app, tmp_path_factory.mktemp("front")) as running:
        yield running


class Page:
    """A tab with the page of a chat."""

    def __init__(self, tab: Tab, front: OuterNginx, chat: str, tokens: int) -> None:
        self.tab = tab
        tab.open(f"{front.url}/?chat={chat}&tokens={tokens}")

    def look(self) -> Seen | None:
        """Return what it shows; None before it shows anything."""
        seen = self.tab.evaluate("globalThis.seen?.() ?? null")
        return seen and Seen(**seen)

    def wait_for(self, what: str, condition: Callable[[Seen], bool]) -> Seen:
        """Wait until the condition is true of a look, and return that look."""
        seen = None

        def is_true() -> bool:
            nonlocal seen
            seen = self.look()
            return seen is not None and condition(seen)

        try:
            wait_for(what, is_true)
        except AssertionError as error:
            error.add_note(str(seen))
            raise
        assert seen is not None
        return seen

    def wait_for_words(self, count: int) -> None:
        """Wait until the answer has so many words."""
        self.wait_for(f"{count} words", lambda seen: len(seen.answer.split()) >= count)

    def wait_for_end(self) -> Seen:
        """Wait until an answer is there and no other word of it is awaited."""
        return self.wait_for("the end", lambda seen: seen.answer != "" and seen.status == "ready")

    def press(self, button: str) -> None:
        """Press a button, once it can be pressed."""
        is_enabled = f'!document.getElementById("{button}").disabled'
        wait_for(button, lambda: self.tab.evaluate(is_enabled))
        # An expression that is undefined has no JSON.
        self.tab.evaluate(f'document.getElementById("{button}").click() ?? null')


OpenPage = Callable[..., Page]


@pytest.fixture
def chat() -> str:
    """Return the id of a chat that is not there yet."""
    return f"chat-{secrets.token_hex(4)}"


@pytest.fixture
def open_page(front: OuterNginx, chat: str, new_tab: Callable[[], Tab]) -> OpenPage:
    """Return a function that opens the chat in another tab.

    What that asks is answered with so many tokens.
    """

    def opened(tokens: int = TOKENS) -> Page:
        page = Page(new_tab(), front, chat, tokens)
        page.wait_for("the page", lambda _: True)
        return page

    return opened


def assert_whole(page: Page) -> Seen:
    """Wait for the end: one question, and the whole answer once."""
    seen = page.wait_for_end()
    assert [message["role"] for message in seen.messages] == ["user", "assistant"]
    assert seen.answer == WHOLE
    return seen


def test_an_answer_goes_on_over_a_reload_and_in_a_second_tab(
    open_page: OpenPage,
) -> None:
    page = open_page()
    page.press("send")
    page.wait_for_words(40)
    page.tab.reload()
    page.wait_for_words(45)
    second = open_page()
    second.wait_for_words(45)
    for each in (page, second):
        seen = assert_whole(each)
        assert seen.errors == []
        # It was never ready before the end.
        assert seen.statuses.count("streaming") <= 1


def test_a_reload_after_the_end_shows_the_answer_once_and_streams_nothing(
    open_page: OpenPage, app: AsgiApp, chat: str
) -> None:
    page = open_page()
    page.press("send")
    assert_whole(page)
    before = app.statuses(f"/api/chat/{chat}/stream")
    page.tab.reload()
    # The page asks whether an answer is under way, and is told that none is.
    wait_for("204", lambda: app.statuses(f"/api/chat/{chat}/stream") == [*before, 204])
    seen = assert_whole(page)
    assert seen.statuses == ["ready"]


def test_a_stop_in_the_second_tab_ends_the_answer_in_both(
    open_page: OpenPage, app: AsgiApp, chat: str
) -> None:
    # It takes a minute, and so is under way at the stop.
    first = open_page(tokens=2000)
    first.press("send")
    first.wait_for_words(40)
    second = open_page()
    second.wait_for_words(45)
    second.press("stop")
    shown = [page.wait_for_end() for page in (first, second)]
    [answer] = {seen.answer for seen in shown}
    assert answer_to(PROMPT, 2000).startswith(answer)
    assert [seen.errors for seen in shown] == [[], []]
    # The backend kept the same, so that a reload shows it too.
    [_, stored] = httpx.get(f"{app.url}/api/chat/{chat}").json()
    assert stored["parts"][0]["text"] == answer


def test_an_answer_is_whole_over_a_reload_of_the_hub(open_page: OpenPage, hub: Service) -> None:
    first = open_page()
    first.press("send")
    first.wait_for_words(40)
    second = open_page()
    second.wait_for_words(45)
    before = hub.workers()
    hub.signal(signal.SIGHUP)
    for page in (first, second):
        assert assert_whole(page).errors == []
    wait_for("other workers", lambda: not set(before) & set(hub.workers()))


def test_an_answer_goes_on_after_the_connection_was_cut(
    open_page: OpenPage, front: OuterNginx
) -> None:
    first = open_page()
    first.press("send")
    first.wait_for_words(40)
    second = open_page()
    second.wait_for_words(45)
    front.stop()
    front.start()
    for page in (first, second):
        page.wait_for("the end", lambda seen: seen.answer == WHOLE and seen.status == "ready")
        assert_whole(page)


def test_an_answer_that_has_ended_while_the_page_was_cut_off_is_whole(
    open_page: OpenPage, front: OuterNginx, app: AsgiApp, chat: str
) -> None:
    page = open_page()
    page.press("send")
    page.wait_for_words(40)
    front.stop()
    wait_for("the end", lambda: len(httpx.get(f"{app.url}/api/chat/{chat}").json()) == 2)
    front.start()
    page.wait_for("the end", lambda seen: seen.answer == WHOLE and seen.status == "ready")
    assert_whole(page)
