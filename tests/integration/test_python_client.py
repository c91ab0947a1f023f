"""The client for Python, against the real service, through a proxy that breaks connections."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count, islice

import pytest

from barestream_client import (
    AddressError,
    EndedError,
    Event,
    ForbiddenError,
    Gap,
    Hub,
    HubError,
    MissingUpdatesError,
    Position,
    Ready,
    RefusedError,
    SupersededError,
    SyncHub,
    UnauthorizedError,
    Update,
    mint,
)
from support.clients.publisher import ISSUER, KEY, RESOURCE
from support.servers.bound import Bound
from support.servers.faulty_proxy import FaultyProxy

TOKEN = mint(KEY, publish=["*"], subscribe=["*"])

# Enough for a few dozen requests, some of which are cut at any place.
MANY = 6000

_numbers = count()


@pytest.fixture(scope="module")
def service() -> Iterator[Bound]:
    with Bound(token_key=KEY, issuer=ISSUER, resource_identifier=RESOURCE, retry_ms=100) as bound:
        yield bound


@pytest.fixture
def topic() -> str:
    """Return a topic that no other test has."""
    return f"/tests/{next(_numbers)}"


@contextmanager
def broken_connections(service: Bound) -> Iterator[FaultyProxy]:
    """Return a proxy that breaks all of its connections, time and again."""
    is_over = threading.Event()
    with FaultyProxy(service) as proxy:

        def break_them() -> None:
            while not is_over.wait(0.07):
                proxy.break_all()

        thread = threading.Thread(target=break_them)
        thread.start()
        try:
            yield proxy
        finally:
            is_over.set()
            thread.join()


async def events_of(hub: Hub, number: int, *topics: str, **options: str) -> list[Event]:
    async with hub.subscribe(*topics, cursor="earliest", **options) as subscription:
        return [await anext(subscription) for _ in range(number)]


def test_an_update_arrives_with_all_that_it_has(service: Bound, topic: str) -> None:
    async def main() -> None:
        async with Hub(service.url, TOKEN) as hub:
            own = await hub.publish([topic, "/other"], {"é": [1, None]}, type="t", private=True)
            await hub.publish(topic, "x\ny", id="mine", keep=60, retry_ms=5)
            first, second = await events_of(hub, 2, topic)
        assert (first.json(), first.type, first.topic) == ({"é": [1, None]}, "t", topic)
        assert (first.own_id, first.is_end) == (own, False)
        assert own.startswith("urn:uuid:")
        assert (second.data, second.type, second.own_id) == ("x\ny", "message", "mine")

    asyncio.run(main())


class Source:
    """Gives numbers, many at least, and until requests have failed on the way."""

    def __init__(self) -> None:
        self.given: list[str] = []
        self._failures: list[HubError] = []

    def __iter__(self) -> Iterator[str]:
        for number in count():
            if number >= MANY and len(self._failures) > 2:
                return
            self.given.append(str(number))
            yield str(number)

    def note(self, error: HubError, _: float) -> None:
        """Take note of a failure."""
        self._failures.append(error)


def test_a_stream_of_updates_comes_through_broken_connections_once(
    service: Bound, topic: str
) -> None:
    source = Source()

    async def main(proxy: FaultyProxy) -> list[str]:
        async with Hub(proxy.url, TOKEN, on_away=source.note) as hub:
            subscription = hub.subscribe(topic, cursor="earliest")
            sending = asyncio.create_task(hub.publish_stream(topic, source, end=True))
            received = [event async for event in subscription]
            done = await sending
        assert done.next == len(source.given) + 1
        assert [each.is_end for each in received] == [False] * len(source.given) + [True]
        return [event.data for event in received[:-1]]

    with broken_connections(service) as proxy:
        assert asyncio.run(main(proxy)) == source.given


def test_the_same_without_a_loop(service: Bound, topic: str) -> None:
    source = Source()
    with (
        broken_connections(service) as proxy,
        SyncHub(proxy.url, TOKEN, on_away=source.note) as hub,
    ):
        done = hub.publish_stream(topic, source, end=True)
        assert done.next == len(source.given) + 1
        received = [event.data for event in hub.subscribe(topic, cursor="earliest")]
    assert received[:-1] == source.given


def test_batches_come_through_broken_connections_once(service: Bound, topic: str) -> None:
    with broken_connections(service) as proxy, SyncHub(proxy.url, TOKEN) as hub:
        ids = hub.publish_all(Update(topic=topic, data=number) for number in range(MANY))
        with hub.subscribe(topic, cursor="earliest") as subscription:
            received = [*islice(subscription, MANY)]
    assert len(ids) == len(set(ids)) == MANY
    assert [event.json() for event in received] == [*range(MANY)]
    assert [event.own_id for event in received] == ids


def test_a_subscription_goes_on_from_the_cursor_of_another(service: Bound, topic: str) -> None:
    with SyncHub(service.url, TOKEN) as hub:
        hub.publish_all(Update(topic=topic, data=str(number)) for number in range(4))
        with hub.subscribe(topic, cursor="earliest") as subscription:
            assert [each.data for each in islice(subscription, 2)] == ["0", "1"]
            cursor = subscription.cursor
        with hub.subscribe(topic, cursor=cursor) as subscription:
            assert [each.data for each in islice(subscription, 2)] == ["2", "3"]


def test_a_cursor_that_is_asked_for_is_the_newest(service: Bound, topic: str) -> None:
    with SyncHub(service.url, TOKEN) as hub:
        hub.publish(topic, "before")
        cursor = hub.cursor(topic)
        hub.publish(topic, "after")
        with hub.subscribe(topic, cursor=cursor) as subscription:
            assert next(subscription).data == "after"


def test_a_rewind_a_gap_and_that_all_is_there_are_told(service: Bound, topic: str) -> None:
    with SyncHub(service.url, TOKEN) as hub:
        hub.publish_all(Update(topic=topic, data=str(number)) for number in range(3))
        options = {"rewind": 2, "ready": True}
        with hub.subscribe(topic, f"{topic}/empty", **options) as subscription:
            second, third, ready = islice(subscription, 3)
        assert (second.data, third.data) == ("1", "2")
        assert isinstance(ready, Ready)
        assert ready.empty == [f"{topic}/empty"]
        with hub.subscribe(topic, cursor="an-unknown-id") as subscription:
            gap, first = islice(subscription, 2)
        assert isinstance(gap, Gap)
        assert (gap.missing_to is not None, first.data) == (True, "0")


def test_a_producer_goes_on_where_it_was(service: Bound, topic: str) -> None:
    with SyncHub(service.url, TOKEN) as hub:
        assert hub.position(topic, "p") is None
        done = hub.publish_stream(topic, ["a", Update(data="b", type="t")], producer="p")
        assert hub.position(topic, "p") == Position(0, 2, done.last_id)
        hub.publish_stream(topic, ["c"], producer="p", first=2)
        with pytest.raises(MissingUpdatesError) as raised:
            hub.publish_stream(topic, ["e"], producer="p", first=4)
        assert raised.value.expected == 3
        hub.publish_stream(topic, ["d"], producer="p", epoch=1)
        with pytest.raises(SupersededError):
            hub.publish_stream(topic, ["e"], producer="p", first=3)
        with hub.subscribe(topic, cursor="earliest") as subscription:
            received = [(each.data, each.type) for each in islice(subscription, 4)]
    assert received == [("a", "message"), ("b", "t"), ("c", "message"), ("d", "message")]


def test_a_source_that_fails_raises_once_all_before_is_published(
    service: Bound, topic: str
) -> None:
    def failing() -> Iterator[str]:
        yield "a"
        raise OSError("the source is gone")

    async def main() -> None:
        async with Hub(service.url, TOKEN) as hub:
            with pytest.raises(OSError, match="the source is gone"):
                await hub.publish_stream(topic, failing())
            assert [each.data for each in await events_of(hub, 1, topic)] == ["a"]

    asyncio.run(main())
    with SyncHub(service.url, TOKEN) as hub, pytest.raises(OSError, match="the source is gone"):
        hub.publish_stream(topic, failing())


def test_a_source_that_is_slow_is_published_as_it_goes(service: Bound, topic: str) -> None:
    with SyncHub(service.url, TOKEN) as hub, hub.subscribe(topic, cursor="earliest") as events:

        def answered() -> Iterator[str]:
            for number in range(3):
                yield str(number)
                # It waits until its own update has come back.
                assert next(events).data == str(number)

        assert hub.publish_stream(topic, answered()).next == 3


@pytest.mark.parametrize(
    ("token", "error"),
    [
        (None, UnauthorizedError),
        ("é", UnauthorizedError),
        ("no token", UnauthorizedError),
        (mint(KEY, publish=["/else"]), ForbiddenError),
    ],
)
def test_a_token_without_the_right_is_said(
    service: Bound, token: str | None, error: type[HubError]
) -> None:
    with SyncHub(service.url, token) as hub, pytest.raises(error):
        hub.publish("/news", "x")


def test_another_token_is_asked_for_where_one_is_refused(service: Bound, topic: str) -> None:
    tokens = [mint(KEY, publish=["*"], seconds=-10), TOKEN]

    def next_token() -> str:
        return tokens.pop(0) if len(tokens) > 1 else tokens[0]

    with SyncHub(service.url, next_token) as hub:
        hub.publish(topic, "x")
    tokens.insert(0, mint(KEY, subscribe=["*"], seconds=-10))
    with SyncHub(service.url, next_token) as hub, hub.subscribe(topic, cursor="earliest") as events:
        assert next(events).data == "x"


def test_an_access_token_publishes_and_reads(service: Bound, topic: str) -> None:
    token = mint(
        KEY, publish=["*"], subscribe=["*"], protocol="1.0", issuer=ISSUER, audience=RESOURCE
    )
    with SyncHub(service.url, token) as hub:
        hub.publish(topic, "x", private=True)
        pattern = topic.rpartition("/")[0] + "/*"
        with hub.subscribe(patterns=[pattern], cursor=None, rewind="kept") as events:
            hub.publish(topic, "y", private=True)
            # The stream may begin after it.
            assert events.cursor is None
        with hub.subscribe(topic, cursor="earliest") as events:
            assert [each.data for each in islice(events, 2)] == ["x", "y"]


REFUSED: dict[str, tuple[Callable[[SyncHub, str], object], type[HubError]]] = {
    "an illegal type": (lambda hub, topic: hub.publish(topic, type="mercure"), RefusedError),
    "a topic of the hub": (lambda hub, _: hub.publish("/.well-known/mercure/x"), RefusedError),
    "one of an array": (
        lambda hub, topic: hub.publish_all([Update(topic=topic), Update(topic=topic, id="#a")]),
        RefusedError,
    ),
    "one of a stream": (
        lambda hub, topic: hub.publish_stream(topic, ["a", Update(id="#a")]),
        RefusedError,
    ),
    "no topics": (lambda hub, _: next(hub.subscribe()), RefusedError),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_hub_refuses_is_said(service: Bound, topic: str, name: str) -> None:
    call, error = REFUSED[name]
    with SyncHub(service.url, TOKEN) as hub, pytest.raises(error) as raised:
        call(hub, topic)
    assert type(raised.value) is error


@pytest.mark.parametrize("path", ["/nothing", "/test", "/healthz"])
def test_a_server_that_is_no_hub_is_said(service: Bound, path: str) -> None:
    with SyncHub(f"{service.url}{path}", TOKEN, patience_seconds=0) as hub:
        with pytest.raises(AddressError, match="check the URL"):
            hub.publish("/news")
        with pytest.raises(AddressError, match="check the URL"):
            hub.publish_all([Update(topic="/news")])
        with pytest.raises(AddressError, match="check the URL"):
            next(hub.subscribe("/news"))
        with pytest.raises(AddressError, match="check the URL"):
            hub.cursor()


def test_a_topic_that_has_ended_takes_nothing_and_is_read_to_its_end(
    service: Bound, topic: str
) -> None:
    with SyncHub(service.url, TOKEN) as hub:
        hub.publish(topic, "last", end=True)
        with pytest.raises(EndedError):
            hub.publish(topic, "late")
        assert [(each.data, each.is_end) for each in hub.subscribe(topic, cursor="earliest")] == [
            ("last", True)
        ]
        # Nothing is left to read.
        assert [*hub.subscribe(topic)] == []
