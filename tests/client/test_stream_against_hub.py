"""The client's stream alone, on Node, against a hub that runs."""

import re
from collections.abc import Callable
from pathlib import Path

from support.clients.publisher import KEY, PATH, token
from support.servers.node_tests import run_node_tests
from support.servers.service import Service

SCRIPT = Path(__file__).with_name("stream_against_hub.mjs")


def test_the_stream_gets_all_with_short_tokens_and_behind_a_proxy_that_buffers(
    figure: Callable[[str], None],
) -> None:
    with Service(token_key=KEY, workers=1, publish_rate=2_000, retry_ms=500) as service:
        printed = run_node_tests(
            SCRIPT,
            within_seconds=300,
            HUB_URL=f"{service.url}{PATH}",
            TOKEN=token(),
            TOKEN_KEY=KEY,
        )
    for line in re.findall("longest silence.*", printed):
        figure(line)
