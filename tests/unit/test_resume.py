import asyncio

import pytest

from barestream.delivery.feed import Feed
from barestream.delivery.replay import Replay
from barestream.delivery.resume import LIVE, MOST_IDS, MOST_SEARCHES, Resumption, resumption
from barestream.delivery.subscriber import Missed
from barestream.delivery.subscription import EVERYTHING_PUBLIC, Subscription
from barestream.delivery.tail import Tail
from barestream.delivery.time_slices import Slices
from barestream.history.broker import MOST_FOUND, HistoryBounds
from barestream.history.local import LocalBroker
from barestream.history.record import BEGIN, Known, Place
from barestream.history.ring import Ring
from barestream.history.update import Update
from barestream.mercure.selectors import Selectors
from barestream.mercure.sse import Event
from barestream.telemetry.metrics import Metrics
from fake_writer import FakeClock

SLICES = Slices(FakeClock())

FLOOR = Place(1000, 0)
OLD, NEWEST = "old", "newest"
SECRET = "secret"


async def tail_of_ten() -> Tail:
    """Return a tail whose history has lost event 1 of 11, and whose ring holds the newest 5."""
    broker = LocalBroker(HistoryBounds(11, 1e9, 10**9), FakeClock(1.0))
    feed = Feed(Ring(5, FLOOR), Metrics(), FakeClock(1.0), replay=Replay(broker, SLICES))
    for number in range(1, 12):
        own_id = {2: OLD, 8: SECRET, 11: NEWEST}.get(number)
        update = Update(("a",), Event(str(number), own_id), private=number == 8)
        await broker.publish(update)
        feed.append(update.at(Place(1000, number)))
    # The worker has not read this one yet.
    await broker.publish(Update(("a",), Event("12")))
    return Tail(broker, feed, 5, 10**6, SLICES)


def resumed(*last_event_ids: str, readable: tuple[str, ...] = ()) -> Resumption:
    async def main() -> Resumption:
        subscription = Subscription(EVERYTHING_PUBLIC.topics, Selectors(readable))
        clock = FakeClock()
        return await resumption(
            await tail_of_ten(), subscription, last_event_ids, now=clock, sleep=clock.sleep
        )

    return asyncio.run(main())


def test_without_an_id_a_client_starts_at_the_end() -> None:
    assert resumed() == LIVE


def test_earliest_replays_the_whole_history() -> None:
    assert resumed("earliest") == Resumption(
        Place(1000, 1), "earliest", Missed(None, Place(1000, 1))
    )


def test_all_that_is_left_begins_just_before_it_also_where_later_updates_have_left() -> None:
    async def main() -> Resumption:
        clock = FakeClock(1.0)
        bounds = HistoryBounds(100, 1e9, 10**9, topic_events=1, topic_seconds=0)
        broker = LocalBroker(bounds, clock)
        feed = Feed(Ring(1, FLOOR), Metrics(), clock, replay=Replay(broker, SLICES))
        for topic in "abb":
            clock.seconds += 1
            update = Update((topic,), Event(topic))
            await broker.publish(update)
            feed.append(update.at(Place(int(clock() * 1000), 0)))
        return await resumption(
            Tail(broker, feed, 1, 10**6, SLICES), EVERYTHING_PUBLIC, ["earliest"]
        )

    # From the beginning of all places a client would come back as one that asks for the earliest,
    # and would not be told of what has left since.
    before_all = Place(2000, 0).just_before
    assert asyncio.run(main()) == Resumption(before_all, "earliest", Missed(None, Place(3000, 0)))


@pytest.mark.parametrize("place", ["#1000-11", "#1000-7", "#1000-3", "#1000-1"])
def test_a_client_resumes_from_a_place_in_the_history(place: str) -> None:
    assert resumed(place) == Resumption(Place.parse(place), place)


def test_a_client_resumes_from_a_place_before_the_history_with_a_gap() -> None:
    left = Place(1000, 1)
    assert resumed("#900-0") == Resumption(Place(900, 0), "earliest", left_upto=left)


def test_a_place_that_only_another_worker_has_reached_is_waited_for() -> None:
    assert resumed("#1000-12") == Resumption(Place(1000, 12), "#1000-12")


