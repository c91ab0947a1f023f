"""How updates are written to Valkey and read back."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from barestream.history.record import Record
from barestream.history.update import Update
from barestream.history.valkey import codec


class Coding(NamedTuple):
    """The functions that write and read updates.

    Attributes:
        arguments: Returns the arguments of an update for the script that publishes it.
        records: Returns the records of entries (see codec.records).
    """

    arguments: Callable[[Update], list[bytes]]
    records: Callable[[Sequence[Any]], list[Record]]


PLAIN = Coding(codec.arguments, codec.records)
