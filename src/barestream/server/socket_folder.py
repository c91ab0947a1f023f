"""The folder of one instance's unix sockets, and the link by which nginx finds it.

Each slot has a socket of its own, so that nginx's least_conn spreads streams evenly. The master
holds the sockets, so that connections wait in their queues while a worker is replaced. Each
instance has a folder of its own, because two instances that bind one path would unlink each
other's socket.
"""

import os
import socket
from pathlib import Path


class SocketFolder:
    """``<parent>/<instance>/<slot>.sock``, and ``<parent>/current``, a link to one instance."""

    def __init__(self, parent: Path, instance: str, slots: int) -> None:
        self._folder = parent / instance
        self._current = parent / "current"
        self.sockets = [self._folder / f"{slot}.sock" for slot in range(slots)]

    def claim(self) -> None:
        """Make the folder.

        Raises:
            RuntimeError: Another instance listens in it.
        """
        if any(_is_answered(path) for path in self.sockets):
            raise RuntimeError(
                f"another instance listens in {self._folder}: stop it, or give this one a name "
                "of its own with BARESTREAM_INSTANCE"
            )
        self._folder.mkdir(parents=True, exist_ok=True)

    def write_settings(self, text: str) -> None:
        """Write the settings for nginx, which reads those in the current folder."""
        part = self._folder / "nginx.env.part"
        part.write_text(text)
        # Renaming is atomic: nginx reads the old ones or the new ones.
        part.replace(self._folder / "nginx.env")

    def become_current(self) -> None:
        """Point ``current`` to this folder, unless it points to another instance that listens."""
        first = self.sockets[0].name
        if _is_answered(self._current / first):
            return
        # Renaming is atomic: nginx finds the old link or the new one.
        link = self._folder / "link"
        link.unlink(missing_ok=True)
        link.symlink_to(self._folder.name, target_is_directory=True)
        os.replace(link, self._current)  # noqa: PTH105 (Path.replace follows no link either)


def _is_answered(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(os.fspath(path))
        except BlockingIOError:
            # The listener's queue is full. A blocking connect would wait for a stuck listener.
            return True
        except OSError:
            return False
        return True
