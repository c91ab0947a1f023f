"""An operator's checkout of the project, with versions of its own to roll out."""

import subprocess
import tempfile
from pathlib import Path

from support.servers.service import ROOT


class Checkout:
    """A clone, in a folder of its own."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="bs-checkout-")
        self.root = Path(self._folder.name) / "barestream"
        subprocess.run(["git", "clone", "--quiet", ROOT, self.root], check=True, timeout=60)
        self._git("config", "user.name", "An operator")
        self._git("config", "user.email", "operator@example.org")
        self.base = self._git("rev-parse", "HEAD")

    def __enter__(self) -> "Checkout":
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def version(self, path: str, old: str, new: str) -> str:
        """Commit a change to a file on top of the checked-out version, and return its name."""
        self._git("checkout", "--quiet", "--detach", self.base)
        file = self.root / path
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new, 1))
        self._git("commit", "--quiet", "--all", "--message", f"Change {path}")
        name = self._git("rev-parse", "--short=12", "HEAD")
        self._git("checkout", "--quiet", "--detach", self.base)
        return name

    def _git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", self.root, *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout.strip()
