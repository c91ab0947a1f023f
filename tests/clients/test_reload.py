"""A page that keeps its cursor over a reload, and whose library keeps one of its own."""

import pytest

from followers import Follow, stream_url
from publish_updates import publish
from relay import Relay
from support.servers.service import Service, wait_for
from updates import CUT_MARK, Update

IN_A_PAGE = ["chromium", "firefox", "event_source_polyfill", "fetch_event_source"]

TORN = Update(f"half of this one\n{CUT_MARK.decode()} comes twice")


@pytest.mark.parametrize("client", IN_A_PAGE)
def test_a_client_gets_every_update_once_over_a_reload_and_a_cut_connection(
    client: str, follow: Follow, service: Service
) -> None:
    topic = f"reload of {client}"
    with Relay(service.address, cut_after=[CUT_MARK]) as line:
        with follow(stream_url(line, topic), ["message"]) as follower:
            wait_for("the stream", lambda: follower.opened)
            before = publish(service, topic, [Update("1"), Update("2")])
            received = follower.received_up_to(before[-1])
        away = publish(service, topic, [Update("3"), Update("4")])
        # It comes back to an address that names this cursor for as long as the page stays.
        with follow(stream_url(line, topic, received[-1].id), ["message"]) as follower:
            caught_up = follower.received_up_to(away[-1])
            assert caught_up == away
            live = publish(service, topic, [TORN, Update("6")])
            wait_for("the stream after the cut", lambda: follower.opened == 2)
            live += publish(service, topic, [Update("7")])
            assert follower.received_up_to(live[-1]) == [*away, *live]
