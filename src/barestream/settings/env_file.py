"""The file ``.env``, read as Compose reads it.

``python -m barestream.settings.env_file COMMAND`` runs a command with the variables of the file.

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

_STATEMENT = re.compile(
    r"[ \t\r\n]*(?:export[ \t]+)?[\w.\-]+[ \t]*(?:=(?P<value>.*?))?[ \t\r\n]*", re.DOTALL
)
_NAME = re.compile(r"[ \t\r\n]*(?:export[ \t]+)?([\w.\-]+)[ \t]*[=:]")
_QUOTED = {quote: re.compile(rf"{quote}(?:\\.|[^{quote}\\])*", re.DOTALL) for quote in "'\""}
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)

# Escapes that Compose (compose-go 2.0) and python-dotenv read differently, by the value's quotes.
_AMBIGUOUS_ESCAPES = {"'": "\\", '"': "'0"}


_NO_STATEMENT = "expected NAME=value"


class EnvFileError(ValueError):
    """A file or a line that cannot be read; the message names it, and the remedy or the cause."""


def complete(environment: MutableMapping[str, str]) -> None:
    """Set the variables of the file that the environment does not have.

    Raises:
        EnvFileError: The file or a line cannot be read; see ``read``. A missing default file is no
            error.
        OSError: The folder of the default file cannot be searched.
    """
    named = environment.get(VARIABLE, ".env")
    if named and (VARIABLE in environment or Path(named).exists()):
        for variable, value in read(Path(named)).items():
            environment.setdefault(variable, value)


def names(path: Path) -> Iterator[str]:
    """Yield the names in a file as Compose finds them, even where a value cannot be read.

    Raises:
        EnvFileError: The file cannot be read, or is not text.
    """
    for binding in parse_stream(_text(path)):
        if found := _NAME.match(binding.original.string):
            yield found[1]


def read(path: Path) -> dict[str, str]:
    """Return the variables of the file, without names that have no value.

    Raises:
        EnvFileError: The file cannot be read, or is not text, or a line is not of the form
            NAME=value, or means something else to Compose.
    """
    found: dict[str, str] = {}
    for binding in parse_stream(_text(path)):
        if why := _why_refused(binding):
            raise EnvFileError(f"{_where(path, binding)}: {why}")
        if binding.key is not None and binding.value is not None:
            found[binding.key] = binding.value
    return found


def _text(path: Path) -> StringIO:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise EnvFileError(f"{path}: expected a file that can be read ({error.strerror})") from None
    if raw.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        raise EnvFileError(f"{path}: the file is in UTF-16; save it in UTF-8")
    if b"\0" in raw:
        raise EnvFileError(f"{path}: the file holds a NUL byte; save it as text in UTF-8")
    # Windows programs put a byte order mark at the start. Bytes that are not UTF-8 stay unchanged,
    # as in Compose.
    text = raw.removeprefix(BOM_UTF8).decode(errors="surrogateescape")
    return StringIO(text, newline="")


def _why_refused(binding: Binding) -> str | None:
    """Return why a statement is refused: it is wrong or ambiguous; None if it is neither."""
    text = binding.original.string
    if "\r" in text.replace("\r\n", ""):
        return "the line contains a carriage return; remove it"
    if binding.key is None and not binding.error:
        lines = [line.strip(" \t\r") for line in text.split("\n")]
        is_comment = all(not line or line.startswith("#") for line in lines)
        return None if is_comment else _NO_STATEMENT
    statement = _STATEMENT.fullmatch(text)
    if binding.error or statement is None:
        _, sign, value = text.partition("=")
        is_open = sign and value.lstrip(" \t")[:1] in ("'", '"')
        return (
            "expected NAME=value, and a quote at the end of the value" if is_open else _NO_STATEMENT
        )
    raw = statement["value"]
    return None if raw is None else _ambiguity(raw, str(binding.key), str(binding.value))


def _ambiguity(raw: str, name: str, read_value: str) -> str | None:
    """Return which part of a written value Compose reads differently; None if there is none."""
    value = raw.strip(" \t")
    if "$" in read_value and not value.startswith("'"):
        return (
            f"Compose replaces $ and the name after it in the value of {name}. Put the value in "
            "single quotes to keep the $, or write what the name stands for."
        )
    if value != value.strip():
        return f"the white space beside the value of {name} is neither space nor tab; remove it"
    if quoted := _QUOTED.get(value[:1]):
        body = quoted.match(value)
        escapes = _ESCAPE.findall(body[0]) if body else []
        if ambiguous := {*escapes} & {*_AMBIGUOUS_ESCAPES[value[0]]}:
            return (
                f"Compose reads \\{min(ambiguous)} differently. Put the value of {name} in other "
                "quotes, or remove the quotes."
            )
        return None
    before_comment = value.partition(" #")[0]
    if (raw[:1].isspace() and value.startswith("#")) or re.search(r"[^\S ]#", before_comment):
        return f"Compose reads # as a part of the value here. Put the value of {name} in quotes."
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
