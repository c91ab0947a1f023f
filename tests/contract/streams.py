"""Subscriptions of streams, and what the log tells of them."""

import json

from barestream.history.broker import Broker
from barestream.history.record import BEGIN
from barestream.history.subscriptions import Announcement, Away, Notice, Subscription

HOUR_MS = 3600_000
# Later than each lease and each grace that a test has, and longer.
FAR_MS = 2**50


def subscription(
    stream: str,
    topic: str = "t",
    *,
    who: str = "",
    client: str = "",
    exact: bool = True,
    since_ms: int = 1,
) -> Subscription:
    """Return a subscription of a stream; its member is ``who``, if that is not empty."""
    subscription_id = f"/s/{topic}/{stream}"
    head = f'{{"id":"{subscription_id}","active":'
    notice = Notice((subscription_id, f"/other{subscription_id}"), head, ',"by":"é"}', "sub")
    presence = ("/p/" + topic, f'{{"member":"{who}"}}' if who else "") if exact else ("", "")
    occupancy = ("/o/" + topic, f'{{"topic":"{topic}"}}') if exact else ("", "")
    announcement = Announcement((notice,), *presence, *occupancy)
    identity = f"issuer {who}" if who else ""
    return Subscription(
        subscription_id, stream, topic, identity, who, client, since_ms, announcement
    )


def away(each: Subscription, grace_ms: int = HOUR_MS) -> Away:
    """Return that the stream of a subscription has ended."""
    return Away(each.id, grace_ms)


async def told(broker: Broker, after: int = 0) -> list[str]:
    """Return what the log tells: of subscriptions + and - and their id, else type and topic.

    Args:
        broker: The broker.
        after: How many updates to leave out.
    """
    found = []
    for record in (await broker.read(BEGIN, 10_000)).records[after:]:
        assert record.private
        lines = record.body.decode().split("\n")
        kind = next(line[7:] for line in lines if line.startswith("event: "))
        data = json.loads(next(line[6:] for line in lines if line.startswith("data: ")))
        if kind == "sub":
            assert record.topics == (data["id"], f"/other{data['id']}")
            assert data["by"] == "é"
            found.append(("+" if data["active"] else "-") + data["id"])
        else:
            found.append(f"{kind.removeprefix('barestream.')} {data.get('member', '')}".strip())
            assert record.topics[0].startswith("/p/" if "member" in data else "/o/")
    return found


async def listed(broker: Broker, *selectors: str) -> list[str]:
    """Return the ids of the subscriptions with these selectors, or of all, in order."""
    found = await broker.registry.subscriptions(selectors or None)
    return sorted(each.id for each in found.subscriptions)


async def end_all_due(broker: Broker) -> int:
    """Sweep what is over by the history's clock; return how many have ended."""
    return (await broker.registry.sweep(FAR_MS, FAR_MS, HOUR_MS)).ended
