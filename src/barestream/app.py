"""The application; only this module connects its parts."""

import asyncio
import logging
import math
import signal
import socket
import time

from bareasgi import HttpRequestCallback, LifespanRequest

from barestream.brokering import make_broker
from barestream.delivery.broadcast_loop import BroadcastLoop
from barestream.delivery.clock import HISTORY_TICKS, Clock
from barestream.delivery.feed import Feed
from barestream.delivery.lag import DeliveryLag
from barestream.delivery.replay import Replay
from barestream.delivery.revoked import Revoked
from barestream.delivery.streams import StreamLimits, Streams
from barestream.delivery.tail import Tail
from barestream.delivery.time_slices import Slices
from barestream.history.intake import Intake
from barestream.history.leases import Leases
from barestream.history.record import BEGIN
from barestream.history.ring import Ring
from barestream.history.standing import Standings
from barestream.mercure.patterns import Patterns
from barestream.mercure.run_topics import RUNS
from barestream.mercure.topics import PATH
from barestream.mercure.version import Version
from barestream.observing import make_metrics, measuring
from barestream.registering import Registering
from barestream.release import release
from barestream.runs.local_hub import LOCAL_HUB, LocalHub
from barestream.server.open_files import most_streams
from barestream.settings.settings import Settings, load
from barestream.tracing import Tracing
from barestream.verifying import Verifying, hub_url
from barestream.web.application import Application
from barestream.web.authorization import Authorization, Policy
from barestream.web.beginnings import Beginnings
from barestream.web.client_scripts import (
    CLIENT_ENTRY,
    CLIENT_FILES,
    ClientScripts,
    client_folder,
)
from barestream.web.clock_stream import ClockStream
from barestream.web.cors import ANY_ORIGIN, Cors
from barestream.web.diagnosis import DIAGNOSIS, Diagnosis
from barestream.web.end_streams import END_STREAMS, EndStreams
from barestream.web.event_stream import STREAMS, take_part_in_drain
from barestream.web.figures import FIGURES, Figures
from barestream.web.health import Health
from barestream.web.metrics import Scrape
from barestream.web.open_publishes import OpenPublishes
from barestream.web.origins import PublishingOrigins
from barestream.web.pages import PAGES_FOLDER, Pages
from barestream.web.producer_position import ProducerPosition
from barestream.web.publish import Publish
from barestream.web.resource import Resource, ResourceMetadata
from barestream.web.revocations import REVOCATIONS, Revocations
from barestream.web.router import Router
from barestream.web.runs import Runs
from barestream.web.selector_reader import SelectorReader
from barestream.web.static_files import read_folder
from barestream.web.streamed_body import Clocks
from barestream.web.streamed_publish import PUBLISH_STREAM, StreamedPublish
from barestream.web.subscribe import Subscribe
from barestream.web.token_reader import TokenReader
from barestream.web.update_reader import PublishRules, UpdateReader
from barestream.web.why import WHY, Why

logger = logging.getLogger(__name__)


