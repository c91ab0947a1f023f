"""An example of examples/, started as its README says."""

import os
import subprocess
import tempfile
from pathlib import Path

from support.clients.publisher import KEY
from support.servers.service import ROOT, Answering, Service, free_port, wait_for

# It may install packages first.
_STARTS_WITHIN_SECONDS = 300


class Example(Answering):
    """What `examples/run NAME` runs, and its log.

    Args:
        name: The example's folder.
        hub: The hub that it uses.
        root: The repository that has the example.
        environment: Settings of its own.
    """

    def __init__(self, name: str, hub: Service, root: Path = ROOT, **environment: str) -> None:
        super().__init__()
        self._command = [root / "examples/run", name]
        self._name = name
        self._folder = tempfile.TemporaryDirectory(prefix="bs-example-")
        self._log = Path(self._folder.name) / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._environment = {
            **{key: value for key, value in os.environ.items() if "BARESTREAM" not in key},
            "BARESTREAM_TOKEN_KEY": KEY,
            "BARESTREAM_PORT": str(hub.port),
            "PORT": str(self.port),
            "APP_PORT": str(free_port()),
            "DATABASE": f"{self._folder.name}/example.db",
            **environment,
        }

    def __enter__(self) -> "Example":
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command, env=self._environment, stdout=log, stderr=log
            )
        try:
            wait_for(self._name, self._is_up, _STARTS_WITHIN_SECONDS)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(30)
        self._folder.cleanup()

    @property
    def log(self) -> str:
        """All that it wrote until now."""
        return self._log.read_text()

    def _is_up(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log
        return f"{self._name} is up: {self.url}/" in self.log
