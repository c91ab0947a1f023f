"""Ours, as it is shipped."""

import json
from contextlib import ExitStack
from typing import Self
from urllib.parse import urlencode

import httpx

from bench.servers.holds import Holds
from bench.servers.limits import WIDE
from bench.servers.server import Address, answers, request, streamed_request, tree
from bench.servers.tree import HERE, Tree
from support.clients.publisher import KEY, PATH, token
from support.servers.service import Service, free_port
from support.servers.valkey_server import ValkeyServer


class Ours:
    """Gunicorn on a port, or behind nginx as `make up` has it.

    Args:
        workers: How many; more than one needs Valkey, and nginx to spread the streams.
        behind_nginx: Whether nginx is in front.
        broker: Where the log is: "local" or "valkey".
        code: Which tree's code runs. Behind nginx it is always this one's: the configuration of
            nginx belongs to it.
        settings: Any others.
    """

    def __init__(
        self,
        workers: int = 1,
        behind_nginx: bool = False,
        broker: str = "local",
        code: Tree = HERE,
        **settings: object,
    ) -> None:
        self.name = "barestream behind nginx" if behind_nginx else "barestream"
        self._behind_nginx = behind_nginx
        self._code = code
        self._valkey = ValkeyServer() if broker == "valkey" else None
        self._settings = {**WIDE, "token_key": KEY, "workers": workers, **settings}
        self._running = ExitStack()
        self._token = token()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            if self._valkey:
                stack.enter_context(self._valkey)
                self._settings["broker_url"] = self._valkey.url
                self._settings["broker_password"] = self._valkey.password
            if self._behind_nginx:
                self._start_service(stack)
            else:
                self._start_alone(stack)
            self._running = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def _start_service(self, stack: ExitStack) -> None:
        service = stack.enter_context(Service(**self._settings))
        self.address: Address = service.address
        # nginx shows the figures on the inside alone.
        self._figures_url = f"{service.url}/metrics"
        self._figures_socket: str | None = f"{service.folder}/sockets/metrics.sock"
        self._roots = [service.app_pid, service.nginx_pid]

    def _start_alone(self, stack: ExitStack) -> None:
        host, port = self.address = ("127.0.0.1", free_port())
        serving = self._code.serve(**self._settings, bind=f"{host}:{port}")
        process = stack.enter_context(serving)
        # Until it is ready it opens streams only to have them come again.
        process.wait_until(self.name, lambda: answers(self.address, "/readyz"))
        self._figures_url = f"http://{host}:{port}/metrics"
        self._figures_socket = None
        self._roots = [process.pid]

    def get(self, topic: str) -> str:
        """Return a stream's request target."""
        return f"{PATH}?{urlencode({'topic': topic})}"

    def post(self, topic: str, data: str) -> bytes:
        """Return a publish."""
        return request(
            PATH,
            urlencode({"topic": topic, "data": data}),
            "Content-Type: application/x-www-form-urlencoded",
            f"Authorization: Bearer {self._token}",
        )

    def streamed(self, topic: str, data: str) -> bytes:
        """Return a streamed publish: its head, and the line of an event."""
        return streamed_request(
            f"{PATH}/publish-stream?{urlencode({'topic': topic})}",
            json.dumps({"data": data}),
            "Content-Type: application/x-ndjson",
            f"Authorization: Bearer {self._token}",
        )

    def pids(self) -> list[int]:
        """Return all its processes, with Valkey's where it keeps the log."""
        server = [int(self._valkey.ask("INFO", "server")["process_id"])] if self._valkey else []
        return [*(pid for root in self._roots for pid in tree(root)), *server]

    def holds(self) -> Holds | None:
        """Return how long its loop was held so far, where its metrics tell."""
        with httpx.Client(transport=httpx.HTTPTransport(uds=self._figures_socket)) as client:
            answer = client.get(self._figures_url).raise_for_status()
        return Holds.parse(answer.text)
