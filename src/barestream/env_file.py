"""The file ``.env``, read as Compose reads it.

``python -m barestream.env_file COMMAND`` runs a command with the variables of the file.

Source: https://docs.docker.com/reference/compose-file/interpolation/#env-file-syntax. A line that
Compose and python-dotenv would read differently is refused.
"""

import os
import re
import sys
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator, MutableMapping
from io import StringIO
from pathlib import Path

from dotenv.parser import Binding, parse_stream

# Names another file. Empty means no file: the program that starts the service has read it already.
VARIABLE = "BARESTREAM_ENV_FILE"

_STATEMENT = re.compile(r"\s*(?:export\s+)?[\w.\-]+[^\S\n]*(?:=(?P<value>.*))?\s*", re.DOTALL)

# What Compose (compose-go 2.0) and python-dotenv read differently, by the quote that a value begins
# with: an escape, or where a comment begins.
_AMBIGUOUS = {
    "'": re.compile(r"\\\\"),
    '"': re.compile(r"\\['0]"),
    "": re.compile(r"^\s+#|[^\S ]#"),
}


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
    """Yield the names in a file, whatever their values are.

    Raises:
        EnvFileError: The file is no text.
        OSError: The file cannot be read.
    """
    yield from (binding.key for binding in parse_stream(_text(path)) if binding.key)


def read(path: Path) -> dict[str, str]:
    """Return the variables of the file, without names that have no value.

    Raises:
        EnvFileError: A line is not of the form NAME=value, or may mean something else to Compose.
        OSError: The file cannot be read.
    """
    found: dict[str, str] = {}
    for binding in parse_stream(_text(path)):
        if why := _why_refused(binding):
            raise EnvFileError(f"{_where(path, binding)}: {why}")
        if binding.key is not None and binding.value is not None:
            found[binding.key] = binding.value
    return found


def _text(path: Path) -> StringIO:
    raw = path.read_bytes()
    if raw.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        raise EnvFileError(f"{path}: the file is in UTF-16; save it in UTF-8")
    # Windows programs put a byte order mark at the start. Bytes that are not UTF-8 stay what they
    # are, as in Compose.
    text = raw.removeprefix(BOM_UTF8).decode(errors="surrogateescape").replace("\r\n", "\n")
    return StringIO(text, newline="")


def _why_refused(binding: Binding) -> str | None:
    """Return what is wrong with a statement, or could mean two things; None where nothing is."""
    text = binding.original.string
    statement = _STATEMENT.fullmatch(text)
    # A comment has no key.
    if binding.error or "\r" in text or (binding.key is not None and statement is None):
        return "expected NAME=value"
    raw = statement["value"] if statement else None
    if raw is None or binding.value is None:
        return None
    quote = raw.lstrip()[:1]
    if "$" in binding.value and quote != "'":
        return (
            f"a $ stands for a variable here. Put the value of {binding.key} in single quotes, or "
            "write the variable's own value."
        )
    ambiguous = _AMBIGUOUS[quote if quote in _AMBIGUOUS else ""]
    if found := ambiguous.search(raw):
        return f"Compose reads {found[0].strip(' ')!r} otherwise. Write {binding.key} another way."
    return None


def _where(path: Path, binding: Binding) -> str:
    # python-dotenv counts the blank lines before a statement as a part of it.
    text = binding.original.string
    skipped = text[: len(text) - len(text.lstrip())].count("\n")
    return f"{path}, line {binding.original.line + skipped}"


if __name__ == "__main__":
    try:
        complete(os.environ)
    except (EnvFileError, OSError) as error:
        sys.exit(str(error))
    os.environ[VARIABLE] = ""
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606
