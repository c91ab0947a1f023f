"""The wall clock of programs that are started with it: it can be moved while they run."""

import os
import struct
import subprocess
import tempfile
from pathlib import Path

from support.servers.programs import path_of

_SOURCE = Path(__file__).with_suffix(".c")


class WallClock:
    """A clock that programs take for the machine's.

    Attributes:
        environment: The variables that a program needs to run under this clock.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="bs-clock-")
        folder = Path(self._folder.name)
        library, self._offset = folder / "wall_clock.so", folder / "offset"
        compiler = [path_of("cc", "gcc libc6-dev"), "-O2", "-Wall", "-Werror", "-shared", "-fPIC"]
        subprocess.run([*compiler, "-o", library, _SOURCE], check=True)
        self.move(0)
        self.environment = {"LD_PRELOAD": str(library), "WALL_CLOCK_OFFSET": str(self._offset)}

    def __enter__(self) -> "WallClock":
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def move(self, seconds: int) -> None:
        """Set it to the machine's clock and so many seconds."""
        # In place: the programs have mapped the file.
        file = os.open(self._offset, os.O_WRONLY | os.O_CREAT, 0o600)
        os.pwrite(file, struct.pack("=q", seconds), 0)
        os.close(file)

    def interpreter(self, python: str) -> Path:
        """Return a program that runs a Python under this clock."""
        script = self._offset.with_name("python")
        lines = [f"export {name}={value}\n" for name, value in self.environment.items()]
        script.write_text(f'#!/bin/sh\n{"".join(lines)}exec {python} "$@"\n')
        script.chmod(0o755)
        return script
