"""Findings about the times of events: late, in clumps, one behind, held. Pure."""

import math
from collections.abc import Callable, Iterator, Sequence

from barestream_doctor import remedies
from barestream_doctor.answers import Distance
from barestream_doctor.exchange import Exchange
from barestream_doctor.finding import Finding, Severity
from barestream_doctor.seen import Seen, delivered, padded
from barestream_doctor.timing import Course, Pattern, course

# A request that spends as long behind the first hop is delayed there: within one site it takes a
# few milliseconds, between continents up to 0.15 s for a proxy that is far away from the app.
_BEHIND_SECONDS = 0.15

# With more noise a buffer that holds events for half a second could be missed.
_NOISY_SECONDS = 0.1

# A stream whose events are all late by less than this is slow, and works.
_SHORT_SECONDS = 1.0

# A first event may be late because the app begins slowly.
_FIRST_SECONDS = 0.5
_TOGETHER_SECONDS = 0.05


def lateness(seen: Seen, hop: str) -> Iterator[Finding]:
    """Yield what the times say."""
    between = seen.distance
    if between is None:
        return
    yield from _way(between, hop)
    if between.noise_seconds > _NOISY_SECONDS:
        yield Finding(
            "busy",
            Severity.NOTE,
            f"A quarter of the plain answers came {_ms(between.noise_seconds)} or more later than "
            "the fastest: this machine, the server or the network is busy, and only greater "
            "delays of events show.",
            "",
            "run the doctor again at a quieter time",
        )
    for version, exchange in seen.courses.items():
        over = f" over HTTP/{version}" if len(seen.courses) > 1 else ""
        found = judged(exchange, between, seen)
        both = [exchange, *([seen.begun[version]] if version in seen.begun else [])]
        beginning = _Beginning(both, between, over, hop)
        yield beginning.finding(is_prompt=found.pattern is Pattern.PROMPT)
        if beginning.is_open:
            yield from _events(found, over, hop)
    yield from _sizes(seen, between, hop)


def judged(exchange: Exchange, between: Distance, seen: Seen) -> Course:
    """Return the course of a diagnostic stream's events."""
    return course(delivered(exchange, between), seen.stalls, between.noise_seconds)


def _way(between: Distance, hop: str) -> Iterator[Finding]:
    behind = between.behind_seconds
    there = f"the connection takes {_ms(between.connect_seconds)}, a request and its answer "
    there += _ms(between.travel_seconds)
    if behind < _BEHIND_SECONDS:
        yield Finding("distance", Severity.OK, f"{there}.")
        return
    yield Finding(
        "constant-delay",
        Severity.WARNING,
        f"{there}: {_ms(behind)} of it lie behind the first hop. Which way has them cannot be told "
        f"from the clocks: the server's may be off by {_ms(between.offset_least)} to "
        f"{_ms(between.offset_most)}.",
        hop,
        "find what delays each answer there: a filter, a scan, a distant data center; --direct "
        "with the app's own address tells the hop",
    )


class _Beginning:
    """The beginnings of two streams; the faster one counts, since a busy machine delays one.

    Args:
        both: The streams.
        between: The distance.
        over: By which version they came, as a part of a sentence.
        hop: What is blamed.
    """

    def __init__(self, both: Sequence[Exchange], between: Distance, over: str, hop: str) -> None:
        self._first = both[0]
        self._over = over
        self._hop = hop
        self.is_open = any(each.is_stream for each in both)
        heads = [each.head_at if each.is_stream else each.ended_at for each in both]
        self._head_at = min(heads)
        most = _FIRST_SECONDS + 2 * between.noise_seconds
        self._is_late = self._head_at - between.travel_seconds > most
        self._events = [events for each in both if (events := delivered(each, between))]
        late = [events[0].late for events in self._events]
        self._first_late = min(late) if len(late) == len(both) else 0.0
        self._is_first_late = self._first_late > most

    def finding(self, *, is_prompt: bool) -> Finding:
        """Return when the headers came, and the first event apart.

        Args:
            is_prompt: Whether the events are; else their own finding counts for the first too.
        """
        if not self.is_open:
            why = self._first.failure
            return self._fault("stream-failed", f"A stream{self._over} did not open: {why}.")
        if self._is_late:
            first_at = self._events[0][0].came - self._first.sent_at if self._events else math.inf
            together = abs(first_at - self._first.head_at) < _TOGETHER_SECONDS
            return self._fault(
                "headers-late",
                f"The headers{self._over} came after {self._first.head_at:.1f} s"
                f"{', together with the first event' if together else ''}.",
            )
        if is_prompt and self._is_first_late:
            return self._fault(
                "first-event-late",
                f"The headers{self._over} came after {_ms(self._head_at)}, but the first event "
                f"{self._first_late:.1f} s after it was sent.",
            )
        first = f", the first event {_ms(max(0, self._first_late))} late" if self._events else ""
        told = f"headers after {_ms(self._head_at)}{self._over}{first}."
        return Finding("beginning", Severity.OK, told)

    def _fault(self, code: str, evidence: str) -> Finding:
        return Finding(code, Severity.ERROR, evidence, self._hop, remedies.unbuffered(self._hop))


