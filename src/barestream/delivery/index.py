"""Finds the subscribers that want an update. Pure."""

from collections.abc import Generator, Hashable, Sequence
from typing import Generic, TypeVar

from barestream.delivery.prefix_tree import PrefixTree
from barestream.mercure.time_budget import UNBOUNDED, Budget
from barestream.mercure.topics import Selectors, Template

Member = TypeVar("Member", bound=Hashable)


class Index(Generic[Member]):
    """Members by their selectors: a look-up's work depends on the members that want the update.

    A member is added once, and discarded with the same selectors.
    """

    def __init__(self) -> None:
        # Dicts in place of sets, because they keep the order in which members came.
        self._everything: dict[Member, None] = {}
        self._exact: dict[str, dict[Member, None]] = {}
        # By the literal that a template starts with: if each of 5,000 users has their own template,
        # an update tries one of them.
        self._templates: PrefixTree[dict[str, tuple[Template, dict[Member, None]]]] = PrefixTree()

    def add(self, member: Member, selectors: Selectors) -> None:
        """Add a member under its selectors."""
        if selectors.everything:
            self._everything[member] = None
        for topic in selectors.exact:
            self._exact.setdefault(topic, {})[member] = None
        for template in selectors.templates:
            for prefix in template.prefixes:
                alike = self._templates.setdefault(prefix, dict)
                alike.setdefault(template.selector, (template, {}))[1][member] = None

    def discard(self, member: Member, selectors: Selectors) -> None:
        """Remove the member; nothing happens if it is not in the index."""
        if selectors.everything:
            self._everything.pop(member, None)
        for topic in selectors.exact:
            if topic in self._exact:
                self._exact[topic].pop(member, None)
                if not self._exact[topic]:
                    del self._exact[topic]
        for template in selectors.templates:
            for prefix in template.prefixes:
                self._discard_template(member, template.selector, prefix)

    def _discard_template(self, member: Member, selector: str, prefix: str) -> None:
        alike = self._templates.get(prefix)
        if alike is not None and selector in alike:
            _, members = alike[selector]
            members.pop(member, None)
            if not members:
                del alike[selector]
            if not alike:
                self._templates.discard(prefix)

    def wanting(
        self, topics: Sequence[str], budget: Budget = UNBOUNDED
    ) -> Generator[None, None, list[Member]]:
        """Find each member that wants at least one of the topics; without topics, every member.

        It works in the budget's slices, and ignores members that come or go in between.

        Returns:
            A copy, so members may come and go while the caller iterates. First the members that
            want everything, then those of each topic, then those of each template; among these,
            in the order in which they came.
        """
        groups = [self._everything] if self._everything else []
        if not topics:
            groups.extend(self._exact.values())
            groups.extend(
                members for alike in self._templates.values() for _, members in alike.values()
            )
        groups.extend(self._exact[topic] for topic in topics if topic in self._exact)
        if self._templates:
            for topic in topics:
                tried = [
                    each for alike in self._templates.prefixes(topic) for each in alike.values()
                ]
                for template, members in tried:
                    if template.match(topic):
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
