"""examples/llm-chat in Chromium and Firefox: two processes of the app behind an nginx, and the hub
with two workers, its own nginx and Valkey.
"""

import os
import re
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import httpx
import pytest

from chat_page import ChatPage, Look, answer_to
from support.clients.publisher import KEY
from support.servers.asgi_app import EXAMPLE, AsgiApp
from support.servers.outer_nginx import OuterNginx, outer_nginx
from support.servers.service import Service, wait_for
from support.servers.valkey_server import ValkeyServer
from tab import Tab

PROMPT = "Why is it still there?"
TOKENS = 150
WHOLE = answer_to(PROMPT, TOKENS)

# It takes a minute, and so is under way whenever a test does something to it.
LONG_TOKENS = 2000
LONG = answer_to(PROMPT, LONG_TOKENS)

# It takes half a minute: more than all faults one after another.
FAULTY_TOKENS = 900
FAULTY = answer_to(PROMPT, FAULTY_TOKENS)

# A second's.
MORE_WORDS = 30

PROCESSES = 2

# The lease of a run is 6 s.
TOLD_SECONDS = 10


class Stack(NamedTuple):
    """All that runs.

    Attributes:
        front: The nginx that browsers see.
    """

    front: OuterNginx
    app: AsgiApp
    hub: Service
    valkey: ValkeyServer


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Return the example with its hub; each is left as it was found, or as good."""
    with (
        ValkeyServer() as valkey,
        Service(
            token_key=KEY, broker_url=valkey.url, broker_password=valkey.password, retry_ms=100
        ) as hub,
        AsgiApp(
            EXAMPLE, "app:app", hub, PROCESSES, TOKENS=str(TOKENS), TOKENS_PER_SECOND="30"
        ) as app,
        outer_nginx(app, tmp_path_factory.mktemp("front")) as front,
    ):
        yield Stack(front, app, hub, valkey)


class Chat:
    """One chat, which any tab may open."""

    def __init__(self, stack: Stack, new_tab: Callable[[], Tab]) -> None:
        self._name = f"chat-{secrets.token_hex(4)}"
        self._app = stack.app
        self._new_tab = new_tab
        self.site = stack.front.url
        self.path = f"/chats/{self._name}"

    def open(self, tokens: int = TOKENS) -> ChatPage:
        """Open its page in another tab; what it asks is answered with so many tokens."""
        return ChatPage(self._new_tab(), f"{self.site}/?chat={self._name}&tokens={tokens}")

    def stream_statuses(self) -> list[int]:
        """Return the status of each stream of it that the app was asked for."""
        return self._app.statuses(f"{self.path}/stream")


@pytest.fixture
def chat(stack: Stack, new_tab: Callable[[], Tab]) -> Chat:
    """Return a chat that nobody has asked anything in, once all that a test killed is back."""
    wait_for("the hub's workers", stack.hub.is_ready)
    wait_for("the app's processes", lambda: len(stack.app.processes()) == PROCESSES)
    return Chat(stack, new_tab)


def runner(app: AsgiApp) -> int:
    """Return the pid of the process that writes the newest answer."""
    [*_, pid] = re.findall(r"process (\d+) writes the answer", app.log)
    return int(pid)


def kill_the_other_process(stack: Stack) -> None:
    """Kill the process of the app that does not write the answer; another one comes."""
    writing = runner(stack.app)
    [other] = set(stack.app.processes()) - {writing}
    os.kill(other, signal.SIGKILL)
    wait_for("another process", lambda: len({*stack.app.processes()} - {writing, other}) == 1)


def kill_workers(stack: Stack) -> None:
    """Kill each worker of the hub; others come."""
    killed = stack.hub.workers()
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    wait_for_others(stack.hub, killed)


def reload_hub(stack: Stack) -> None:
    """Have the hub's workers replaced by others."""
    before = stack.hub.workers()
    stack.hub.signal(signal.SIGHUP)
    wait_for_others(stack.hub, before)


def wait_for_others(hub: Service, before: list[int]) -> None:
    """Wait until as many other workers as there were before answer, and those are gone."""

    def are_others() -> bool:
        pids = hub.workers()
        return len(pids) == len(before) and not {*pids} & {*before} and hub.is_ready()

    wait_for("other workers", are_others)


def restart_nginx_of_hub(stack: Stack) -> None:
    """Cut all connections between the app and the hub."""
    stack.hub.restart_nginx()


def restart_nginx_of_app(stack: Stack) -> None:
    """Cut all connections between the browsers and the app."""
    stack.front.stop()
    stack.front.start()


def restart_valkey(stack: Stack) -> None:
    """Have the history away for a moment; the hub must notice, and recover."""
    stack.valkey.stop()
    wait_for("a hub without history", lambda: not stack.hub.is_ready())
    stack.valkey.start()
    wait_for("the hub", stack.hub.is_ready)


