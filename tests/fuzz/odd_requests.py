"""Requests to the hub that are nearly right: each part is mostly as it should be, then mutated."""

import json
from typing import Any
from urllib.parse import quote_from_bytes

from hypothesis import strategies as st

from odd_tokens import ONE_IN_EIGHT, TOKENS, mostly
from support.clients.publisher import PATH

TOPIC = b"https://example.com/books/1"

Fields = list[tuple[bytes, bytes]]


# As in a query or a form: percent-encoded, or not encoded.
ODD_VALUES = st.one_of(
    st.sampled_from(
        [
            *(b"", b"*", b"+", b"%", b"%zz", b"%4", b"%00", b"%0d%0a", b"%ff", b"%ED%A0%80", b"="),
            *(b"%C3%A9", b"\xc3\xa9", b"\xff", b"#1-0", b"%231-0", b"earliest", b"%2599", b";"),
            *(b"{", b"{}", b"{a}", b"{+a*,b:3}", b"{?x*}" * 50, b"%7Bid%7D", b"{a}{b}" * 300),
            *(b"a" * 3000, b"1" * 400, b"-1", b"0", b"event", b"[" * 2000, b"%E2%98%83" * 700),
        ]
    ),
    st.binary(max_size=12),
    st.text(max_size=12).map(lambda text: quote_from_bytes(text.encode(errors="replace")).encode()),
    st.integers(0, 10**16).map(lambda ms: b"%%23%d-%d" % (ms, ms % 7)),
)
TOPICS = st.sampled_from([TOPIC, b"a", b"https://example.com/books/{id}", b"*", b"b"])


PATTERNS = st.sampled_from(
    [b"/books/:id", b"*", b"https://*.example.com/:a?", b"(", rb"/(\w{500})", b"*a" * 200, b"{a*}?"]
)
MATCH_NAMES = st.sampled_from(
    [b"match_exact", b"match_urlpattern", b"Match", b"match_", b"matchbox", b"match[]"]
)
QUERY_FIELDS: st.SearchStrategy[Fields] = st.lists(
    st.one_of(
        st.tuples(st.just(b"lastEventID") | st.just(b"last_event_id"), ODD_VALUES),
        st.tuples(st.just(b"authorization"), TOKENS),
        st.tuples(st.just(b"heartbeat"), st.just(b"event") | ODD_VALUES),
        st.tuples(ODD_VALUES, ODD_VALUES),
    ),
    max_size=3,
)
TOPIC_FIELDS: st.SearchStrategy[Fields] = st.lists(
    st.tuples(st.just(b"topic"), mostly(TOPICS, ODD_VALUES)), max_size=2
)
MATCH_FIELDS: st.SearchStrategy[Fields] = st.lists(
    st.one_of(
        st.tuples(st.just(b"match"), mostly(TOPICS, ODD_VALUES)),
        st.tuples(st.just(b"match_urlpattern"), mostly(PATTERNS, ODD_VALUES)),
        st.tuples(mostly(st.just(b"match_exact"), MATCH_NAMES), mostly(TOPICS, ODD_VALUES)),
    ),
    max_size=3,
)
FORM_FIELDS: st.SearchStrategy[Fields] = st.lists(
    st.one_of(
        st.tuples(st.just(b"topic"), mostly(TOPICS, ODD_VALUES)),
        st.tuples(st.just(b"data"), mostly(st.binary(max_size=30), ODD_VALUES)),
        st.tuples(st.just(b"id"), mostly(st.sampled_from([b"1", b"urn:x", b"2"]), ODD_VALUES)),
        st.tuples(st.just(b"type"), ODD_VALUES),
        st.tuples(st.just(b"retry"), mostly(st.sampled_from([b"1", b"86400000"]), ODD_VALUES)),
        st.tuples(st.just(b"private"), ODD_VALUES),
        st.tuples(st.just(b"keep"), mostly(st.sampled_from([b"0", b"60", b"forever"]), ODD_VALUES)),
        st.tuples(st.just(b"end"), ODD_VALUES),
        st.tuples(ODD_VALUES, ODD_VALUES),
    ),
    max_size=5,
)

