"""The revocations in the memory of one process; they end with that process."""

import secrets

from barestream.history.revocations import (
    NO_CHANGES,
    Revocation,
    TooManyRevocationsError,
    Version,
)


class LocalRevocations:
    """Keeps the revocations for one worker.

    Args:
        most: How many there may be.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._revocations: dict[str, Revocation] = {}
        self._version = NO_CHANGES

    async def revoke(self, revocation: Revocation) -> tuple[Revocation, bool]:
        """Keep a revocation (see RevocationStore)."""
        for over in [
            each.id for each in self._revocations.values() if each.is_over(revocation.made_ms)
        ]:
            del self._revocations[over]
        before = self._revocations.get(revocation.id)
        if before is None and len(self._revocations) >= self._most:
            raise TooManyRevocationsError
        kept = revocation if before is None else before.joined(revocation)
        if kept != before:
            self._revocations[revocation.id] = kept
            self._note_change()
        return kept, before is None

    async def take_back(self, revocation_id: str) -> Revocation | None:
        """Remove a revocation (see RevocationStore)."""
        found = self._revocations.pop(revocation_id, None)
        if found is not None:
            self._note_change()
        return found

    async def version(self) -> Version:
        """Return the version of the table (see RevocationStore)."""
        return self._version

    async def read(self) -> list[Revocation]:
        """Return all revocations (see RevocationStore)."""
        return list(self._revocations.values())

    def _note_change(self) -> None:
        self._version = Version(self._version.changes + 1, secrets.token_bytes(8))
