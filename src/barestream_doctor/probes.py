"""The probes: each asks for something, and notes what came."""

import asyncio
import secrets
import ssl
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlencode

from barestream_doctor import http1, http2
from barestream_doctor.answers import RoundTrip
from barestream_doctor.exchange import Exchange
from barestream_doctor.seen import Seen, ids, json_object
from barestream_doctor.target import Target

# The milliseconds before each event in turn. They differ, so that a stream that is one behind can
# be told from a constant delay; the first lets the headers come by themselves.
_PAUSES_MS = (700, 200, 800, 350, 1100, 500)
_EVENTS = 14

# Larger events come in a shorter course: their number does not matter, only their size.
SIZES = (2048, 4096, 8192, 65_536)
_SIZED_EVENTS = 8
_SIZED_PAUSES_MS = (250, 700, 300, 500)

# A stream whose beginning is read once more, so long after the others: a machine that is busy just
# once is no fault.
_LATER_SECONDS = 3
_BEGINNING_SECONDS = 4

# How much longer than the app needs a probe waits.
_PATIENCE_SECONDS = 3

# Plain answers are asked for as long as events come, so that what delays both is no fault.
_TRIPS_SECONDS = 9
_TRIP_PAUSE_SECONDS = 0.4

_STATUSES = (401, 502)

# Longer than the idle timeout that a quick examination can find, 10 s.
_QUICK_SILENCE_SECONDS = 11
# With it, all that is quick.
_QUICK_SECONDS = 14
# Longer than the usual idle timeouts: 15, 30, 60 and 100 s.
_SILENCE_SECONDS = 105

# A plain stream is read for this long; its events are its own. The usual idle timeout is 60 s.
_STREAM_SECONDS = 10
_LONG_STREAM_SECONDS = 65

_UNKNOWN_ID = "barestream-doctor-unknown"

# No version of HTTP: the first hop refuses it by itself, in its own words.
_NO_HTTP = b"\0 barestream doctor\r\n\r\n"


