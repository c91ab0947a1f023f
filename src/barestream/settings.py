"""Every setting: name, type, default, unit, help. Read from the environment, checked at once."""

import difflib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

from pydantic import Field, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "BARESTREAM_"

# The kernel's sun_path holds 108 bytes (unix(7)); "/<instance>/<slot>.sock" comes behind it.
_SOCKET_DIR_MOST_BYTES = 60

LogLevel = Literal["debug", "info", "warning", "error"]
_LOG_LEVELS = "debug, info, warning or error"


class SettingsError(ValueError):
    """Settings that cannot be used; the message names variable, value and expected form."""


def _setting(default: Any, description: str, expected: str, unit: str = "", **limits: Any) -> Any:
    return Field(
        default=default,
        description=description,
        json_schema_extra={"unit": unit, "expected": expected},
        **limits,
    )


class Settings(BaseSettings):
    """The settings of the app, of nginx and of Compose, from ``BARESTREAM_*`` variables."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="ignore"
    )

    port: int = _setting(
        80, "The port that nginx publishes.", "a port from 1 to 65535", ge=1, le=65535
    )
    workers: int = _setting(
        2,
        "Gunicorn workers; nginx has one upstream line for each. One a core is enough.",
        "a whole number from 1 to 64",
        ge=1,
        le=64,
    )
    clock_seconds: int = _setting(
        1,
        "From one tick of /events to the next.",
        "a whole number of seconds from 1 to 86400",
        "s",
        ge=1,
        le=86400,
    )
    clock_history: int = _setting(
        1000,
        "How many ticks of /events can be replayed; who was away longer is told of the gap.",
        "a whole number of events from 1 to 100000",
        "events",
        ge=1,
        le=100_000,
    )
    heartbeat_seconds: float = _setting(
        15,
        "A stream that was silent for so long gets a heartbeat. nginx gives up after 60 s.",
        "a number of seconds from 0.1 to 30",
        "s",
        ge=0.1,
        le=30,
    )
    retry_ms: int = _setting(
        2000,
        "Mean reconnection delay that clients are given; each gets 0.5 to 1.5 times this.",
        "a whole number of milliseconds from 100 to 60000",
        "ms",
        ge=100,
        le=60_000,
    )
    slow_seconds: float = _setting(
        30,
        "A client that takes nothing for so long is cut; it can resume.",
        "a number of seconds from 1 to 3600",
        "s",
        ge=1,
        le=3600,
    )
    drain_seconds: float = _setting(
        1,
        "A worker that stops ends its streams evenly over this time.",
        "a number of seconds from 0 to 300",
        "s",
        ge=0,
        le=300,
    )
    streams_per_address: int = _setting(
        500,
        "Open streams that nginx allows one client address (an office shares one); "
        "the next ones are told to retry.",
        "a whole number from 1 to 65535",
        "streams",
        ge=1,
        le=65535,
    )
    nofile: int = _setting(
        16384,
        "Open files of each container; an nginx worker needs two a stream. "
        "Not above the host's hard limit.",
        "a whole number from 1024 to 1048576",
        "files",
        ge=1024,
        le=1_048_576,
    )
    app_memory: str = _setting(
        "1g",
        "Memory of the app's container; about 20 KB a stream, and 50 MB a worker.",
        "a number and a unit b, k, m or g, such as 512m",
        pattern=r"^[0-9]+[bkmg]$",
    )
    nginx_memory: str = _setting(
        "512m",
        "Memory of nginx's container; about 15 KB a stream, and 13 MB a core of the host.",
        "a number and a unit b, k, m or g, such as 512m",
        pattern=r"^[0-9]+[bkmg]$",
    )
    log_level: LogLevel = _setting("info", "The least severe log lines of the app.", _LOG_LEVELS)
    bind: str | None = _setting(
        None,
        "A TCP address for all workers in place of the unix sockets, to run without nginx.",
        "host:port, such as 127.0.0.1:9009, the port from 1 to 65535",
        pattern=r"^[^\s:]+:[0-9]{1,5}$",
    )
    socket_dir: Path = _setting(
        Path("/run/barestream"),
        "Where each instance keeps a folder of unix sockets, and the link `current`.",
        f"an absolute path of at most {_SOCKET_DIR_MOST_BYTES} bytes",
    )
    instance: str = _setting(
        "main",
        "This instance's folder of sockets; two that run at once need two names.",
        "1 to 32 letters, digits, - and _, but not `current`",
        pattern=r"^[A-Za-z0-9_-]{1,32}$",
    )

    @field_validator("instance")
    @classmethod
    def _is_not_the_link(cls, name: str) -> str:
        if name == "current":
            raise ValueError
        return name

    @field_validator("bind")
    @classmethod
    def _has_a_port_that_exists(cls, address: str | None) -> str | None:
        if address and not 1 <= int(address.rpartition(":")[2]) <= 65535:
            raise ValueError
        return address

    @field_validator("socket_dir")
    @classmethod
    def _fits_a_socket_address(cls, path: Path) -> Path:
        if not path.is_absolute() or len(os.fsencode(path)) > _SOCKET_DIR_MOST_BYTES:
            raise ValueError
        return path


class Row(NamedTuple):
    """One setting, as the table of them shows it; each column is text."""

    variable: str
    type: str
    default: str
    unit: str
    help: str


def load() -> Settings:
    """Return the settings that the environment asks for.

    Raises:
        SettingsError: One or more are not of their expected form.
    """
    try:
        return Settings()
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            name = str(problem["loc"][0])
            expected = _extra(Settings.model_fields[name])["expected"]
            lines.append(f"{_variable(name)}={problem['input']!r}: expected {expected}")
        raise SettingsError("\n".join(lines)) from None


def unknown(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence for each variable of the environment that only looks like a setting."""
    known = [_variable(name) for name in Settings.model_fields]
    for variable in sorted(environment):
        if variable.startswith(PREFIX) and variable not in known:
            near = difflib.get_close_matches(variable, known, n=1)
            yield f"{variable} is no setting" + (f"; is {near[0]} meant?" if near else "")


def rows() -> Iterator[Row]:
    """Yield the table of all settings."""
    for name, info in Settings.model_fields.items():
        default = "" if info.default is None else str(info.default)
        yield Row(
            _variable(name), _type(info), default, _extra(info)["unit"], info.description or ""
        )


def _variable(name: str) -> str:
    return PREFIX + name.upper()


def _extra(info: FieldInfo) -> dict[str, str]:
    extra = info.json_schema_extra
    assert isinstance(extra, dict)  # noqa: S101 (every field is made by _setting)
    return {key: str(value) for key, value in extra.items()}


def _type(info: FieldInfo) -> str:
    annotation: object = info.annotation
    if annotation == LogLevel:
        return _LOG_LEVELS
    return {int: "integer", float: "number", Path: "path"}.get(cast("type", annotation), "text")
