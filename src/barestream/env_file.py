"""The file ``.env``, read as Compose reads it.

``python -m barestream.env_file COMMAND`` runs a command with it.

Source: https://docs.docker.com/reference/compose-file/interpolation/#env-file-syntax. What Compose
would understand otherwise than python-dotenv is refused, so that no line means two things.
"""

import os
import sys
from collections.abc import Iterator, MutableMapping
from pathlib import Path

from dotenv.parser import Binding, parse_stream

# Names another file, or none where it is empty: what starts the service has read it by then.
VARIABLE = "BARESTREAM_ENV_FILE"


class EnvFileError(ValueError):
    """A line that cannot be read; the message names the file, the line and the remedy."""


def complete(environment: MutableMapping[str, str]) -> None:
    """Set the variables that the environment does not have and the file beside it does.

    Raises:
        EnvFileError: A line cannot be read; see ``read``.
        OSError: The file cannot be read, other than the default one where there is none.
    """
    named = environment.get(VARIABLE, ".env")
    if named and (VARIABLE in environment or Path(named).exists()):
        for variable, value in read(Path(named)).items():
            environment.setdefault(variable, value)


def names(path: Path) -> Iterator[str]:
    """Yield the names in a file, whatever their values are."""
    with path.open(encoding="utf-8-sig") as lines:
        yield from (binding.key for binding in parse_stream(lines) if binding.key)


def read(path: Path) -> dict[str, str]:
    """Return the variables of the file, without those that are only named.

    Raises:
        EnvFileError: A line is not of the form NAME=value, or has a $ outside of single quotes.
        OSError: The file cannot be read.
    """
    found: dict[str, str] = {}
    # Windows programs put a byte order mark at the start.
    with path.open(encoding="utf-8-sig") as lines:
        for binding in parse_stream(lines):
            if binding.error:
                raise EnvFileError(f"{_where(path, binding)}: expected NAME=value")
            if binding.key is None or binding.value is None:
                continue
            if "$" in binding.value and not _is_literal(binding):
                raise EnvFileError(
                    f"{_where(path, binding)}: a $ stands for a variable here. Put the value of "
                    f"{binding.key} in single quotes, or write it out."
                )
            found[binding.key] = binding.value
    return found


def _where(path: Path, binding: Binding) -> str:
    # A statement begins behind the blank lines that stand before it.
    text = binding.original.string
    skipped = text[: len(text) - len(text.lstrip())].count("\n")
    return f"{path}, line {binding.original.line + skipped}"


def _is_literal(binding: Binding) -> bool:
    _, _, value = binding.original.string.partition("=")
    return value.lstrip().startswith("'")


if __name__ == "__main__":
    try:
        complete(os.environ)
    except (EnvFileError, OSError) as error:
        sys.exit(str(error))
    os.environ[VARIABLE] = ""
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606
