"""The Lua scripts that Valkey runs as one step each, made from the parts in lua/."""

import hashlib
from collections.abc import Sequence
from importlib.resources import files
from typing import NamedTuple

from barestream.history.broker import HistoryBounds, Weights
from barestream.history.producers import ProducerBounds

PREFIX = b"{barestream}:"
LOG = PREFIX + b"log"
REVOCATIONS = PREFIX + b"revocations"
REVOCATIONS_STATE = PREFIX + b"revocations_state"

# In the order in which begin.lua names them.
_NAMES = (
    *("log", "ids", "state", "repeats", "floors", "emptied", "crowded", "every"),
    *("ends", "ends_due", "kept", "kept_due", "kept_changes"),
)

# Those that only scripts for producers need, in the order in which producers.lua names them.
_PRODUCER_NAMES = (
    *("producers", "producers_used", "leases", "leases_used"),
    *("runs", "runs_ended"),
)

# Those of subscriptions, in the order in which registry.lua names them.
_REGISTRY_NAMES = (
    *("subs", "sub_states", "sub_names", "sub_topics", "sub_people", "sub_members"),
    *("sub_due", "sub_away", "workers", "worker_leases", "sub_bytes"),
)


def _keys(*names: str) -> tuple[bytes, ...]:
    """Return the number of the keys, and the keys, as EVAL expects them."""
    return (b"%d" % len(names), *(PREFIX + name.encode() for name in names))


_KEYS = _keys(*_NAMES)
_REVOCATION_KEYS = _keys("revocations", "revocations_due", "revocations_state")
_PRODUCER_KEYS = _keys(*_NAMES, *_PRODUCER_NAMES)
_REGISTRY_KEYS = _keys(*_NAMES, *_REGISTRY_NAMES)

# Measured with Valkey 8 and Redis 7.0. A node of the stream reserves more memory than it uses, and
# an id is a key of 36 bytes and a value of 50 in a hash. A member of the sorted set takes 210
# bytes with such an id (Redis 7.0), and counts as an id does: few ids are used again.
# A lane of one place and a topic of 30 bytes takes 360 bytes (Redis 7.0): a key with a list, and a
# field of the floors. Each further place takes 12.
WEIGHTS = Weights(1.25, 32, 160, 350, 12)


class Script(NamedTuple):
    """A script.

    Attributes:
        text: Its text.
        sha: The name by which Valkey knows it once it has run it.
        keys: The number of its keys, and the keys.
    """

    text: bytes
    sha: bytes
    keys: tuple[bytes, ...] = _KEYS

    def call(self, *arguments: bytes) -> tuple[bytes, ...]:
        """Return the command that runs it."""
        return (b"EVAL", self.text, *self.keys, *arguments)

    def call_known(self, *arguments: bytes) -> tuple[bytes, ...]:
        """Return the command that runs it if Valkey already has it."""
        return (b"EVALSHA", self.sha, *self.keys, *arguments)


def _text(*parts: str) -> str:
    """Return the parts one after the other, without comments: a script may be sent often."""
    lines = []
    for part in parts:
        text = files("barestream.history.valkey").joinpath("lua", f"{part}.lua").read_text()
        lines += [line for line in text.splitlines() if not line.lstrip().startswith("--")]
    return "\n".join(lines)


# The functions of parts that most calls do not need are made when the first of them is called: it
# takes Valkey as long to make those of all parts as to add an update.
_RARELY = """
local function make_rest()
{}
end
setmetatable(fn, {{__index = function(_, name)
  setmetatable(fn, nil)
  make_rest()
  return fn[name]
end}})
"""


def _script(first: Sequence[str], rare: Sequence[str] = (), then: Sequence[str] = ()) -> Script:
    """Return the script of some parts, of parts that are rarely needed, and of further parts."""
    text = "\n".join((_text(*first), _RARELY.format(_text(*rare)) if rare else "", _text(*then)))
    text = text.replace("WEIGHTS", ", ".join(map(str, WEIGHTS)))
    sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
    return Script(text.encode(), sha.encode())


def _of_producers(
    first: Sequence[str], rare: Sequence[str] = (), then: Sequence[str] = ()
) -> Script:
    return _script(first, rare, then)._replace(keys=_PRODUCER_KEYS)


def _of_registry(then: str) -> Script:
    return _script(_TIDY, _RARE, ("add", "registry", then))._replace(keys=_REGISTRY_KEYS)


_PLACES = ("places", "begin")
_HISTORY = (*_PLACES, "state", "entry")
_INDEX = (*_HISTORY, "bounds", "members", "lanes", "memory", "removal", "position")
_TIDY = (*_INDEX, "trim")

# What most calls of a script do not need.
_RARE = ("repeats", "due", "cap", "catch_up", "packed", "kept", "ends")

# What scripts for producers need beside other parts, and what publishes updates.
_PRODUCERS = ("producers", "runs")
_PUBLISHING = ("check", "add")

PUBLISH = _script(_TIDY, _RARE, (*_PUBLISHING, "publish"))
BATCH = _of_producers(_TIDY, _RARE, (*_PRODUCERS, *_PUBLISHING, "batch"))
OVERDUE = _of_producers(_TIDY, _RARE, (*_PRODUCERS, *_PUBLISHING, "overdue"))
CLAIM = _of_producers((*_PLACES, "bounds", *_PRODUCERS, "claim"))
POSITION = _of_producers((*_PLACES, "bounds", *_PRODUCERS, "producer_position"))
RUN = _of_producers((*_PLACES, "bounds", *_PRODUCERS, "run_of_key"))
CHANGE = _of_registry("change")
SWEEP = _of_registry("sweep")
LEAVE = _of_registry("leave")
LIST_SUBS = _of_registry("list_subs")
TRIM = _script(_TIDY, _RARE, ("trim_now",))
EXTENT = _script((*_INDEX, "extent"))
READ = _script((*_HISTORY, "read"))
MISSED = _script(("places", "missed"))._replace(keys=_keys("log", "state"))
READ_TOPICS = _script(_INDEX, _RARE, ("read_topics",))
REWOUND = _script(_INDEX, _RARE, ("rewound",))
SCAN = _script((*_HISTORY, "scan"))
KEPT_SINCE = _script((*_HISTORY, "kept_since"))
FIND = _script((*_PLACES, "members", "repeats", "find"))
PROBE = _script((*_PLACES, "probe"))
MOVE_ON = _script((*_PLACES, "lost", "move_on"))
RAISE = _script((*_PLACES, "state", "lost", "raise"))
REVOKE = _script(("revoke",))._replace(keys=_REVOCATION_KEYS)
TAKE_BACK = _script(("take_back",))._replace(keys=_REVOCATION_KEYS)


def bounds(bounds: HistoryBounds) -> tuple[bytes, ...]:
    """Return the bounds as the arguments of scripts (lua/bounds.lua)."""
    return tuple(
        b"%d" % number
        for number in (
            *(bounds.events, bounds.bytes, bounds.seconds * 1000),
            *(bounds.topic_events, bounds.topic_seconds * 1000, bounds.topics),
            *(bounds.kept_values, bounds.kept_bytes),
        )
    )


def producer_bounds(bounds: ProducerBounds) -> tuple[bytes, ...]:
    """Return the bounds of producers and runs as arguments (lua/producers.lua)."""
    return (b"%d" % bounds.positions, b"%d" % (1000 * bounds.position_seconds), b"%d" % bounds.runs)
