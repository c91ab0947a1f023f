from dataclasses import replace

import pytest

from barestream_doctor.exchange import Ending, Exchange, Read
from barestream_doctor.finding import Finding, Severity
from barestream_doctor.opinion import compared, findings
from barestream_doctor.seen import BodySent, LimitsSeen, Seen
from recorded_ways import (
    STREAM_HEADERS,
    Way,
    busy,
    clumps,
    constant,
    drift,
    held_to_end,
    one_behind,
    prompt,
    seen,
    stream,
)


def bad(found: Seen) -> dict[str, Finding]:
    return {each.code: each for each in findings(found) if each.severity >= Severity.WARNING}


def noted(found: Seen) -> set[str]:
    return {each.code for each in findings(found) if each.severity is Severity.NOTE}


def open_stream() -> Exchange:
    event = b'event: barestream.diagnosis\ndata: {"run": "r"}\n\n'
    return Exchange(
        http_version="1.1", status=200, headers=[*STREAM_HEADERS], reads=[Read(0.01, event)]
    )


def closed(after: float, ending: Ending = Ending.CUT) -> Exchange:
    return replace(open_stream(), ending=ending, ended_at=after)


@pytest.mark.parametrize("way", [prompt, busy])
def test_a_healthy_way_has_no_warning(way: Way) -> None:
    found = seen(way)
    found.silent, found.beating, found.ended = open_stream(), open_stream(), stream(prompt)
    assert bad(found) == {}


@pytest.mark.parametrize(
    ("way", "codes"),
    [
        (held_to_end, {"headers-late", "held"}),
        (one_behind, {"one-behind"}),
        (clumps, {"clumps"}),
        (drift, {"drift"}),
        (constant, {"late"}),
    ],
)
def test_a_way_with_a_fault_has_that_finding_alone(way: Way, codes: set[str]) -> None:
    found = seen(way)
    if way is held_to_end:
        found.courses["1.1"].head_at = 8.2
    blamed = bad(found)
    assert blamed.keys() == codes
    assert {each.hop for each in blamed.values()} == {"nginx/1.28.0"}
    assert all(each.remedy for each in blamed.values())


def test_headers_that_come_early_are_told_from_a_first_event_that_comes_late() -> None:
    found = seen(lambda sent: [sent[0] + 0.9, *prompt(sent)[1:]])
    found.courses["1.1"].head_at = 0.002
    assert bad(found).keys() == {"first-event-late"}
    assert "headers came after 2.0 ms" in bad(found)["first-event-late"].evidence.lower()


def test_a_buffer_that_only_large_events_meet_has_its_sizes() -> None:
    found = seen()
    found.sweep = {2048: stream(prompt), 4096: stream(clumps), 65_536: stream(clumps)}
    assert bad(found).keys() == {"buffer"}
    assert "4 KB, 64 KB; and of these at once: small, 2 KB" in bad(found)["buffer"].evidence


def test_a_buffer_that_small_events_fill_slowly_has_its_size() -> None:
    found = seen(clumps)
    found.sweep = {2048: stream(clumps), 8192: stream(prompt)}
    assert "about 8 KB are held back" in bad(found)["buffer"].evidence


def test_a_hub_that_turns_streams_away_holds_nothing_back() -> None:
    found = seen()
    away = [("barestream-turned-away", "worker full")]
    found.courses["1.1"] = Exchange(
        http_version="1.1", status=200, headers=[*STREAM_HEADERS, *away], ending=Ending.CLEAN
    )
    found.sweep = {}
    assert bad(found).keys() == {"stream-failed"}
    assert "worker full" in bad(found)["stream-failed"].evidence


def test_a_constant_delay_says_that_its_direction_is_unknown() -> None:
    found = bad(seen(behind_seconds=0.2))
    assert found.keys() == {"constant-delay"}
    assert "cannot be told from the clocks" in found["constant-delay"].evidence


def test_a_distant_server_is_no_fault() -> None:
    found = seen()
    found.trips = [
        replace(trip, connect_seconds=0.18, came_at=trip.came_at + 0.18) for trip in found.trips
    ]
    assert bad(found) == {}


def test_what_a_busy_machine_hides_is_said() -> None:
    found = seen()
    found.trips = [
        replace(trip, came_at=trip.came_at + 0.2 * max(0, number - 1))
        for number, trip in enumerate(found.trips)
    ]
    assert bad(found) == {}
    assert "busy" in noted(found)


