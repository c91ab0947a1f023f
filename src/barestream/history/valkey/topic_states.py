"""Reads the ends, the kept values and the newest updates of topics."""

from collections.abc import Sequence

from barestream.history.topic_state import End, Newest, Rewind, Rewound
from barestream.history.valkey import codec, scripts
from barestream.history.valkey.kept_copy import KeptCopy
from barestream.history.valkey.questions import Questions


class TopicStates:
    """Reads the state of topics.

    Args:
        questions: Asks Valkey.

    Attributes:
        kept: The kept values of all topics.
    """

    def __init__(self, questions: Questions) -> None:
        self._questions = questions
        self.kept = KeptCopy(questions)

    async def ends(self) -> dict[str, End]:
        """Return the topics that have ended (see Broker)."""
        found = {}
        async for now_ms, topic, value in self._questions.scan(b"ends"):
            end = codec.end(value)
            if end.until_ms > now_ms:
                found[topic] = end
        return found

    async def rewound(
        self, topics: Sequence[str], rewind: Rewind, most_events: int, *, all_kept: bool
    ) -> Rewound:
        """Return the newest updates of topics, and kept values (see Broker)."""
        named = [*dict.fromkeys(topics)]
        last, answers = await self._questions.run_indexed(
            scripts.REWOUND, *_how(rewind), b"%d" % most_events, *map(codec.topic_bytes, named)
        )
        upto = codec.place(last)
        newest, kept = {}, {}
        for topic, (public, private, floors, value) in zip(named, answers, strict=True):
            lanes = [[codec.place(each) for each in lane] for lane in (public, private, floors)]
            newest[topic] = Newest(lanes[0], lanes[1], (lanes[2][0], lanes[2][1]))
            if value is not None:
                kept[topic] = codec.unpacked(value)[1]
        if all_kept:
            # A value that was replaced meanwhile leaves out the one before, because the new one is
            # among the updates after the place.
            for topic, record in (await self.kept.values()).items():
                if record.place <= upto:
                    kept.setdefault(topic, record)
        return Rewound(upto, newest, kept)


def _how(rewind: Rewind) -> tuple[bytes, bytes]:
    """Return a rewind as arguments of the script: what is asked for, and its number."""
    if rewind.events is not None:
        return b"events", b"%d" % rewind.events
    if rewind.seconds is not None:
        return b"seconds", b"%d" % (rewind.seconds * 1000)
    return b"kept", b"0"
