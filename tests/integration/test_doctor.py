"""The doctor before the app, on each path at the same time."""

import asyncio
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from barestream.mercure.tokens import sign
from barestream_doctor.finding import Severity
from barestream_doctor.opinion import compared, findings
from barestream_doctor.probes import Probes, examine
from barestream_doctor.seen import Seen
from barestream_doctor.stalls import StallWatch
from barestream_doctor.target import target
from doctor.cases import CASES, Case, urls
from support.clients.publisher import KEY

TOKEN = sign(KEY, "HS256", ("*",), ("*",), None, operate=True)


async def examined_later(probes: Probes, seconds: float) -> Seen:
    # All at the same moment would hold this loop for a second.
    await asyncio.sleep(seconds)
    return await examine(probes)


async def examined(all_urls: dict[str, str]) -> dict[str, Seen]:
    async with StallWatch() as watch:
        every = [
            Probes(target(url), TOKEN, is_quick=True, is_insecure=True) for url in all_urls.values()
        ]
        for probes in every:
            probes.seen.stalls = watch.stalls
        seen = await asyncio.gather(
            *(examined_later(probes, 0.1 * number) for number, probes in enumerate(every))
        )
    return dict(zip(all_urls, seen, strict=True))


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Seen]]:
    """Return what was seen of each path."""
    folder: Path = tmp_path_factory.mktemp("paths")
    # pytest makes it for this user alone, and Varnish and Squid have users of their own.
    for each in (folder.parent, folder):
        each.chmod(0o755)
    with urls(CASES, folder) as running:
        yield asyncio.run(examined(running))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_verdict_on_a_path_is_right(
    case: Case, paths: dict[str, Seen], figure: Callable[[str], None]
) -> None:
    found = findings(paths[case.name])
    bad = [each for each in found if each.severity >= Severity.WARNING]
    assert {each.code for each in bad} == case.codes, bad
    assert all(case.hop in each.hop and each.remedy for each in bad), bad
    assert case.notes <= {each.code for each in found if each.severity is Severity.NOTE}, found
    figure("; ".join(each.evidence for each in bad) or "healthy")


def test_the_direct_path_tells_hop_and_direction(paths: dict[str, Seen]) -> None:
    direct = paths["direct"]
    told = {each.code: each for each in compared(paths["200 ms more"], direct)}
    found = re.search(r"adds (\d+) ms .* answer, (\d+) ms of them on", told["added-delay"].evidence)
    assert found
    # On a busy machine both are more; all of the delay is on the way back.
    assert min(map(int, found.groups())) >= 190, found[0]
    hop = told["constant-delay"].hop
    assert hop == f"something that does not show itself, before {direct.origin}"
