"""Questions to Valkey: scripts that it runs, on connections that several questions share."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from valkey.exceptions import ValkeyError

from barestream.history.broker import BrokerAwayError
from barestream.history.valkey.connections import Connections
from barestream.history.valkey.copies import Copies
from barestream.history.valkey.scripts import SCAN, Script
from barestream.history.valkey.valkey_parts import NoScriptError


class Questions:
    """Asks Valkey, and checks its answers.

    Args:
        connections: The connections.
        bounds: The bounds of the history, as the arguments of scripts.
        error: Returns the error for an error answer.
        copies: How writes are confirmed that somebody is told of.
    """

    def __init__(
        self,
        connections: Connections,
        bounds: Sequence[bytes],
        error: Callable[[Exception], BrokerAwayError],
        copies: Copies | None = None,
    ) -> None:
        self._connections = connections
        self._bounds = bounds
        self._error = error
        self._copies = copies or Copies(0)

    async def ask(self, *commands: Sequence[bytes]) -> list[Any]:
        """Return the answers to commands.

        Raises:
            BrokerAwayError: Valkey cannot be reached, or one of the answers is an error.
        """
        return self.checked(await self._connections.ask(*commands))

    async def run(self, script: Script, *arguments: bytes) -> Any:
        """Run a script, and return its answer.

        Raises:
            BrokerAwayError: Valkey cannot be reached, or the answer is an error.
        """
        answers = await self._connections.ask(script.call_known(*arguments))
        if isinstance(answers[0], NoScriptError):
            answers = await self._connections.ask(script.call(*arguments))
        return self.checked(answers)[0]

    async def run_bounded(self, script: Script, *arguments: bytes) -> Any:
        """Run a script that needs the bounds of the history, and return its answer."""
        return await self.run(script, *self._bounds, *arguments)

    async def run_confirmed(self, script: Script, *arguments: bytes) -> Any:
        """Run a script that writes what somebody is told of, and return its answer.

        Raises:
            BrokerAwayError: As with ``run``, or too few replicas have confirmed the write.
        """
        confirm = self._copies.commands
        answers = await self._connections.ask(script.call_known(*arguments), *confirm)
        if isinstance(answers[0], NoScriptError):
            answers = await self._connections.ask(script.call(*arguments), *confirm)
        shortfall = self._copies.shortfall(answers)
        answer = self.checked(answers)[0]
        if shortfall is not None:
            raise shortfall
        return answer

    async def run_confirmed_bounded(self, script: Script, *arguments: bytes) -> Any:
        """Do the same with a script that needs the bounds of the history."""
        return await self.run_confirmed(script, *self._bounds, *arguments)

    async def run_indexed(self, script: Script, *arguments: bytes) -> Any:
        """Run a script that answers with nothing while the index is behind, until it answers."""
        while not (answer := await self.run_bounded(script, *arguments)):
            pass
        return answer

    async def scan(self, what: bytes) -> AsyncIterator[tuple[int, str, bytes]]:
        """Yield all ends or kept values, read in several steps: the time, the topic and the value.

        What stays meanwhile is yielded at least once.

        Args:
            what: ends or kept.
        """
        cursor = b"0"
        while True:
            now_ms, cursor, pairs = await self.run(SCAN, what, cursor)
            for topic, value in zip(pairs[::2], pairs[1::2], strict=True):
                yield int(now_ms), topic.decode(), value
            if cursor == b"0":
                return

    def checked(self, answers: list[Any]) -> list[Any]:
        """Return the answers.

        Raises:
            BrokerAwayError: One of them is an error.
        """
        for answer in answers:
            if isinstance(answer, ValkeyError):
                raise self._error(answer)
        return answers
