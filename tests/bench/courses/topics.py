"""An event costs what the streams cost that want it, not what all topics and templates would."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from urllib.parse import urlencode

from bench.broadcasting import START_SECONDS
from bench.client import SEQUENCE, STAMP, TOPIC, Load, Target
from bench.measurement import Stand
from bench.rounds import Column, Course, Figures, Job, Table
from bench.servers import Ours, Peers
from support.clients.publisher import PATH

NAME = "topics"

STREAMS = 5000
SELECTORS = 20
TEMPLATES = 100

FEW = "100 topics"
EXACT = "100 exact topics"
MATCHED = "100 exact matchers"


def course(stand: Stand, peers: Peers) -> Course:  # noqa: ARG001 (ours is alone)
    """Return the course."""
    return Course(
        NAME,
        [
            Table(
                "Topics: barestream alone, 5,000 streams of 20 exact topics each, an event to one "
                "topic",
                [
                    _job(stand, FEW, 100, list(_few_topics())),
                    _job(stand, "100,000 topics", 100_000, list(_many_topics())),
                ],
                _columns(FEW),
            ),
            Table(
                "Templates: barestream alone, 5,000 streams of one selector each, 50 want an event",
                [
                    _job(stand, EXACT, TEMPLATES, list(_one_topic_each())),
                    _job(stand, "100 URI templates", 100 * TEMPLATES, list(_templates())),
                ],
                _columns(EXACT),
            ),
            Table(
                "URL Patterns: barestream alone, 5,000 streams of one matcher each, 50 want an "
                "event",
                [
                    _job(stand, MATCHED, TEMPLATES, list(_one_topic_each("match"))),
                    _job(
                        stand,
                        "100 URL Patterns of distinct prefixes",
                        100 * TEMPLATES,
                        list(_patterns("rooms")),
                    ),
                    _job(
                        stand,
                        "100 URL Patterns of one prefix",
                        100 * TEMPLATES,
                        list(_patterns(":kind")),
                    ),
                ],
                _columns(MATCHED),
            ),
        ],
    )


def _columns(first: str) -> list[Column]:
    return [
        Column("CPU an event", "cpu_us", "{:.0f} us"),
        Column(f"to {first}", "cpu_us", "{:.2f}", first),
        Column("deliveries an event", "delivered", "{:.1f}"),
        Column("lost", "lost", "{:,.0f}"),
        Column("foreign", "foreign", "{:,.0f}"),
    ]


def _job(stand: Stand, row: str, topics: int, targets: Sequence[Target]) -> Job:
    load = Load(
        streams=STREAMS,
        targets=targets,
        ramp_seconds=STREAMS / 1000,
        publishers=4,
        events_per_second=200,
        topics=topics,
        warm_up_seconds=1,
        measure_seconds=3 if stand.is_quick else 5,
    )

    def run() -> Figures:
        # No heartbeat falls into the measured seconds: those are for streams, not for events.
        with Ours(heartbeat_seconds=30) as server:
            data = f"{SEQUENCE} {STAMP} {'.' * 36}"
            complete = replace(load, request=server.post(_topic(TOPIC), data))
            return stand.measure(server, complete, pinned=True).publishes()

    return Job(row, load.seconds + START_SECONDS, run)


def _few_topics() -> Iterator[Target]:
    """Yield a few streams that want all topics, each its own, and many that want others."""
    wanted = list(range(0, 100, SELECTORS))
    quiet = [f"quiet/{nth}" for nth in range(SELECTORS)]
    for nth in range(STREAMS):
        if nth < len(wanted):
            yield _stream(_topics(wanted[nth], SELECTORS), wanted[nth], SELECTORS)
        else:
            yield _stream(quiet, 0, 0)


def _many_topics() -> Iterator[Target]:
    for nth in range(STREAMS):
        first = nth * SELECTORS
        yield _stream(_topics(first, SELECTORS), first, SELECTORS)


def _one_topic_each(parameter: str = "topic") -> Iterator[Target]:
    for topic in range(TEMPLATES):
        yield _stream(_topics(topic, 1), topic, 1, parameter)


def _templates() -> Iterator[Target]:
    """Yield templates of 100 topics each: those whose numbers begin alike."""
    for nth in range(TEMPLATES):
        begin = _topic(f"{nth:05}")
        yield _stream([f"{begin}{{rest}}"], 100 * nth, 100)


def _patterns(folder: str) -> Iterator[Target]:
    """Yield patterns of the same topics as the templates; after a named folder no text is literal
    for the index.
    """
    for nth in range(TEMPLATES):
        pattern = f"https://bench.example/{folder}/{nth:05}*"
        yield _stream([pattern], 100 * nth, 100, "match_urlpattern")


def _topic(number: str) -> str:
    return f"https://bench.example/rooms/{number}"


def _topics(first: int, count: int) -> list[str]:
    return [_topic(f"{number:0{len(TOPIC)}}") for number in range(first, first + count)]


def _stream(selectors: Iterable[str], first: int, count: int, parameter: str = "topic") -> Target:
    query = urlencode([(parameter, selector) for selector in selectors])
    return Target(f"{PATH}?{query}", first, count)
