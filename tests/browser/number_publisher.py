"""A publisher of numbers in their order, and the judge of who was told which."""

import json
import secrets
import threading
import time
from collections.abc import Sequence
from typing import NamedTuple

import httpx

from support.clients.publisher import PATH, token
from support.servers.service import PATIENCE_SECONDS, Answering, wait_for

_TRY_AGAIN_SECONDS = 0.1


class NumberPublisher:
    """Posts one number after the other in a thread, each until it is accepted.

    Args:
        hub: Where it posts them.
        topics: They take turns.
        per_second: How many it posts.
        user: Whose they are; then they are private.

    Attributes:
        count: How many numbers were accepted; so the next number.
    """

    def __init__(
        self,
        hub: Answering,
        topics: Sequence[str] = ("/numbers",),
        per_second: float = 20,
        user: str | None = None,
    ) -> None:
        self.count = 0
        self._hub = hub
        self._topics = topics
        self._each_seconds = 1 / per_second
        self._user = user
        self._run = secrets.token_hex(4)
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._post_all)
        self._error: Exception | None = None

    def __enter__(self) -> "NumberPublisher":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> int:
        """Let the number that is under way be accepted; return the last."""
        self._ends.set()
        self._thread.join(PATIENCE_SECONDS)
        assert not self._thread.is_alive(), f"number {self.count} is not accepted"
        if self._error:
            raise self._error
        return self.count - 1

    def wait_for(self, count: int) -> None:
        """Wait until so many more numbers are accepted."""
        wanted = self.count + count
        wait_for(f"{count} numbers", lambda: self.count >= wanted)

    def _post_all(self) -> None:
        headers = {"Authorization": f"Bearer {token()}"}
        with httpx.Client(base_url=self._hub.url, headers=headers, timeout=10) as client:
            due_at = time.monotonic()
            while not self._ends.wait(max(0.0, due_at - time.monotonic())):
                try:
                    while not self._is_accepted(client):
                        time.sleep(_TRY_AGAIN_SECONDS)
                except Exception as error:
                    self._error = error
                    return
                self.count += 1
                # What an outage held up does not come in a burst.
                due_at = max(due_at + self._each_seconds, time.monotonic())

    def _is_accepted(self, client: httpx.Client) -> bool:
        form = {
            "topic": self._topics[self.count % len(self._topics)],
            "data": json.dumps({"number": self.count, "user": self._user}),
            # So that the same number may be sent again.
            "id": f"urn:numbers:{self._run}/{self.count}",
        }
        if self._user:
            form["private"] = "on"
        try:
            answer = client.post(PATH, data=form)
        except httpx.TransportError:
            return False
        assert answer.status_code in (200, 502, 503), answer.text
        return answer.status_code == 200


class Verdict(NamedTuple):
    """What was wrong with the numbers that somebody was told; empty where nothing was."""

    lost: list[int]
    twice: list[int]
    disordered: list[int]


def judge(told: Sequence[int], first: int, last: int) -> Verdict:
    """Return the verdict on who was owed the numbers from the first on, up to the last.

    Args:
        told: The numbers in the order in which they came.
        first: Where an earlier one came, everything after that one is owed.
        last: The last that was accepted.
    """
    begin = min([first, *told[:1]])
    seen: set[int] = set()
    twice, disordered = [], []
    furthest = -1
    for number in told:
        if number in seen:
            twice.append(number)
        elif number < furthest:
            disordered.append(number)
        seen.add(number)
        furthest = max(furthest, number)
    return Verdict([n for n in range(begin, last + 1) if n not in seen], twice, disordered)


NOTHING_WRONG = Verdict([], [], [])
