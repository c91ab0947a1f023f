"""A map from texts to values, which finds all keys that a given text starts with. Pure."""

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

Value = TypeVar("Value")


class _Node(Generic[Value]):
    """A node, where several keys diverge or where a key ends.

    Attributes:
        piece: The characters that its text adds to that of its parent; empty for the root.
        below: Its children by the first character of their piece.
        value: The value of the key that ends here; None if no key does.
    """

    __slots__ = ("below", "piece", "value")

    def __init__(self, piece: str, value: Value | None = None) -> None:
        self.piece = piece
        self.below: dict[str, _Node[Value]] | None = None
        self.value = value


class PrefixTree(Generic[Value]):
    """A radix tree: the time of a look-up depends on the text's length, not on the keys' number."""

    def __init__(self) -> None:
        self._root: _Node[Value] = _Node("")

    def __bool__(self) -> bool:
        return self._root.value is not None or self._root.below is not None

    def setdefault(self, key: str, make: Callable[[], Value]) -> Value:
        """Return the value of a key; make it if there is none."""
        node, at = self._root, 0
        while at < len(key):
            if node.below is None:
                node.below = {}
            first = key[at]
            child = node.below.get(first)
            if child is None:
                child = node.below[first] = _Node(key[at:])
            elif not key.startswith(child.piece, at):
                child = node.below[first] = _split(child, _common(child.piece, key, at))
            at += len(child.piece)
            node = child
        if node.value is None:
            node.value = make()
        return node.value

    def get(self, key: str) -> Value | None:
        """Return the value of a key, or None."""
        path = self._path(key)
        return path[-1].value if path else None

    def discard(self, key: str) -> None:
        """Remove the value of a key."""
        path = self._path(key)
        if not path:
            return
        node = path.pop()
        node.value = None
        if path and node.below is None:
            above = path.pop()
            assert above.below is not None  # noqa: S101 (the node stands in it)
            del above.below[node.piece[0]]
            if not above.below:
                above.below = None
            node = above
        _join(node)

    def prefixes(self, text: str) -> list[Value]:
        """Return the values of all keys that the text starts with, the shortest key first."""
        found: list[Value] = []
        node, at = self._root, 0
        while True:
            if node.value is not None:
                found.append(node.value)
            if node.below is None or at == len(text):
                return found
            child = node.below.get(text[at])
            if child is None or not text.startswith(child.piece, at):
                return found
            at += len(child.piece)
            node = child

    def values(self) -> Iterator[Value]:
        """Yield every value; the tree must not change meanwhile."""
        nodes = [self._root]
        while nodes:
            node = nodes.pop()
            if node.value is not None:
                yield node.value
            if node.below is not None:
                nodes.extend(node.below.values())

    def _path(self, key: str) -> list[_Node[Value]]:
        """Return the nodes from the root to that of the key; an empty list if it has none."""
        path, at = [self._root], 0
        while at < len(key):
            below = path[-1].below
            child = below.get(key[at]) if below is not None else None
            if child is None or not key.startswith(child.piece, at):
                return []
            at += len(child.piece)
            path.append(child)
        return path


def _common(piece: str, key: str, at: int) -> int:
    """Return how many characters the piece and the rest of the key have in common."""
    # A binary search with startswith, which compares in C: a piece may have 2,000 characters.
    least, most = 1, min(len(piece), len(key) - at)
    while least < most:
        half = (least + most + 1) // 2
        if key.startswith(piece[:half], at):
            least = half
        else:
            most = half - 1
    return least


def _split(node: _Node[Value], size: int) -> _Node[Value]:
    """Return a parent for the node that has the first characters of its piece."""
    above: _Node[Value] = _Node(node.piece[:size])
    node.piece = node.piece[size:]
    above.below = {node.piece[0]: node}
    return above


def _join(node: _Node[Value]) -> None:
    """Join a node with its only child, if no key ends at the node itself."""
    if node.piece and node.value is None and node.below is not None and len(node.below) == 1:
        [below] = node.below.values()
        node.piece += below.piece
        node.value, node.below = below.value, below.below
