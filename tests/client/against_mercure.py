"""The client against Mercure's own hub. It is in no package registry, so this runs by hand.

Build the hub as tests/bench/README.md says. Then:
MERCURE=path/of/the/hub .venv/bin/python -m pytest -s tests/client/against_mercure.py
"""

import os
import subprocess
from pathlib import Path

from bench.servers.mercure import Mercure
from support.clients.publisher import PATH, access_token
from support.servers.programs import path_of

STEPS = Path(__file__).with_suffix(".mjs")


def test_the_client_speaks_to_mercures_own_hub() -> None:
    program = os.environ.get("MERCURE")
    assert program, "MERCURE: expected the path of Mercure's hub"
    with Mercure(Path(program), is_durable=True) as hub:
        _, port = hub.address
        environment = {
            "HUB": f"http://127.0.0.1:{port}{PATH}",
            "TOKEN": access_token("*"),
            "STRANGER": access_token("*", key="a key that this hub does not verify with"),
        }
        print(Mercure.versions(Path(program)))
        subprocess.run(
            [path_of("node", "nodejs"), "--test", "--test-reporter=spec", STEPS],
            env={**os.environ, **environment},
            timeout=120,
            check=True,
        )
