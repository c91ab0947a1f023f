"""The project with deploy/tls.yml over it, and a certificate authority of the tests' own.

The reload comes early, and what follows from it is looked at last: nginx keeps the streams of
before for half a minute.
"""

import asyncio
import re
import socket
import ssl
import subprocess
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from cryptography import x509

from compose import docker
from crowd import Crowd
from http2 import Http2Connection, Http2Stream
from secure_stack import SecureStack
from support.clients.chromium import running_chromium
from support.clients.publisher import PATH, token
from support.servers.authority import Authority, make_current
from support.servers.docker_cli import inspect
from support.servers.programs import path_of
from support.servers.service import wait_for

BROWSER_STREAMS = 140

# They are open through the exchange of a certificate, and through a reload.
KEPT_STREAMS = 100

# worker_shutdown_timeout with a drain of 0.
KEPT_SECONDS = 30


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def secure(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureStack]:
    folder = tmp_path_factory.mktemp("tls")
    first = folder / "certificates/first"
    authority.issue(first)
    make_current(first)
    running = SecureStack(folder)
    with running:
        yield running


@pytest.fixture(scope="module")
def crowd(secure: SecureStack, authority: Authority) -> Iterator[Crowd]:
    """Return streams that are open all the while, on a connection of their own."""
    crowd = Crowd(("127.0.0.1", secure.tls_port), authority.root, KEPT_STREAMS)
    with ThreadPoolExecutor(1) as thread:
        following = thread.submit(lambda: asyncio.run(crowd.follow()))
        try:
            wait_for("the streams", lambda: crowd.least_ticks() > 0)
            yield crowd
        finally:
            crowd.stop()
        following.result()


@pytest.fixture
def trusting(authority: Authority) -> ssl.SSLContext:
    """Return what a client is that trusts the authority."""
    return ssl.create_default_context(cafile=authority.root)


@pytest.fixture
def http(trusting: ssl.SSLContext) -> Iterator[httpx.Client]:
    with httpx.Client(verify=trusting) as client:
        yield client


@contextmanager
def connected(secure: SecureStack, context: ssl.SSLContext) -> Iterator[ssl.SSLSocket]:
    with (
        socket.create_connection(("127.0.0.1", secure.tls_port), timeout=5) as connection,
        context.wrap_socket(connection, server_hostname="127.0.0.1") as secured,
    ):
        yield secured


def shown_certificate(secure: SecureStack, context: ssl.SSLContext) -> str:
    """Return the name on the certificate that a new client is shown."""
    with connected(secure, context) as connection:
        shown = connection.getpeercert(binary_form=True)
    assert shown
    return x509.load_der_x509_certificate(shown).subject.rfc4514_string()


