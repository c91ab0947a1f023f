"""What to do about a fault, in the words of the program that has it. Pure."""

_MANUAL = "docs/proxies.md"

_UNBUFFERED = {
    "nginx": "in its location: proxy_buffering off; gzip off; proxy_http_version 1.1; and "
    'proxy_set_header Connection ""; in an nginx behind it: proxy_pass_header X-Accel-Buffering',
    "Apache": "add flushpackets=on to ProxyPass, and take text/event-stream out of mod_deflate",
    "HAProxy": "add 'option http-no-delay', and take text/event-stream out of 'compression type'",
    "Caddy": "take text/event-stream out of encode, and response_buffers out of reverse_proxy",
    "Varnish": "in vcl_backend_response: set beresp.do_stream = true; set beresp.do_gzip = false",
    "Squid": "turn off ICAP and content adaptation for text/event-stream",
    "Express": "leave text/event-stream out of compression() by its filter",
    "Cloudflare": "turn off what reads or changes whole answers for this path, such as Workers and "
    "response buffering",
}

_IDLE = {
    "nginx": "proxy_read_timeout",
    "Apache": "timeout= of ProxyPass",
    "HAProxy": "'timeout server' and 'timeout client'",
    "Caddy": "read_timeout of reverse_proxy's transport http",
    "Varnish": "between_bytes_timeout",
    "Squid": "read_timeout",
    "AWS load balancer": "the attribute idle_timeout",
    "Envoy": "the route's idle_timeout",
}


def _product(hop: str) -> str:
    return hop.partition(",")[0].partition("/")[0]


def unbuffered(hop: str) -> str:
    """Return how a hop is made to pass each event on at once."""
    told = _UNBUFFERED.get(_product(hop))
    return told or f"turn buffering and compression off for text/event-stream: {_MANUAL}"


def unbuffered_bodies(hop: str) -> str:
    """Return how a hop is made to pass a request's body on as it comes."""
    told = {"nginx": "proxy_request_buffering off; client_max_body_size 0;"}.get(_product(hop))
    return told or "have it pass request bodies on as they come, at least of publish-stream"


def authorization(hop: str) -> str:
    """Return how a hop is made to pass the header Authorization on."""
    told = {"Squid": "add login=PASSTHRU to cache_peer"}.get(_product(hop))
    return told or "have it pass the header Authorization on to the app"


def uncached(hop: str) -> str:
    """Return how a cache is made to leave streams alone."""
    told = {"Varnish": "in vcl_recv: return (pass)", "nginx": "proxy_cache off;"}
    return told.get(_product(hop)) or "have the cache leave event streams alone"


def idle(hop: str, least_seconds: float) -> str:
    """Return how a hop is made to leave a silent stream open for so long."""
    told = _IDLE.get(_product(hop), "its idle or read timeout")
    return f"raise {told} to {least_seconds:.0f} s or more, or send heartbeats more often"