def test_a_client_resumes_from_a_place_that_this_history_never_gave_with_a_gap() -> None:
    left = Place(1000, 1)
    assert resumed("#999-5") == Resumption(Place(999, 5), "earliest", left_upto=left)
    assert resumed("#1000-0") == Resumption(Place(1000, 0), "earliest", left_upto=left)


@pytest.mark.parametrize(
    ("begins_at", "seconds", "kept_in_ring", "goes_on_from"),
    [
        # There is an event before the last minute.
        (999, [1000, 1100, 1190, 1200, 1210], 5, 1100),
        # There is none, and the history has begun before.
        (999, [1190, 1200, 1210], 5, 999),
        # It has begun in the last minute.
        (1180, [1190, 1200, 1210], 5, 1180),
        (1180, [1190, 1200, 1210], 1, 1180),
    ],
)
def test_a_client_whose_event_this_history_never_gave_gets_one_gap_also_if_it_comes_back_from_it(
    begins_at: int, seconds: list[int], kept_in_ring: int, goes_on_from: int
) -> None:
    async def main() -> None:
        clock = FakeClock(begins_at)
        broker = LocalBroker(HistoryBounds(100, 1e9, 10**9), clock)
        floor = Place(1000 * begins_at, 0)
        feed = Feed(Ring(kept_in_ring, floor), Metrics(), clock, replay=Replay(broker, SLICES))
        for each in seconds:
            clock.seconds = each
            await broker.publish(Update(("a",), Event(str(each))))
        for record in (await broker.read(BEGIN, 1000)).records:
            feed.append(record)
        tail = Tail(broker, feed, kept_in_ring, 10**6, SLICES)
        lost = "#1205000-7"
        found = await resumption(tail, EVERYTHING_PUBLIC, [lost])
        place = Place(1000 * goes_on_from, 0)
        assert found == Resumption(place, "earliest", Missed(lost, place))
        again = await resumption(tail, EVERYTHING_PUBLIC, [str(place)])
        assert again == Resumption(place, str(place))

    asyncio.run(main())


@pytest.mark.parametrize(("own_id", "place"), [(OLD, Place(1000, 2)), (NEWEST, Place(1000, 11))])
def test_a_client_resumes_from_a_publishers_id_wherever_it_is_kept(
    own_id: str, place: Place
) -> None:
    assert resumed(own_id) == Resumption(place, own_id)


@pytest.mark.parametrize("unknown", ["never", "#", "#1000-13", "#2000-0", "#99999999999999-0"])
def test_an_unknown_id_is_answered_with_a_gap_and_the_whole_history(unknown: str) -> None:
    assert resumed(unknown) == Resumption(
        Place(1000, 1), "earliest", Missed(unknown, Place(1000, 1))
    )


def resumed_from_one_of(*privates: bool, kept_in_ring: int, readable: bool) -> Resumption:
    """Return where a client resumes that names the id of several events.

    Args:
        privates: Whether each of the events is private; their places count from 1000-1.
        kept_in_ring: How many of the newest events the worker has in its ring.
        readable: Whether the client may read private events.
    """

    async def main() -> Resumption:
        broker = LocalBroker(HistoryBounds(1000, 1e9, 10**9), FakeClock(1.0))
        feed = Feed(
            Ring(kept_in_ring, FLOOR), Metrics(), FakeClock(1.0), replay=Replay(broker, SLICES)
        )
        for number, private in enumerate(privates):
            await broker.publish(Update(("a",), Event(f"{number}", "id"), private))
        for record in (await broker.read(BEGIN, 1000)).records:
            feed.append(record)
        tail = Tail(broker, feed, kept_in_ring, 10**6, SLICES)
        topics = EVERYTHING_PUBLIC.topics
        subscription = Subscription(topics, Selectors(("a",) if readable else ()))
        clock = FakeClock()
        return await resumption(tail, subscription, ["id"], now=clock, sleep=clock.sleep)

    return asyncio.run(main())


@pytest.mark.parametrize("kept_in_ring", [1, 2, 3])
def test_a_client_resumes_from_the_earliest_of_several_events_with_its_id(
    kept_in_ring: int,
) -> None:
    first = Resumption(Place(1000, 1), "id")
    assert resumed_from_one_of(*[False] * 3, kept_in_ring=kept_in_ring, readable=False) == first


