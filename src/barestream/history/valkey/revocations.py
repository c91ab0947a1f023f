"""The revocations in Valkey.

Keys, beside those of the history (broker.py); releases that do not know them leave them alone:

    {barestream}:revocations        hash: the id of each -> its times and its selection
                                    (lua/revoke.lua)
    {barestream}:revocations_due    sorted set: the ids of those with an end, by that end
    {barestream}:revocations_state  hash: how many changes there were (changes), and the mark of the
                                    last one (mark)

No time in them is of Valkey's clock, so it may be set.
"""

import json
import logging
import secrets

from barestream.history.revocations import (
    Revocation,
    Selection,
    TooManyRevocationsError,
    Version,
)
from barestream.history.valkey import scripts
from barestream.history.valkey.questions import Questions

logger = logging.getLogger(__name__)

# So many take Valkey 0.1 ms, and a worker 1 ms.
_PAGE = b"250"

_VERSION = (b"HMGET", scripts.REVOCATIONS_STATE, b"changes", b"mark")


class ValkeyRevocations:
    """Keeps the revocations for every worker.

    Args:
        questions: Asks Valkey.
        changes: Asks Valkey where that writes.
        most: How many there may be.
    """

    def __init__(self, questions: Questions, changes: Questions, most: int) -> None:
        self._questions = questions
        self._changes = changes
        self._most = most

    async def revoke(self, revocation: Revocation) -> tuple[Revocation, bool]:
        """Keep a revocation (see RevocationStore)."""
        times = (revocation.made_ms, revocation.until_ms or 0, revocation.before_ms)
        answer = await self._changes.run_confirmed(
            scripts.REVOKE,
            revocation.id.encode(),
            *(b"%d" % time_ms for time_ms in times),
            json.dumps(revocation.selection).encode(),
            b"%d" % self._most,
            _mark(),
        )
        if answer is None:
            raise TooManyRevocationsError
        is_new, kept = answer
        return _revocation(kept), bool(is_new)

    async def take_back(self, revocation_id: str) -> Revocation | None:
        """Remove a revocation (see RevocationStore)."""
        name = revocation_id.encode(errors="replace")
        found = await self._changes.run_confirmed(scripts.TAKE_BACK, name, _mark())
        return None if found is None else _revocation(found)

    async def version(self) -> Version:
        """Return the version of the table (see RevocationStore)."""
        [(changes, mark)] = await self._questions.ask(_VERSION)
        return Version(int(changes or 0), mark or b"")

    async def read(self) -> list[Revocation]:
        """Return all revocations (see RevocationStore)."""
        # An id may be in several pages.
        found: dict[bytes, bytes] = {}
        cursor = b"0"
        while True:
            command = (b"HSCAN", scripts.REVOCATIONS, cursor, b"COUNT", _PAGE)
            [(cursor, pairs)] = await self._questions.ask(command)
            found.update(zip(pairs[::2], pairs[1::2], strict=True))
            if cursor == b"0":
                return [each for each in map(_readable, found.values()) if each is not None]


def _mark() -> bytes:
    return secrets.token_hex(8).encode()


def _readable(value: bytes) -> Revocation | None:
    try:
        return _revocation(value)
    except (TypeError, ValueError, RecursionError) as error:
        # The others hold all the same, and the worker goes on.
        logger.error("a revocation cannot be read", extra={"why": type(error).__name__})
        return None


def _revocation(value: bytes) -> Revocation:
    made_ms, until_ms, before_ms, selection = value.split(b" ", 3)
    return Revocation(
        Selection(*json.loads(selection)), int(made_ms), int(until_ms) or None, int(before_ms)
    )
