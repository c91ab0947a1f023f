"""What traced publishes and their broadcasts tell, without a collector."""

import asyncio
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import util
from itertools import chain, pairwise, repeat
from types import SimpleNamespace

import pytest
from bareasgi import HttpRequest, HttpResponse
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import StatusCode
from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter

from barestream.delivery.broadcast import Broadcast
from barestream.delivery.feed import Feed
from barestream.delivery.subscription import Subscription
from barestream.history.broker import BrokerAwayError
from barestream.history.record import Place, Record
from barestream.history.ring import Ring
from barestream.history.traced import TracedRecord, TracedUpdate
from barestream.history.update import Update
from barestream.history.valkey.coding import PLAIN
from barestream.history.valkey.traced_coding import TRACED
from barestream.mercure.selectors import Selectors
from barestream.mercure.sse import Event
from barestream.settings.setting import SettingsError
from barestream.settings.settings import Settings, load
from barestream.telemetry.metrics import Metrics
from barestream.traces.collector import ANSWER_SECONDS, Collector, CollectorError
from barestream.traces.outcomes import Outcomes
from barestream.traces.traces import Traces
from barestream.tracing import Tracing
from barestream.web.answers import whole
from barestream.web.publish import Keeper
from fake_writer import SPENT, FakeClock, fake_stream, flush

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED = f"00-{TRACE}-{SPAN}-01"
AWAY = BrokerAwayError("gone", cause="unreachable", words="cannot be reached")


