"""The lines of a file or of standard input, as they come, and the updates in them."""

import json
import os
from collections.abc import Iterator
from typing import IO, Any

from barestream_client.answers import RefusedError
from barestream_client.updates import Update

# A pipe holds so much.
_READ_BYTES = 65_536

_FIELDS = ("topic", "data", "type", "id", "private", "retry", "keep", "end")


def lines_of(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines of a file without their ends, each as soon as it is there."""
    # Past Python's buffer, whose lock a thread that waits in it would hold at the end.
    descriptor, rest = file.fileno(), b""
    while received := os.read(descriptor, _READ_BYTES):
        *lines, rest = (rest + received).split(b"\n")
        yield from lines
    if rest:
        yield rest


def texts(lines: Iterator[bytes]) -> Iterator[str]:
    """Yield each line as the data of an update.

    Raises:
        RefusedError: A line is not in UTF-8.
    """
    for number, line in enumerate(lines, 1):
        yield _decoded(line.removesuffix(b"\r"), number)


def updates(lines: Iterator[bytes], topic: str | None) -> Iterator[Update]:
    """Yield the updates of lines of JSON; empty lines are passed over.

    Args:
        lines: Objects with the fields of an update in JSON.
        topic: The topic of all, none of which names one; None where each does.

    Raises:
        RefusedError: A line is no such object.
    """
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield _update(_decoded(line, number), number, topic)


def _update(line: str, number: int, topic: str | None) -> Update:
    try:
        fields: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise RefusedError(f"line {number} is not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise RefusedError(f"line {number} is not an object with the fields of an update")
    if unknown := sorted({*fields} - {*_FIELDS}):
        raise RefusedError(
            f"line {number} has a field {unknown[0]!r}; expected some of {', '.join(_FIELDS)}"
        )
    if ("topic" in fields) == (topic is not None):
        raise RefusedError(
            f"line {number} has a topic, and so has the command"
            if topic is not None
            else f"line {number} has no topic, and neither has the command"
        )
    retry_ms = fields.pop("retry", None)
    return Update(**fields, retry_ms=retry_ms)


def _decoded(line: bytes, number: int) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise RefusedError(f"line {number} is not in UTF-8") from None