@dataclass(slots=True)
class Probes:
    """The probes of one path.

    Args:
        target: Where they go.
        token: The token of the requests; None without one.
        is_quick: Whether to leave out what takes 15 s or longer.
        is_insecure: Whether any certificate is trusted.
        origin: An origin of pages; None to ask as a page of the server's own.
        told: Called with what is probed, and about how many seconds it takes.

    Attributes:
        seen: What they have seen.
        contexts: The TLS contexts, by the protocols that they offer.
    """

    target: Target
    token: str | None
    is_quick: bool
    is_insecure: bool = False
    origin: str | None = None
    told: Callable[[str, float], None] = lambda *_: None
    seen: Seen = field(default_factory=Seen)
    contexts: dict[tuple[str, ...], ssl.SSLContext] = field(default_factory=dict)

    @property
    def headers(self) -> dict[str, str]:
        """The headers of each request."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def tls(self, *protocols: str) -> ssl.SSLContext | None:
        """Return a TLS context that offers these protocols; None without TLS."""
        if not self.target.is_tls:
            return None
        offered = protocols or ("http/1.1",)
        # To read the certificates takes 40 ms, in which no probe goes on.
        if offered not in self.contexts:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            if self.is_insecure:
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            else:
                context.load_default_certs()
            context.set_alpn_protocols(list(offered))
            self.contexts[offered] = context
        return self.contexts[offered]

    async def ask(
        self,
        path: str,
        seconds: float,
        *,
        until: Callable[[Exchange], bool] = lambda _: False,
        method: str = "GET",
        **headers: str,
    ) -> Exchange:
        """Return the answer to a request of HTTP/1.1."""
        return await http1.ask(
            self.target,
            path,
            headers={**self.headers, **{key.replace("_", "-"): headers[key] for key in headers}},
            tls=self.tls(),
            seconds=seconds,
            method=method,
            until=until,
        )

    def diagnosis(self, **parameters: object) -> str:
        """Return the path of a diagnostic request that no cache has an answer to."""
        query = urlencode({**parameters, "nonce": secrets.token_hex(4)})
        return f"{self.target.hub_path}/diagnosis?{query}"

    async def diagnose(self, seconds: float, **parameters: object) -> Exchange:
        """Return what came of a diagnostic request."""
        return await self.ask(self.diagnosis(**parameters), seconds)

    async def plain(self) -> Exchange:
        """Ask for a plain answer, and note the round trip."""
        # Some servers answer each path with a stream.
        exchange = await self.ask(
            self.diagnosis(status=200), 10, until=lambda found: found.is_stream
        )
        facts = json_object(exchange.body)
        if exchange.status == 200 and "received_at" in facts:
            self.seen.trips.append(
                RoundTrip(
                    exchange.connect_seconds,
                    exchange.sent_at,
                    facts["received_at"],
                    facts["at"],
                    exchange.sent_at + exchange.ended_at,
                )
            )
        return exchange

    async def trips(self) -> None:
        """Ask for plain answers, one after the other."""
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + _TRIPS_SECONDS
        while loop.time() < ends_at:
            await self.plain()
            await asyncio.sleep(_TRIP_PAUSE_SECONDS)

    async def first_hop(self) -> None:
        """Send what is no HTTP, which the first hop refuses by itself."""
        self.seen.first_hop = await http1.exchange_bytes(
            self.target, _NO_HTTP, tls=self.tls(), seconds=3
        )

    async def stream(self) -> None:
        """Read the stream that the URL names."""
        seconds = _STREAM_SECONDS if self.is_quick else _LONG_STREAM_SECONDS
        self.seen.stream = await self.ask(self.target.stream_path, seconds)

    async def course(self) -> None:
        """Read a stream of small events, and the beginning of another a moment later."""
        path = self.diagnosis(events=_EVENTS, pauses_ms=_joined(_PAUSES_MS), heartbeats=0)
        self.seen.courses["1.1"], self.seen.begun["1.1"] = await asyncio.gather(
            self.ask(path, _seconds(_PAUSES_MS, _EVENTS)),
            _later(partial(self.ask, self._beginning(), _BEGINNING_SECONDS)),
        )

    def _beginning(self) -> str:
        """Return the path of a stream with one event after a moment."""
        return self.diagnosis(
            events=1, pauses_ms=500, silent_seconds=_BEGINNING_SECONDS, heartbeats=0
        )

    async def course_http2(self) -> None:
        """Read the same over HTTP/2, if the server speaks it."""
        tls = self.tls("h2", "http/1.1")
        if tls is None:
            return
        if not http2.IS_INSTALLED:
            self.seen.notices.append(
                "HTTP/2 was not probed: it needs the package h2 (pip install 'barestream[doctor]')"
            )
            return
        path = self.diagnosis(events=_EVENTS, pauses_ms=_joined(_PAUSES_MS), heartbeats=0)
        found, begun = await asyncio.gather(
            self._ask_http2(path, tls, _seconds(_PAUSES_MS, _EVENTS)),
            _later(partial(self._ask_http2, self._beginning(), tls, _BEGINNING_SECONDS)),
        )
        if found.http_version == "2":
            self.seen.courses["2"], self.seen.begun["2"] = found, begun

    async def _ask_http2(self, path: str, tls: ssl.SSLContext, seconds: float) -> Exchange:
        return await http2.ask(self.target, path, headers=self.headers, tls=tls, seconds=seconds)

    async def sized(self, padding: int) -> None:
        """Read a stream of larger events."""
        self.seen.sweep[padding] = await self.diagnose(
            _seconds(_SIZED_PAUSES_MS, _SIZED_EVENTS),
            events=_SIZED_EVENTS,
            pauses_ms=_joined(_SIZED_PAUSES_MS),
            padding=padding,
            heartbeats=0,
        )

    async def silence(self, *, heartbeats: bool) -> None:
        """Watch a stream without events."""
        seconds = _QUICK_SILENCE_SECONDS if self.is_quick else _SILENCE_SECONDS
        self.seen.silent_seconds = seconds
        found = await self.diagnose(
            seconds, events=1, silent_seconds=seconds + 10, heartbeats=int(heartbeats)
        )
        if heartbeats:
            self.seen.beating = found
        else:
            self.seen.silent = found

    async def transformed(self) -> None:
        """Read a stream that proxies may change, as a browser asks for it."""
        self.seen.transformed = await self.ask(
            self.diagnosis(events=6, pauses_ms="200,400,300", transform=1, heartbeats=0),
            5,
            accept_encoding="gzip, deflate, br, zstd",
        )

    async def status(self, status: int) -> None:
        """Ask for an answer that is no stream."""
        self.seen.statuses[status] = await self.diagnose(5, status=status)

    async def ends(self) -> None:
        """Read a stream that ends properly, and one that is cut."""
        self.seen.ended, self.seen.cut = await asyncio.gather(
            self.diagnose(6, events=3, pauses_ms=200, heartbeats=0),
            self.diagnose(6, events=3, pauses_ms=200, heartbeats=0, cut=1),
        )

    async def twins(self) -> None:
        """Open two streams of one URL at the same time."""
        path = self.diagnosis(events=3, pauses_ms=500, heartbeats=0)
        first, second = await asyncio.gather(self.ask(path, 5), self.ask(path, 5))
        self.seen.twins = first, second

    async def resumption(self, path: str) -> None:
        """Read a stream with ids, drop it, and come back with the first id, and with an unknown."""

        def until(count: int) -> Callable[[Exchange], bool]:
            return lambda exchange: not exchange.is_stream or len(ids(exchange)) >= count

        first = await self.ask(path, 6, until=until(2))
        seen = ids(first)
        if len(seen) < 2:
            return
        await asyncio.sleep(0.8)
        again, unknown = await asyncio.gather(
            self.ask(path, 4, until=until(2), last_event_id=seen[0]),
            self.ask(path, 2, until=until(1), last_event_id=_UNKNOWN_ID),
        )
        self.seen.resumed = first, again, unknown

    async def crossing(self) -> None:
        """Ask as a page does, of the origin that was given or of the server's own."""
        self.seen.origin_asked = self.origin or ""
        origin = self.origin or self.target.origin
        path = f"{self.target.hub_path}?topic=barestream-doctor"
        if not self.seen.has_diagnosis:
            path = self.target.stream_path
        simple, preflight = await asyncio.gather(
            self.ask(path, 5, until=lambda exchange: bool(exchange.status), origin=origin),
            self.ask(
                path,
                5,
                until=lambda exchange: bool(exchange.status),
                method="OPTIONS",
                origin=origin,
                access_control_request_method="GET",
                access_control_request_headers="authorization,cache-control,last-event-id,"
                "traceparent,x-requested-with",
            ),
        )
        self.seen.crossed = simple, preflight


