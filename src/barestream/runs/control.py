"""What other processes tell the process of a run: that it is to stop, or that it is followed."""

import asyncio
import json
import logging
from collections.abc import Callable
from contextlib import suppress

from barestream.mercure.reserved import FOLLOWED_TYPE, STOP_TYPE
from barestream.runs.hub import Hub, HubAwayError
from barestream.runs.run import Run, Status
from barestream.runs.runner import FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS
from barestream_client.event_reader import Received

logger = logging.getLogger(__name__)

_TYPES = {FOLLOWED_TYPE, STOP_TYPE}

# The hub brings an event within milliseconds; a busy machine may take some seconds.
_HEARD_SECONDS = 10.0


class Control:
    """Follows the control topic of a process.

    Args:
        hub: The hub.
        topic: The topic.
        heard: Called with the type and the run's id of each event.

    Attributes:
        connected_since: Since when it is followed, in the loop's seconds; None while it is not.
    """

    def __init__(self, hub: Hub, topic: str, heard: Callable[[str, str], None]) -> None:
        self.connected_since: float | None = None
        self._hub = hub
        self._topic = topic
        self._heard = heard
        self._cursor: str | None = None
        self._is_connected = asyncio.Event()
        self._has_heard = asyncio.Event()

    async def run(self) -> None:
        """Follow it until cancelled.

        Who asks for a stop asks again until the run has ended, so a request that came while this
        was not connected is not lost.
        """
        pause_seconds = FIRST_PAUSE_SECONDS
        while True:
            try:
                async with self._hub.follow(self._topic, self._cursor) as events:
                    if events is not None:
                        self.connected_since = asyncio.get_running_loop().time()
                        self._is_connected.set()
                        async for event in events:
                            pause_seconds = FIRST_PAUSE_SECONDS
                            self._cursor = event.id or self._cursor
                            self._take(event)
            except HubAwayError as error:
                logger.info("requests to stop runs wait for the hub", extra={"why": str(error)})
            except Exception:
                # The subscriber's token may be replaced by a valid one. Whatever it is, without
                # this loop no stop from another process would be heard any more.
                logger.exception("no run of this process can be stopped from another one")
            finally:
                self.connected_since = None
                self._is_connected.clear()
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(2 * pause_seconds, LAST_PAUSE_SECONDS)

    def _take(self, event: Received) -> None:
        if event.type not in _TYPES or event.data is None:
            return
        self._has_heard.set()
        try:
            run_id = json.loads(event.data)["id"]
        except (ValueError, TypeError, KeyError):
            logger.warning("an event on the control topic names no run", extra={"id": event.id})
            return
        self._heard(event.type, run_id)

    async def check(self, run: Run) -> bool:
        """Log an error if this process does not hear what is told to it, for a run of its own.

        A hub sends private events to those alone who may read them, and says nothing to others: a
        token without that right would not be noticed before the first stop.

        Returns:
            Whether it is known; a run that has ended proves nothing.
        """
        while not self._has_heard.is_set():
            await self._is_connected.wait()
            since = self.connected_since
            try:
                if await self._hub.tell_followed(run.key, run.id) is not Status.RUNNING:
                    return False
                with suppress(TimeoutError):
                    async with asyncio.timeout(_HEARD_SECONDS):
                        await self._has_heard.wait()
                    return True
                if since == self.connected_since:
                    logger.error(
                        "the subscriber's token reads no runs and runners: no run of this process "
                        "can be stopped from another one, and followers get nothing"
                    )
                    return True
            except HubAwayError as error:
                logger.info("the check of the tokens waits for the hub", extra={"why": str(error)})
            except Exception:
                # The next start checks again.
                logger.exception("the tokens could not be checked")
                return False
            await asyncio.sleep(LAST_PAUSE_SECONDS)
        return True
