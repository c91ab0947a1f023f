"""What a history knows of single topics, and what a reader may know of it. Pure."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from barestream.history.record import Known, Place, Record


class Reader(NamedTuple):
    """Which updates a client gets, as far as a history can tell without their topics.

    Attributes:
        topics: The topics that it asks for; None if it also asks for topics that it does not name
            (by templates, patterns or ``*``).
        covered: Those of the topics whose private updates it may all read.
        has_rights: Whether it may read any private updates. Those of a topic that is not covered
            may have another topic that is.
    """

    topics: tuple[str, ...] | None
    covered: frozenset[str] = frozenset()
    has_rights: bool = False


class End(NamedTuple):
    """The end of a topic.

    Attributes:
        known: What is known of the topic's last update.
        until_ms: When the topic is forgotten, and may be used anew; in milliseconds of the
            history's clock.
    """

    known: Known
    until_ms: int


class Rewind(NamedTuple):
    """How much of each topic a client wants before the live updates; one of these is set.

    Attributes:
        events: The newest so many updates.
        seconds: The updates of the last so many seconds.
        kept: The kept value, and all updates after it.
    """

    events: int | None = None
    seconds: float | None = None
    kept: bool = False


class Newest(NamedTuple):
    """The newest updates of a topic.

    Attributes:
        public: The places of its public updates, oldest first.
        private: Those of its private updates.
        floors: The newest place of a public update that has left the topic, and that of a private
            one.
    """

    public: Sequence[Place]
    private: Sequence[Place]
    floors: tuple[Place, Place]


class Rewound(NamedTuple):
    """The state of topics at one moment.

    Attributes:
        upto: The newest place of an update that was in the history at that moment, or before.
        newest: Of each topic that was asked for.
        kept: The kept values of the topics that were asked for, or of all topics, by topic.
    """

    upto: Place
    newest: Mapping[str, Newest]
    kept: Mapping[str, Record]
