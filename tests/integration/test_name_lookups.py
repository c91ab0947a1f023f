"""The threads in which a worker looks names up."""

from pathlib import Path

from support.servers.service import Service, wait_for
from support.servers.valkey_server import ValkeyServer


def test_a_worker_has_sixteen_threads_for_the_lookup_of_names() -> None:
    with ValkeyServer() as valkey:
        url = valkey.url.replace("127.0.0.1", "localhost")
        assert url != valkey.url
        with Service(broker_url=url, broker_password=valkey.password, workers=1) as service:
            [worker] = service.workers()
            threads = Path(f"/proc/{worker}/task")
            # libuv makes them all at the first lookup.
            wait_for("the threads", lambda: len(list(threads.iterdir())) > 16)
