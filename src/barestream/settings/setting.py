"""One setting: its variable, what is expected of it, and how the tables show it."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, Field, SecretStr
from pydantic.fields import FieldInfo

from barestream.mercure.keys import ALGORITHMS

PREFIX = "BARESTREAM_"

# A secret may be in a file; the variable with this suffix then holds the path.
FILE_SUFFIX = "_FILE"

# The form in which browsers serialize an origin. Apps in a web view have schemes of their own
# (capacitor, ionic).
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
_DEFAULT_PORT = re.compile(r"http://.*:80|https://.*:443")

LogLevel = Literal["debug", "info", "warning", "error"]
LOG_LEVELS = "debug, info, warning or error"


def _check_algorithm(name: str) -> str:
    if name not in ALGORITHMS:
        raise ValueError
    return name


# An algorithm of a key, and what is expected of it.
Algorithm = Annotated[str, AfterValidator(_check_algorithm)]
AN_ALGORITHM = f"one of {', '.join(ALGORITHMS)}"


class SettingsError(ValueError):
    """Settings that cannot be used; the message names variable, value and expected form."""


class FileSecret(SecretStr):
    """A secret that is in a file.

    Args:
        path: The file's path.

    Raises:
        OSError: The file cannot be read, or is empty.
        UnicodeDecodeError: It is not text.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        super().__init__(self.read())

    def read(self) -> str:
        """Return what is in the file at this moment, without the newline at its end.

        Raises:
            OSError, UnicodeDecodeError: As at first.
        """
        text = Path(self._path).read_text().rstrip("\r\n")
        # An empty secret would switch a protection off.
        if not text:
            raise OSError("it is empty")
        return text


def setting(default: Any, description: str, expected: str, unit: str = "", **limits: Any) -> Any:
    """Return the field of a setting; errors quote the expected form."""
    return Field(
        default=default,
        description=description,
        json_schema_extra={"unit": unit, "expected": expected},
        **limits,
    )


def secret(description: str, expected: str, default: SecretStr | None = None) -> Any:
    """Return the field of a setting whose value no message shows."""
    return setting(default, description, expected)


def split(listed: str) -> list[str]:
    """Return the parts of a list that is separated by commas."""
    return [part.strip() for part in listed.split(",") if part.strip()]


def check_origin(text: str) -> None:
    """Check that a text is an origin as browsers serialize it.

    Raises:
        ValueError: It is not; the message says what is wrong.
    """
    if not _ORIGIN.fullmatch(text):
        ends = "; remove the slash at its end" if text.endswith("/") else ""
        raise ValueError(f"{text!r} is not an origin{ends}")
    if _DEFAULT_PORT.fullmatch(text):
        raise ValueError(f"{text!r} names the default port, which browsers leave out; remove it")


def variable(name: str) -> str:
    """Return the variable of a field."""
    return PREFIX + name.upper()


def unit(info: FieldInfo) -> str:
    """Return the unit of a field; empty if it has none."""
    return _extra(info)["unit"]


def expected(info: FieldInfo) -> str:
    """Return the form that is expected of a field."""
    return _extra(info)["expected"]


def is_secret(info: FieldInfo) -> bool:
    """Return whether no message may show the value."""
    return info.annotation in (SecretStr, SecretStr | None)


def default(info: FieldInfo) -> str:
    """Return the default, as text."""
    if isinstance(info.default, SecretStr):
        return info.default.get_secret_value()
    if isinstance(info.default, bool):
        return str(info.default).lower()
    return "" if info.default is None else str(info.default)


def kind(info: FieldInfo) -> str:
    """Return the type, in words."""
    annotation: object = info.annotation
    if is_secret(info):
        return f"text, or a file's path in `…{FILE_SUFFIX}`"
    if annotation is bool:
        return "true or false"
    if annotation == LogLevel:
        return LOG_LEVELS
    return {int: "integer", float: "number", Path: "path"}.get(cast("type", annotation), "text")


def _extra(info: FieldInfo) -> dict[str, str]:
    extra = info.json_schema_extra
    assert isinstance(extra, dict)  # noqa: S101 (every field is made by setting)
    return {key: str(value) for key, value in extra.items()}
