"""A bug for the hub: this folder in PYTHONPATH has Python read this module first.

While the file exists that HUB_BUG names, nothing can be sent to a stream out of Valkey's history.
"""

import os
from pathlib import Path
from typing import Any

from barestream.history.record import Place
from barestream.history.valkey.broker import ValkeyBroker

_file = Path(os.environ["HUB_BUG"])
_read = ValkeyBroker.read


async def _read_or_fail(
    self: ValkeyBroker, after: Place, most_events: int, *further: Any, **named: Any
) -> Any:
    # Without events it is a question of how far the history goes back, before the stream begins.
    assert most_events == 0 or not _file.exists(), "the bug of tests/observability/bug"
    return await _read(self, after, most_events, *further, **named)


ValkeyBroker.read = _read_or_fail  # type: ignore[method-assign]
