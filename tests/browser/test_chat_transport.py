"""The client's transport for the AI SDK's useChat, as its README shows it, in real browsers."""

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from chat_page import answer_to
from client_site import ClientSite, client_site, samples
from support.servers.asgi_app import AsgiApp
from support.servers.outer_nginx import OuterNginx, outer_nginx
from support.servers.service import Service, wait_for
from tab import Tab

BACKEND = Path(__file__).parent / "ai_sdk"

PROMPT = "Why?"
WHOLE = answer_to(PROMPT, 150)

# A minute of it is under way at the stop.
LONG = "{ tokens: 2000 }"

ANSWER = '[...document.querySelectorAll(".assistant")].map((p) => p.textContent).join("")'
STATUS = 'document.querySelector("output")?.textContent'


@pytest.fixture(scope="module")
def app(hub: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AsgiApp]:
    """Return the backend, which keeps the messages in its memory."""
    pages = tmp_path_factory.mktemp("pages-of-the-backend")
    # The test of whether it is up asks for it.
    (pages / "index.html").touch()
    with AsgiApp(BACKEND, "server:app", hub, 1, PAGE=str(pages), TOKENS_PER_SECOND="30") as running:
        yield running


@pytest.fixture(scope="module")
def front(app: AsgiApp, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OuterNginx]:
    """Return an nginx before the backend alone, to be cut."""
    with outer_nginx(app, tmp_path_factory.mktemp("front")) as running:
        yield running


@pytest.fixture(scope="module")
def site(
    hub: Service, front: OuterNginx, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ClientSite]:
    """Return the site with both pages: the sample, and the sample with a long answer."""
    with client_site(hub, tmp_path_factory.mktemp("site"), api=front) as running:
        sample = samples()["The AI SDK's useChat", "jsx", 0]
        for name, text in {
            "chat": sample,
            "long": sample.replace("{ tokens: 150 }", LONG),
        }.items():
            (running.project / "sample.jsx").write_text(text)
            running.add(name, "chat.jsx")
        assert LONG not in sample
        yield running


class Chat:
    """A tab with a chat."""

    def __init__(self, tab: Tab, url: str) -> None:
        self.tab = tab
        self.open(url)

    def open(self, url: str) -> None:
        """Load a chat's page, and wait for it."""
        self.tab.open(url)
        self.wait_for_page()

    def wait_for_page(self) -> None:
        """Wait until the page shows its status."""
        wait_for("the page", lambda: self.tab.evaluate(f"{STATUS} ?? null"))

    @property
    def answer(self) -> str:
        """All text of the assistant, also where it is there twice."""
        return str(self.tab.evaluate(ANSWER))

    def press(self, button: str) -> None:
        """Press a button."""
        self.tab.evaluate(f'document.getElementById("{button}").click() ?? null')

    def wait_for_words(self, count: int) -> None:
        """Wait until the answer has so many words."""
        wait_for(f"{count} words", lambda: len(self.answer.split()) >= count)

    def wait_for_end(self) -> str:
        """Wait until no other word is awaited, and return the answer."""
        is_over = f'{ANSWER} !== "" && {STATUS} === "ready"'
        try:
            wait_for("the end", lambda: self.tab.evaluate(is_over))
        except AssertionError as error:
            error.add_note(f"{self.tab.evaluate(STATUS)}: {self.answer}")
            raise
        return self.answer


@pytest.fixture
def chat() -> str:
    """Return the id of a chat that is not there yet."""
    return f"chat-{secrets.token_hex(4)}"


@pytest.fixture
def open_chat(site: ClientSite, chat: str, new_tab: Callable[[], Tab]) -> Callable[..., Chat]:
    """Return a function that opens the chat in another tab."""
    return lambda page="chat": Chat(new_tab(), f"{site.url}/{page}.html?chat={chat}")


def stored_answer(app: AsgiApp, chat: str) -> str | None:
    """Return the answer that the backend has stored; None while it is under way."""
    messages = httpx.get(f"{app.url}/api/chat/{chat}").json()
    return messages[1]["parts"][0]["text"] if len(messages) == 2 else None


def test_an_answer_goes_on_over_a_reload_and_in_a_second_tab(
    open_chat: Callable[..., Chat],
) -> None:
    first = open_chat()
    first.press("send")
    first.wait_for_words(40)
    first.tab.reload()
    first.wait_for_page()
    first.wait_for_words(45)
    second = open_chat()
    assert (first.wait_for_end(), second.wait_for_end()) == (WHOLE, WHOLE)


def test_a_stop_ends_the_answer_in_both_tabs(
    open_chat: Callable[..., Chat], app: AsgiApp, chat: str
) -> None:
    first = open_chat("long")
    first.press("send")
    first.wait_for_words(40)
    second = open_chat("long")
    second.wait_for_words(45)
    second.press("stop")
    answer = first.wait_for_end()
    assert second.wait_for_end() == answer == stored_answer(app, chat)
    assert answer_to(PROMPT, 2000).startswith(answer)


def test_an_answer_outlives_its_component(
    open_chat: Callable[..., Chat], app: AsgiApp, chat: str
) -> None:
    page = open_chat()
    page.press("send")
    page.wait_for_words(40)
    # useChat stops its stream then, which must not stop the answer.
    page.tab.evaluate("unmount() ?? null")
    wait_for("the end", lambda: stored_answer(app, chat) == WHOLE)


def test_an_answer_goes_on_after_the_connection_was_cut(
    open_chat: Callable[..., Chat], front: OuterNginx
) -> None:
    first = open_chat()
    first.press("send")
    first.wait_for_words(40)
    front.stop()
    front.start()
    first.wait_for_words(60)
    # The page never shows an error, nor that the answer were whole.
    assert first.tab.evaluate(STATUS) == "streaming"
    assert first.wait_for_end() == WHOLE


def test_an_answer_that_has_ended_while_the_page_was_cut_off_is_whole(
    open_chat: Callable[..., Chat], front: OuterNginx, app: AsgiApp, chat: str
) -> None:
    page = open_chat()
    page.press("send")
    page.wait_for_words(40)
    front.stop()
    wait_for("the end", lambda: stored_answer(app, chat))
    front.start()
    wait_for("the whole answer", lambda: page.answer == WHOLE)
    assert page.wait_for_end() == WHOLE
