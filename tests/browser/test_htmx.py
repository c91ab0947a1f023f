"""examples/htmx in Chromium and Firefox, started as its README says."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from example_page import ExamplePage, take_pictures
from support.servers.example import Example
from support.servers.programs import path_of
from support.servers.service import Service, wait_for
from tab import Tab


@pytest.fixture
def questions(local_hub: Service) -> Iterator[Example]:
    """Return the example, in which nobody has asked anything."""
    path_of("npm", "npm")
    with Example("htmx", local_hub) as running:
        yield running


def ask(page: ExamplePage, question: str) -> None:
    """Ask something, as a person does."""
    page.fill("[name=text]", question)
    page.press("form button")
    wait_for(question, lambda: question in page.texts("#questions span"))
    wait_for("an empty field", lambda: page.tab.evaluate("document.forms[0].text.value === ''"))


def vote(page: ExamplePage, question: str, votes: int = 1) -> None:
    """Give a question that has no votes so many, one after another."""
    for count in range(1, votes + 1):
        page.press(f'#questions button[aria-label="Vote for: {question}"]')
        row = f"▲ {count} {question}"
        wait_for(row, partial(page.shows, "#questions li", row))


def wait_for_list(page: ExamplePage, *rows: str) -> None:
    """Wait until a page shows these questions with their votes, in this order."""
    wait_for(f"{rows}", lambda: page.texts("#questions li") == list(rows))


def test_each_page_shows_what_the_server_rendered_and_its_buttons_work(
    questions: Example, new_tab: Callable[[], Tab]
) -> None:
    first, second = (ExamplePage(new_tab(), questions.url) for _ in range(2))
    for page in (first, second):
        page.wait_for_state("live")
    ask(first, "Why <b>one</b> stream?")
    ask(first, "What is a gap?")
    wait_for_list(second, "▲ 0 Why <b>one</b> stream?", "▲ 0 What is a gap?")
    # This button came with an event.
    vote(second, "What is a gap?")
    for page in (first, second):
        wait_for_list(page, "▲ 1 What is a gap?", "▲ 0 Why <b>one</b> stream?")
    late = ExamplePage(new_tab(), questions.url)
    wait_for_list(late, "▲ 1 What is a gap?", "▲ 0 Why <b>one</b> stream?")
    assert [page.complaints for page in (first, second, late)] == [[], [], []]


def test_the_page_looks_as_in_the_manual(
    questions: Example, chromium: Browser, screenshots: Path
) -> None:
    asked = {
        "Does a page miss something while its laptop sleeps?": 3,
        "Who may read a private update?": 2,
        "How many tabs share one stream?": 0,
    }

    def prepare(page: ExamplePage) -> None:
        for question, votes in asked.items():
            ask(page, question)
            vote(page, question, votes)
        rows = [f"▲ {votes} {question}" for question, votes in asked.items()]
        wait_for_list(page, *rows)

    take_pictures(chromium, ExamplePage, questions.url, screenshots / "htmx", prepare)
