"""A stand-in for a language model: the same prompt gets the same words, as fast as it is told."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Iterator

_SUBJECTS = ["A reader", "The second tab", "The browser", "A slow phone", "The page"]
_VERBS = ["follows", "shows", "keeps", "reads", "gets"]
_OBJECTS = ["each word", "the whole answer", "the same stream", "the end", "what it missed"]


def words(prompt: str, count: int) -> list[str]:
    """Return the answer to a prompt as so many tokens; joined, they are its text."""
    return list(itertools.islice(_endless(prompt), count))


async def answer(prompt: str, count: int, per_second: float) -> AsyncIterator[str]:
    """Yield the answer's tokens, one after another at a steady rate."""
    clock = asyncio.get_running_loop()
    began_at = clock.time()
    for number, word in enumerate(words(prompt, count), 1):
        await asyncio.sleep(began_at + number / per_second - clock.time())
        yield word


def _endless(prompt: str) -> Iterator[str]:
    chosen = random.Random(prompt)  # noqa: S311 (no secret)
    separator = ""
    while True:
        parts = (chosen.choice(each) for each in (_SUBJECTS, _VERBS, _OBJECTS))
        for word in f"{' '.join(parts)}.".split():
            yield separator + word
            separator = " "
