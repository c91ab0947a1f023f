"""The trace context of a publish, in the history that workers with and without traces share."""

import asyncio

from barestream.history.broker import HistoryBounds
from barestream.history.record import BEGIN, Record
from barestream.history.topic_state import Rewind
from barestream.history.traced import TracedRecord, TracedUpdate
from barestream.history.update import Update
from barestream.history.valkey.broker import ValkeyBroker
from barestream.history.valkey.coding import PLAIN, Coding
from barestream.history.valkey.traced_coding import TRACED
from barestream.mercure.sse import Event
from older_release import OlderRelease
from support.servers.valkey_server import ValkeyServer

BOUNDS = HistoryBounds(events=1000, seconds=3600, bytes=10_000_000)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_worker_with_traces_reads_the_context_and_others_the_same_update_without_it(
    fresh_valkey: ValkeyServer,
) -> None:
    def broker(coding: Coding) -> ValkeyBroker:
        return ValkeyBroker(fresh_valkey.url, BOUNDS, fresh_valkey.password, coding=coding)

    async def main() -> None:
        with_traces, without = broker(TRACED), broker(PLAIN)
        plain = Update(("a",), Event("first", None))
        kept = TracedUpdate.of(Update(("a",), Event("kept", "id"), keep_seconds=60), TRACE)
        alone = TracedUpdate.of(Update(("b",), Event("alone", None), private=True), TRACE)
        await with_traces.publish_all([plain, kept])
        await with_traces.publish(alone)
        # An update that is sent again is kept once, with its first trace.
        again = TracedUpdate.of(kept, TRACE.replace("b7", "aa"))
        assert await with_traces.publish(again) == "id"
        OlderRelease(fresh_valkey).trim()

        page = await with_traces.wait(BEGIN, 100)
        assert [getattr(each, "trace", None) for each in page.records] == [None, TRACE, TRACE]
        same = await without.wait(BEGIN, 100)
        assert same.records == page.records
        assert {type(each) for each in same.records} == {Record}
        assert {type(each) for each in page.records} == {Record, TracedRecord}
        rewound = await without.rewound(("a",), Rewind(events=10), 10, all_kept=False)
        assert rewound.kept["a"].own_id == "id"
        for each in (with_traces, without):
            await each.close()

    asyncio.run(main())
