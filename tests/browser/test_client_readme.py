"""The samples of the client's README that are no component: each runs as it is printed."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import jwt
import pytest

from client_site import ClientSite, samples
from support.clients.publisher import KEY, PATH, token
from support.servers.programs import path_of
from support.servers.service import ROOT, wait_for
from tab import Tab

HERE = [
    ("Install", "html", 0),
    ("Install", "sh", 0),
    ("Subscribe", "js", 0),
    ("Subscribe", "js", 1),
    ("State first", "js", 0),
    ("Tokens", "js", 0),
    ("Who is there", "js", 0),
    ("Node.js", "js", 0),
]

IN_OTHER_FILES = {
    "test_adapters.py": [
        ("React", "jsx", 0),
        ("Vue", "vue", 0),
        ("Svelte", "svelte", 0),
        ("Turbo Streams", "js", 0),
        ("Turbo Streams", "html", 0),
    ],
    "test_chat_transport.py": [("The AI SDK's useChat", "jsx", 0)],
}

# What a sample prints is kept for the test.
KEEP_PRINTED = """<script>
  globalThis.printed = [];
  console.log = (...given) => printed.push(given.join(" "));
</script>"""


@pytest.fixture
def open_sample(site: ClientSite, new_tab: Callable[[], Tab]) -> Iterator[Callable[..., Tab]]:
    """Return a function that opens a page with a sample of JavaScript."""
    tab = new_tab()

    def opened(heading: str, number: int = 0) -> Tab:
        name = f"{heading.split(maxsplit=1)[0].lower()}-{number}"
        (site.project / f"{name}.js").write_text(samples()[heading, "js", number])
        tab.open(site.add(name, f"{name}.js", KEEP_PRINTED))
        return tab

    yield opened
    # Else its stream would go on in the next test.
    tab.open("about:blank")
    wait_for("the end of all streams", lambda: site.streams() == 0)


def wait_for_printed(tab: Tab, *lines: str) -> None:
    """Wait until the sample has printed these lines last, in this order."""
    printed: list[str] = []

    def is_there() -> bool:
        printed[:] = tab.evaluate("printed")
        return printed[-len(lines) :] == list(lines)

    try:
        wait_for(f"{lines}", is_there)
    except AssertionError as error:
        error.add_note(f"printed: {printed}")
        raise


def test_each_sample_is_run() -> None:
    elsewhere = [sample for each in IN_OTHER_FILES.values() for sample in each]
    assert sorted(samples()) == sorted([*HERE, *elsewhere])


def test_a_page_without_a_build_shows_events(site: ClientSite, new_tab: Callable[[], Tab]) -> None:
    tab = new_tab()
    site.publish("/orders", "tea")
    tab.open(site.add_plain("plain", samples()["Install", "html", 0]))
    rows = '[...document.querySelectorAll("li")].map((row) => row.textContent).at(-1) ?? null'
    wait_for("the row", lambda: tab.evaluate(rows) == "tea")
    site.publish("/orders", "cup")
    wait_for("the next row", lambda: tab.evaluate(rows) == "cup")
    tab.open("about:blank")
    wait_for("the end of all streams", lambda: site.streams() == 0)


def test_the_command_installs_the_package(tmp_path: Path) -> None:
    (tmp_path / "barestream").symlink_to(ROOT)
    project = tmp_path / "project"
    project.mkdir()
    (project / "package.json").write_text('{"type": "module"}')
    # It needs no registry: there is nothing else to install.
    quiet = {"npm_config_offline": "true", "npm_config_audit": "false", "npm_config_fund": "false"}
    path_of("npm", "npm")
    subprocess.run(
        ["sh", "-c", samples()["Install", "sh", 0]],
        cwd=project,
        env={**os.environ, **quiet},
        timeout=60,
        check=True,
        capture_output=True,
    )
    program = "import { connect } from 'barestream'; console.log(typeof connect)"
    command = [path_of("node", "nodejs"), "--input-type=module", "--eval", program]
    assert subprocess.check_output(command, cwd=project, text=True, timeout=60) == "function\n"


def test_events_and_states_are_printed(site: ClientSite, open_sample: Callable[..., Tab]) -> None:
    site.publish("/orders", "1")
    tab = open_sample("Subscribe")
    wait_for("live", lambda: "live " in tab.evaluate("printed"))
    assert "/orders 1" in tab.evaluate("printed")
    site.publish("/notices", "2")
    wait_for_printed(tab, "/notices 2")


def test_a_loop_takes_events_one_after_another(
    site: ClientSite, open_sample: Callable[..., Tab]
) -> None:
    site.publish("/orders", "kept", keep="60")
    tab = open_sample("Subscribe", 1)
    wait_for_printed(tab, "kept")
    site.publish("/orders", "next")
    wait_for_printed(tab, "kept", "next")


def test_a_state_is_brought_up_to_date(site: ClientSite, open_sample: Callable[..., Tab]) -> None:
    cursor = site.publish("/orders", '{"id": 1}')
    state = {"state": [{"id": 1}], "cursor": cursor}
    (site.pages / "orders.json").write_text(json.dumps(state))
    site.publish("/orders", '{"id": 2}')
    tab = open_sample("State first")
    wait_for_printed(tab, "1 orders", "2 orders")
    site.publish("/orders", '{"id": 3}')
    wait_for_printed(tab, "1 orders", "2 orders", "3 orders")


def test_a_token_lets_a_page_publish_and_read_what_is_private(
    site: ClientSite, open_sample: Callable[..., Tab]
) -> None:
    (site.pages / "token.txt").write_text(token())
    tab = open_sample("Tokens")
    seen = '{"text":"Hello"}'
    wait_for("the id", lambda: [line for line in tab.evaluate("printed") if line != seen])
    tab.evaluate("printed.splice(0)")

    # The sample's own update may come before its stream is there.

    def is_told() -> bool:
        site.publish("/users/anna", seen, private="on")
        return seen in tab.evaluate("printed")

    wait_for("a private update", is_told)


def test_a_page_sees_who_is_there(site: ClientSite, open_sample: Callable[..., Tab]) -> None:
    rights = {"subscribe": ["/rooms/1", f"{PATH}/presence/%2Frooms%2F1"]}
    of_anna, of_ben = (
        jwt.encode({"sub": name, "mercure": {**rights, "payload": name.title()}}, KEY)
        for name in ("anna", "ben")
    )
    (site.pages / "token.txt").write_text(of_anna)
    tab = open_sample("Who is there")
    wait_for("oneself", lambda: "here: anna" in tab.evaluate("printed"))
    with httpx.stream(
        "GET",
        site.hub.url + PATH,
        params={"topic": "/rooms/1"},
        headers={"Authorization": f"Bearer {of_ben}"},
    ):
        wait_for("another one", lambda: "ben has come Ben" in tab.evaluate("printed"))
    assert tab.evaluate("printed[0]") == "0"


def test_node_takes_events(site: ClientSite) -> None:
    # A kept value of another test would come before it.
    site.publish("/orders", "for Node", keep="60")
    entry = site.project / "on-node.js"
    entry.write_text(samples()["Node.js", "js", 0])
    done = subprocess.run(
        [path_of("node", "nodejs"), entry],
        env={**os.environ, "HUB": site.hub.url + PATH},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("for Node\n", "", 0)
