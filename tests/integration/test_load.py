"""``barestream load``: its findings on a healthy service, and on broken hubs."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.clients.publisher import KEY, token
from support.servers.authority import Authority
from support.servers.broken_hub import BrokenHub, Treatment
from support.servers.outer_nginx import outer_nginx
from support.servers.service import Service, children, free_port, is_alive, wait_for


@pytest.fixture(scope="module")
def hub() -> Iterator[Service]:
    with Service(workers=1, token_key=KEY) as running:
        yield running


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "barestream", "load", *map(str, arguments)]


def environment(**settings: str) -> dict[str, str]:
    inherited = {key: value for key, value in os.environ.items() if "BARESTREAM" not in key}
    return {**inherited, "PYTHONPATH": os.pathsep.join(sys.path), **settings}


def load(*arguments: object, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def found(*arguments: object) -> tuple[int, dict[str, Any]]:
    """Return the exit code and the findings of a short load by ten streams."""
    short = ("--streams", 10, "--seconds", 1, "--token", token(), "--json", "-")
    done = load(*arguments, *short)
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout)


def wait_until_it_works(hub: Service, streams: int) -> None:
    """Wait until so many streams are open at the hub and are sent events."""
    published = "barestream_updates_published_total"
    published_before = hub.metrics().get(published, 0)
    wait_for("its streams", lambda: hub.metrics().get("barestream_streams") == streams)
    wait_for("its events", lambda: hub.metrics().get(published, 0) > published_before)


def counts(all_found: dict[str, Any]) -> dict[str, int]:
    return {name: all_found["events"][name] for name in ("lost", "twice", "out_of_order")}


def test_the_load_finds_no_loss_on_a_healthy_service(hub: Service) -> None:
    code, all_found = found(
        *(hub.url, "--publish", 50, "--publishers", 3, "--topic", "a", "--topic", "/b/{c}")
    )
    events, taken = all_found["events"], all_found["published"]["taken"]
    assert code == 0
    assert all_found["well"] is True
    assert 45 <= taken <= 60
    assert events["received"] == 10 * taken
    assert counts(all_found) == {"lost": 0, "twice": 0, "out_of_order": 0}
    assert 0 < events["latency_us"]["p50"] <= events["latency_us"]["max"]
    assert events["own_wait_us"]["p50"] <= events["latency_us"]["max"]
    assert [each["process"] for each in all_found["own_cpu"]][-1] == "3 publishers"


def test_streams_without_a_publisher_are_compared_with_each_other(hub: Service) -> None:
    code, all_found = found(f"{hub.url}/events", "--processes", 2)
    assert code == 0
    assert all_found["streams"]["opened"] == 10
    assert all_found["events"]["lost"] == 0
    assert all_found["events"]["latency_us"] is None
    assert all_found["published"] is None


def test_the_load_may_connect_by_a_unix_socket(hub: Service) -> None:
    path = hub.current_sockets[0]
    code, all_found = found("http://localhost", "--publish", 20, "--unix", path)
    assert code == 0
    assert all_found["events"]["received"] >= 150


def test_more_streams_than_nginx_allows_for_one_address_come_from_several(hub: Service) -> None:
    done = load(f"{hub.url}/events", "--streams", 900, "--seconds", 1, "--json", "-")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["streams"]["opened"] == 900


def test_the_load_reports_the_limit_that_its_streams_met(hub: Service) -> None:
    # Streams of the tests before count for the same address.
    wait_for("the end of all streams", lambda: not hub.metrics().get("barestream_streams"))
    done = load(f"{hub.url}/events", "--streams", 600, "--sources", 1, "--seconds", 1)
    assert done.returncode == 1
    assert (
        "100 streams were not opened: turned away, this address has 500 streams, as many as "
        "BARESTREAM_STREAMS_PER_ADDRESS allows." in done.stdout
    )


def test_the_load_reports_that_a_worker_is_full() -> None:
    with Service(workers=1, streams_per_worker=5) as service:
        done = load(f"{service.url}/events", "--streams", 8, "--seconds", 1)
    assert done.returncode == 1
    assert "3 streams were not opened: turned away, worker full." in done.stdout


def test_the_load_speaks_tls_with_a_hub_whose_certificate_is_trusted(
    hub: Service, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    authority.issue(tmp_path / "pair")
    arguments = (
        "--publish",
        20,
        "--seconds",
        1,
        "--streams",
        10,
        "--token",
        token(),
        "--json",
        "-",
    )
    with outer_nginx(hub, tmp_path, pair=tmp_path / "pair") as outer:
        done = load(outer.url, *arguments, SSL_CERT_FILE=str(authority.root))
        untrusted = load(outer.url, *arguments[:-2])
    assert done.returncode == 0, done.stdout + done.stderr
    all_found = json.loads(done.stdout)
    assert all_found["events"]["received"] == 10 * all_found["published"]["taken"] > 0
    assert untrusted.returncode == 1
    assert (
        "10 streams were not opened: TLS fails: its certificate is not trusted (unable to get "
        "local issuer certificate)." in untrusted.stdout
    )


FAULTS: list[tuple[Treatment, str]] = [
    (lambda nth: [] if nth == 3 else [nth], "lost"),
    (lambda nth: [nth, nth] if nth == 3 else [nth], "twice"),
    (lambda nth: {3: [], 4: [4, 3]}.get(nth, [nth]), "out_of_order"),
]


@pytest.mark.parametrize(("treatment", "what"), FAULTS)
def test_the_load_finds_the_faults_of_a_broken_hub_on_one_stream(
    treatment: Treatment, what: str
) -> None:
    with BrokenHub(treatment) as broken:
        code, all_found = found(broken.url, "--publish", 20)
    assert counts(all_found) == {"lost": 0, "twice": 0, "out_of_order": 0, what: 1}
    assert all_found["well"] is False
    assert code == 1


@pytest.mark.parametrize(("treatment", "what"), FAULTS)
def test_an_event_missing_on_one_stream_is_found_by_the_ids_of_the_others(
    treatment: Treatment, what: str
) -> None:
    with BrokenHub(treatment) as broken:
        arguments = (f"{broken.url}/hub", "--streams", 10, "--processes", 1, "--json", "-")
        running = subprocess.Popen(
            # The events arrive within the first half second; a loaded machine may be late.
            command(*arguments, "--seconds", 3),
            env=environment(),
            stdout=subprocess.PIPE,
        )
        wait_for("the streams", lambda: broken.streams == 10)
        for nth in range(6):
            broken.publish(str(nth))
            # Each in a write of its own.
            time.sleep(0.05)
        told, _ = running.communicate(timeout=20)
    assert counts(json.loads(told)) == {"lost": 0, "twice": 0, "out_of_order": 0, what: 1}
    assert running.returncode == 1


def test_the_last_event_counts_as_owed_too() -> None:
    with BrokenHub(lambda nth: [nth] if nth < 5 else []) as broken:
        code, all_found = found(broken.url, "--publish", 20)
    assert all_found["events"]["lost"] == all_found["published"]["taken"] - 5
    assert code == 1


@pytest.mark.parametrize(("is_clean", "code"), [(True, 0), (False, 1)])
def test_streams_that_the_server_ends_are_counted_and_not_opened_again(
    *, is_clean: bool, code: int
) -> None:
    with BrokenHub(ends_after=5, is_clean=is_clean) as broken:
        done, all_found = found(broken.url, "--publish", 20)
    ended = [all_found["streams"][name] for name in ("ended", "cut")]
    assert ended == ([10, 0] if is_clean else [0, 10])
    assert all_found["events"]["lost"] == 0
    assert all_found["events"]["received"] == 50
    assert done == code


@pytest.mark.parametrize(
    ("path", "why"), [("/nothing", "404 Not Found"), ("/.well-known/mercure", "400 Bad Request")]
)
def test_an_answer_that_is_no_stream_is_reported_once(hub: Service, path: str, why: str) -> None:
    done = load(hub.url + path, "--seconds", 1)
    assert done.returncode == 1
    assert done.stdout.count(f"100 streams were not opened: the answer was {why}.") == 1
    assert done.stdout.count(why) == 1
    assert done.stderr == ""


def test_refused_publishes_are_reported_once(hub: Service) -> None:
    done = load(hub.url, "--publish", 20, "--seconds", 1, "--token", "x")
    assert done.returncode == 1
    assert done.stdout.count("publishes were not accepted: 401 Unauthorized: The token is not") == 1


def test_a_refused_connection_counts_as_a_failure() -> None:
    done = load(f"http://127.0.0.1:{free_port()}/events", "--seconds", 30)
    assert done.returncode == 1
    assert "100 streams were not opened: Connection refused." in done.stdout
    assert done.stderr == ""


def test_a_token_is_made_with_the_key_of_the_settings(hub: Service) -> None:
    arguments = (hub.url, "--publish", 20, "--seconds", 1, "--streams", 2)
    # A client does not need the settings that the service refuses without Valkey.
    made = load(*arguments, BARESTREAM_TOKEN_KEY=KEY, BARESTREAM_WORKERS="2")
    assert made.returncode == 0, made.stdout + made.stderr
    without = load(*arguments)
    assert without.returncode == 1
    assert (
        without.stderr
        == "There is no key to sign a token with: set BARESTREAM_TOKEN_KEY, or give --token.\n"
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_load_with_the_table_so_far(hub: Service, number: signal.Signals) -> None:
    arguments = (hub.url, "--publish", 50, "--seconds", 60, "--token", token())
    running = subprocess.Popen(
        command(*arguments),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_until_it_works(hub, 100)
    # To the whole process group, as a terminal sends it.
    os.killpg(running.pid, signal.SIGINT) if number == signal.SIGINT else running.terminate()
    table, complaints = running.communicate(timeout=20)
    assert running.returncode == 0, table
    assert "| streams opened" in table
    assert complaints == ""


def test_the_processes_of_the_load_do_not_outlive_it(hub: Service) -> None:
    arguments = (hub.url, "--publish", 50, "--seconds", 60, "--processes", 3, "--token", token())
    running = subprocess.Popen(command(*arguments), env=environment())
    own = wait_for("its processes", lambda: len(found := children(running.pid)) == 4 and found)
    wait_until_it_works(hub, 100)
    running.kill()
    running.wait()
    wait_for("their end", lambda: not any(map(is_alive, own)))


def test_a_url_of_another_form_is_named_with_the_expected_one() -> None:
    for url, told in (
        ("ftp://127.0.0.1/events", "'ftp://127.0.0.1/events': expected http://host:port/path"),
        ("http://127.0.0.1", "such as /events, or a --topic"),
        ("http://no-such-host.invalid/events", "no address was found for no-such-host.invalid"),
    ):
        done = load(url)
        assert (done.returncode, len(done.stderr.splitlines())) == (3, 1)
        assert told in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["http://127.0.0.1/events", "--streams", "0"], "'--streams': 0 is not in the range 1<=x"),
        (["http://127.0.0.1/events", "--seconds", "x"], "'--seconds': 'x' is not a valid float"),
        (["http://127.0.0.1/events", "--header", "x"], "'x': expected 'Name: value' in ASCII"),
        (["http://127.0.0.1/events", "--unix", "/nowhere"], "'/nowhere' does not exist"),
        (
            ["http://127.0.0.1/events", "--streams", "1000000", "--processes", "1"],
            "--streams 1000000: expected at most",
        ),
    ],
)
def test_a_bad_option_is_named_with_its_value_and_the_expected_form(
    arguments: list[str], told: str
) -> None:
    done = load(*arguments)
    assert done.returncode == 2
    assert told in done.stderr.replace("\n", " ")
