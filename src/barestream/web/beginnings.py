"""How streams begin: what they subscribe to, and what they are sent before the live updates."""

from typing import NamedTuple

from barestream.delivery.cursor import Cursor
from barestream.delivery.numbering import Numbering
from barestream.delivery.resume import NO_IDS, Resumption, resumption
from barestream.delivery.rewinding import Plan
from barestream.delivery.subscriber import Missed
from barestream.delivery.subscription import Subscription
from barestream.delivery.tail import Tail
from barestream.history.record import BEGIN
from barestream.mercure.reserved import EARLIEST
from barestream.mercure.selectors import Selectors
from barestream.web.selector_reader import SelectorReader
from barestream.web.stream_request import StreamRequest


class Beginning(NamedTuple):
    """How a stream begins.

    Attributes:
        start: Where it starts.
        plan: What it is sent before that; None for nothing.
    """

    start: Resumption
    plan: Plan | None = None


class Beginnings:
    """Finds out how streams begin.

    Args:
        tail: The tail of the feed that the streams will follow.
        reader: Reads what a request subscribes to.
        most_events: How many updates of one topic a rewind has at most.
    """

    def __init__(self, tail: Tail, reader: SelectorReader, most_events: int) -> None:
        self._tail = tail
        self._reader = reader
        self._most_events = most_events

    async def subscription(
        self, asked: StreamRequest, readable: Selectors, *, names_topics: bool = False
    ) -> Subscription:
        """Return what a request subscribes to.

        Args:
            asked: The request.
            readable: What its sender may read.
            names_topics: Whether each id has a topic, also if the request does not ask for it.

        Raises:
            Refused, TooManyPatternsError: As with SelectorReader.
        """
        topics, includes = await self._reader.read(asked), asked.state.includes
        if "match" not in includes:
            return Subscription(topics, readable, names_topics or "topic" in includes)
        numbering = Numbering(asked.numbered, topics)
        return Subscription(topics, readable, names_topics=True, numbering=numbering)

    async def beginning(
        self, asked: StreamRequest, whole: Subscription, *, is_moved_on: bool
    ) -> Beginning:
        """Return how a stream begins.

        Without an id all topics are rewound. After a gap they are too: with an id that the history
        does not know, and with one after which updates have left it. With another id those are
        that the request names as new; a client that has moved on since has got their rewind. One
        whose id says that it was cut in a rewind gets that rewind again.

        Args:
            asked: The request.
            whole: What it subscribes to, and may read.
            is_moved_on: Whether the client has come further than the id that is part of its URL.

        Raises:
            BrokerAwayError: The history is needed for the answer, and cannot be reached.
            Refused, TooManyPatternsError: As with SelectorReader.
        """
        ids = asked.last_event_ids
        rewind = asked.state.rewind
        cut = None if rewind is None else _cut_in_rewind(ids)
        if cut is not None and cut.place == BEGIN:
            start = Resumption(None, EARLIEST)
        else:
            start = await resumption(self._tail, whole, ids)
        if rewind is None:
            return Beginning(start)
        missed = start.missed
        if start.left_upto is not None:
            missed = Missed(str(start.place), start.left_upto)
        is_lost = missed is not None and missed.after is not None
        all_new = Plan(whole, whole, None, BEGIN, missed, rewind, self._most_events)
        if start.place is None or is_lost:
            return Beginning(start, all_new)
        if not asked.state.new or (is_moved_on and cut is None):
            return Beginning(start)
        old = asked.only(new=False)
        if old.version is None:
            return Beginning(start, all_new)
        new_part, old_part = [
            await self.subscription(part, whole.readable) for part in (asked.only(new=True), old)
        ]
        place = start.place
        if missed is not None:
            # It asked for all that is left: of these topics more may have left than of all.
            others = await resumption(self._tail, old_part, ids)
            place, missed = others.place or place, others.missed
        plan = all_new._replace(new=new_part, old=old_part, place=place, missed=missed)
        return Beginning(start, plan)


def _cut_in_rewind(last_event_ids: list[str]) -> Cursor | None:
    """Return the last of the ids if it says that a rewind was not over, else None.

    An id before it is the page's own, from which its library has moved on.
    """
    last = next((each for each in reversed(last_event_ids) if each not in NO_IDS), "")
    try:
        cursor = Cursor.parse(last)
    except ValueError:
        return None
    return cursor if cursor.in_rewind else None