def create_app(settings: Settings | None = None) -> Application:
    """Return the ASGI application.

    Args:
        settings: The settings; None for those of the environment.

    Raises:
        SettingsError: The settings of the environment do not have their expected form.
    """
    settings = settings or load()
    metrics = make_metrics(settings)
    slices = Slices(time.monotonic)
    streams = Streams(_limits(settings), time.monotonic, metrics, slices)
    clock = Clock(settings.clock_seconds, HISTORY_TICKS, time.time, time.monotonic, metrics)
    broker = make_broker(
        settings,
        (standings := Standings(metrics)).note,
        (tracing := Tracing(settings, metrics)).coding,
    )
    base = hub_url(settings)
    revoked = Revoked(broker.revocations, metrics, slices, time.time)
    feed = Feed(
        Ring(settings.ring_events, BEGIN, settings.ring_bytes),
        metrics,
        time.time,
        replay=Replay(broker, slices),
        broadcasts=tracing.broadcasts,
    )
    feed.lag = DeliveryLag(metrics, time.time, time.monotonic)
    clock.feed.replay = Replay(None, slices)
    clock.feed.budget = feed.budget = slices
    tail = Tail(broker, feed, settings.ring_events, settings.ring_bytes, slices)
    intake = Intake(broker, metrics, time.monotonic)
    # Those of tokens have room of their own, which streams without a token cannot take.
    verifying = Verifying(settings, Patterns(base, settings.url_patterns), metrics)
    resource = Resource(settings.resource_identifier, settings.public_origins)
    authorization = Authorization(
        verifying.publishers,
        verifying.subscribers,
        resource,
        PublishingOrigins([each for each in settings.allowed_origins if each != ANY_ORIGIN]),
        _policy(settings),
        revoked,
    )
    cors = Cors(settings.allowed_origins)
    rules = PublishRules(
        settings.data_bytes, settings.topics_per_event, settings.ended_seconds, base
    )
    publishes = OpenPublishes(metrics, tail.pace)
    runs = Runs(broker, intake, authorization, metrics, slices, settings.ended_seconds)
    selectors = SelectorReader(
        settings.topics_per_stream, Patterns(base, settings.url_patterns), slices
    )
    beginnings = Beginnings(tail, selectors, settings.rewind_events)
    registering = Registering(settings, broker, metrics, slices, authorization)
    subscribe = cors.allowing(
        Subscribe(tail, authorization, beginnings, time.time, registering.attending)
    )
    publish = cors.allowing(
        tracing.publishing(
            intake, lambda keeper: Publish(keeper, authorization, metrics, rules, slices)
        )
    )
    health = Health(streams, tail, intake, standings)
    revocations = Revocations(broker.revocations, revoked, authorization, time.time)
    pages = Pages(read_folder(PAGES_FOLDER))
    client = ClientScripts(read_folder(client_folder()))
    metadata = ResourceMetadata(
        resource,
        verifying.advertised,
        settings.access_token_cookie,
        has_subscriptions=settings.subscriptions,
    )
    running: list[asyncio.Task[None]] = []

    async def start(request: LifespanRequest) -> None:
        take_part_in_drain(streams.drain, request.scope)
        take_part_in_drain(publishes.drain, request.scope)
        works = (
            clock.run(slices),
            BroadcastLoop(clock.feed, slices, time.monotonic).run(),
            tail.run(),
            BroadcastLoop(feed, slices, time.monotonic).run(),
            tail.trim(),
            intake.run(),
            Leases(broker, metrics, time.monotonic).run(),
            streams.run(),
            revoked.run(streams, publishes),
            *measuring(metrics, broker, request.scope),
            *registering.works(),
            *(keys.run() for keys in verifying.fetched),
        )
        running.extend(map(asyncio.create_task, works))
        for task in running:
            task.add_done_callback(_end_if_broken)

    async def stop(_request: LifespanRequest) -> None:
        # Other servers do not ask for a drain; the streams that they left open end here.
        if not streams.draining:
            await streams.drain(quick=True)
        for task in running:
            task.cancel()
        await asyncio.wait(running)
        await asyncio.gather(registering.settle(), tracing.settle())
        metrics.flush()
        await broker.close()

    app = Application(
        http_router=Router(),
        startup_handlers=[start],
        shutdown_handlers=[stop],
        info={
            STREAMS: streams,
            LOCAL_HUB: LocalHub(
                broker,
                intake,
                tail,
                streams,
                beginnings,
                UpdateReader(rules),
                settings.ended_seconds,
            ),
        },
        at_once={("GET", PATH): subscribe, ("POST", PATH): publish},
    )
    # The router tries them in this order; most requests are for streams.
    routes: tuple[tuple[str, str, HttpRequestCallback], ...] = (
        ("GET", PATH, subscribe),
        ("GET", "/events", ClockStream(clock)),
        ("GET", "/", pages.index),
        ("GET", "/test", pages.test),
        ("GET", "/openapi.json", pages.openapi),
        ("GET", "/static/{version}/{name}", pages.static),
        ("GET", CLIENT_ENTRY, client.entry),
        ("GET", CLIENT_FILES, client.modules),
        ("GET", "/healthz", health.alive),
        ("GET", "/readyz", health.ready),
        (
            "GET",
            DIAGNOSIS,
            Diagnosis(authorization.operator, settings.heartbeat_seconds),
        ),
        (
            "GET",
            FIGURES,
            Figures(
                authorization.operator,
                metrics,
                slices,
                time.monotonic,
                time.time,
                _facts(settings),
            ),
        ),
        ("GET", "/metrics", Scrape(metrics, loopback_only=settings.bind is not None)),
        (
            "GET",
            PUBLISH_STREAM,
            cors.allowing(ProducerPosition(broker, authorization, metrics, slices)),
        ),
        # Backends ask for these, and pages of other origins need not.
        ("GET", RUNS, runs.read),
        ("POST", RUNS, runs.start),
        ("DELETE", RUNS, runs.stop),
        ("PUT", RUNS, runs.tell_followed),
        ("POST", REVOCATIONS, revocations.revoke),
        ("GET", REVOCATIONS, revocations.read),
        ("DELETE", REVOCATIONS, revocations.take_back),
        (
            "POST",
            WHY,
            Why(
                tail,
                authorization,
                TokenReader(verifying.subscribers, resource, _policy(settings), revoked),
                selectors,
                broker.registry if settings.subscriptions else None,
            ),
        ),
        ("OPTIONS", "/", pages.options),
        ("POST", PATH, publish),
        (
            "POST",
            PUBLISH_STREAM,
            cors.allowing(
                StreamedPublish(
                    intake,
                    authorization,
                    metrics,
                    rules,
                    slices,
                    publishes,
                    Clocks(time.time, time.monotonic),
                )
            ),
        ),
        ("QUERY", PATH, subscribe),
        *registering.routes(cors),
        *cors.preflights(PATH, PUBLISH_STREAM),
        *(
            [("GET", resource.path, cors.allowing(metadata))]
            if Version.ONE in settings.versions
            else []
        ),
        # Over TCP any client could send this request.
        *([] if settings.bind else [("POST", END_STREAMS, EndStreams(streams, publishes))]),
    )
    for method, path, handler in routes:
        app.http_router.add({method}, path, handler)
    return app


def _end_if_broken(task: asyncio.Task[None]) -> None:
    """Drain and end this process if its own work failed; a supervisor starts another process."""
    if not task.cancelled() and (error := task.exception()):
        logger.critical("a task of the worker failed: the worker drains and ends", exc_info=error)
        signal.raise_signal(signal.SIGTERM)


def _facts(settings: Settings) -> dict[str, object]:
    """Return what tells one instance from others."""
    return {
        "release": release(),
        "host": socket.gethostname(),
        "instance": settings.instance,
        "history": "memory" if settings.has_local_broker else "valkey",
    }


def _policy(settings: Settings) -> Policy:
    return Policy(
        settings.versions,
        settings.anonymous,
        settings.access_token_cookie,
        settings.token_stream_seconds or math.inf,
    )


def _limits(settings: Settings) -> StreamLimits:
    return StreamLimits(
        heartbeat_seconds=settings.heartbeat_seconds,
        slow_seconds=settings.slow_seconds,
        drain_seconds=settings.drain_seconds,
        retry_ms=settings.retry_ms,
        most_streams=min(settings.streams_per_worker, most_streams()),
    )
