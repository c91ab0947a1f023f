"""A machine of a reader: a network of its own, whose port 80 is free, and a checkout.

A namespace of the kernel (unshare(1)) is that network: it has a loopback interface alone, so what
the manual prints runs as printed, whatever listens on the ports of this machine.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

from support.manual.pages import ROOT
from support.manual.printed import missing_lines
from support.servers.programs import give_up
from support.servers.service import PATIENCE_SECONDS, wait_for

# Brings the loopback interface up (netdevice(7)), and holds the namespace until its input ends.
_HOLDER = """
import fcntl, socket, struct, sys
with socket.socket() as any_socket:
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sH14x", b"lo", 0x41))
print("up", flush=True)
sys.stdin.read()
"""

# As curl says it: nothing listens there yet.
_CURL_REFUSED = 7


class Machine:
    """A network, a checkout and the state of a reader's shell; a context.

    Attributes:
        checkout: The files of this checkout, in a folder of their own.
        output: All that the commands have printed.
        last_log: What the endless commands that were started last have printed.
    """

    def __init__(self, **environment: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="manual-")
        self.folder = Path(self._folder.name)
        self.checkout = self.folder / "barestream"
        self.output = ""
        self.last_log = self.folder / "endless"
        # The variables of the reader's shell, and its current folder.
        self._state = self.folder / "state.sh"
        self._cwd = self.folder / "cwd"
        self._environment = {
            **{
                key: value
                for key, value in os.environ.items()
                if not key.startswith(("BARESTREAM_", "COMPOSE_", "MAKE", "PYTHONPATH"))
            },
            "PYTHON": sys.executable,
            "HOME": str(self.folder),
            **environment,
        }
        self._endless: list[subprocess.Popen[bytes]] = []
        # It is held open to the end: the holder reads it.
        self._holder = subprocess.Popen(
            ["unshare", "--net", sys.executable, "-c", _HOLDER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def __enter__(self) -> Self:
        assert self._holder.stdout
        assert self._holder.stderr
        if self._holder.stdout.readline() != b"up\n":
            give_up(f"no network namespace: {self._holder.stderr.read().decode().strip()}")
        self._copy_checkout()
        self._state.touch()
        # On a terminal curl shows no meter either.
        (self.folder / ".curlrc").write_text("silent\nshow-error\n")
        self._cwd.write_text(str(self.checkout))
        return self

    def __exit__(self, *_: object) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            gives_up_at = time.monotonic() + 10
            while (pids := self._pids()) and time.monotonic() < gives_up_at:
                for pid in pids:
                    with suppress(ProcessLookupError):
                        os.kill(pid, number)
                for running in self._endless:
                    running.poll()
                time.sleep(0.05)
        for running in self._endless:
            running.wait()
        self._holder.kill()
        self._holder.communicate()
        self._folder.cleanup()

    def _copy_checkout(self) -> None:
        """Copy what git knows of this checkout, and what a first `make` would have brought."""
        subprocess.run([ROOT / "scripts/nginx-binary"], stdout=subprocess.DEVNULL, check=True)
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            check=True,
        )
        for name in set(listed.stdout.decode().split("\0")) - {""}:
            if (ROOT / name).is_file() or (ROOT / name).is_symlink():
                (self.checkout / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.checkout / name, follow_symlinks=False)
        (self.checkout / ".venv").symlink_to(ROOT / ".venv")
        if (ROOT / ".run/package").exists():
            (self.checkout / ".run").mkdir()
            (self.checkout / ".run/package").symlink_to(ROOT / ".run/package")

    @property
    def network(self) -> str:
        """The file of the network's namespace."""
        return f"/proc/{self._holder.pid}/ns/net"

    @property
    def inside(self) -> list[str]:
        """What a command line begins with to run in the network."""
        return ["nsenter", f"--net={self.network}"]

    def _pids(self) -> list[int]:
        """Return the processes in the network, without the one that holds it."""
        network = Path(self.network).stat().st_ino
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if (entry / "ns/net").stat().st_ino == network:
                    found.append(int(entry.name))
        return [pid for pid in found if pid != self._holder.pid]

    @property
    def cwd(self) -> Path:
        """The current folder of the reader's shell."""
        return Path(self._cwd.read_text().rstrip("\n"))

    def save(self, name: str, text: str) -> Path:
        """Save a file in the current folder."""
        path = self.cwd / name
        path.write_text(text)
        return path

    def _in_shell(self, commands: str) -> str:
        return f'. {self._state}\ncd "$(cat {self._cwd})"\n{commands}'

    def run(self, commands: str, *, network: bool = False) -> str:
        """Run commands as the reader's shell does, and return what they print.

        Args:
            commands: For bash. A command that fails ends them.
            network: Run them in this machine's own network, which leads to the package index.
        """
        script = self._in_shell(f"set -e\n{commands}\nexport -p >{self._state}\npwd >{self._cwd}")
        log = self.folder / "log"
        # A file and no pipe: what the commands start in the background holds it open.
        with log.open("wb") as written:
            done = subprocess.run(
                [*([] if network else self.inside), "bash", "-c", script],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=subprocess.STDOUT,
                timeout=600,
                check=False,
            )
        printed = log.read_text()
        self.output += printed
        assert done.returncode == 0, f"{commands}\nexit code {done.returncode}:\n{printed}"
        return printed

    def start(self, commands: str) -> subprocess.Popen[bytes]:
        """Start commands that do not end by themselves, and wait until they do something.

        They have then printed a line, or opened a connection.
        """
        log = self.last_log = self.folder / f"endless-{len(self._endless)}"
        running = self._popen(commands, log)
        self._endless.append(running)
        wait_for(f"what {commands!r} does", lambda: log.stat().st_size or _has_socket(running.pid))
        if running.poll():
            raise AssertionError(f"{commands}\nexit code {running.returncode}:\n{log.read_text()}")
        return running

    def shows(self, command: str, shown: str, *, fails: bool = False) -> None:
        """Run a command until it has printed what is shown; fail where it ends without that.

        Args:
            command: For bash; it may go on for ever, as `curl -N` does.
            shown: What the manual prints below it.
            fails: Whether it is to end with an error.
        """
        gives_up_at = time.monotonic() + PATIENCE_SECONDS
        while True:
            code, real = self._until_shown(command, shown, gives_up_at)
            # What an endless step has started may not listen yet.
            if code != _CURL_REFUSED or time.monotonic() > gives_up_at:
                break
            time.sleep(0.1)
        self.output += real
        missing = missing_lines(shown, real)
        assert not missing, f"{command}\nhas not printed {missing}, but:\n{real}"
        assert code is None or (code != 0) == fails, f"{command}\nexit code {code}:\n{real}"

    def _popen(self, commands: str, log: Path) -> subprocess.Popen[bytes]:
        """Start commands in the network, in a session of their own, which print to a log."""
        with log.open("wb") as written:
            return subprocess.Popen(
                [*self.inside, "bash", "-c", self._in_shell(commands)],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _until_shown(self, command: str, shown: str, gives_up_at: float) -> tuple[int | None, str]:
        log = self.folder / "shown"
        running = self._popen(command, log)
        try:
            while running.poll() is None and time.monotonic() < gives_up_at:
                if shown.strip() and not missing_lines(shown, log.read_text()):
                    return None, log.read_text()
                time.sleep(0.02)
            return running.poll(), log.read_text()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
            running.wait()

    def wait_for_output(self, shown: str, console: Callable[[], list[str]]) -> None:
        """Wait until the commands have printed an output, or the browser's console has it."""
        if missing_lines(shown, self.output):
            wait_for(
                f"{shown!r} in {self.output[-2000:]!r} or {console()!r}",
                lambda: not missing_lines(shown, "\n".join(console())),
            )


def _has_socket(group: int) -> bool:
    """Return whether a process of a group has a socket."""
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if os.getpgid(int(entry.name)) == group and any(
                str(each.readlink()).startswith("socket:") for each in (entry / "fd").iterdir()
            ):
                return True
    return False