def _events(found: Course, over: str, hop: str) -> Iterator[Finding]:
    written = _WRITTEN[found.pattern](found, over)
    if found.pattern is Pattern.PROMPT:
        yield Finding("events", Severity.OK, written)
        return
    code = {
        Pattern.HELD_TO_END: "held",
        Pattern.NOTHING: "held",
        Pattern.ONE_BEHIND: "one-behind",
        Pattern.CLUMPS: "clumps",
        Pattern.DRIFT: "drift",
    }.get(found.pattern, "late")
    remedy = remedies.unbuffered(hop)
    if found.pattern is Pattern.DRIFT:
        remedy = "the way carries less than is sent: look for a limit of the rate, or a slow link"
    is_short = found.late < _SHORT_SECONDS and found.pattern in {Pattern.CONSTANT, Pattern.LATE}
    severity = Severity.WARNING if is_short else Severity.ERROR
    yield Finding(code, severity, written, hop, remedy)


def _prompt(found: Course, over: str) -> str:
    return f"{found.events} small events{over}, {_ms(max(0, found.late))} late in the median."


def _nothing(_: Course, over: str) -> str:
    return f"No event{over} came, although the server sent some."


def _held(found: Course, over: str) -> str:
    return (
        f"All {found.events} events{over} came together at the end, up to {found.most_late:.1f} s "
        "late."
    )


def _behind(found: Course, over: str) -> str:
    with_which = "the next one" if found.behind == 1 else f"the {found.behind}th after it"
    return f"Each event{over} came only with {with_which}, up to {found.most_late:.1f} s late."


def _clumps(found: Course, over: str) -> str:
    size = sorted(found.groups)[len(found.groups) // 2]
    return (
        f"{found.events} events{over} came in {len(found.groups)} clumps of about {size} bytes, "
        f"{found.apart:.1f} s apart, up to {found.most_late:.1f} s late."
    )


def _drift(found: Course, over: str) -> str:
    return f"The events{over} came later and later, up to {found.most_late:.1f} s late."


def _constant(found: Course, over: str) -> str:
    return (
        f"Each event{over} came {_ms(found.late)} later than a plain answer: streams are delayed."
    )


def _late(found: Course, over: str) -> str:
    return (
        f"{found.events} events{over} came {_ms(found.late)} late in the median, without a "
        f"structure, up to {found.most_late:.1f} s late."
    )


_WRITTEN: dict[Pattern, Callable[[Course, str], str]] = {
    Pattern.PROMPT: _prompt,
    Pattern.NOTHING: _nothing,
    Pattern.HELD_TO_END: _held,
    Pattern.ONE_BEHIND: _behind,
    Pattern.CLUMPS: _clumps,
    Pattern.DRIFT: _drift,
    Pattern.CONSTANT: _constant,
    Pattern.LATE: _late,
}


def _sizes(seen: Seen, between: Distance, hop: str) -> Iterator[Finding]:
    """Yield what size of event the way holds back."""
    courses = {
        size: judged(exchange, between, seen)
        for size, exchange in sorted(seen.sweep.items())
        if exchange.is_stream or exchange.error
    }
    small = next((judged(each, between, seen) for each in seen.courses.values()), None)
    if small is not None:
        courses = {0: small, **courses}
        # Structures that are no buffer's.
        is_told = small.pattern in {Pattern.CONSTANT, Pattern.DRIFT, Pattern.LATE}
        if is_told or all(each.pattern is not Pattern.PROMPT for each in courses.values()):
            # The small events have said it.
            return
    patterns = {size: each.pattern for size, each in courses.items()}
    late = [size for size, pattern in patterns.items() if pattern is not Pattern.PROMPT]
    prompt = [size for size in patterns if size not in late]
    if not late:
        if prompt:
            yield Finding(
                "sizes", Severity.OK, f"events of every size come at once: {padded(prompt)}."
            )
        return
    yield Finding("buffer", Severity.ERROR, _buffer(late, prompt), hop, remedies.unbuffered(hop))


def _buffer(late: Sequence[int], prompt: Sequence[int]) -> str:
    if not prompt:
        return f"Events of every size come late ({padded(late)}): more than 64 KB are held back."
    if max(late) < min(prompt):
        return (
            f"Events come late up to {padded(late[-1:])}, and at once from {padded(prompt[:1])} "
            f"on: about {min(prompt) // 1024} KB are held back."
        )
    return (
        f"Events of these sizes come late: {padded(late)}; and of these at once: {padded(prompt)}."
    )


def _ms(seconds: float) -> str:
    ms = 1000 * seconds
    return f"{ms:.1f} ms" if abs(ms) < 10 else f"{ms:.0f} ms"