@pytest.mark.parametrize("kept_in_ring", [1, 4])
def test_of_several_events_with_its_id_a_client_resumes_from_the_earliest_that_it_may_read(
    kept_in_ring: int,
) -> None:
    privates = (True, True, False, False)
    for readable, place in ((False, Place(1000, 3)), (True, Place(1000, 1))):
        found = resumed_from_one_of(*privates, kept_in_ring=kept_in_ring, readable=readable)
        assert found == Resumption(place, "id")


@pytest.mark.parametrize("forbidden", [MOST_FOUND - 1, MOST_FOUND, MOST_SEARCHES * MOST_FOUND - 1])
def test_the_event_that_a_client_may_read_is_found_after_many_that_it_may_not(
    forbidden: int,
) -> None:
    found = resumed_from_one_of(*[True] * forbidden, False, kept_in_ring=1, readable=False)
    assert found == Resumption(Place(1000, forbidden + 1), "id")


def test_the_search_for_an_event_that_a_client_may_read_is_bounded() -> None:
    privates = [*[True] * (MOST_SEARCHES * MOST_FOUND), False]
    found = resumed_from_one_of(*privates, kept_in_ring=1, readable=False)
    assert found == Resumption(FLOOR, "earliest", Missed("id", FLOOR))


def test_the_id_of_a_private_event_is_known_only_to_clients_that_may_read_it() -> None:
    assert resumed(SECRET) == Resumption(Place(1000, 1), "earliest", Missed(SECRET, Place(1000, 1)))
    assert resumed(SECRET, readable=("a",)) == Resumption(Place(1000, 8), SECRET)


@pytest.mark.parametrize("no_id", ["0", "null", "undefined"])
def test_the_placeholder_of_a_client_without_an_id_is_no_id_unless_a_publisher_gave_it(
    no_id: str,
) -> None:
    assert resumed(no_id) == LIVE
    assert resumed(no_id, "#1000-7") == Resumption(Place(1000, 7), "#1000-7")

    async def with_that_id() -> Resumption:
        tail = await tail_of_ten()
        await tail.broker.publish(Update(("a",), Event("own", no_id)))
        return await resumption(tail, EVERYTHING_PUBLIC, [no_id])

    assert asyncio.run(with_that_id()) == Resumption(Place(1000, 13), no_id)


@pytest.mark.parametrize(
    ("ids", "newest"),
    [
        (["#1000-7", "#1000-9"], "#1000-9"),
        (["#1000-9", "#1000-7"], "#1000-9"),
        (["#1000-7", NEWEST], NEWEST),
        (["earliest", OLD], OLD),
        (["never", "#1000-8"], "#1000-8"),
        (["#900-0", "#1000-8", "#1000-7"], "#1000-8"),
    ],
)
def test_of_several_ids_the_one_of_the_newest_place_counts(ids: list[str], newest: str) -> None:
    assert resumed(*ids) == resumed(newest)
    assert resumed(*ids).preceding_id == newest


def test_of_several_unknown_ids_one_is_answered_with_a_gap() -> None:
    assert resumed("never", "nowhere") == resumed("nowhere")


def test_the_ids_looked_up_for_a_request_are_bounded_in_number() -> None:
    assert resumed("#1000-9", *["never"] * MOST_IDS) == resumed("never")


@pytest.mark.parametrize("event_id", [SECRET, "never"])
@pytest.mark.parametrize(("takes_seconds", "answered_after"), [(0, 0.02), (0.0121, 0.02)])
def test_an_unknown_id_and_a_forbidden_one_are_answered_after_the_same_time(
    event_id: str, takes_seconds: float, answered_after: float
) -> None:
    async def main() -> None:
        tail = await tail_of_ten()
        clock = FakeClock()
        find = tail.broker.find

        async def slow_find(event_id: str, after: Place = BEGIN) -> list[Known]:
            clock.seconds += takes_seconds
            return await find(event_id, after)

        tail.broker.find = slow_find  # type: ignore[method-assign]
        await resumption(tail, EVERYTHING_PUBLIC, [event_id], now=clock, sleep=clock.sleep)
        assert clock.seconds == pytest.approx(answered_after)
        # A client that may know the id is answered at once.
        clock.seconds = 0
        await resumption(tail, EVERYTHING_PUBLIC, [OLD], now=clock, sleep=clock.sleep)
        assert clock.seconds == takes_seconds

    asyncio.run(main())
