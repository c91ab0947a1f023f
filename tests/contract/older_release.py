"""The release before topics had an index: its scripts for publishing and trimming."""

from pathlib import Path

from barestream.history.record import Place
from barestream.history.update import Update
from barestream.history.valkey import codec
from support.servers.valkey_server import ValkeyServer

# Its parts are as it had them.
FOLDER = Path(__file__).parent / "release_before"
KEYS = [f"{{barestream}}:{name}" for name in ("log", "ids", "state", "repeats")]


def _script(*parts: str) -> str:
    text = "\n".join((FOLDER / f"{part}.lua").read_text() for part in parts)
    return text.replace("WEIGHTS", "1.25, 32, 160")


PUBLISH = _script("begin", "repeats", "size", "trim", "publish")
TRIM = _script("begin", "repeats", "size", "trim", "trim_now")


class OlderRelease:
    """A worker of that release.

    Args:
        server: The Valkey.
        events: How many updates it keeps.
    """

    def __init__(self, server: ValkeyServer, events: int = 1000) -> None:
        self._server = server
        self._bounds = (events, 10_000_000, 3_600_000)

    def publish(self, update: Update) -> Place:
        """Publish an update, and return its place."""
        event_id = update.event.id or ""
        digest = update.digest if event_id else b""
        arguments = (*self._bounds, event_id, digest, *codec.fields(update))
        answer = self._server.ask("EVAL", PUBLISH, len(KEYS), *KEYS, *arguments)
        return codec.place(answer)

    def trim(self) -> None:
        """Remove what is beyond its bounds."""
        while self._server.ask("EVAL", TRIM, len(KEYS), *KEYS, *self._bounds):
            pass
