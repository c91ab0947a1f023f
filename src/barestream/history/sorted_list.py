"""A list that stays sorted, for places that may leave at any position. Pure.

It is a list of short lists. So to add, remove or find one of 100,000 elements moves at most a few
thousand bytes, and no call ever rebuilds the whole.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

T = TypeVar("T", bound=tuple[Any, ...])

MOST_IN_CHUNK = 512


class SortedList(Generic[T]):
    """Tuples in ascending order, each at most once."""

    __slots__ = ("_chunks", "_length")

    def __init__(self) -> None:
        # Each chunk has at least one element.
        self._chunks: list[list[T]] = []
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[T]:
        for chunk in self._chunks:
            yield from chunk

    def __reversed__(self) -> Iterator[T]:
        for chunk in reversed(self._chunks):
            yield from reversed(chunk)

    @property
    def first(self) -> T:
        """The lowest element; IndexError if there is none."""
        return self._chunks[0][0]

    @property
    def last(self) -> T:
        """The highest element; IndexError if there is none."""
        return self._chunks[-1][-1]

    def add(self, element: T) -> None:
        """Add an element that is not in the list."""
        self._length += 1
        chunks = self._chunks
        if not chunks or (element > chunks[-1][-1] and len(chunks[-1]) >= MOST_IN_CHUNK):
            chunks.append([element])
        elif element > chunks[-1][-1]:
            chunks[-1].append(element)
        else:
            number = self._chunk_of(element)
            chunk = chunks[number]
            chunk.insert(bisect_left(chunk, element), element)
            if len(chunk) > MOST_IN_CHUNK:
                half = MOST_IN_CHUNK // 2
                chunks.insert(number + 1, chunk[half:])
                del chunk[half:]

    def discard(self, element: T) -> bool:
        """Remove an element; return whether it was there."""
        number = self._chunk_of(element)
        if number == len(self._chunks):
            return False
        chunk = self._chunks[number]
        position = bisect_left(chunk, element)
        if chunk[position] != element:
            return False
        del chunk[position]
        self._length -= 1
        if not chunk:
            del self._chunks[number]
        elif len(chunk) < MOST_IN_CHUNK // 4:
            self._join(number)
        return True

    def after(self, element: T) -> Iterator[T]:
        """Yield the elements that are higher than this one, which need not be in the list."""
        for number in range(self._chunk_of(element), len(self._chunks)):
            chunk = self._chunks[number]
            start = 0 if chunk[0] > element else bisect_right(chunk, element)
            for position in range(start, len(chunk)):
                yield chunk[position]

    def _chunk_of(self, element: T) -> int:
        """Return the number of the first chunk that does not end before the element."""
        return bisect_left(self._chunks, element, key=_last)

    def _join(self, number: int) -> None:
        """Join a short chunk with one beside it that has room, so that chunks stay few."""
        for left in (number - 1, number):
            pair = self._chunks[max(left, 0) : left + 2]
            if len(pair) == 2 and len(pair[0]) + len(pair[1]) <= MOST_IN_CHUNK:
                pair[0] += pair[1]
                del self._chunks[left + 1]
                return


def _last(chunk: list[T]) -> T:
    return chunk[-1]
