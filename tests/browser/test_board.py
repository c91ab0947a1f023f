"""A board of orders in Chromium and Firefox, whose rows are kept values; it names none."""

import json
import os
import signal
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import httpx

from support.clients.publisher import PATH, token
from support.servers.service import Service, wait_for

ROWS = 500
ARRAY = 100

URL = f"{PATH}?{urlencode({'topic': '/orders/{id}', 'rewind': 'kept', 'include': 'topic'})}"

# A row is the topic and the data of its last update; the topic is in the id.
SCRIPT = """(() => {
    window.stream?.close();
    window.board = {};
    window.messages = 0;
    window.gaps = 0;
    window.opened = 0;
    window.stream = new EventSource(%s);
    window.stream.onopen = () => { window.opened += 1; };
    window.stream.onmessage = (message) => {
        window.messages += 1;
        const topic = decodeURIComponent(message.lastEventId.split(";")[1]);
        window.board[topic] = message.data;
    };
    window.stream.addEventListener("barestream.gap", () => { window.gaps += 1; });
    return true;
})()"""

Evaluate = Callable[[str], Any]


def publish(hub: Service, rows: dict[str, str]) -> None:
    """Publish rows, each as the kept value of its topic."""
    updates = [{"topic": topic, "data": data, "keep": 3600} for topic, data in rows.items()]
    headers = {"Authorization": f"Bearer {token()}"}
    for start in range(0, len(updates), ARRAY):
        answer = httpx.post(
            hub.url + PATH, json=updates[start : start + ARRAY], headers=headers, timeout=30
        )
        assert answer.status_code == 200, answer.text


def cut(hub: Service) -> None:
    """Kill the workers, and wait until others answer."""
    killed = hub.workers()
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    wait_for(
        "other workers",
        lambda: len({*hub.workers()} - {*killed}) == len(killed) and hub.is_ready(),
    )


def test_a_board_is_whole_at_load_and_after_a_cut_and_has_each_change_once(
    hub: Service, evaluate: Evaluate
) -> None:
    rows = {f"/orders/{number}": f"new {number}" for number in range(ROWS)}
    publish(hub, rows)

    def shows(count: int) -> None:
        """Wait until the page shows the rows after so many messages."""
        wait_for("the board", lambda: json.loads(evaluate("JSON.stringify(board)")) == rows)
        assert evaluate("[messages, gaps]") == [count, 0]

    def change(numbers: range, state: str) -> None:
        changed = {f"/orders/{number}": f"{state} {number}" for number in numbers}
        rows.update(changed)
        publish(hub, changed)

    assert evaluate(SCRIPT % json.dumps(URL))
    shows(ROWS)
    change(range(50), "paid")
    shows(ROWS + 50)
    cut(hub)
    change(range(25, 75), "sent")
    wait_for("the stream", lambda: evaluate("opened") > 1)
    shows(ROWS + 100)
    change(range(100), "done")
    shows(ROWS + 200)
    # One that begins anew is whole at once too.
    assert evaluate(SCRIPT % json.dumps(URL))
    shows(ROWS)
