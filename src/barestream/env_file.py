"""The file ``.env``, read as Compose reads it.

``python -m barestream.env_file COMMAND`` runs a command with the variables of the file.

Source: https://docs.docker.com/reference/compose-file/interpolation/#env-file-syntax. A line that
Compose and python-dotenv would read differently is refused.
"""

import os
import sys
from collections.abc import Iterator, MutableMapping
from pathlib import Path

from dotenv.parser import Binding, parse_stream

# Names another file. Empty means no file: the program that starts the service has read it already.
VARIABLE = "BARESTREAM_ENV_FILE"


class EnvFileError(ValueError):
    """A line that cannot be read; the message names the file, the line and the remedy."""


def complete(environment: MutableMapping[str, str]) -> None:
    """Set the variables that the environment does not have and the file beside it does.

    Raises:
        EnvFileError: A line cannot be read; see ``read``.
        OSError: The file cannot be read. That there is no default file is no error.
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
    """Return the variables of the file, without names that have no value.

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
                    f"{binding.key} in single quotes, or write the variable's own value."
                )
            found[binding.key] = binding.value
    return found


def _where(path: Path, binding: Binding) -> str:
    # python-dotenv counts the blank lines before a statement as a part of it.
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
