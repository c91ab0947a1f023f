"""The Lua scripts that Valkey runs as one step each, made from the parts in lua/."""

import hashlib
from importlib.resources import files

from barestream.history.broker import Weights

LOG = b"{barestream}:log"

# The number of the keys, and the keys, as EVAL expects them.
_KEYS = (b"4", LOG, b"{barestream}:ids", b"{barestream}:state", b"{barestream}:repeats")

# Measured with Valkey 8 and Redis 7.0. A node of the stream reserves more memory than it uses, and
# an id is a key of 36 bytes and a value of 50 in a hash. A member of the sorted set takes 210
# bytes with such an id (Redis 7.0), and counts as an id does: few ids are used again.
WEIGHTS = Weights(1.25, 32, 160)


def _script(*parts: str) -> bytes:
    """Return the parts one after the other, without comments: a script is sent with each batch."""
    lines = []
    for part in parts:
        text = files("barestream.history.valkey").joinpath("lua", f"{part}.lua").read_text()
        lines += [line for line in text.splitlines() if not line.lstrip().startswith("--")]
    return "\n".join(lines).replace("WEIGHTS", ", ".join(map(str, WEIGHTS))).encode()


PUBLISH = _script("begin", "repeats", "size", "trim", "publish")
PUBLISH_SHA = hashlib.sha1(PUBLISH, usedforsecurity=False).hexdigest().encode()
TRIM = _script("begin", "repeats", "size", "trim", "trim_now")
READ = _script("begin", "size", "read")
FIND = _script("begin", "repeats", "find")
PROBE = _script("begin", "probe")
MOVE_ON = _script("begin", "move_on")


def call(script: bytes, *arguments: bytes) -> tuple[bytes, ...]:
    """Return the command that runs a script."""
    return (b"EVAL", script, *_KEYS, *arguments)


def call_known(sha: bytes, *arguments: bytes) -> tuple[bytes, ...]:
    """Return the command that runs a script that Valkey already has."""
    return (b"EVALSHA", sha, *_KEYS, *arguments)
