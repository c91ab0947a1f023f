"""A hundred updates that clients are known, or may be thought, to trip over."""

import json
import re
from dataclasses import dataclass

# aiohttp's buffer ends at 512 KiB, the field's name and the line's end included.
LONGEST_LINE_BYTES = 512 * 1024 - len("data: \n")

# Not more of them: one client takes a time that grows with their square.
_MANY_LINES = "\n".join(f"line {number}: {'Žluťoučký kůň 🐎 ' * 16}" for number in range(1_200))

# In the update after the fiftieth: the bytes after which a line to a client is cut.
CUT_MARK = b"cut here"

# The delay that the fiftieth one asks for; far above what the hub does by itself in these tests.
RETRY_MS = 1000


@dataclass(frozen=True)
class Update:
    """What is published; what is empty is left out of the form."""

    data: str = ""
    id: str = ""
    type: str = ""
    retry: str = ""

    @property
    def fields(self) -> dict[str, str]:
        """The fields of its form."""
        fields = {"data": self.data, "id": self.id, "type": self.type, "retry": self.retry}
        return {name: value for name, value in fields.items() if value}


@dataclass(frozen=True)
class Received:
    """An event as a client dispatches it."""

    type: str
    data: str
    id: str


def as_received(update: Update, event_id: str) -> Received:
    """Return what the standard has a client make of an update."""
    data = re.sub(r"\r\n|\r", "\n", update.data)
    return Received(update.type or "message", data, event_id)


_HOSTILE_DATA = [
    "",
    " ",
    "   three spaces first, and three last   ",
    "\ttab first",
    "two\nlines",
    "two\r\nlines",
    "two\rlines",
    "all\r\nthree\rkinds\nof ends, and both at once\n\r\n\rthen",
    "\n",
    "\r\n\r\n",
    "\n\n\n",
    "an end at the end\n",
    "\nan end at the begin",
    "  spaces\n   on\n    each\n line",
    "line separator: \u2028.",
    "paragraph separator: \u2029.",
    "next line: \x85.",
    "vertical tab: \v.",
    "form feed: \f.",
    "file, group and record separators: \x1c \x1d \x1e.",
    "\u2028",
    "\x85\v\f",
    "an escape, a bell and a delete: \x1b \x07 \x7f",
    "\ufeffa byte order mark first",
    "no-break space last\xa0",
    "a mark from right to left: \u202eabc\u202c",
    "emoji: 😀 👩‍👩‍👧‍👦 🇨🇿",
    "the last character of all: \U0010fffd",
    "a replacement character: \ufffd",
    "e and a combining accent: e\u0301, and both in one: é",
    "data: data",
    "data:data\ndata: data\n\ndata: data",
    ": a comment",
    ":",
    "::\n:",
    "\n: a comment after an empty line",
    "id: 7\nevent: other\nretry: 1\n\nid: 8",
    "id",
    "data",
    "event",
    "retry: 60000",
    "0\r\n\r\n",
    json.dumps({"text": "Žluťoučký kůň \u2028 🐎", "list": [1, 2.5, None, True]}),
    json.dumps({"text": "Žluťoučký kůň \u2028 🐎"}, ensure_ascii=False),
    json.dumps({"text": "two\nlines"}, indent=2),
    "null",
    "[DONE]",
    "a=1&b=2;c=%41+%20",
    "<script>alert('x')</script>",
    "\\n \\u2028 \\",
    "x" * LONGEST_LINE_BYTES,
    _MANY_LINES,
]

# What a listener by name could take for something else is among them.
_HOSTILE_TYPES = [
    "message",
    "a type with spaces",
    " space first",
    "colon: in it",
    "Žluťoučký",
    "separator\u2028in it",
    "😀",
    "error",
    "open",
    "__proto__",
    "constructor",
    "barestream",
    "data",
]


def _hostile_ids(run: int) -> list[str]:
    """Return ids; an id may be taken once in a hub's history, so a run has its own."""
    return [
        str(run),
        f"-{run}",
        f":{run}",
        f"a b  c {run}",
        f'{{"json": [{run}]}}',
        f'"{run}"',
        f"urn:uuid:3fa85f64-5717-4562-b3fc-{run:012}",
        f"https://example.com/orders/{run}?a=%20&b=c#d",
        f"null;{run},\\n\\0",
        f"%00%0A{run}",
        f"data: {run}",
        str(run).ljust(255, "~"),
    ]


def updates(run: int) -> list[Update]:
    """Return the hundred of a run."""
    hostile = [
        *(Update(data) for data in _HOSTILE_DATA),
        *(Update("of a type", type=kind) for kind in _HOSTILE_TYPES),
        *(Update("with an id", id=own_id) for own_id in _hostile_ids(run)),
        Update("", id=f"empty {run}", type="empty"),
        Update("with a retry", retry="100"),
        Update("0 is none", retry="0"),
    ]
    # The client comes back with this id.
    last = Update("the last before the cut", id=f"!\"#$%&'()*+,-./:;<=>?@ {run} [\\]^_`{{|}}~")
    last = Update(last.data, id=last.id, retry=str(RETRY_MS))
    torn = Update(f"of this one\nthe client gets\n{CUT_MARK.decode()} half\nat first", type="torn")
    plain = [Update(json.dumps({"number": number})) for number in range(98 - len(hostile))]
    spread = [*hostile[:49], last, torn, *hostile[49:], *plain]
    assert len(spread) == 100
    return spread
