"""``python tests/bench/patterns.py``: what hostile URL Patterns cost, one after another.

Each pattern that the hub accepts is compiled once and tried with topics of 2,000 characters.
"""

import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "src"))

from barestream.mercure.patterns import (
    MOST_PARTS,
    MOST_REGEXP_SIZE,
    InvalidPatternError,
    Patterns,
)
from barestream.mercure.topics import MOST_CHARACTERS, HubUrl

HOST = "https://example.com/"
PATTERNS = 100
SIMPLE = 1000

TOPICS = [
    HOST + (piece * MOST_CHARACTERS)[: MOST_CHARACTERS - len(HOST) - 1] + end
    for piece in ("a", "a/", "ab", "-a", "a" * 500 + "!" * 500, "%61")
    for end in ("a", "b")
]


def main() -> None:
    """Print the worst figures."""
    patterns = Patterns(HubUrl(f"{HOST}.well-known/mercure"), 20 * PATTERNS + SIMPLE)
    held, refused, compiled, matched = [], 0, [], []
    before = resident_kb()
    for text in hostile():
        began = time.perf_counter()
        try:
            pattern = patterns.get(text)
        except InvalidPatternError:
            refused += 1
        else:
            held.append(pattern)
        compiled.append(time.perf_counter() - began)
    after = resident_kb()
    for pattern in held:
        for topic in TOPICS:
            began = time.perf_counter()
            pattern.match(topic)
            matched.append(time.perf_counter() - began)
    used = resident_kb()
    simple = [patterns.get(f"{HOST}users/{n}/*") for n in range(SIMPLE)]
    each = (resident_kb() - used) / len(simple)
    print(f"{len(held)} hostile patterns accepted, {refused} refused")
    print(f"slowest answer to one, compiled or refused: {1000 * max(compiled):.2f} ms")
    print(f"slowest match of a topic of {MOST_CHARACTERS} characters: {1000 * max(matched):.2f} ms")
    print(
        f"memory of one: {(after - before) / len(held):.0f} KB, "
        f"{(used - before) / len(held):.0f} KB once tried"
    )
    print(f"memory of one of {len(simple)} usual ones: {each:.0f} KB")


def hostile() -> Iterator[str]:
    """Yield patterns that are as large as the hub accepts, and larger ones."""
    for count in (MOST_PARTS, 10 * MOST_PARTS):
        yield HOST + "*a" * count
        yield HOST + "-".join(f":a{n}" for n in range(count))
        yield HOST + "".join(f"{{:a{n}}}+b" for n in range(count // 2))
        yield HOST + "{a*}?" * (count // 2)
    for times in (MOST_REGEXP_SIZE // 8 - 1, MOST_REGEXP_SIZE - 8, 5000):
        for atom in (".", "[^a]", r"\w", r"\W", "[ab]", "a", r"\p{L}", "(?:a?b?)"):
            yield f"{HOST}({atom}{{{times}}})"
            yield f"{HOST}(.*a{atom}{{{times}}})"
            yield f"{HOST}((?:{atom}*){{{times}}}b)"
    # What the library could read otherwise than it was counted.
    for odd in (
        "([+-[])?((?:[a-z]?){60000}!)",
        "((?:a?){ 60000 }!)",
        "(]{60000})",
        "([[^a]]{250})",
    ):
        yield HOST + odd
    yield HOST + "users/([(?:]?)[a-z0-9/]?{60000}(?:[)]?!)"
    yield HOST + "([(?:])[^a]{2000}(?:b[)])"
    yield HOST + "".join(f":${chr(0x4E00 + n)}-" for n in range(400))
    for atom in (".", "[^a]", r"\S", r"\s"):
        for times in (31, 255):
            yield f"{HOST}({atom}{{{times}}})"
    # The same with whatever a fixed generator thinks of.
    chance = random.Random(15)
    pieces = ["*a", "(.*)", "([^a]+)", "{a*}?", "(a|b*)", "(.{9})", r"(\w{20})", r"(\D*)-", "{ab}+"]
    for nth in range(10 * PATTERNS):
        count = chance.randint(5, MOST_PARTS + 5)
        yield HOST + f"x{nth}/".join(chance.choices([*pieces, f"{{:n{nth}}}?"], k=count))


def resident_kb() -> int:
    """Return the resident memory of this process."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * 4


if __name__ == "__main__":
    main()
