"""Asks the sentinels of a Valkey where the primary is."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from valkey.exceptions import ConnectionError as LostError
from valkey.exceptions import ValkeyError

from barestream.history.broker import BrokerAwayError
from barestream.history.standing import Standing
from barestream.history.valkey.connections import Connections
from barestream.history.valkey.guide import Address
from barestream.history.valkey.sentinel_reports import Report, newest, questions, report

logger = logging.getLogger(__name__)

# How often the sentinels are asked. An answer takes each of them some 20 us.
WATCH_SECONDS = 1.0

# How long a sentinel may take. All are asked at once, and a sentinel that hangs holds up the
# others' answers for so long. A worker notices a failover within these two times.
SENTINEL_SECONDS = 1.0

# How long a sentinel that cannot be connected to is left alone. A name server that hangs holds a
# thread for some seconds at each attempt, and a worker has four threads for all names.
REST_SECONDS = 5.0


class Sentinels:
    """The guide to the primary of a service (see Guide).

    The client library's own class believes the first sentinel that answers, also one that was cut
    off and names an earlier primary. This asks all of them.

    Args:
        service: The name of the service, as the sentinels know it.
        asked: A connection to each of the sentinels, with SENTINEL_SECONDS for an answer.
        notify: Called with what is known whenever that changes.
    """

    def __init__(
        self, service: str, asked: Sequence[Connections], notify: Callable[[Standing], None]
    ) -> None:
        self._service = service
        self._asked = asked
        self._notify = notify
        self._known: Report | None = None
        # Those that could not be connected to: until when they rest, by the loop's clock, and why.
        self._resting: dict[Connections, tuple[float, str]] = {}
        self._followers: list[Callable[[], None]] = []
        self._looking = asyncio.Lock()
        self._watching: asyncio.Task[None] | None = None
        self._why = "the sentinels were not asked yet"
        self._is_silence_logged = False
        self._standing: Standing | None = None

    async def address(self) -> Address:
        """Return where the primary is (see Guide)."""
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._watch())
        if self._known is None:
            async with self._looking:
                if self._known is None:
                    await self._look()
        if self._known is None:
            raise LostError(f"no sentinel names the primary of {self._service}: {self._why}")
        return self._known.address

    def follow(self, moved: Callable[[], None]) -> None:
        """Have a function called whenever another server has become the primary."""
        self._followers.append(moved)

    async def close(self) -> None:
        """Ask no longer."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])
        for each in self._asked:
            await each.close()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            async with self._looking:
                await self._look()

    async def _look(self) -> None:
        """Ask all sentinels, and follow what they say."""
        answers = await asyncio.gather(*map(self._ask, self._asked))
        reports = [each for each in answers if isinstance(each, Report)]
        self._why = "; ".join(each for each in answers if isinstance(each, str))
        before, self._known = self._known, newest(reports, self._known, len(self._asked))
        self._note_silence(is_silent=not reports)
        primary = self._known.address if self._known else None
        named = None if primary is None else str(primary)
        standing = Standing(named, len(reports), len(self._asked))
        if standing != self._standing:
            self._standing = standing
            self._notify(standing)
        if before is None and primary is not None:
            logger.info("the sentinels name the primary", extra={"primary": named})
        elif before is not None and primary != before.address:
            logger.warning(
                "the primary has changed",
                extra={"primary": named, "before": str(before.address)},
            )
            for moved in self._followers:
                moved()

    async def _ask(self, sentinel: Connections) -> Report | str:
        """Return a sentinel's report, or why there is none."""
        now = asyncio.get_running_loop().time
        until, why = self._resting.get(sentinel, (now(), ""))
        if until > now():
            return why
        try:
            return report(await sentinel.ask(*questions(self._service)))
        except (BrokerAwayError, ValkeyError) as error:
            if isinstance(error, BrokerAwayError) and error.nothing_taken:
                self._resting[sentinel] = (now() + REST_SECONDS, str(error))
            return str(error)

    def _note_silence(self, *, is_silent: bool) -> None:
        if is_silent is self._is_silence_logged:
            return
        self._is_silence_logged = is_silent
        if not is_silent:
            logger.info("sentinels name a primary again")
        else:
            goes_on = self._known is not None
            logger.warning(
                "no sentinel names a primary: this worker goes on with the one that it knows"
                if goes_on
                else "no sentinel names a primary: this worker cannot reach the history",
                extra={"why": self._why},
            )