def test_the_direct_path_says_which_direction_a_delay_has() -> None:
    told = {each.code: each for each in compared(seen(behind_seconds=0.2), seen())}
    assert "adds 200 ms" in told["added-delay"].evidence
    assert "200 ms of them on the way back" in told["added-delay"].evidence


def test_a_fault_past_which_the_direct_path_is_healthy_lies_before_it() -> None:
    direct = seen()
    direct.origin, direct.first_hop = "http://10.0.0.1", Exchange()
    told = {each.code: each for each in compared(seen(one_behind), direct)}
    assert told["one-behind"].hop == "nginx/1.28.0, before http://10.0.0.1"


def test_a_fault_that_the_direct_path_has_too_is_not_of_the_way_to_it() -> None:
    direct = seen(one_behind)
    told = {each.code: each for each in compared(seen(one_behind), direct)}
    assert "has it too" in told["one-behind"].hop


@pytest.mark.parametrize(
    ("after", "severity"), [(10.0, Severity.ERROR), (20.0, Severity.WARNING), (60.0, None)]
)
def test_an_idle_timeout_is_judged_by_the_heartbeat(
    after: float, severity: Severity | None
) -> None:
    found = seen()
    found.silent, found.beating = closed(after), open_stream()
    idle = bad(found).get("idle-timeout")
    assert (idle.severity if idle else None) is severity
    if idle:
        assert "proxy_read_timeout to 60 s" in idle.remedy


def test_a_limit_of_the_duration_is_told_from_an_idle_timeout() -> None:
    found = seen()
    found.silent, found.beating = closed(60), closed(60.2)
    found.beating.reads = [*found.beating.reads, *(Read(at, b":\n") for at in (15, 30, 45, 60))]
    assert bad(found).keys() == {"duration-limit"}


def test_an_idle_timeout_that_ends_both_streams_before_a_heartbeat_is_one() -> None:
    found = seen()
    found.silent, found.beating = closed(10), closed(10.1)
    assert bad(found).keys() == {"idle-timeout"}


def test_an_idle_timeout_on_a_way_that_holds_the_event_back_counts_from_the_beginning() -> None:
    found = seen()
    found.silent, found.beating = closed(60), open_stream()
    found.silent.reads = [Read(60, found.silent.body)]
    assert bad(found) == {}


def test_a_compressed_stream_is_a_warning_and_one_that_no_transform_saves_a_note() -> None:
    found = seen()
    found.transformed = stream(prompt, headers=[("content-encoding", "br")])
    assert bad(found) == {}
    assert "transformer" in noted(found)
    found.courses["1.1"] = stream(prompt, headers=[("content-encoding", "gzip")])
    assert bad(found).keys() == {"compressed"}


def test_one_stream_for_two_clients_is_a_cache() -> None:
    found = seen()
    found.twins = stream(prompt), stream(prompt)
    assert bad(found).keys() == {"shared-stream"}


def test_an_origin_that_is_allowed_twice_is_refused_by_browsers() -> None:
    found = seen()
    answer = open_stream()
    answer.headers += [("access-control-allow-origin", "https://a.example")] * 2
    found.crossed = answer, Exchange(status=204)
    assert bad(found).keys() == {"cors-twice"}


def test_what_statuses_do_to_a_browser_is_said() -> None:
    found = seen()
    found.statuses = {502: Exchange(status=502), 401: Exchange(status=302)}
    assert bad(found).keys() == {"status-401"}
    assert "status-502" in noted(found)


def test_a_stream_that_is_cut_and_stays_open_is_a_warning() -> None:
    found = seen()
    found.ended, found.cut = closed(1, Ending.CLEAN), open_stream()
    assert bad(found).keys() == {"cut-hidden"}


def with_ids(*ids: str) -> Exchange:
    text = "".join(f"data: x\nid: {each}\n\n" for each in ids)
    return replace(open_stream(), reads=[Read(0.1, text.encode())])


@pytest.mark.parametrize(
    ("again", "code"),
    [(["b", "c"], None), (["c"], "resume-gap"), (["a", "b"], "resume-twice"), ([], "resume")],
)
def test_a_drop_shows_gaps_and_repeats(again: list[str], code: str | None) -> None:
    found = seen()
    found.resumed = with_ids("a", "b"), with_ids(*again), with_ids("c")
    assert list(bad(found)) == ([code] if code else [])


