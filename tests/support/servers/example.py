"""An example of examples/, started as its README says."""

import os
from pathlib import Path

from support.clients.publisher import KEY
from support.servers.logged_program import LoggedProgram
from support.servers.service import ROOT, Service, free_port

# It may install packages first.
_STARTS_WITHIN_SECONDS = 300


class Example(LoggedProgram):
    """What `examples/run NAME` runs, and its log.

    Args:
        name: The example's folder.
        hub: The hub that it uses.
        root: The repository that has the example.
        environment: Settings of its own.
    """

    def __init__(self, name: str, hub: Service, root: Path = ROOT, **environment: str) -> None:
        super().__init__(name, _STARTS_WITHIN_SECONDS)
        self._program = root / "examples/run"
        self._environment = {
            **{key: value for key, value in os.environ.items() if "BARESTREAM" not in key},
            "BARESTREAM_TOKEN_KEY": KEY,
            "BARESTREAM_PORT": str(hub.port),
            "PORT": str(self.port),
            "APP_PORT": str(free_port()),
            "DATABASE": str(self.folder / "example.db"),
            **environment,
        }

    def _command(self) -> list[str | Path]:
        return [self._program, self._name]

    def _is_up(self) -> bool:
        return f"{self._name} is up: {self.url}/" in self.log
