"""The answers of sentinels: which server each of them takes for the primary. Pure.

Source: https://valkey.io/topics/sentinel/
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from valkey.exceptions import ValkeyError

from barestream.history.valkey.guide import Address


class Report(NamedTuple):
    """The answer of one sentinel, or what follows from those of several.

    Attributes:
        address: The primary's address.
        epoch: The epoch of the configuration that the address is from. Each failover has a higher
            one, which a majority of the sentinels has agreed to.
    """

    address: Address
    epoch: int


def questions(service: str) -> tuple[Sequence[bytes], Sequence[bytes]]:
    """Return the commands that a sentinel is asked.

    While a sentinel still tells replicas of a failover, the first answer has the address of the
    later primary, and the second one the address of the earlier primary; its epoch is the later
    one.
    """
    name = service.encode()
    return (b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", name), (b"SENTINEL", b"MASTER", name)


def report(answers: Sequence[Any]) -> Report:
    """Return the report in the answers to ``questions``.

    Raises:
        ValkeyError: The sentinel's own error, or one that says that the answers have no report.
    """
    for answer in answers:
        if isinstance(answer, ValkeyError):
            raise answer
    named, fields = answers
    if named is None:
        raise ValkeyError("it does not know the service")
    try:
        host, port = named
        state = dict(zip(fields[::2], fields[1::2], strict=True))
        return Report(Address(host.decode(), int(port)), int(state[b"config-epoch"]))
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ValkeyError("its answer cannot be read: is it a sentinel?") from None


def newest(reports: Sequence[Report], known: Report | None, sentinels: int) -> Report | None:
    """Return the report to follow; None if there is none.

    That of the highest epoch counts, because a sentinel that was away may still name an earlier
    primary. If only such sentinels answer, what is known stays. It does not stay if a majority
    names an earlier epoch: then somebody has set the sentinels up anew.

    Args:
        reports: Those of the sentinels that answered.
        known: The report that was followed before.
        sentinels: How many sentinels there are.
    """
    if not reports:
        return known
    epoch = max(each.epoch for each in reports)
    if known is not None and epoch < known.epoch and 2 * len(reports) <= sentinels:
        return known
    named = Counter(each.address for each in reports if each.epoch == epoch)
    most = max(named.values())
    first, *others = [address for address, count in named.items() if count == most]
    if known is not None and known.address in others:
        first = known.address
    return Report(first, epoch)
