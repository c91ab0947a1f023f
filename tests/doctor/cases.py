"""What the doctor must say of each path: the codes of its warnings and errors, and the hop."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from doctor import paths
from doctor.paths import DEAF, HTTP11, Proxies, Setup
from support.clients.publisher import KEY
from support.servers.authority import Authority
from support.servers.bound import Bound
from support.servers.service import Service

_GZIP = "gzip on; gzip_types text/event-stream; gzip_proxied any;"


@dataclass(frozen=True, slots=True)
class Case:
    """A path and its verdict.

    Attributes:
        name: What it is.
        setup: The proxy before the app; None for no proxy.
        codes: The codes of the findings that are warnings or errors.
        hop: A part of the hop that they name.
        notes: The codes of notes that it must have.
        before_service: Whether our nginx is behind the proxy.
    """

    name: str
    setup: Setup | None
    codes: frozenset[str] = frozenset()
    hop: str = ""
    notes: frozenset[str] = frozenset()
    before_service: bool = False


def _case(name: str, setup: Setup | None, hop: str = "", codes: str = "", notes: str = "") -> Case:
    return Case(name, setup, frozenset(codes.split()), hop, frozenset(notes.split()))


CASES = [
    _case("direct", None),
    Case("our nginx", None, before_service=True),
    Case("our nginx behind TLS and HTTP/2", paths.nginx(HTTP11, tls=True), before_service=True),
    _case("stock nginx", paths.nginx(), notes="upstream-http10"),
    _case("nginx, HTTP/1.0, buffers", paths.nginx(DEAF), "nginx", "headers-late held"),
    _case("nginx, HTTP/1.1, buffers", paths.nginx(HTTP11 + DEAF), "nginx", "buffer"),
    _case(
        "nginx with gzip, buffers",
        paths.nginx(HTTP11 + DEAF + _GZIP),
        "nginx",
        "headers-late held compressed",
    ),
    _case("nginx before nginx", paths.nginx_before_nginx, "nginx", "headers-late held compressed"),
    _case(
        "idle timeout of 10 s",
        paths.nginx(f"{HTTP11} proxy_read_timeout 10s;"),
        "nginx",
        "idle-timeout",
    ),
    _case("200 ms more", paths.relay("delay"), "does not show itself", "constant-delay"),
    _case("holds one chunk back", paths.relay("behind"), "does not show itself", "one-behind"),
    _case("Varnish", paths.varnish),
    _case("Express, compresses", paths.express, "Express", "cut-hidden", "transformer"),
    _case("HAProxy", paths.haproxy, "HAProxy", "late"),
    _case("HAProxy, http-no-delay", paths.prompt_haproxy),
    _case("Apache", paths.apache),
    _case("Caddy", paths.caddy),
    _case("Squid", paths.squid, "Squid", "authorization-lost"),
    _case("Squid, login=PASSTHRU", paths.trusting_squid),
]


@contextmanager
def urls(cases: Sequence[Case], folder: Path) -> Iterator[dict[str, str]]:
    """Run the app, our nginx and the proxies; the context's value has the URL of each path.

    Args:
        cases: The paths.
        folder: For the files of the proxies; their users must be able to enter it.
    """
    folder.chmod(0o755)
    authority = Authority(folder)
    authority.issue(folder / "pair")
    for path in (folder / "pair").iterdir():
        path.chmod(0o644)
    settings = {"token_key": KEY}
    with Bound(**settings) as app, Service(workers=1, **settings) as service, Proxies() as proxies:
        found = {}
        for number, case in enumerate(cases):
            to = service if case.before_service else app
            url = to.url
            if case.setup is not None:
                url = proxies.start(case.setup, to.port, folder / str(number))
            found[case.name] = f"{url}/"
        proxies.wait()
        yield found
