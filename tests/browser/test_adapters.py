"""The client's adapters as its README shows them, with the real libraries in real browsers."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from client_site import ClientSite, samples
from support.servers.service import wait_for
from tab import Tab

# By the name of the entry: where the README has the component, and its file's name.
COMPONENTS = {
    "react.jsx": (("React", "jsx", 0), "sample.jsx"),
    "vue.js": (("Vue", "vue", 0), "sample.vue"),
    "svelte.js": (("Svelte", "svelte", 0), "sample.svelte"),
}

# A cursor that no hub has reached: its clock must have gone back.
LATER_THAN_ALL = "#9795366712345-0"


@pytest.fixture(scope="module", params=COMPONENTS)
def page(request: pytest.FixtureRequest, site: ClientSite) -> str:
    """Return the address of a page with the README's component, in each framework."""
    sample, name = COMPONENTS[request.param]
    (site.project / name).write_text(samples()[sample])
    return site.add(request.param.partition(".")[0], request.param)


def wait_for_value(tab: Tab, expression: str, expected: Any) -> None:
    """Wait until an expression in the page has a value."""
    value = None

    def is_there() -> bool:
        nonlocal value
        value = tab.evaluate(expression)
        return bool(value == expected)

    try:
        wait_for(expression, is_there)
    except AssertionError as error:
        error.add_note(f"it is {value!r}, not {expected!r}")
        raise


ROWS = '[...document.querySelectorAll("li")].map((row) => row.textContent)'
HEADING = 'document.querySelector("h1")?.textContent'
COUNT = 'document.querySelector("#count")?.textContent'


@pytest.fixture
def tab(new_tab: Callable[[], Tab], site: ClientSite) -> Iterator[Tab]:
    """Return a tab; at the end its page has left the hub."""
    opened = new_tab()
    yield opened
    opened.open("about:blank")
    wait_for("the end of all streams", lambda: site.streams() == 0)


def test_a_component_shows_events_and_the_state_and_lets_go_when_it_is_unmounted(
    site: ClientSite, page: str, tab: Tab
) -> None:
    # As many as the rewind has: what an earlier test published is not among them.
    before = [f"order {number}" for number in range(10)]
    for data in before:
        site.publish("/orders", data)
    tab.open(page)
    wait_for_value(tab, ROWS, before)
    wait_for_value(tab, HEADING, "Orders (live)")
    wait_for_value(tab, COUNT, "0")
    site.publish("/orders", "the next")
    wait_for_value(tab, ROWS, [*before, "the next"])
    wait_for_value(tab, COUNT, "1")
    tab.evaluate("unmount() ?? null")
    wait_for("the end of all streams", lambda: site.streams() == 0)
    site.publish("/orders", "while it was away")
    tab.evaluate("mount() ?? null")
    wait_for_value(tab, ROWS, [*before[2:], "the next", "while it was away"])
    wait_for_value(tab, HEADING, "Orders (live)")
    wait_for_value(tab, COUNT, "0")


@pytest.mark.parametrize("page", ["react.jsx", "vue.js"], indirect=True)
def test_a_component_follows_another_topic_and_calls_the_newest_callback(
    site: ClientSite, page: str, tab: Tab
) -> None:
    tab.open(page)
    wait_for_value(tab, HEADING, "Orders (live)")
    site.publish("/first", "a")
    wait_for_value(tab, "told", ["0 a"])
    wait_for_value(tab, "counted", 1)
    site.publish("/first", "b")
    wait_for_value(tab, "told", ["0 a", "1 b"])
    tab.evaluate('watch("/second") ?? null')
    wait_for_value(tab, "followed", "/second")
    # It is live again when it tells an update that comes after the change.
    sent = 0

    def is_told() -> bool:
        nonlocal sent
        site.publish("/first", "no more")
        site.publish("/second", f"c{sent}")
        sent += 1
        return len(tab.evaluate("told")) > 2

    wait_for("an event of the other topic", is_told)
    assert tab.evaluate("told.slice(2).every((each) => / c[0-9]+$/.test(each))")


def test_turbo_streams_change_the_page_while_their_source_is_in_it(
    site: ClientSite, tab: Tab
) -> None:
    (site.project / "sample.js").write_text(samples()["Turbo Streams", "js", 0])
    body = samples()["Turbo Streams", "html", 0]
    cursor = site.publish("/orders", "before the page was made")

    def append(row: str) -> str:
        return (
            '<turbo-stream action="append" target="orders">'
            f"<template><li>{row}</li></template></turbo-stream>"
        )

    site.publish("/orders", append("between the page and the stream"))
    tab.open(site.add("turbo", "turbo.js", body.replace("#1795366712345-0", cursor)))
    shown = ["between the page and the stream"]
    wait_for_value(tab, ROWS, shown)
    site.publish("/orders", append("tea"))
    wait_for_value(tab, ROWS, [*shown, "tea"])
    # As a visit of Turbo does that leads to a page without it.
    tab.evaluate('document.querySelector("hub-stream-source").remove() ?? null')
    wait_for("the end of all streams", lambda: site.streams() == 0)


def test_turbo_refreshes_the_page_after_a_gap(site: ClientSite, tab: Tab) -> None:
    (site.project / "sample.js").write_text(samples()["Turbo Streams", "js", 0])
    tab.open(site.add("gap", "turbo.js"))
    wait_for_value(tab, "globalThis.renders", 0)
    element = f'<hub-stream-source topic="/orders" from="{LATER_THAN_ALL}"></hub-stream-source>'
    tab.evaluate(f"document.body.insertAdjacentHTML('beforeend', {json.dumps(element)}) ?? null")
    # The refreshed page does not have the element.
    wait_for_value(tab, "globalThis.renders", 1)
    wait_for("the end of all streams", lambda: site.streams() == 0)
