"""Who says where the primary is, if its URL does not."""

from collections.abc import Callable
from typing import NamedTuple, Protocol


class Address(NamedTuple):
    """Where a server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class Guide(Protocol):
    """Knows where the primary is, and notices when another server becomes it."""

    async def address(self) -> Address:
        """Return where the primary is.

        Raises:
            valkey.exceptions.ConnectionError: Nobody has named it yet.
        """

    def follow(self, moved: Callable[[], None]) -> None:
        """Have a function called whenever another server has become the primary."""

    async def close(self) -> None:
        """Look no longer."""