# Each returns once it is over.
FAULTS: list[Callable[[Stack], None]] = [
    kill_the_other_process,
    kill_workers,
    reload_hub,
    restart_nginx_of_hub,
    restart_nginx_of_app,
    restart_valkey,
]


def assert_whole(page: ChatPage, whole: str = WHOLE) -> Look:
    """Wait for the end; the whole answer was shown once, and no word of it was shown again."""
    seen = page.wait_for_status("done")
    assert seen.prompt == PROMPT
    assert seen.answer == "".join(seen.pieces) == whole
    assert seen.offers == ["send"]
    assert seen.complaints == []
    return seen


def test_both_tabs_have_the_whole_answer_once_over_a_reload_and_one_fault_after_another(
    stack: Stack, chat: Chat, figure: Callable[[str], None]
) -> None:
    first = chat.open(tokens=FAULTY_TOKENS)
    first.ask(PROMPT)
    first.wait_for_words(40)
    first.tab.reload()
    first.wait_for_words(70)
    second = chat.open()
    second.wait_for_words(70)
    pages = (first, second)
    for fault in FAULTS:
        fault(stack)
        shown = max(len(page.look().answer.split()) for page in pages)
        for page in pages:
            seen = page.wait_for_words(shown + MORE_WORDS)
            # A fault shows nothing about an answer that is over.
            assert seen.status != "done", fault
    figure(f"the last fault was over at word {shown} of {FAULTY_TOKENS}")
    for page in pages:
        assert_whole(page, FAULTY)


def test_a_page_that_is_loaded_after_the_end_shows_the_whole_and_stops_at_the_204(
    chat: Chat,
) -> None:
    page = chat.open()
    page.ask(PROMPT)
    assert_whole(page)
    page.wait_for_ended_stream()
    assert chat.stream_statuses() == [200, 204]
    page.tab.reload()
    assert_whole(page)
    page.wait_for_ended_stream()
    assert chat.stream_statuses() == [200, 204, 200, 204]


def test_a_stop_in_the_second_tab_ends_the_answer_in_both(chat: Chat) -> None:
    first = chat.open(tokens=LONG_TOKENS)
    first.ask(PROMPT)
    first.wait_for_words(40)
    second = chat.open()
    second.wait_for_words(45)
    second.press("stop")
    pages = (first, second)
    shown = [page.wait_for_status("stopped") for page in pages]
    [answer] = {seen.answer for seen in shown}
    assert LONG.startswith(answer)
    assert answer != LONG
    for page, seen in zip(pages, shown, strict=True):
        assert "".join(seen.pieces) == answer
        assert seen.offers == ["send", "again"]
        page.wait_for_ended_stream()
    # Nothing was written after the end.
    assert [page.look().answer for page in pages] == [answer, answer]


def test_tabs_are_told_within_10_seconds_that_the_process_was_killed_and_can_start_again(
    stack: Stack, chat: Chat, figure: Callable[[str], None]
) -> None:
    first = chat.open(tokens=LONG_TOKENS)
    first.ask(PROMPT)
    first.wait_for_words(40)
    second = chat.open()
    second.wait_for_words(45)
    os.kill(runner(stack.app), signal.SIGKILL)
    killed_at = time.monotonic()
    for page in (first, second):
        left_seconds = killed_at + TOLD_SECONDS - time.monotonic()
        seen = page.wait_for_status("interrupted", left_seconds)
        assert seen.offers == ["send", "again"]
        assert LONG.startswith(seen.answer)
        assert "".join(seen.pieces) == seen.answer
    figure(f"both tabs were told after {time.monotonic() - killed_at:.1f} s")
    # It is asked for so many tokens as the second tab's address says.
    second.press("again")
    second.wait_for("the next answer", lambda seen: seen.status == "done")
    # The first tab gets it with a reload.
    first.tab.reload()
    assert_whole(first)
    assert second.look().answer == WHOLE


def test_a_page_that_is_loaded_while_the_hub_is_away_follows_once_it_is_back(
    stack: Stack, chat: Chat
) -> None:
    page = chat.open()
    page.ask(PROMPT)
    assert_whole(page)
    stack.hub.stop()
    try:
        refused = stack.app.log.count("503")
        page.tab.reload()
        wait_for("a refusal", lambda: stack.app.log.count("503") > refused)
    finally:
        stack.hub.start()
    assert_whole(page)


def test_another_user_gets_nothing_of_a_chat_by_its_name(chat: Chat) -> None:
    page = chat.open(tokens=LONG_TOKENS)
    page.ask(PROMPT)
    page.wait_for_words(10)
    with httpx.Client(base_url=chat.site) as stranger:
        assert stranger.get(chat.path).status_code == 401
        # The page gives a stranger a name of their own.
        stranger.get("/").raise_for_status()
        assert stranger.get(chat.path).status_code == 404
        assert stranger.get(f"{chat.path}/stream").status_code == 204
        assert stranger.delete(chat.path).json() == {"stopped": False}
    page.press("stop")
    page.wait_for_status("stopped")