# Each ends a topic of its own, because a topic that has ended takes no updates of later examples.
ENDED_TOPICS = st.integers(0, 10**9).map(lambda number: f"ended/{number}")
END_FIELDS: st.SearchStrategy[Fields] = ENDED_TOPICS.map(
    lambda topic: [(b"topic", topic.encode()), (b"end", b"true")]
)

# What Python can write as JSON, NaN and lone surrogates too.
ODD_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=12)
    | st.sampled_from(["*", "forever", "earliest", "#1-0", "\ud800", "x" * 3000, 10**500, 1e400]),
    lambda values: (
        st.lists(values, max_size=3)
        | st.dictionaries(st.text(st.characters(), max_size=5), values, max_size=3)
    ),
    max_leaves=8,
)
JSON_UPDATES = st.fixed_dictionaries(
    {"topic": mostly(TOPICS.map(bytes.decode) | st.lists(TOPICS.map(bytes.decode)), ODD_JSON)},
    optional={
        "data": ODD_JSON,
        "id": mostly(st.sampled_from(["1", "urn:x", "2"]), ODD_JSON),
        "type": mostly(st.just("x"), ODD_JSON),
        "retry": mostly(st.integers(0, 86_400_000), ODD_JSON),
        "private": mostly(st.booleans(), ODD_JSON),
        "keep": mostly(st.integers(0, 60) | st.just("forever"), ODD_JSON),
        "end": st.sampled_from([False, None, "true", 0, -1, 1e400, [], {}]),
        "other": ODD_JSON,
    },
)
JSON_ENDS = st.fixed_dictionaries(
    {"topic": ENDED_TOPICS, "end": st.just(True) | st.floats(1, 3600)}, optional={"data": ODD_JSON}
)
# Pieces that a text holds which is nearly JSON.
ODD_JSON_PIECES = st.sampled_from(
    [
        *(b'"', b"\\", b"[", b"]", b"{", b"}", b",", b":", b"[" * 500, b'{"a":' * 500, b"[],"),
        *(
            b"9" * 500,
            b"1e400",
            b"NaN",
            b"\\ud800",
            b'{"topic":"a"},' * 101,
            b"0," * 10_000,
            b"\xff",
        ),
    ]
)
JSON_BODIES = mostly(
    mostly(JSON_UPDATES | st.lists(mostly(JSON_UPDATES, JSON_ENDS), max_size=4), ODD_JSON).map(
        lambda value: json.dumps(value).encode()
    ),
    st.lists(ODD_JSON_PIECES, max_size=10).map(b"".join),
)


def _joined(fields: Fields) -> bytes:
    return b"&".join(name + b"=" + value for name, value in fields)


# Characters that a field may hold (RFC 9110, section 5.5), and sometimes others; bytes that end a
# field are put in by the mutations.
FIELD_BYTES = mostly(
    st.text(
        st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_categories=["Cc"]),
        max_size=20,
    ).map(lambda text: text.encode("latin-1")),
    st.binary(max_size=20).map(lambda value: value.translate(None, b"\r\n")),
)
FIELD_NAMES = mostly(
    st.text("!#$%&'*+-.^_`|~09azAZ", min_size=1, max_size=8).map(str.encode),
    st.binary(min_size=1, max_size=8),
)
NO_PATHS = (
    b"",
    b"*",
    b"?",
    b"http://x",
    b"//",
    b"x",
    b"/%",
    b"/%ff/%00",
    b"/\xc3\xa9",
    b"/events/",
)
PATHS = st.sampled_from(
    [
        *(PATH.encode(), b"http://hub.example" + PATH.encode(), b"/.well-known/mercur%65", b"/"),
        *(b"/events", b"/static/x/%2e%2e%2fapp.py", b"/static/a/b/c", PATH.encode() + b"/"),
        *NO_PATHS,
    ]
)
METHODS = st.sampled_from(
    [b"GET", b"POST", b"HEAD", b"OPTIONS", b"PUT", b"CONNECT", b"PRI", b"get", b"QUERY", b""]
)
VERSIONS = st.sampled_from([b"HTTP/1.0", b"HTTP/1.1", b"HTTP/2.0", b"HTTP/0.9", b"", b"HTTP/1.1 "])
ORIGINS = st.sampled_from(
    [b"https://shop.example", b"http://hub.example", b"null", b"https://evil.example", b"://", b""]
)
FORM_TYPE = b"application/x-www-form-urlencoded"
JSON_TYPE = b"application/json"

