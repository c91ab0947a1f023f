"""What Valkey does in one step each: Lua scripts, put together of the parts in lua/."""

import hashlib
from importlib.resources import files

from barestream.history.broker import Weights

LOG = b"{barestream}:log"

# With their number, as EVAL takes them.
_KEYS = (b"3", LOG, b"{barestream}:ids", b"{barestream}:state")

# Of Valkey 8 and Redis 7.0: a node of the stream grows ahead of what it holds, and an id is a key
# of 36 bytes and a value of 50 in a hash.
WEIGHTS = Weights(1.25, 32, 160)


def _script(*parts: str) -> bytes:
    """Return the parts one after the other, without comments: a script is sent with each batch."""
    lines = []
    for part in parts:
        text = files("barestream.history.valkey").joinpath("lua", f"{part}.lua").read_text()
        lines += [line for line in text.splitlines() if not line.lstrip().startswith("--")]
    return "\n".join(lines).replace("WEIGHTS", ", ".join(map(str, WEIGHTS))).encode()


PUBLISH = _script("begin", "size", "trim", "publish")
PUBLISH_SHA = hashlib.sha1(PUBLISH, usedforsecurity=False).hexdigest().encode()
TRIM = _script("begin", "size", "trim", "trim_now")
READ = _script("begin", "size", "read")
FIND = _script("begin", "find")
PROBE = _script("begin", "probe")
MOVE_ON = _script("begin", "move_on")


def call(script: bytes, *arguments: bytes) -> tuple[bytes, ...]:
    """Return the command that runs a script."""
    return (b"EVAL", script, *_KEYS, *arguments)


def call_known(sha: bytes, *arguments: bytes) -> tuple[bytes, ...]:
    """Return the command that runs a script that Valkey has been sent."""
    return (b"EVALSHA", sha, *_KEYS, *arguments)
