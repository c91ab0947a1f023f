"""Which programs stand between the client and the app, as far as they can be seen. Pure."""

import re
from collections.abc import Iterable

from barestream_doctor.exchange import Exchange
from barestream_doctor.seen import Seen

# What the programs say of themselves, in the headers Server, Via and X-Powered-By or in an error
# page of their own.
_WORDS = {
    "nginx": re.compile(r"\b(nginx|openresty|tengine)\b(/[\d.]+)?", re.IGNORECASE),
    "Apache": re.compile(r"\bApache\b(/[\d.]+)?|<address>Apache", re.IGNORECASE),
    "Caddy": re.compile(r"\bCaddy\b"),
    "Varnish": re.compile(r"\bvarnish\b", re.IGNORECASE),
    "Squid": re.compile(r"\bsquid\b(/[\d.]+)?", re.IGNORECASE),
    "Envoy": re.compile(r"\benvoy\b", re.IGNORECASE),
    "Cloudflare": re.compile(r"\bcloudflare\b", re.IGNORECASE),
    "CloudFront": re.compile(r"\bCloudFront\b", re.IGNORECASE),
    "Google": re.compile(r"\b(1\.1 google|Google Frontend)\b", re.IGNORECASE),
    "AWS load balancer": re.compile(r"\bawselb\b", re.IGNORECASE),
    "IIS": re.compile(r"\bMicrosoft-IIS\b(/[\d.]+)?", re.IGNORECASE),
    "Express": re.compile(r"\bExpress\b"),
    "Fly": re.compile(r"\bFly/|fly\.io", re.IGNORECASE),
}

# Headers that only these set.
_HEADERS = {
    "x-varnish": "Varnish",
    "cf-ray": "Cloudflare",
    "x-amz-cf-id": "CloudFront",
    "x-envoy-upstream-service-time": "Envoy",
    "x-vercel-id": "Vercel",
    "fly-request-id": "Fly",
    "x-squid-error": "Squid",
    "x-served-by": "Fastly",
}

# The first hop's own words about a request that is no HTTP.
_REFUSALS = (
    ("HAProxy", b"Your browser sent an invalid request."),
    ("uvicorn", b"Invalid HTTP request received."),
    ("barestream", b"The request is not valid HTTP/1.1."),
    ("Centrifugo", b"centrifugo"),
)

# Servers of applications; they are no proxies.
SERVERS = frozenset({"barestream", "uvicorn", "Go", "Node.js"})


def first_hop(seen: Seen) -> str:
    """Return the program that answers first; empty if it cannot be told."""
    refusal = seen.first_hop
    if not refusal.status and not refusal.body:
        return ""
    for name, words in _REFUSALS:
        if words in refusal.body:
            return name
    told = _named([refusal.header("server"), refusal.body.decode("latin-1")])
    return told[0] if told else _by_form(seen)


def _by_form(seen: Seen) -> str:
    """Return the program whose refusal says no name, but has a form of its own."""
    refusal = seen.first_hop
    form = ([name for name, _ in refusal.headers], refusal.body)
    if form == (["connection"], b""):
        return "Node.js"
    if form == ([], b"") and refusal.status == 400:
        return _if_named("Varnish", seen, "")
    if form == (["content-type", "connection"], b"400 Bad Request"):
        return _if_named("Caddy", seen, "Go")
    return ""


def proxies(seen: Seen) -> list[str]:
    """Return the proxies on the path that can be seen, the first hop first."""
    found = [name for name in [first_hop(seen)] if name and name not in SERVERS]
    for exchange in (seen.plain, *seen.all_streams()):
        found += _of_headers(exchange)
    unique: dict[str, str] = {}
    for name in found:
        # nginx and nginx/1.22.1 are one.
        unique.setdefault(name.partition("/")[0], name)
    return list(unique.values())


def hop(seen: Seen) -> str:
    """Return what a fault of the path is blamed on, as a part of a sentence."""
    found = proxies(seen)
    if len(found) == 1:
        return found[0]
    if found:
        return f"{found[0]}, or one behind it ({', '.join(found[1:])})"
    return "something that does not show itself, such as a tunnel, or the server itself"


def _of_headers(exchange: Exchange) -> list[str]:
    found = _named(exchange.header(name) for name in ("via", "server", "x-powered-by", "x-cache"))
    return found + [name for header, name in _HEADERS.items() if exchange.header(header)]


def _named(texts: Iterable[str]) -> list[str]:
    found = []
    for text in texts:
        for name, words in _WORDS.items():
            if match := words.search(text):
                version = next((group for group in match.groups() if group and "/" in group), "")
                found.append(name + (version if name != "AWS load balancer" else ""))
    return found


def _if_named(name: str, seen: Seen, otherwise: str) -> str:
    """Return a name that the answers' headers have too."""
    return name if name in _of_headers(seen.plain) else otherwise