class Exporter(SpanExporter):
    """Keeps spans; raises what it is told to."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []
        self.error: Exception | None = None

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self.error:
            raise self.error
        self.spans += spans
        return SpanExportResult.SUCCESS


class History:
    """Keeps updates, and gives them places."""

    def __init__(self) -> None:
        self.updates: list[Update] = []
        self.error: BaseException | None = None

    async def publish(self, update: Update) -> str:
        return (await self.publish_all([update]))[0]

    async def publish_all(self, updates: Sequence[Update]) -> list[str]:
        if self.error:
            raise self.error
        first = len(self.updates)
        self.updates += updates
        return [f"#{1 + first + number}-0" for number in range(len(updates))]


class World:
    """The traces of a worker, a history, and the feed that is sent what the history gets."""

    def __init__(self, ratio: float) -> None:
        self.exporter = Exporter()
        self.metrics = Metrics()
        self.traces = Traces(self.exporter, ratio, {"service.name": "barestream"}, self.metrics)
        self.history = History()
        self.status = 200
        self.updates = [Update(("a",), Event("hi", None))]

    def publish(self, **headers: str) -> HttpResponse:
        """Publish the updates, by a request with these headers."""

        def make(keeper: Keeper) -> Callable[[HttpRequest], object]:
            async def handler(_: HttpRequest) -> HttpResponse:
                if self.status == 200:
                    try:
                        await keeper.publish_all(self.updates)
                    except BrokerAwayError:
                        return whole(b"text/plain", b"", status=503)
                return whole(b"text/plain", b"", status=self.status)

            return handler

        sent = [(name.encode(), value.encode()) for name, value in headers.items()]
        request = HttpRequest({"headers": sent, "scheme": "https"}, {}, {}, {}, None)
        return asyncio.run(self.traces.publishing(self.history, make)(request))

    def deliver(self, *topics: str) -> None:
        """Broadcast what the history has to a stream for each of these topics."""
        flush(self.due(*topics))

    def due(self, *topics: str) -> Feed:
        """Return a feed that is about to broadcast this, in slices as short as can be."""
        feed = Feed(
            Ring(100, Place(0, 0)),
            Metrics(),
            FakeClock(),
            broadcasts=self.traces.broadcasts,
        )
        feed.budget = SPENT
        for topic in topics:
            wanted = Subscription(Selectors([topic]), Selectors([]))
            stream, _ = fake_stream()
            feed.join(stream, None, wanted, missed=None, heartbeat_events=False)
        for number, update in enumerate(self.history.updates):
            feed.append(update.at(Place(1 + number, 0)))
        return feed

    def flush(self) -> None:
        """Have the exporter get what the thread would send it in a moment."""
        self.traces._spans._provider.force_flush()

    def named(self, name: str) -> list[ReadableSpan]:
        self.flush()
        return [span for span in self.exporter.spans if span.name == name]

    def only(self, name: str) -> ReadableSpan:
        [span] = self.named(name)
        return span


def hexed(span: ReadableSpan) -> tuple[str, str]:
    return f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}"


@pytest.fixture
def make() -> Iterator[Callable[..., World]]:
    made: list[World] = []

    def make_world(ratio: float = 1.0) -> World:
        made.append(World(ratio))
        return made[-1]

    yield make_world
    for world in made:
        asyncio.run(world.traces.settle())


def test_a_publish_goes_on_with_the_trace_of_its_request_and_shows_the_historys_wait(
    make: Callable[..., World],
) -> None:
    world = make()
    world.updates = [Update(("a", "b"), Event("hi", None)), Update(("c",), Event("hi", None))]
    assert world.publish(traceparent=SAMPLED).status == 200
    publish, append = world.only("publish"), world.only("history append")
    assert hexed(publish)[0] == TRACE
    assert f"{publish.parent.span_id:016x}" == SPAN
    assert append.parent.span_id == publish.context.span_id
    assert publish.start_time <= append.start_time <= append.end_time <= publish.end_time
    assert dict(publish.attributes) == {
        "http.request.method": "POST",
        "http.route": "/.well-known/mercure",
        "url.path": "/.well-known/mercure",
        "url.scheme": "https",
        "http.response.status_code": 200,
        "barestream.updates": 2,
        "barestream.topics": 3,
        "barestream.update.id": "#1-0",
    }


def test_the_ratio_decides_where_the_request_does_not(make: Callable[..., World]) -> None:
    for ratio, headers, is_traced in (
        (1, {}, True),
        (0, {}, False),
        (0, {"traceparent": SAMPLED}, True),
        (1, {"traceparent": SAMPLED.removesuffix("1") + "0"}, False),
        (0, {"traceparent": "00-no-trace-01"}, False),
    ):
        world = make(ratio)
        world.publish(**headers)
        assert len(world.named("publish")) == is_traced
        assert isinstance(world.history.updates[0], TracedUpdate) == is_traced


def test_a_request_that_is_refused_before_the_history_is_asked_makes_no_span(
    make: Callable[..., World],
) -> None:
    # It may come from anybody.
    world = make()
    for world.status in (400, 401, 403):
        world.publish(traceparent=SAMPLED)
    assert world.named("publish") == []


def test_a_history_that_is_away_is_an_error_of_the_wait(make: Callable[..., World]) -> None:
    world = make()
    world.history.error = AWAY
    assert world.publish().status == 503
    append = world.only("history append")
    assert append.attributes["error.type"] == "unreachable"
    assert append.status.status_code is StatusCode.ERROR
    assert append.status.description == "cannot be reached"
    publish = world.only("publish")
    assert publish.status.status_code is StatusCode.ERROR
    assert publish.attributes["http.response.status_code"] == 503
    assert publish.attributes["error.type"] == "503"


def test_a_publish_that_is_cancelled_while_it_waits_has_its_spans(
    make: Callable[..., World],
) -> None:
    world = make()
    world.history.error = asyncio.CancelledError()
    with pytest.raises(asyncio.CancelledError):
        world.publish()
    assert world.only("publish").attributes["error.type"] == "CancelledError"
    assert world.only("publish").status.status_code is StatusCode.ERROR
    assert world.only("history append").attributes["error.type"] == "CancelledError"


def test_a_broadcast_makes_one_span_for_all_streams_linked_to_the_publish(
    make: Callable[..., World],
) -> None:
    world = make()
    world.publish(traceparent=SAMPLED)
    world.deliver("a", "a", "a", "other")
    publish, deliver = world.only("publish"), world.only("deliver")
    [link] = deliver.links
    assert (link.context.trace_id, link.context.span_id) == (
        publish.context.trace_id,
        publish.context.span_id,
    )
    assert hexed(deliver)[0] == TRACE
    assert deliver.parent.span_id == publish.context.span_id
    assert dict(deliver.attributes) == {
        "barestream.update.id": "#1-0",
        "barestream.updates": 1,
        "barestream.streams": 3,
    }


def test_each_publish_of_a_broadcast_has_a_span_with_the_streams_that_got_of_it(
    make: Callable[..., World],
) -> None:
    world = make(0)
    world.publish()
    world.updates = [Update(("a",), Event("hi", "own")), Update(("b",), Event("hi", None))]
    world.publish(traceparent=SAMPLED)
    world.updates = [Update(("b",), Event("hi", None))]
    world.publish(traceparent=SAMPLED)
    world.deliver("a", "b", "b", "other")
    told = [
        tuple(span.attributes[f"barestream.{name}"] for name in ("update.id", "updates", "streams"))
        for span in world.named("deliver")
    ]
    assert told == [("own", 2, 3), ("#4-0", 1, 2)]


def test_the_publishes_of_a_burst_do_not_hold_up_the_loop_together(
    make: Callable[..., World],
) -> None:
    world = make()
    for _ in range(30):
        world.publish()
    feed = world.due("a")
    made = [len(world.named("deliver")) for _ in feed.flush()]
    made.append(len(world.named("deliver")))
    assert made[-1] == 30
    assert max(after - before for before, after in pairwise([0, *made])) == 1


def test_the_publishes_of_a_broadcast_have_the_times_of_the_broadcast(
    make: Callable[..., World],
) -> None:
    world = make()
    for _ in range(3):
        world.publish()
    world.deliver("a")
    assert len({(span.start_time, span.end_time) for span in world.named("deliver")}) == 1


def test_a_broadcast_without_a_traced_update_makes_no_span(make: Callable[..., World]) -> None:
    world = make(0)
    world.publish()
    world.deliver("a")
    assert world.named("deliver") == []


def test_a_trace_context_that_cannot_be_read_holds_up_no_delivery(
    make: Callable[..., World],
) -> None:
    world = make(0)
    world.history.updates = [TracedUpdate.of(world.updates[0], "no trace \x00 é")]
    world.deliver("a")
    assert world.named("deliver") == []


def test_the_trace_context_travels_with_an_entry_and_old_readers_ignore_it() -> None:
    def rows(arguments: list[bytes]) -> list[object]:
        count, _, _, _, _, *fields = arguments
        assert int(count) == len(arguments) - 1
        return [[b"5-1", fields]]

    plain = Update(("a",), Event("hi", "own"))
    traced = TracedUpdate.of(plain, SAMPLED)
    assert traced.digest == plain.digest
    assert traced.size_bytes == plain.size_bytes
    written = rows(TRACED.arguments(traced))
    [record] = TRACED.records(written)
    assert isinstance(record, TracedRecord)
    assert record.trace == SAMPLED
    # What a worker without traces, and each older release, does.
    [read] = PLAIN.records(written)
    assert type(read) is Record
    assert read == record == plain.at(Place(5, 1))
    # Its data are no name of a field.
    untraced = Update(("a",), Event("trace", "trace"))
    assert TRACED.arguments(untraced) == PLAIN.arguments(untraced)
    assert [type(each) for each in TRACED.records(rows(PLAIN.arguments(untraced)))] == [Record]


def test_a_lost_collector_is_logged_once_with_its_cause_and_once_that_it_is_back(
    make: Callable[..., World], caplog: pytest.LogCaptureFixture
) -> None:
    world = make()
    caplog.set_level(logging.INFO)
    world.exporter.error = ConnectionRefusedError(111, "Connection refused")
    for _ in range(3):
        world.publish()
        world.flush()
    assert [record.why for record in caplog.records] == ["[Errno 111] Connection refused"]
    world.exporter.error = None
    world.publish()
    world.flush()
    _, back = caplog.records
    assert (back.message, back.lost) == ("traces are sent again", 6)
    assert figures(world.metrics) == {"sent": 2, "failed": 6, "no_room": 0}


class Answers(BaseAdapter):
    """Answers requests, without a network; with no status nobody answers."""

    def __init__(self) -> None:
        super().__init__()
        self.status: int | None = None
        self.timeout: object = None

    def send(self, request: PreparedRequest, *_: object, **options: object) -> Response:
        self.timeout = options["timeout"]
        if self.status is None:
            raise ConnectionRefusedError(111, "Connection refused")
        response = Response()
        response.status_code = self.status
        response.request, response.url, response.reason = request, request.url, "Words"
        response._content = b""
        return response

    def close(self) -> None:
        """Has nothing to close."""


def test_spans_are_sent_only_where_the_collector_says_that_it_has_taken_them(
    make: Callable[..., World],
) -> None:
    world, collector, answers = make(), Collector("http://collector/v1/traces"), Answers()
    world.publish()
    spans = world.named("publish")
    collector._session.mount("http://", answers)
    with pytest.raises(CollectorError, match=r"^\[Errno 111\] Connection refused$"):
        collector.export(spans)
    for answers.status in (300, 302, 304, 400, 404, 500):
        with pytest.raises(CollectorError, match=f"^the collector answers {answers.status} Words$"):
            collector.export(spans)
    for answers.status in (200, 202, 204):
        assert collector.export(spans) is SpanExportResult.SUCCESS


def test_a_clock_that_is_set_back_gives_a_collector_no_more_time(
    make: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, collector, answers = make(), Collector("http://collector/v1/traces"), Answers()
    world.publish()
    spans = world.named("publish")
    collector._session.mount("http://", answers)
    answers.status = 200
    # The exporter's deadline is of the wall clock.
    walls = chain([7200.0], repeat(3600.0))
    wall_clock = SimpleNamespace(time=lambda: next(walls))
    monkeypatch.setattr("opentelemetry.exporter.otlp.common.http.time", wall_clock)
    collector.export(spans)
    assert answers.timeout == ANSWER_SECONDS


def test_a_key_of_the_collector_that_cannot_be_sent_is_named_and_not_shown(
    make: Callable[..., World], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key: secret,other=one%0Asecret")
    collector = Collector("http://collector/v1/traces")
    [line] = caplog.messages
    assert "OTEL_EXPORTER_OTLP_HEADERS is not sent: expected name=value" in line
    world = make()
    world.publish()
    with pytest.raises(CollectorError, match="OTEL_EXPORTER_OTLP_HEADERS") as refused:
        collector.export(world.named("publish"))
    assert "secret" not in f"{refused.value}{caplog.text}"


def figures(metrics: Metrics) -> dict[str, float]:
    lines = metrics.text().decode().splitlines()
    found = (line.split() for line in lines if line.startswith("barestream_spans_total{"))
    return {name.split('"')[1]: float(count) for name, count in found}


def test_the_first_span_that_is_lost_is_an_increase(make: Callable[..., World]) -> None:
    assert figures(make().metrics) == {"sent": 0, "failed": 0, "no_room": 0}
    # With traces off there are none.
    metrics = Metrics()
    Tracing(Settings(), metrics)
    assert figures(metrics) == {}


def test_a_span_beyond_the_bound_is_counted_and_dropped(caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics()
    outcomes = Outcomes(metrics, 2)
    assert [outcomes.take() for _ in range(4)] == [True, True, False, False]
    assert [record.message for record in caplog.records] == ["traces cannot be sent"]
    outcomes.note(2, None)
    assert figures(metrics) == {"sent": 2, "failed": 0, "no_room": 2}
    assert outcomes.take()


def test_a_collector_that_is_too_slow_is_logged_once_until_there_is_room_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    outcomes = Outcomes(Metrics(), 4)
    for _ in range(3):
        while outcomes.take():
            pass
        # It takes one, for which many others wait.
        outcomes.note(1, None)
    assert [record.message for record in caplog.records] == ["traces cannot be sent"]
    outcomes.note(1, None)
    _, back = caplog.records
    assert (back.message, back.lost) == ("traces are sent again", 3)


def test_a_collector_that_is_away_is_told_also_where_there_was_no_room_before_its_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # A try takes seconds, in which a busy worker fills its room.
    outcomes = Outcomes(Metrics(), 1)
    for _ in range(3):
        while outcomes.take():
            pass
        outcomes.note(1, "Connection refused")
    told = [record.why for record in caplog.records]
    assert told == [
        "the collector takes spans more slowly than they are made",
        "Connection refused",
    ]


def test_a_worker_holds_no_more_spans_than_its_bound(
    make: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("barestream.traces.traces.MOST_WAITING_SPANS", 3)
    # None is sent meanwhile.
    monkeypatch.setattr("barestream.traces.spans.SEND_EACH_MS", 3_600_000)
    world = make()
    for _ in range(3):
        world.publish()
    world.flush()
    assert len(world.exporter.spans) == 3
    assert figures(world.metrics) == {"sent": 3, "failed": 0, "no_room": 3}


def test_with_traces_off_the_parts_are_the_plain_ones() -> None:
    tracing = Tracing(Settings(), Metrics())
    handler = object()
    assert tracing.publishing(History(), lambda _: handler) is handler  # type: ignore[arg-type, return-value]
    assert tracing.broadcasts is Broadcast
    assert tracing.coding is PLAIN


def test_with_traces_off_no_process_imports_opentelemetry() -> None:
    # Gunicorn's master reads the configuration, a worker makes the application.
    code = (
        "import sys; from barestream.app import create_app; import barestream.server.worker; "
        "import barestream.server.config; create_app(); "
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": ":".join(sys.path), "BARESTREAM_WORKERS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    "url",
    [
        *("collector:4318", "ftp://collector/v1/traces", "http://", "http://user:p@collector/"),
        *("http://:p@collector/v1/traces", "http://@collector/v1/traces"),
        *("http://collector:99999/v1/traces", "http://collector/v1 traces", "http://c/#traces"),
    ],
)
def test_a_collector_that_is_no_url_stops_the_start(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BARESTREAM_TRACES_URL", url)
    with pytest.raises(SettingsError, match=r"BARESTREAM_TRACES_URL=.*: expected the URL of a"):
        load()


def test_traces_without_their_packages_stop_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_spec(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setenv("BARESTREAM_TRACES_URL", "http://collector:4318/v1/traces")
    assert load().traces_url == "http://collector:4318/v1/traces"
    monkeypatch.setattr("barestream.settings.traces.find_spec", find_spec)
    assert util.find_spec("opentelemetry.sdk")
    with pytest.raises(SettingsError, match=r"install barestream\[otel\]"):
        load()
