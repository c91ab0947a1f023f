"""Runs: started once for a key, followed by any number of clients, stopped from any process."""

import asyncio
import os
import secrets
import socket
from contextlib import nullcontext
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from barestream.mercure.reserved import FOLLOWED_TYPE, STOP_TYPE
from barestream.mercure.run_topics import is_dots
from barestream.runs.answer import (
    NOTHING_HEADERS,
    Answer,
    Bodies,
    client_of,
    last_event_id,
    nothing,
)
from barestream.runs.control import Control
from barestream.runs.followers import Followers
from barestream.runs.following import Follower, Following
from barestream.runs.formats import Format, writer
from barestream.runs.hub import Claim, Claimed, Hub, HubAwayError
from barestream.runs.run import ClosedError, Run, Status, is_end_id
from barestream.runs.runner import (
    CLEANUP_SECONDS,
    LEASE_SECONDS,
    Factory,
    Options,
    Runner,
    Snapshot,
)

if TYPE_CHECKING:
    from barestream.runs.http_hub import Token

# How often a start is tried while the hub does not answer. A page waits for it: these tries span
# about a second, in which a client's connection comes to another worker than one that stops.
_START_TRIES = 5
_START_PAUSE_SECONDS = 0.2

# How often the hub is asked whether a run has stopped. Each second it is told again, because a
# runner that was not connected did not hear it.
_STOP_POLL_SECONDS = 0.1
_STOP_AGAIN_POLLS = 10


