"""The parameters of a request that ask for the state of topics.

They are barestream's own, beside those of Mercure.
"""

import re
from collections.abc import Collection
from typing import NamedTuple

from barestream.history.topic_state import Rewind
from barestream.web.form import Form
from barestream.web.refusals import bad_request

_REWIND = re.compile(r"([1-9][0-9]{0,5})(s?)")
_REWIND_FORM = (
    "a number of updates such as 10, a time in whole seconds such as 30s, both from 1 to 999999 "
    "without leading zeros, or kept"
)

_NAMES = {"rewind", "new", "include"}

_INCLUDES = {"match", "topic", "ready"}


class RewindRequest(NamedTuple):
    """What a request asks for.

    Attributes:
        rewind: How much of each topic it wants before the live updates; None for nothing.
        new: The topics that are new to its client.
        includes: What it wants in addition: ``topic`` or ``match`` in each id, ``ready`` as an
            event.
    """

    rewind: Rewind | None
    new: frozenset[str]
    includes: frozenset[str]

    @classmethod
    def read(cls, form: Form, topics: Collection[str]) -> "RewindRequest":
        """Read the parameters.

        Args:
            form: The request's parameters.
            topics: The topics that it subscribes to, as they are written.

        Raises:
            Refused: 400 for parameters that are malformed.
        """
        if form.keys().isdisjoint(_NAMES):
            return NOTHING
        rewind = _rewind(form.get("rewind", []))
        new = frozenset(form.get("new", ()))
        if new and rewind is None:
            raise bad_request("new says for which topics a rewind holds: rewind is missing.")
        unknown = sorted(new.difference(topics))
        if unknown:
            raise bad_request(
                f"new names {unknown[0][:100]!r}, which is not a topic of the request."
            )
        values = form.get("include", ())
        includes = frozenset(name for value in values for name in value.split(","))
        if not includes <= _INCLUDES:
            raise bad_request("include: expected match, ready or topic.")
        return cls(rewind, new, includes)


NOTHING = RewindRequest(None, frozenset(), frozenset())


def _rewind(values: list[str]) -> Rewind | None:
    if not values:
        return None
    if values == ["kept"]:
        return Rewind(kept=True)
    match = _REWIND.fullmatch(values[0]) if len(values) == 1 else None
    if match is None:
        raise bad_request(f"rewind: expected {_REWIND_FORM}, once.")
    count = int(match[1])
    return Rewind(seconds=count) if match[2] else Rewind(events=count)
