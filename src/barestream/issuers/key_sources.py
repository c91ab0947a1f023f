"""Where the keys of an issuer come from: the settings, or the issuer itself."""

import asyncio
import logging
import random
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from barestream.issuers.fetch import ANSWER_SECONDS, NoKeysError
from barestream.mercure.keys import InvalidKeyError
from barestream.mercure.signatures import Keys
from barestream.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)

# Issuers publish a new key a while before they sign with it; identity providers let their sets be
# cached for minutes to a day.
REFRESH_SECONDS = 300.0

# A client that sends ever new key ids must not make the hub send as many requests.
LEAST_SECONDS = 60.0

# How many reads of one issuer may be under way: one that never ends must not stop the later ones,
# and an issuer that never ends any must not hold ever more threads.
MOST_THREADS = 3

# The pause after a failure; it doubles from the first to the longest one.
FIRST_RETRY_SECONDS = 1.0
MOST_RETRY_SECONDS = 60.0


@dataclass(frozen=True, slots=True, eq=False)
class StaticKeys:
    """Keys of the settings; they change only with a restart."""

    keys: Keys

    async def refresh(self) -> bool:
        """Return that the keys are the same."""
        return False


class FetchedKeys:
    """The JWKS at an issuer's URI, read again and again.

    As long as a read fails, the keys of the last one count.

    Args:
        issuer: The issuer's name in the log and the metrics.
        algorithm: The algorithm of the keys that name none of their own.
        fetch: Returns the JWKS's text, and blocks meanwhile; raises NoKeysError.
        now: A monotonic clock, in seconds.
        metrics: Where the outcome of each read is shown.

    Attributes:
        issuer: The issuer's name.
        keys: The issuer's keys; None as long as none were read.
        why: Why the last read failed; empty if it did not.
    """

    def __init__(
        self,
        issuer: str,
        algorithm: str,
        fetch: Callable[[], str],
        now: Callable[[], float],
        metrics: Metrics,
    ) -> None:
        self.keys: Keys | None = None
        self.issuer = issuer
        self._algorithm = algorithm
        self._fetch = fetch
        self._now = now
        self._current = metrics.issuer_current.labels(issuer)
        self._current.set(0)
        self._text = ""
        self.why = ""
        self._asked_at = -LEAST_SECONDS
        self._asking = asyncio.Lock()
        self._fetching = 0

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Read the keys again and again until cancelled."""
        retry_seconds = FIRST_RETRY_SECONDS
        while True:
            async with self._asking:
                await self._read()
            if self.why:
                await sleep(retry_seconds)
                retry_seconds = min(2 * retry_seconds, MOST_RETRY_SECONDS)
            else:
                retry_seconds = FIRST_RETRY_SECONDS
                # The workers and machines of a deployment do not ask all at the same time.
                await sleep(REFRESH_SECONDS * random.uniform(0.8, 1.2))  # noqa: S311

    async def refresh(self) -> bool:
        """Read the keys, unless they were read within LEAST_SECONDS; return whether they changed.

        Requests that ask for it at the same time wait for one read.
        """
        before = self.keys
        # A read needs a task; a request that has none becomes one when it waits.
        await asyncio.sleep(0)
        async with self._asking:
            if self.keys is before and self._now() - self._asked_at >= LEAST_SECONDS:
                await self._read()
        return self.keys is not before

    async def _read(self) -> None:
        self._asked_at = self._now()
        try:
            async with asyncio.timeout(2 * ANSWER_SECONDS):
                text = await self._fetched()
            if text != self._text:
                # Equal keys stay one object, so that the tokens that they verified stay remembered.
                self.keys, self._text = Keys.public_set(text, self._algorithm), text
        except TimeoutError:
            self._note(f"no answer came within {2 * ANSWER_SECONDS:g} s")
        except NoKeysError as error:
            self._note(str(error))
        except InvalidKeyError as error:
            self._note(f"the answer is no set of keys: {error}")
        else:
            self._note("")

    async def _fetched(self) -> str:
        """Return the text, fetched by a thread that does not keep the process from its end."""
        if self._fetching == MOST_THREADS:
            raise NoKeysError(f"{MOST_THREADS} earlier reads have not ended")
        self._fetching += 1
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[str] = loop.create_future()

        def settle(text: str, error: Exception | None) -> None:
            self._fetching -= 1
            if answer.done():
                # It came too late.
                return
            if error is None:
                answer.set_result(text)
            else:
                answer.set_exception(error)

        def work() -> None:
            text, error = "", None
            try:
                text = self._fetch()
            except NoKeysError as failed:
                error = failed
            except Exception as failed:
                error = NoKeysError(repr(failed))
            with suppress(RuntimeError):  # The loop has ended meanwhile.
                loop.call_soon_threadsafe(settle, text, error)

        threading.Thread(target=work, daemon=True).start()
        return await answer

    def _note(self, why: str) -> None:
        self._current.set(0 if why else 1)
        if why == self.why:
            return
        self.why = why
        about = {"issuer": self.issuer}
        if not why:
            logger.info("the keys of an issuer were read", extra=about)
        elif self.keys is None:
            logger.error(
                "the keys of an issuer cannot be read: its tokens are refused",
                extra={**about, "why": why},
            )
        else:
            logger.warning(
                "the keys of an issuer cannot be read again: the earlier ones count",
                extra={**about, "why": why},
            )
