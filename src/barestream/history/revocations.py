"""Revocations: which tokens are accepted no more, and until when. Pure."""

import hashlib
import heapq
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

from barestream.mercure.token_id import TokenId


class Selection(NamedTuple):
    """Which tokens a revocation is for: those of one jti, of one subject, or with one SHA-256.

    Attributes:
        issuer: Their iss; None for tokens without one, and with a SHA-256.
        jti: Their jti.
        subject: Their sub.
        sha256: The SHA-256, as 64 hexadecimal digits in lower case.
    """

    issuer: str | None = None
    jti: str | None = None
    subject: str | None = None
    sha256: str | None = None


class Revocation(NamedTuple):
    """A revocation. All times are in milliseconds since 1970-01-01 UTC.

    Attributes:
        selection: Which tokens it is for.
        made_ms: When it was made.
        until_ms: When it is over; None if it never is.
        before_ms: By subject: only tokens that were issued before this time are revoked, and those
            that do not say when they were issued. Otherwise 0.
    """

    selection: Selection
    made_ms: int
    until_ms: int | None = None
    before_ms: int = 0

    @property
    def id(self) -> str:
        """Its id, which revocations of the same selection share."""
        # None and an empty text differ.
        parts = repr(tuple(self.selection)).encode(errors="backslashreplace")
        return hashlib.sha256(parts).hexdigest()[:32]

    def joined(self, later: "Revocation") -> "Revocation":
        """Return the one that stays if its selection is revoked again: what either revokes."""
        until_ms = None
        if self.until_ms is not None and later.until_ms is not None:
            until_ms = max(self.until_ms, later.until_ms)
        return self._replace(until_ms=until_ms, before_ms=max(self.before_ms, later.before_ms))

    def is_over(self, now_ms: float) -> bool:
        """Return whether it is over at a time."""
        return self.until_ms is not None and self.until_ms <= now_ms


class Version(NamedTuple):
    """The version of a table.

    Attributes:
        changes: How many changes it has had.
        mark: Of the last change; no other change has it. So a table that was lost, or replaced by
            an older copy, has another version, also once it has had as many changes.
    """

    changes: int
    mark: bytes


NO_CHANGES = Version(0, b"")


class TooManyRevocationsError(Exception):
    """There is no room for another revocation; nothing was revoked."""


class RevocationStore(Protocol):
    """Keeps the revocations.

    Each method raises BrokerAwayError if it cannot be reached.
    """

    async def revoke(self, revocation: Revocation) -> tuple[Revocation, bool]:
        """Keep a revocation; one of the same selection is joined with it.

        Those that are over when it was made leave first.

        Returns:
            What is kept, and whether nothing of the selection was kept before.

        Raises:
            TooManyRevocationsError: There is no room.
        """

    async def take_back(self, revocation_id: str) -> Revocation | None:
        """Remove a revocation, and return it; None if there is none."""

    async def version(self) -> Version:
        """Return the version of the table; this is asked often, and cheap."""

    async def read(self) -> list[Revocation]:
        """Return all revocations; of those that change meanwhile, the state before or after."""


class Table:
    """The revocations in a worker's memory; it is false if there are none.

    Args:
        revocations: The revocations; each has a selection of its own.
    """

    def __init__(self, revocations: Iterable[Revocation] = ()) -> None:
        # Those with an end, by their end.
        self._ends: list[tuple[int, str]] = []
        self._by_id: dict[str, Revocation] = {}
        self._by_jti: dict[tuple[str | None, str], Revocation] = {}
        self._by_subject: dict[tuple[str | None, str], Revocation] = {}
        self._by_sha256: dict[bytes, Revocation] = {}
        for each in revocations:
            self.add(each)

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Revocation]:
        return iter(self._by_id.values())

    def page(self, after: str, most: int) -> list[Revocation]:
        """Return those that follow an id, in the order of their ids, up to a number of them."""
        ids = sorted(self._by_id)
        start = bisect_right(ids, after)
        return [self._by_id[each] for each in ids[start : start + most]]

    def add(self, revocation: Revocation) -> None:
        """Add a revocation."""
        revocation_id = revocation.id
        self._by_id[revocation_id] = revocation
        if revocation.until_ms is not None:
            heapq.heappush(self._ends, (revocation.until_ms, revocation_id))
        issuer, jti, subject, sha256 = revocation.selection
        if jti is not None:
            self._by_jti[issuer, jti] = revocation
        elif subject is not None:
            self._by_subject[issuer, subject] = revocation
        elif sha256 is not None:
            self._by_sha256[bytes.fromhex(sha256)] = revocation

    def get(self, revocation_id: str) -> Revocation | None:
        """Return a revocation; None if there is none."""
        return self._by_id.get(revocation_id)

    def revoking(self, token: TokenId, now_ms: float) -> Revocation | None:
        """Return a revocation that a token falls under at a time; None if it falls under none."""
        found: list[Revocation | None] = []
        if self._by_jti and token.jti is not None:
            found.append(self._by_jti.get((token.issuer, token.jti)))
        if self._by_subject and token.subject is not None:
            of_subject = self._by_subject.get((token.issuer, token.subject))
            issued_at = token.issued_at
            if of_subject and (issued_at is None or 1000 * issued_at < of_subject.before_ms):
                found.append(of_subject)
        if self._by_sha256:
            found += map(self._by_sha256.get, token.digests)
        return next((each for each in found if each and not each.is_over(now_ms)), None)

    def drop_over(self, now_ms: float) -> None:
        """Remove the revocations that are over at a time."""
        while self._ends and self._ends[0][0] <= now_ms:
            _, revocation_id = heapq.heappop(self._ends)
            issuer, jti, subject, sha256 = self._by_id.pop(revocation_id).selection
            if jti is not None:
                del self._by_jti[issuer, jti]
            elif subject is not None:
                del self._by_subject[issuer, subject]
            elif sha256 is not None:
                del self._by_sha256[bytes.fromhex(sha256)]