@pytest.mark.parametrize(
    ("came_at", "codes"), [(0.01, set()), (2.51, {"body-buffered"}), (None, {"body-buffered"})]
)
def test_a_body_that_waits_for_its_end_is_buffered(came_at: float | None, codes: set[str]) -> None:
    found = seen()
    found.body = BodySent(Exchange(status=200), came_at, 2.5)
    assert bad(found).keys() == codes


def test_limits_that_are_low_are_named() -> None:
    found = seen()
    streams = [open_stream()] * 6
    plain = Exchange(status=200)
    sizes = {("query", 8192): 200, ("header", 8192): 200, ("header", 16_384): 431}
    found.limits = LimitsSeen([*streams, Exchange(status=429), plain], 20, None, 128, 128, sizes)
    assert bad(found).keys() == {"seven-streams", "address-streams"}
    told = {each.code: each.evidence for each in findings(found)}
    assert "a header of 8 KB (16 KB gets 431)" in told["request-sizes"]


def test_a_token_that_the_app_never_saw_was_taken_off() -> None:
    found = Seen("http://events.example", sent_token=True)
    found.first_hop = Exchange(status=400, headers=[("server", "squid/5.7")])
    found.plain = Exchange(
        status=401,
        headers=[("content-type", "application/problem+json"), ("www-authenticate", "Bearer")],
    )
    found.stream = stream(prompt)
    lost = bad(found)["authorization-lost"]
    assert (lost.hop, lost.remedy) == ("Squid/5.7", "add login=PASSTHRU to cache_peer")


def test_a_token_without_the_right_is_an_error_in_the_words_of_the_hub() -> None:
    found = Seen("http://events.example", sent_token=True)
    found.plain = Exchange(
        status=403,
        headers=[("content-type", "application/problem+json")],
        reads=[Read(0, b'{"detail": "The token does not have the right to operate."}')],
    )
    assert "right to operate" in bad(found)["token-refused"].evidence


def of_another_server(*reads: Read) -> Seen:
    found = Seen("http://events.example")
    found.plain = Exchange(status=404)
    headers = [("content-type", "text/event-stream")]
    found.stream = Exchange(
        http_version="1.1", status=200, headers=headers, head_at=0.01, reads=[*reads], ended_at=10
    )
    return found


def test_a_stream_of_another_server_has_no_warning_for_what_cannot_be_known() -> None:
    found = of_another_server(*(Read(float(at), b"data: x\n\n") for at in range(10)))
    assert bad(found) == {}
    assert "few-probes" in noted(found)
    assert bad(of_another_server()) == {}


def test_events_without_ids_are_noted_because_nobody_can_come_back_after_them() -> None:
    def stream(event: bytes) -> Seen:
        return of_another_server(*(Read(float(at), event) for at in range(3)))

    assert "no-ids" in noted(stream(b"data: x\n\n"))
    assert "no-ids" not in noted(stream(b"id: 1\ndata: x\n\n"))


def test_bursts_of_another_server_may_be_a_buffer() -> None:
    found = of_another_server(*(Read(2.0 * at, b"data: x\n\n" * 8) for at in range(5)))
    assert bad(found).keys() == {"clumps"}


def test_a_stream_of_another_server_without_headers_is_held_back() -> None:
    found = of_another_server()
    found.first_hop = Exchange(status=400, headers=[("server", "nginx")])
    found.stream = Exchange(ended_at=10, error="no headers came within 10 s")
    assert bad(found)["headers-late"].hop == "nginx"
    assert "proxy_buffering off" in bad(found)["headers-late"].remedy


@pytest.mark.parametrize(("status", "word"), [(401, "token"), (404, "URL of a stream")])
def test_an_answer_that_is_no_stream_says_what_to_do(status: int, word: str) -> None:
    found = of_another_server()
    found.stream = Exchange(status=status, headers=[("content-type", "text/html")])
    assert word in bad(found)["no-stream"].remedy


def test_a_server_that_cannot_be_reached_has_one_finding() -> None:
    found = Seen("http://events.example", plain=Exchange(error="connection refused"))
    assert [each.code for each in findings(found)] == ["unreachable"]
