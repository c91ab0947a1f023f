"""The file of the contexts: the hubs that the user has given names, with their tokens."""

import json
import os
import stat
from pathlib import Path
from typing import NamedTuple

import click


class NamedHub(NamedTuple):
    """A hub, and the token for it.

    Attributes:
        url: Its URL.
        token: The token; None for none.
    """

    url: str
    token: str | None


class Contexts:
    """The contexts by their names.

    Attributes:
        hubs: The hubs by their names.
        current: The name of the one that counts where none is named; None for none.

    Raises:
        ClickException: The file cannot be read, or others may read it.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or Path(click.get_app_dir("barestream")) / "contexts.json"
        self.hubs: dict[str, NamedHub] = {}
        self.current: str | None = None
        try:
            mode = self.path.stat().st_mode
            found = json.loads(self.path.read_text())
            self.hubs = {
                str(name): NamedHub(hub["url"], hub.get("token"))
                for name, hub in found["contexts"].items()
            }
            self.current = found.get("current")
        except FileNotFoundError:
            return
        except OSError as error:
            raise click.ClickException(f"{self.path}: {error.strerror}") from None
        except (ValueError, LookupError, TypeError, AttributeError):
            raise click.ClickException(
                f"{self.path} is no file of contexts; repair it, or remove it"
            ) from None
        if stat.S_IMODE(mode) & 0o077:
            raise click.ClickException(
                f"{self.path} has tokens, and others may read it: chmod 600 {self.path}"
            )

    def named(self, name: str) -> NamedHub:
        """Return a hub by its name.

        Raises:
            UsageError: There is none of that name.
        """
        if name not in self.hubs:
            known = ", ".join(self.hubs) or "none yet: barestream context add"
            raise click.UsageError(f"There is no context {name!r}. The contexts are: {known}.")
        return self.hubs[name]

    def save(self) -> None:
        """Write the file, at once and for its owner alone."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        written = self.path.with_suffix(".tmp")
        written.unlink(missing_ok=True)
        text = json.dumps(
            {
                "current": self.current,
                "contexts": {name: hub._asdict() for name, hub in self.hubs.items()},
            },
            indent=2,
        )
        descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text + "\n")
        written.replace(self.path)
