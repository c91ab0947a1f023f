"""barestream.js as a whole, on Node, against a hub that runs."""

from pathlib import Path

from support.clients.publisher import KEY, PATH, token
from support.servers.node_tests import run_node_tests
from support.servers.service import Service
from support.servers.valkey_server import ValkeyServer

SCRIPT = Path(__file__).with_name("against_hub.mjs")


def test_the_client_gets_all_of_a_hub_whose_workers_are_killed() -> None:
    with (
        ValkeyServer() as valkey,
        Service(
            token_key=KEY,
            workers=2,
            broker_url=valkey.url,
            broker_password=valkey.password,
            # The load of this test alone comes from one address.
            publish_rate=2_000,
        ) as service,
    ):
        run_node_tests(
            SCRIPT,
            within_seconds=300,
            HUB_URL=f"{service.url}{PATH}",
            TOKEN=token(),
            APP_PID=str(service.app_pid),
        )