COMMON_HEADERS = st.one_of(
    st.tuples(st.just(b"Origin"), ORIGINS | FIELD_BYTES),
    st.tuples(st.just(b"Referer"), ORIGINS | FIELD_BYTES),
    st.tuples(
        st.just(b"Cookie"),
        st.tuples(
            st.sampled_from([b"mercureAuthorization", b"__Secure-mercure_access_token"]), TOKENS
        ).map(lambda sent: b"a=b; %b=%b" % (sent[0], sent[1].translate(None, b"\r\n")))
        | FIELD_BYTES,
    ),
    st.tuples(
        st.just(b"Authorization"),
        st.sampled_from([b"Basic eDp5", b"Bearer", b"", b"bearer  x y"]) | FIELD_BYTES,
    ),
    st.tuples(
        st.just(b"Last-Event-ID"), FIELD_BYTES | st.sampled_from([b"earliest", b"#1-0", b"1"])
    ),
    st.tuples(
        st.just(b"Connection"),
        st.sampled_from([b"close", b"keep-alive", b"upgrade", b"Upgrade, close", b"x"]),
    ),
    st.tuples(st.just(b"Upgrade"), st.sampled_from([b"websocket", b"h2c", b""])),
    st.tuples(st.just(b"Expect"), st.sampled_from([b"100-continue", b"200-ok"])),
    st.tuples(st.just(b"X-Forwarded-For"), FIELD_BYTES | st.just(b"1.2.3.4, 5.6.7.8")),
    st.tuples(st.just(b"X-Forwarded-Proto"), FIELD_BYTES | st.just(b"https")),
    st.tuples(st.just(b"X-Request-ID"), FIELD_BYTES),
    st.tuples(st.just(b"Host"), FIELD_BYTES),
    st.tuples(st.just(b"Content-Type"), FIELD_BYTES | st.just(FORM_TYPE + b"; charset=\xff")),
    st.tuples(st.just(b"Access-Control-Request-Method"), FIELD_BYTES),
    st.tuples(st.just(b"X-Giant"), st.just(b"x" * 70_000)),
    st.tuples(FIELD_NAMES, FIELD_BYTES),
)
MORE_HEADERS: st.SearchStrategy[Fields] = st.lists(COMMON_HEADERS, max_size=2)

WRONG_LENGTHS = st.sampled_from(
    [b"0", b"1", b"99999", b"-1", b"x", b"1, 1", b"0x5", b"9" * 30, b""]
)


@st.composite
def _framed(draw: st.DrawFn, body: bytes) -> tuple[Fields, bytes]:
    """Return a body as it is sent, and the headers of its framing."""
    match draw(st.integers(0, 11)):
        case 5:
            return [(b"Content-Length", draw(WRONG_LENGTHS))], body
        case 6:
            return [], body
        case 7 | 8 | 9:
            size = draw(st.integers(1, 50))
            extension = draw(st.sampled_from([b"", b"", b";x=y", b" ", b";"]))
            pieces = [body[start : start + size] for start in range(0, len(body), size)]
            chunks = [b"%x%b\r\n%b\r\n" % (len(piece), extension, piece) for piece in pieces]
            end = draw(
                st.sampled_from([b"0\r\n\r\n", b"0\r\n\r\n", b"0\r\nX: y\r\n\r\n", b"g\r\n"])
            )
            coding = draw(
                st.sampled_from([b"chunked", b"chunked", b"gzip, chunked", b"chunked, x"])
            )
            both = [(b"Content-Length", b"5")] if draw(ONE_IN_EIGHT) else []
            return [*both, (b"Transfer-Encoding", coding)], b"".join(chunks) + end
        case _:
            return [(b"Content-Length", b"%d" % len(body))], body


