"""Ends of streams: of a worker that stops, and of a generator that has no more to say."""

import signal
from collections.abc import AsyncGenerator, Callable

import pytest
from bareasgi import Application, HttpRequest, HttpResponse

from barestream import Event, event_stream
from followers import Follow, stream_url
from page_scripts import fetch_event_source
from publish_updates import publish
from support.servers.served import Served
from support.servers.service import Service, wait_for
from updates import Received, Update

COUNTDOWN = ["3", "2", "1", "lift-off"]


def test_a_client_gets_every_update_once_over_a_drain(
    client: str, follow: Follow, service: Service
) -> None:
    topic = f"drain of {client}"
    old = service.workers()
    with follow(stream_url(service, topic), ["message"]) as follower:
        wait_for("the stream", lambda: follower.opened)
        published = publish(service, topic, [Update("before")])
        follower.received_up_to(published[-1])
        service.signal(signal.SIGHUP)

        def is_back() -> bool:
            published.extend(publish(service, topic, [Update("meanwhile")]))
            return follower.opened > 1

        wait_for("the next stream", is_back)
        published += publish(service, topic, [Update("after")])
        assert follower.received_up_to(published[-1]) == published
    wait_for("the old worker's end", lambda: not set(old) & set(service.workers()))


def test_fetch_event_source_stops_at_a_drain_unless_onclose_throws(
    node_packages: None,  # noqa: ARG001 (for its effect)
    in_chromium: Callable[[str], Follow],
    service: Service,
) -> None:
    follow = in_chromium(fetch_event_source(options="{ onclose() {} }"))
    old = service.workers()
    with follow(stream_url(service, "an end of all"), ["message"]) as follower:
        wait_for("the stream", lambda: follower.opened)
        service.signal(signal.SIGHUP)
        wait_for("its end", follower.is_closed)
        assert follower.opened == 1
    wait_for("the old worker's end", lambda: not set(old) & set(service.workers()))


@pytest.mark.parametrize(
    "client",
    [
        "chromium",
        "firefox",
        "event_source_polyfill",
        "fetch_event_source",
        "eventsource",
        "eventsource_client",
    ],
)
def test_a_client_stops_for_good_when_a_generator_has_ended_for_good(
    client: str,  # noqa: ARG001 (of what `follow` follows by)
    follow: Follow,
) -> None:
    requests: list[str] = []
    starts: list[str] = []
    app = Application()

    async def countdown() -> AsyncGenerator[Event]:
        starts.append("start")
        for word in COUNTDOWN:
            yield Event(word)

    @app.on_http_request({"GET"}, "/healthz")
    async def _page(_request: HttpRequest) -> HttpResponse:
        return HttpResponse(200, [(b"content-type", b"text/html")])

    @app.on_http_request({"GET"}, "/stream")
    async def _stream(request: HttpRequest) -> HttpResponse:
        requests.append(request.scope["path"])
        return event_stream(request, countdown(), ends=True)

    with (
        Served(app, ours=True) as server,
        follow(f"{server.url}/stream", ["message", "barestream.end"]) as follower,
    ):
        wait_for("the client's end", follower.is_closed)
        received = follower.received()
    assert [event.data for event in received if event.type == "message"] == COUNTDOWN
    assert received[-1] == Received("barestream.end", "", "barestream.end")
    assert len(received) == len(COUNTDOWN) + 1
    assert (len(requests), len(starts)) == (2, 1)
