"""What a connection is asked before its first write."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from valkey.exceptions import ValkeyError

from barestream.history.valkey.copies import Copies
from barestream.history.valkey.reign import Reign

Ask = Callable[[Sequence[Sequence[bytes]]], Awaitable[list[Any]]]


class Preface:
    """Asks a server whether it can confirm writes, and tells it what came before its reign.

    Args:
        reign: What it is to be told.
        copies: How writes are confirmed.
    """

    def __init__(self, reign: Reign, copies: Copies) -> None:
        self._reign = reign
        self._copies = copies

    async def __call__(self, ask: Ask) -> None:
        """Ask, and take the answers.

        Args:
            ask: Returns the answers to commands on the connection.

        Raises:
            BrokerAwayError: The server cannot confirm writes.
            ValkeyError: It refuses to write.
        """
        upto = self._reign.upto
        telling = [] if upto is None else [self._reign.telling(upto)]
        commands = [*self._copies.check, *telling]
        if not commands:
            return
        answers = await ask(commands)
        if error := self._copies.cannot(answers[0]):
            raise error
        if upto is not None:
            if isinstance(answers[-1], ValkeyError):
                raise answers[-1]
            self._reign.begin(upto, is_lost=answers[-1] == 1)
            if self._reign.upto is not None:
                # More is known since it was asked.
                await self(ask)