def asked_by_http_2(secure: SecureStack, authority: Authority, path: str, *options: str) -> str:
    """Return an answer's body, its version of HTTP and its status."""
    curl = [path_of("curl", "curl"), "--silent", "--http2", "--cacert", str(authority.root)]
    form = "\n%{http_version} %{http_code}"
    done = subprocess.run(
        [*curl, "--write-out", form, *options, f"{secure.origin}{path}"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.stdout


def test_over_http_2_too_a_long_url_is_refused_with_the_limit_and_ends_no_connection(
    secure: SecureStack, authority: Authority
) -> None:
    # Z is as long in HTTP/2's own coding.
    told = asked_by_http_2(secure, authority, f"{PATH}?topic={'Z' * 40_000}")
    assert told.endswith("\n2 414")
    assert "longer than 32768 bytes" in told
    told = asked_by_http_2(secure, authority, "/readyz", "--cookie", f"a={'Z' * 40_000}")
    assert told == "ok\n\n2 200"


def test_a_certificate_is_replaced_by_its_link_and_no_stream_is_cut(
    secure: SecureStack, authority: Authority, trusting: ssl.SSLContext, crowd: Crowd
) -> None:
    assert shown_certificate(secure, trusting) == "CN=first"
    second = secure.certificates / "second"
    authority.issue(second)
    make_current(second)
    assert shown_certificate(secure, trusting) == "CN=second"
    had = crowd.least_ticks()
    wait_for("two more ticks", lambda: crowd.least_ticks() >= had + 2)
    assert [stream.over_at for stream in crowd.lives[0]] == [None] * KEPT_STREAMS


@pytest.fixture(scope="module")
def reloaded_at(secure: SecureStack, crowd: Crowd) -> float:
    """Reload nginx with the crowd's streams open; return when."""
    assert len(crowd.lives) == 1
    at = time.time()
    secure.kill("nginx", "HUP")
    return at


_OPEN = """streams => {
    window.streams = Array.from({length: streams}, () => new EventSource("/events"));
}"""

_COUNT_OPEN = "() => streams.filter(stream => stream.readyState === EventSource.OPEN).length"

_FETCH = """async () => {
    const asked_at = performance.now();
    const answer = await fetch("/healthz", {cache: "no-store"});
    await answer.text();
    const [entry] = performance.getEntriesByName(answer.url).slice(-1);
    return [answer.status, entry.nextHopProtocol, (performance.now() - asked_at) / 1000];
}"""


def test_a_request_of_a_page_is_answered_beside_140_streams_on_one_connection(
    secure: SecureStack, reloaded_at: float, figure: Callable[[str], None]
) -> None:
    assert reloaded_at
    before = connections(secure)
    with running_chromium(path_of("chromium", "chromium")) as chromium:
        page = chromium.new_page(ignore_https_errors=True)
        page.goto(f"{secure.origin}/healthz")
        page.evaluate(_OPEN, BROWSER_STREAMS)
        wait_for("the streams", lambda: page.evaluate(_COUNT_OPEN) == BROWSER_STREAMS)
        answers = [page.evaluate(_FETCH) for _ in range(20)]
        assert connections(secure) == before + 1
    assert {(status, protocol) for status, protocol, _ in answers} == {(200, "h2")}
    slowest = max(seconds for *_, seconds in answers)
    figure(f"{BROWSER_STREAMS} streams, 20 requests: the slowest {slowest * 1000:.0f} ms")
    assert slowest < 1


def connections(secure: SecureStack) -> int:
    """Return how many connections nginx has on port 443."""
    # Its own address with the port, and established (proc(5), /proc/net/tcp).
    lines = secure.exec("nginx", "cat", "/proc/net/tcp").stdout.splitlines()
    return len([line for line in lines if re.match(r" +\d+: \w+:01BB \w+:\w+ 01 ", line)])


def test_a_stream_that_is_not_read_delays_no_other_stream_of_its_connection(
    secure: SecureStack, authority: Authority, http: httpx.Client
) -> None:
    large = "x" * 200_000

    async def follow_both() -> tuple[Http2Stream, Http2Stream]:
        connection = await Http2Connection(("127.0.0.1", secure.tls_port), authority.root).open()
        running = asyncio.create_task(connection.run())
        stalled = connection.get(f"{PATH}?topic=large", is_read=False)
        other = connection.get(f"{PATH}?topic=large")
        await asyncio.to_thread(wait_for, "both", lambda: stalled.body and other.body)
        for _ in range(3):
            form = {"topic": "large", "data": large}
            bearer = {"Authorization": f"Bearer {token()}"}
            published = await asyncio.to_thread(
                http.post, secure.origin + PATH, data=form, headers=bearer
            )
            assert published.status_code == 200
        await asyncio.to_thread(
            wait_for, "all of them", lambda: other.body.count(large.encode()) == 3
        )
        running.cancel()
        await asyncio.wait([running])
        return stalled, other

    stalled, other = asyncio.run(follow_both())
    # The window that HTTP/2 begins with.
    assert len(stalled.body) == 65_535
    assert (stalled.over_at, other.over_at) == (None, None)


def test_a_client_that_knows_http_2_gets_it(secure: SecureStack, trusting: ssl.SSLContext) -> None:
    trusting.set_alpn_protocols(["http/1.1", "h2"])
    with connected(secure, trusting) as connection:
        assert connection.selected_alpn_protocol() == "h2"
        assert connection.version() == "TLSv1.3"


def test_a_client_that_knows_tls_1_1_at_most_is_refused(
    secure: SecureStack, trusting: ssl.SSLContext
) -> None:
    # As old a client as OpenSSL can still be.
    trusting.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        trusting.minimum_version = ssl.TLSVersion.TLSv1
        trusting.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"), connected(secure, trusting):
        pass


@pytest.mark.parametrize("path", ["/", "/test?topic=a%20b&x", "/.well-known/mercure", "/_nginx"])
def test_port_80_redirects_to_tls(secure: SecureStack, http: httpx.Client, path: str) -> None:
    answer = http.get(secure.url + path)
    assert answer.status_code == 308
    assert answer.headers["location"] == secure.origin + path
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_plain_http_on_the_port_of_tls_redirects_to_tls(
    secure: SecureStack, http: httpx.Client
) -> None:
    answer = http.get(f"http://127.0.0.1:{secure.tls_port}/test?x")
    assert answer.status_code == 308
    assert answer.headers["location"] == f"{secure.origin}/test?x"


def test_a_publish_to_port_80_is_redirected_to_tls_and_counts_as_from_the_own_origin(
    secure: SecureStack, trusting: ssl.SSLContext
) -> None:
    # A cookie publishes only from the site's own origin: its scheme and port too.
    with httpx.Client(verify=trusting, cookies={"mercureAuthorization": token()}) as browser:
        answer = browser.post(
            secure.url + PATH,
            # More than nginx takes of a request that is none.
            data={"topic": "a", "data": "x" * 400_000 + "%" * 100_000},
            headers={"Origin": secure.origin},
            follow_redirects=True,
        )
    assert [answer.status_code for answer in (*answer.history, answer)] == [308, 200]


def test_port_80_answers_http_01(secure: SecureStack, http: httpx.Client) -> None:
    folder = secure.acme / ".well-known/acme-challenge"
    folder.mkdir(parents=True)
    (folder / "token").write_text("token.thumbprint")
    answer = http.get(f"{secure.url}/.well-known/acme-challenge/token")
    assert (answer.status_code, answer.text) == (200, "token.thumbprint")
    missing = http.get(f"{secure.url}/.well-known/acme-challenge/nope")
    assert missing.json()["status"] == 404


def test_hsts_is_optional_and_sent_with_every_answer_over_tls_only(
    secure: SecureStack, http: httpx.Client, tmp_path: Path
) -> None:
    paths = ("/healthz", "/nope", "/metrics", "/_nginx")
    for path in paths:
        assert "strict-transport-security" not in http.get(secure.origin + path).headers
    container = f"{secure.project}-hsts"
    # What an app with that setting leaves for nginx.
    tmp_path.chmod(0o755)
    (tmp_path / "nginx.env").write_text("BARESTREAM_HSTS_SECONDS=63072000\n")
    one = ("run", "--detach", "--rm", "--no-deps", "--name", container)
    started = secure.run(*one, "--volume", f"{tmp_path}:/run/barestream/main:ro", "nginx")
    assert started.returncode == 0, started.stderr

    def headers(*urls: str) -> str:
        return docker("exec", container, "curl", "-skD-", "-o/dev/null", *urls).lower()

    try:
        wait_for("nginx", lambda: inspect(container)["State"]["Health"]["Status"] == "healthy")
        by_tls = headers(*(f"https://127.0.0.1{path}" for path in paths))
        plain = headers("http://127.0.0.1/", "http://127.0.0.1:443/")
    finally:
        docker("stop", container)
    assert by_tls.count("strict-transport-security: max-age=63072000\n") == len(paths)
    assert plain.count("http/1.1 308") == 2
    assert "strict-transport-security" not in plain


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ("missing", 'cannot load certificate "/run/certificates/current/fullchain.pem"'),
        ("of two pairs", '"/run/certificates/current/privkey.pem") failed'),
    ],
)
def test_a_certificate_that_cannot_serve_stops_the_start_and_is_named(
    secure: SecureStack, authority: Authority, tmp_path: Path, wrong: str, complaint: str
) -> None:
    tmp_path.chmod(0o755)
    if wrong == "of two pairs":
        one, other = tmp_path / "one", tmp_path / "other"
        authority.issue(one)
        authority.issue(other)
        (other / "privkey.pem").replace(one / "privkey.pem")
        make_current(one)
    mount = f"{tmp_path}:/run/certificates:ro"
    done = secure.run("run", "--rm", "--no-TTY", "--no-deps", "--volume", mount, "nginx")
    assert done.returncode != 0
    [line] = [line for line in done.stderr.splitlines() if "[emerg]" in line]
    assert complaint in line


def test_a_reload_keeps_streams_for_their_time_limit_and_loses_no_event(
    crowd: Crowd, reloaded_at: float, figure: Callable[[str], None]
) -> None:
    wait_for("the cut", lambda: len(crowd.lives) > 1, KEPT_SECONDS + 10)
    wait_for("two ticks behind it", lambda: crowd.least_ticks() >= 2)
    cut_after = sorted((stream.over_at or 0) - reloaded_at for stream in crowd.lives[0])
    figure(
        f"{KEPT_STREAMS} streams on a connection cut {cut_after[0]:.1f} to {cut_after[-1]:.1f} s "
        "after the reload, and all back"
    )
    assert cut_after[0] >= KEPT_SECONDS - 0.5
    for history in crowd.histories():
        assert history == list(range(history[0], history[-1] + 1))