async def _later(ask: Callable[[], Coroutine[Any, Any, Exchange]]) -> Exchange:
    await asyncio.sleep(_LATER_SECONDS)
    return await ask()


def _joined(numbers: tuple[int, ...]) -> str:
    return ",".join(map(str, numbers))


def _seconds(pauses_ms: tuple[int, ...], events: int) -> float:
    """Return how long a course may take."""
    whole = sum(pauses_ms[number % len(pauses_ms)] for number in range(events)) / 1000
    return whole + _PATIENCE_SECONDS


async def examine(probes: Probes, *also: Callable[[], Coroutine[Any, Any, None]]) -> Seen:
    """Run all probes of a path, most of them at the same time, and return what they have seen.

    Args:
        probes: The probes.
        also: Further ones, which need the diagnostic endpoint.
    """
    seen = probes.seen
    seen.origin, seen.is_quick = probes.target.origin, probes.is_quick
    seen.sent_token = probes.token is not None
    probes.told("asking for the diagnostic endpoint", 1)
    seen.plain = await probes.plain()
    await probes.first_hop()
    if not seen.has_diagnosis:
        seconds = _STREAM_SECONDS if probes.is_quick else _LONG_STREAM_SECONDS
        probes.told("reading the stream", seconds)
        works: list[Coroutine[Any, Any, None]] = [probes.stream(), probes.crossing()]
        works.append(probes.resumption(probes.target.stream_path))
        await asyncio.gather(*works)
        return seen
    probes.told("reading streams", _QUICK_SECONDS if probes.is_quick else _SILENCE_SECONDS)
    works = [
        probes.trips(),
        probes.course(),
        probes.course_http2(),
        *map(probes.sized, SIZES),
        probes.silence(heartbeats=False),
        *([] if probes.is_quick else [probes.silence(heartbeats=True)]),
        probes.transformed(),
        *map(probes.status, _STATUSES),
        probes.ends(),
        probes.twins(),
        probes.resumption(probes.target.clock_path),
        probes.crossing(),
        *(probe() for probe in also),
    ]
    if probes.target.names_stream:
        works.append(probes.stream())
    await asyncio.gather(*works)
    return seen
