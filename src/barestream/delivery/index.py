"""Finds the subscribers that want an update. Pure."""

from collections.abc import Callable, Generator, Hashable, Iterator, Sequence
from typing import Generic, TypeVar

from barestream.delivery.prefix_tree import PrefixTree
from barestream.mercure.selectors import Expression, Selectors
from barestream.mercure.time_budget import UNBOUNDED, Budget

Member = TypeVar("Member", bound=Hashable)

# The expressions with the same prefix, by their selectors, each with its members.
_Alike = dict[str, tuple[Expression, dict[Member, None]]]


class Index(Generic[Member]):
    """Members by their selectors: a look-up's work depends on the members that want the update.

    A member is added once, and discarded with the same selectors.
    """

    def __init__(self) -> None:
        # Dicts in place of sets, because they keep the order in which members came.
        self._everything: dict[Member, None] = {}
        self._exact: dict[str, dict[Member, None]] = {}
        # By the literal that an expression starts with: if each of 5,000 users has their own, an
        # update tries one of them. One tree for each form of topics.
        self._trees: dict[Callable[[str], str | None], PrefixTree[_Alike[Member]]] = {}

    def add(self, member: Member, selectors: Selectors) -> None:
        """Add a member under its selectors."""
        if selectors.everything:
            self._everything[member] = None
        for topic in selectors.exact:
            self._exact.setdefault(topic, {})[member] = None
        for expression in selectors.expressions:
            tree = self._trees.setdefault(expression.reading, PrefixTree())
            for prefix in expression.prefixes:
                alike = tree.setdefault(prefix, dict)
                alike.setdefault(expression.selector, (expression, {}))[1][member] = None

    def discard(self, member: Member, selectors: Selectors) -> None:
        """Remove the member; nothing happens if it is not in the index."""
        if selectors.everything:
            self._everything.pop(member, None)
        for topic in selectors.exact:
            if topic in self._exact:
                self._exact[topic].pop(member, None)
                if not self._exact[topic]:
                    del self._exact[topic]
        for expression in selectors.expressions:
            if expression.reading in self._trees:
                self._discard_expression(member, expression)

    def _discard_expression(self, member: Member, expression: Expression) -> None:
        tree = self._trees[expression.reading]
        for prefix in expression.prefixes:
            alike = tree.get(prefix)
            if alike is not None and expression.selector in alike:
                _, members = alike[expression.selector]
                members.pop(member, None)
                if not members:
                    del alike[expression.selector]
                if not alike:
                    tree.discard(prefix)
        if not tree:
            del self._trees[expression.reading]

    def wanting(
        self, topics: Sequence[str], budget: Budget = UNBOUNDED
    ) -> Generator[None, None, list[Member]]:
        """Find each member that wants at least one of the topics; without topics, every member.

        It works in the budget's slices, and ignores members that come or go in between.

        Returns:
            A copy, so members may come and go while the caller iterates. First the members that
            want everything, then those of each topic, then those of each expression; among these,
            in the order in which they came.
        """
        groups = [self._everything] if self._everything else []
        if not topics:
            groups.extend(self._exact.values())
            groups.extend(
                members
                for tree in self._trees.values()
                for alike in tree.values()
                for _, members in alike.values()
            )
        groups.extend(self._exact[topic] for topic in topics if topic in self._exact)
        if self._trees:
            for topic in topics:
                for expression, members in [*self._tried(topic)]:
                    if expression.match(topic):
                        groups.append(members)
                    if budget.is_over():
                        yield
        if len(groups) == 1:
            return [*groups[0]]
        merged: dict[Member, None] = {}
        for members in groups:
            merged.update(members)
            if budget.is_over():
                yield
        return [*merged]

    def exactly(self, topic: str) -> list[Member]:
        """Return the members that have this very topic as a selector."""
        return [*self._exact.get(topic, ())]

    def _tried(self, topic: str) -> Iterator[tuple[Expression, dict[Member, None]]]:
        """Yield the expressions that may match the topic, by their prefixes."""
        for reading, tree in self._trees.items():
            form = reading(topic)
            if form is not None:
                for alike in tree.prefixes(form):
                    yield from alike.values()
