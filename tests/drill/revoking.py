"""The drill of revocation: streams of ten users, and users revoked before, in and after a drain."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from compose import Stack
from drill.findings import Findings, markdown
from drill.rollout import INSTANCES, begin, drain, switch
from drill.tab import Tab, token_of
from support.clients.operator import Operator
from support.clients.publisher import PATH

TOPIC = "https://drill.example/rooms/office"
USERS = 10
WORKERS = 2
ARRIVAL_SECONDS = 5

# For so long what others suffer is counted.
CALM_SECONDS = 3

# The drain ends streams of all users meanwhile.
INTO_DRAIN_SECONDS = 3

# What the hub promises (docs/guarantees.md).
ENDS_WITHIN_SECONDS = 1.0

MOST_SECONDS = 60


@dataclass
class Revoked:
    """What became of one user's streams, and of the others'.

    Attributes:
        when: In the table.
        streams: How many the user had open.
        ended: How many of them ended within the time that the hub promises.
        slowest_seconds: From the hub's answer to the end of the last of them.
        refused: How many of the user's tabs got 401.
        refused_seconds: From the hub's answer to the last of these 401.
        other_answers: Answers to the user's tabs that closed them, and were no 401.
        others_ended: How many streams of others ended within that time.
        others_refused: How many of the others were refused.
        late: How many of the user's streams were opened after the answer, by tabs that the drain
            had sent away, on a worker that did not know the revocation yet, and ended in time.
        returned: How many were open later than that.
    """

    when: str
    streams: int
    ended: int
    slowest_seconds: float
    refused: int
    refused_seconds: float
    other_answers: list[str]
    others_ended: int
    others_refused: int
    late: int
    returned: int


class RevocationDrill:
    """Runs it on a stack that serves.

    Args:
        stack: The containers.
        streams: How many streams there are.
        say: Told how it goes.
    """

    def __init__(self, stack: Stack, streams: int, say: Callable[[str], None]) -> None:
        self._stack = stack
        self._say = say
        self._tokens = [token_of(f"user {nth}", issued_at=time.time() - 60) for nth in range(USERS)]
        self._tabs = [
            Tab(stack.address, f"user {nth % USERS}", [TOPIC], self._tokens[nth % USERS])
            for nth in range(streams)
        ]
        self._operator = Operator(stack.url)
        self._rows: list[Revoked] = []
        self._found = Findings()

    async def run(self) -> Findings:
        """Revoke users while the release is rolled out onto itself."""
        for tab in self._tabs:
            tab.open()
            await asyncio.sleep(ARRIVAL_SECONDS / len(self._tabs))
        await self._await(lambda: all(tab.is_open for tab in self._tabs))
        await asyncio.to_thread(begin, self._stack, "green")
        await self._revoke_publisher()
        await self._revoke(0, "both apps run")
        await asyncio.to_thread(switch, self._stack, "green")
        draining = asyncio.create_task(asyncio.to_thread(drain, self._stack, "app"))
        await asyncio.sleep(INTO_DRAIN_SECONDS)
        await self._revoke(1, f"{INTO_DRAIN_SECONDS} s into the drain", is_calm=False)
        await draining
        await self._await(lambda: all(tab.is_open for tab in self._tabs if not tab.closed))
        await self._revoke(2, "after the rollout")
        await self._publish_as(0, ("green",))
        await self._log_in_again()
        self._found.table = self._table()
        await asyncio.gather(*(tab.close() for tab in self._tabs))
        self._operator.close()
        return self._found

    async def _revoke(self, nth: int, when: str, *, is_calm: bool = True) -> None:
        theirs = [tab for tab in self._tabs if tab.name == f"user {nth}"]
        others = [tab for tab in self._tabs if tab not in theirs and not tab.closed]
        visits_before = {id(tab): len(tab.visits) for tab in self._tabs}
        open_before = [tab for tab in theirs if tab.is_open]
        await asyncio.to_thread(self._operator.revoke, sub=f"user {nth}")
        answered_at = time.monotonic()
        await asyncio.sleep(CALM_SECONDS)
        await self._await(lambda: all(tab.closed for tab in theirs))
        ends = [tab.visits[visits_before[id(tab)]].ended_at - answered_at for tab in open_before]
        since = [visit for tab in others for visit in tab.visits[visits_before[id(tab)] :]]
        due_at = answered_at + ENDS_WITHIN_SECONDS
        opened = [
            visit
            for tab in theirs
            for visit in tab.visits
            if visit.began_at > answered_at and visit.status == 200
        ]
        answers = [answer for tab in theirs for answer in tab.closed]
        row = Revoked(
            when,
            len(open_before),
            sum(end <= ENDS_WITHIN_SECONDS for end in ends),
            max(ends, default=0),
            sum(answer.startswith("401") for answer in answers),
            max((tab.refused_at or answered_at) - answered_at for tab in theirs),
            [answer for answer in answers if not answer.startswith("401")],
            sum(visit.ended_at <= due_at for visit in since),
            sum(bool(tab.closed) for tab in others),
            sum(visit.ended_at <= due_at for visit in opened),
            sum(visit.ended_at > due_at for visit in opened),
        )
        self._say(str(row))
        self._rows.append(row)
        is_well = (
            row.ended == row.streams
            and row.refused == len(theirs)
            and not row.others_refused
            and not row.returned
            and not (is_calm and row.others_ended)
        )
        if not is_well:
            self._found.faults.append(str(row))

    async def _revoke_publisher(self) -> None:
        """Revoke one who only publishes, while workers of both apps take publishes."""
        services = tuple(INSTANCES)
        token = token_of("publisher", issued_at=time.time() - 60)
        found = await asyncio.to_thread(self._statuses, services, token)
        self._found.expect("publishes on each worker of both apps", found, [200] * 2 * WORKERS)
        await asyncio.to_thread(self._operator.revoke, sub="publisher")
        await asyncio.sleep(ENDS_WITHIN_SECONDS)
        found = await asyncio.to_thread(self._statuses, services, token)
        what = f"the same {ENDS_WITHIN_SECONDS:g} s after the publisher was revoked"
        self._found.expect(what, found, [401] * 2 * WORKERS)

    async def _publish_as(self, nth: int, services: Sequence[str]) -> None:
        found = await asyncio.to_thread(self._statuses, services, self._tokens[nth])
        what = f"publishes of user {nth} on each worker after the rollout"
        self._found.expect(what, found, [401] * WORKERS * len(services))

    async def _log_in_again(self) -> None:
        # A token of the same second as the request counts as before.
        token = token_of("user 2", issued_at=time.time() + 1)
        tab = Tab(self._stack.address, "user 2", [TOPIC], token)
        tab.open()
        await self._await(lambda: tab.is_open or bool(tab.closed))
        self._found.expect("a new login of a revoked user has a stream", tab.is_open, True)
        await tab.close()

    def _statuses(self, services: Sequence[str], token: str) -> list[int]:
        """Return the status of a publish on the own socket of each worker."""
        found = []
        for service in services:
            for slot in range(WORKERS):
                done = self._stack.exec(
                    *("nginx", "curl", "--silent", "--output", "/dev/null"),
                    *("--write-out", "%{http_code}", "--max-time", "10"),
                    *("--unix-socket", f"/run/barestream/{INSTANCES[service]}/{slot}.sock"),
                    *("--header", f"Authorization: Bearer {token}"),
                    *("--data-urlencode", f"topic={TOPIC}", f"http://inside{PATH}"),
                )
                found.append(int(done.stdout))
        return found

    async def _await(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + MOST_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                self._found.faults.append("revocation: what was waited for did not come")
                return
            await asyncio.sleep(0.02)

    def _table(self) -> str:
        heads = (
            *("One of ten users revoked", "streams", "ended within 1 s", "slowest end"),
            *(
                "got 401",
                "the last after",
                "opened and ended in that second",
                "returned",
                "streams of others ended in that second",
                "others refused",
            ),
        )
        rows = [
            (
                *(each.when, each.streams, each.ended, f"{each.slowest_seconds:.2f} s"),
                *(
                    each.refused,
                    f"{each.refused_seconds:.1f} s",
                    each.late,
                    each.returned,
                    each.others_ended,
                    each.others_refused,
                ),
            )
            for each in self._rows
        ]
        return markdown(heads, rows)
