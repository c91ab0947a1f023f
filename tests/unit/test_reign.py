import asyncio
from collections.abc import Sequence
from typing import Any

from barestream.history.record import Place
from barestream.history.valkey.copies import Copies
from barestream.history.valkey.preface import Preface
from barestream.history.valkey.reign import Reign


def test_an_answer_of_the_earlier_primary_that_is_taken_after_its_end_counts_too() -> None:
    async def scenario() -> None:
        reign = Reign()
        reign.note_given([Place(5, 0)])
        reign.end()
        told: list[Sequence[bytes]] = []

        async def ask(commands: Sequence[Sequence[bytes]]) -> list[Any]:
            told.extend(commands)
            # The loop had this answer already when another server became the primary.
            reign.note_given([Place(7, 0)])
            return [0]

        await Preface(reign, Copies(0))(ask)
        assert [b"5-0" in told[0], b"7-0" in told[1]] == [True, True]
        assert len(told) == 2
        assert reign.upto is None

    asyncio.run(scenario())


def test_what_the_primary_was_told_is_not_told_again() -> None:
    async def scenario() -> None:
        reign = Reign()
        reign.end()
        assert reign.upto is not None
        reign.begin(reign.upto, is_lost=False)
        reign.note_given([Place(7, 0)])
        assert reign.upto is None

    asyncio.run(scenario())