class Runs:
    """The runs of an app, seen from one of its processes.

    Args:
        hub: The hub's URL, such as ``http://127.0.0.1/.well-known/mercure``, or an adapter.
        publisher_token: For a URL: a token that may publish to the topics of runs, or a function
            that returns one.
        subscriber_token: For a URL: one that may read them; None for the same.
        lease_seconds: The hub ends a run as interrupted once its process was silent for so long, in
            whole seconds, at least 5.
        stop_without_followers_seconds: A run is stopped once nobody has followed it for so long by
            these Runs, in any process of the app; all of them need the same. None to run on.

    Raises:
        ValueError: A URL has no publisher_token.
    """

    def __init__(
        self,
        hub: str | Hub,
        publisher_token: "Token | None" = None,
        subscriber_token: "Token | None" = None,
        *,
        lease_seconds: int = LEASE_SECONDS,
        stop_without_followers_seconds: float | None = None,
    ) -> None:
        if isinstance(hub, str):
            if publisher_token is None:
                raise ValueError("Runs: a hub's URL needs a publisher_token")
            # It needs httpx, which a hub in the same process does not.
            from barestream.runs.http_hub import HttpHub  # noqa: PLC0415

            hub = HttpHub(hub, publisher_token, subscriber_token)
        self._hub = hub
        self._lease_seconds = lease_seconds
        # Nobody else has this name; the first parts tell an operator which process it is.
        self._name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(8)}"
        self._runners: dict[str, tuple[Runner, asyncio.Task[None]]] = {}
        self._starting: set[asyncio.Task[Run]] = set()
        self._bodies = Bodies()
        self._control: Control | None = None
        self._controlling: asyncio.Task[None] | None = None
        self._checking: asyncio.Task[bool] | None = None
        self._followers: Followers | None = None
        if stop_without_followers_seconds is not None:
            self._followers = Followers(hub, stop_without_followers_seconds, self._reachable_since)
        self._is_draining = False
        self._is_closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.drain(0)

    async def start(
        self,
        key: str,
        factory: Factory,
        *,
        snapshot: Snapshot | None = None,
        batch_seconds: float = 0.04,
        expires_seconds: float = 3600,
    ) -> Run:
        """Start a run, unless the key has one that is active.

        Of many starts at once, in any number of processes, one wins; the others get its run.

        Args:
            key: What the run is for, such as ``chat/42``.
            factory: Returns an async iterator of text, of objects or arrays of JSON, and of events
                with a type. It is called only if this start wins.
            snapshot: Returns what a late follower needs in place of all updates so far. It is
                called each time that the iterator has yielded some more.
            batch_seconds: How long text is collected before it is sent.
            expires_seconds: For how long the run can be followed after its end.

        Returns:
            The key's run; ``is_new`` says whether this call has started it. If all answers of the
            hub were lost for longer than the lease, it is this call's run, which is interrupted.

        Raises:
            HubAwayError: The hub does not answer. No run goes on: if the hub has taken the claim,
                it ends the run as interrupted.
            RefusedError: The hub refuses the claim.
            ClosedError: This process stops.
            ValueError: The key is . or .., which cannot be a part of a topic.
        """
        _check_key(key)
        if self._is_draining:
            raise ClosedError("this process stops, and starts no more runs")
        options = Options(batch_seconds, expires_seconds, self._lease_seconds, snapshot)
        claim = Claim(key, secrets.token_hex(16), self._name, self._lease_seconds, expires_seconds)
        starting = asyncio.create_task(self._start(claim, factory, options))
        self._starting.add(starting)
        starting.add_done_callback(self._starting.discard)
        # A caller that is cancelled, because its client has left, would leave a run without a
        # generator.
        return await asyncio.shield(starting)

    async def follow(
        self,
        request: Any,
        run: Run | str,
        *,
        format: Format = "sse",  # noqa: A002 (the name that callers expect)
        from_snapshot: bool = False,
    ) -> Answer:
        """Return the answer to a client that follows a run; it never starts one.

        Who may follow is for the caller to check.

        Args:
            request: A request of Starlette, FastAPI, Django (ASGI) or bareASGI, or an ASGI scope.
            run: A key, or the run that ``start`` has returned.
            format: ``sse`` for an EventSource, which comes back with its last id; ``ai-sdk`` for
                the AI SDK's ``useChat``, which gets all from the first chunk on. For a key whose
                run has ended, the AI SDK gets 204: the app's own messages have the whole answer.
            from_snapshot: Whether a client without an id begins with the newest snapshot.

        Raises:
            HubAwayError: The hub does not answer.
            LostError: The hub refuses the tokens.
            ClosedError: This process has stopped.
            TypeError: The request is of another kind.
            ValueError: As with start.
        """
        self._check_open()
        writing = writer(format)
        cursor = last_event_id(request) if writing.takes_cursor else None
        found = await self.get(run) if isinstance(run, str) else run
        if found is None or not (found.is_active or writing.takes_cursor or found is run):
            return _nothing()
        if cursor is not None and is_end_id(cursor):
            if cursor == found.end_event_id:
                return _nothing()
            # It is of a run before, and no place in the history.
            cursor = None
        follower = Follower(cursor, from_snapshot, writing.takes_cursor, client_of(request))
        following = Following(self._hub, found, follower)
        events = following.events()
        first = await anext(events)
        if following.has_seen_all:
            await events.aclose()
            return _nothing()
        counting = self._followers.following(found) if self._followers else nullcontext()
        body = self._bodies.body(first, events, writing, counting)
        return Answer(200, writing.headers, body, writing.takes_cursor)

    async def get(self, key: str) -> Run | None:
        """Return the newest run of a key; None if there is none, or its time is over.

        Raises:
            HubAwayError: The hub does not answer.
            ClosedError: This process has stopped.
            ValueError: As with start.
        """
        _check_key(key)
        self._check_open()
        return await self._hub.run(key)

    async def stop(self, key: str) -> bool:
        """Stop a key's run, and wait until it has ended.

        Its generator is cancelled where it waits, and its cleanup runs, in whichever process it is.
        If that process has died, the lease ends the run.

        Returns:
            Whether a run was active.

        Raises:
            HubAwayError: The hub does not answer.
            TimeoutError: The run has not ended: its process does not hear of the stop.
            ClosedError: This process has stopped.
            ValueError: As with start.
        """
        run = await self.get(key)
        if run is None or not run.is_active:
            return False
        polls = 0
        async with asyncio.timeout(CLEANUP_SECONDS + 2 * self._lease_seconds):
            while True:
                if run.id in self._runners:
                    runner, task = self._runners[run.id]
                    runner.cancel(Status.STOPPED)
                    await asyncio.wait([task])
                elif polls % _STOP_AGAIN_POLLS == 0:
                    await self._hub.ask_to_stop(key, run.id)
                found = await self.get(key)
                if found is None or found.id != run.id or not found.is_active:
                    return True
                polls += 1
                await asyncio.sleep(_STOP_POLL_SECONDS)

    async def drain(self, seconds: float) -> None:
        """End what this process does for runs, because it stops; start none any more.

        Its runs may end within so many seconds. Then they are cancelled, and end as interrupted.
        The followers here are let go; they come back to another process.
        """
        self._is_draining = True
        if self._starting:
            await asyncio.wait(self._starting)
        tasks = [task for _, task in self._runners.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
        for runner, _ in tuple(self._runners.values()):
            runner.cancel(Status.INTERRUPTED)
        # While the hub does not answer, the lease ends them.
        tasks = [task for _, task in self._runners.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=CLEANUP_SECONDS + self._lease_seconds)
        for task in tasks:
            task.cancel()
        self._bodies.drain()
        if self._followers is not None:
            self._followers.close()
        controlling = [work for work in (self._controlling, self._checking) if work is not None]
        for work in controlling:
            work.cancel()
        if ending := [*tasks, *controlling]:
            await asyncio.wait(ending)
        self._is_closed = True
        await self._hub.aclose()

    async def _start(self, claim: Claim, factory: Factory, options: Options) -> Run:
        claimed = await self._claimed(claim)
        if claimed.fence is None:
            return claimed.run
        if self._control is None:
            self._control = Control(self._hub, claimed.control, self._hear)
            self._controlling = asyncio.create_task(self._control.run())
        if self._checking is None or (self._checking.done() and not self._checking.result()):
            self._checking = asyncio.create_task(self._control.check(claimed.run))
        run = replace(claimed.run, is_new=True)
        runner = Runner(self._hub, run, claimed.fence, factory, options)
        task = asyncio.create_task(runner.work())
        self._runners[run.id] = runner, task
        task.add_done_callback(lambda _: self._runners.pop(run.id))
        if self._followers is not None:
            watching = asyncio.create_task(self._stop_without(self._followers, runner))
            task.add_done_callback(lambda _: watching.cancel())
        return run

    async def _claimed(self, claim: Claim) -> Claimed:
        for tries in range(1, _START_TRIES + 1):
            try:
                return await self._hub.claim(claim)
            except HubAwayError:
                if tries == _START_TRIES:
                    raise
            await asyncio.sleep(_START_PAUSE_SECONDS)
        raise AssertionError

    def _check_open(self) -> None:
        if self._is_closed:
            raise ClosedError("this process has stopped, and asks the hub for no more runs")

    def _hear(self, kind: str, run_id: str) -> None:
        """Do what another process asks for."""
        if kind == STOP_TYPE and run_id in self._runners:
            self._runners[run_id][0].cancel(Status.STOPPED)
        elif kind == FOLLOWED_TYPE and self._followers is not None:
            self._followers.heard(run_id)

    def _reachable_since(self) -> float | None:
        return self._control.connected_since if self._control else None

    async def _stop_without(self, followers: Followers, runner: Runner) -> None:
        await followers.left(runner.run)
        runner.cancel(Status.STOPPED)


def _nothing() -> Answer:
    return Answer(204, NOTHING_HEADERS, nothing())


def _check_key(key: str) -> None:
    if is_dots(key):
        raise ValueError(f"key: {key} cannot be a part of a topic")