@st.composite
def _mutated(draw: st.DrawFn, sent: bytes) -> bytes:
    """Return the bytes with up to three of them, or stretches of them, changed."""
    if not draw(ONE_IN_EIGHT):
        return sent
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(sent)))
        until = min(len(sent), at + draw(st.integers(0, 20)))
        piece = sent[at:until]
        match draw(st.integers(0, 4)):
            case 0:
                sent = sent[:at] + draw(st.binary(min_size=1, max_size=4)) + sent[at:]
            case 1:
                sent = sent[:at] + sent[until:]
            case 2:
                sent = sent[:until] + piece * draw(st.integers(1, 30)) + sent[until:]
            case 3:
                odd = st.sampled_from([b"\r\n", b"\n", b"\0", b" ", b":", b"\r\n\r\n", b"\r", b"%"])
                sent = sent[:at] + draw(odd) + sent[until:]
            case _:
                sent = sent[:at]
    return sent


@st.composite
def _subscriptions(draw: st.DrawFn) -> Fields:
    """Return the parameters of one version, and sometimes of both, or of none."""
    name, others = draw(st.sampled_from([(b"topic", TOPIC_FIELDS), (b"match", MATCH_FIELDS)]))
    fields = draw(QUERY_FIELDS)
    if not draw(ONE_IN_EIGHT):
        fields = [(name, TOPIC), *fields, *draw(others)]
    if draw(ONE_IN_EIGHT):
        fields += draw(MATCH_FIELDS)
    return fields


@st.composite
def _publishes(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """Return the body of a publish, and its type."""
    if draw(st.booleans()):
        return draw(JSON_BODIES), JSON_TYPE
    form = draw(FORM_FIELDS)
    if not draw(ONE_IN_EIGHT):
        form = [(b"topic", TOPIC), *form]
    elif draw(st.booleans()):
        form = [*draw(END_FIELDS), *form]
    body = _joined(form)
    if draw(ONE_IN_EIGHT) and draw(ONE_IN_EIGHT):
        body += b"&data=" + b"x" * draw(st.sampled_from([9_000, 20_000, 100_000]))
    return body, FORM_TYPE


@st.composite
def requests(draw: st.DrawFn, method: bytes) -> bytes:
    """Return the bytes of a request."""
    is_publish = method == b"POST"
    target = draw(mostly(st.just(PATH.encode()), PATHS))
    fields = draw(QUERY_FIELDS if is_publish else _subscriptions())
    form: Fields = []
    if method == b"QUERY":
        at = draw(st.integers(0, len(fields)))
        fields, form = fields[:at], fields[at:]
    if fields:
        target += b"?" + _joined(fields)
    headers: Fields = [(b"Host", b"hub.example")]
    if not draw(ONE_IN_EIGHT):
        headers.append((b"Authorization", b"Bearer " + draw(TOKENS).translate(None, b"\r\n")))
    body = _joined(form)
    body_type = FORM_TYPE
    if is_publish:
        body, body_type = draw(_publishes())
    if (form or is_publish) and not draw(ONE_IN_EIGHT):
        headers.append((b"Content-Type", body_type))
    headers += draw(MORE_HEADERS)
    framing: Fields = []
    if body or is_publish or draw(ONE_IN_EIGHT):
        framing, body = draw(_framed(body))
    first = b" ".join(
        (
            draw(mostly(st.just(method), METHODS)),
            target,
            draw(mostly(st.just(b"HTTP/1.1"), VERSIONS)),
        )
    )
    lines = [first, *(name + b": " + value for name, value in [*headers, *framing])]
    return draw(_mutated(b"\r\n".join(lines) + b"\r\n\r\n" + body))
