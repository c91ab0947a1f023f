"""Every setting: name, type, default, unit, help. Read from the environment, checked at once."""

import difflib
import os
import re
from collections.abc import Collection, Iterator, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic.fields import FieldInfo

from barestream.broker.valkey_connections import connection_options
from barestream.env_file import VARIABLE as ENV_FILE_VARIABLE
from barestream.tokens import ALGORITHMS, InvalidKeyError, Verifier

PREFIX = "BARESTREAM_"

# A secret may stand in a file: its variable with this behind it holds the path.
FILE_SUFFIX = "_FILE"

# The kernel's sun_path holds 108 bytes (unix(7)); "/<instance>/<slot>.sock" comes behind it.
_SOCKET_DIR_MOST_BYTES = 60

# In place of a secret's value, where a message names it.
_SECRET = "(a secret)"  # noqa: S105

LogLevel = Literal["debug", "info", "warning", "error"]
_LOG_LEVELS = "debug, info, warning or error"

# The default of BARESTREAM_BROKER_URL: the worker's own memory.
LOCAL_BROKER = "local"
_BROKER_SCHEMES = ("redis://", "rediss://", "valkey://", "valkeys://", "unix://")

# What Kubernetes sets for a Service that is named barestream, or barestream-tls, beside its
# BARESTREAM_PORT or BARESTREAM_TLS_PORT:
# https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
_OF_KUBERNETES = re.compile(rf"{PREFIX}(\w+_)?(PORT_[0-9]+_.*|SERVICE_(HOST|PORT.*))")
_PORT_OF_KUBERNETES = re.compile(r"(tcp|udp|sctp)://\S+:[0-9]+")

# As browsers serialize an origin; apps in a web view have schemes of their own (capacitor, ionic).
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
_DEFAULT_PORT = re.compile(r"http://.*:80|https://.*:443")


# The settings that nginx takes from the app that serves (nginx/upstream.envsh). Settings whose
# change needs a new container come from Compose.
_OF_NGINX = (
    "cors_origins",
    "data_bytes",
    "drain_seconds",
    "hsts_seconds",
    "publish_rate",
    "streams_per_address",
    "tls_port",
    "trusted_proxies",
    "workers",
)


class SettingsError(ValueError):
    """Settings that cannot be used; the message names variable, value and expected form."""


def _setting(default: Any, description: str, expected: str, unit: str = "", **limits: Any) -> Any:
    return Field(
        default=default,
        description=description,
        json_schema_extra={"unit": unit, "expected": expected},
        **limits,
    )


def _secret(description: str, expected: str, default: SecretStr | None = None) -> Any:
    return _setting(default, description, expected)


class Settings(BaseModel):
    """The settings of the app, of nginx and of Compose; ``load`` reads them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    port: int = _setting(
        80, "The port that nginx publishes.", "a port from 1 to 65535", ge=1, le=65535
    )
    tls_port: int = _setting(
        443,
        "The port that nginx publishes for TLS, with deploy/tls.yml; BARESTREAM_PORT leads there.",
        "a port from 1 to 65535",
        ge=1,
        le=65535,
    )
    certificates: Path = _setting(
        Path("certificates"),
        "The folder whose current/ holds fullchain.pem and privkey.pem; nginx reads them at each "
        "handshake.",
        "a path",
    )
    acme: Path = _setting(
        Path("acme"),
        "The folder that answers HTTP-01: what an ACME client calls its webroot.",
        "a path",
    )
    hsts_seconds: int = _setting(
        0,
        "For how long browsers come by TLS alone (HSTS), told over TLS; 0 tells them nothing, and "
        "1 takes it back.",
        "a whole number of seconds from 0 to 63072000",
        "s",
        ge=0,
        le=63_072_000,
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
    slice_ms: float = _setting(
        5,
        "How long a worker may spend on long work (writes to streams, replays, heartbeats, a "
        "drain) before new connections and publishes have their turn. Shorter is more prompt, and "
        "costs more.",
        "a number of milliseconds from 0.1 to 1000",
        "ms",
        ge=0.1,
        le=1000,
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
    trusted_proxies: str = _setting(
        "",
        "Proxies before nginx whose word on a client's address and scheme counts (X-Forwarded-For, "
        "X-Forwarded-Proto).",
        "addresses and networks with commas between, such as 10.0.0.0/8",
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
        "Memory of the app's container; about 20 KB a stream, and 100 MB a worker.",
        "a number and a unit b, k, m or g, such as 512m",
        pattern=r"^[0-9]+[bkmg]$",
    )
    nginx_memory: str = _setting(
        "512m",
        "Memory of nginx's container; about 15 KB a stream, 45 KB where it has a TLS connection of "
        "its own (HTTP/1.1), and 13 MB a core of the host.",
        "a number and a unit b, k, m or g, such as 512m",
        pattern=r"^[0-9]+[bkmg]$",
    )
    valkey_memory: str = _setting(
        "1g",
        "Memory of Valkey's container: twice BARESTREAM_HISTORY_BYTES, and room for a rewrite.",
        "a number and a unit b, k, m or g, such as 512m",
        pattern=r"^[0-9]+[bkmg]$",
    )
    token_key: SecretStr | None = _secret(
        "Verifies the tokens of publishers and subscribers; without it nobody publishes.",
        "a secret of as many bytes as the algorithm's hash, a public key in PEM, or a JWKS",
    )
    token_algorithm: str = _setting(
        "HS256",
        "The algorithm of those tokens; a JWKS says it for each key.",
        f"one of {', '.join(ALGORITHMS)}",
    )
    subscriber_token_key: SecretStr | None = _secret(
        "A key for the tokens of subscribers alone, where it is another one.",
        "a secret of as many bytes as the algorithm's hash, a public key in PEM, or a JWKS",
    )
    subscriber_token_algorithm: str = _setting(
        "HS256",
        "The algorithm of the tokens under that key.",
        f"one of {', '.join(ALGORITHMS)}",
    )
    token_leeway_seconds: float = _setting(
        5,
        "By how much a token's nbf may be ahead of this machine's clock; exp has no leeway.",
        "a number of seconds from 0 to 300",
        "s",
        ge=0,
        le=300,
    )
    anonymous: bool = _setting(
        True,
        "Whether one may subscribe to public updates without a token.",
        "true or false",
    )
    cors_origins: str = _setting(
        "",
        "Other origins whose pages may use the hub: browsers refuse the others. "
        "* allows all of them, without cookies.",
        "origins in small letters with commas between, such as https://example.com, or *",
    )
    broker_url: SecretStr = _secret(
        "Where the log of updates is: this worker's memory (local), or a Valkey that all workers "
        "share. Compose's default is its own Valkey.",
        f"{LOCAL_BROKER}, or an address that begins with {', '.join(_BROKER_SCHEMES)}",
        default=SecretStr(LOCAL_BROKER),
    )
    broker_password: SecretStr | None = _secret(
        "Valkey's password, where its address does not hold it.", "a password"
    )
    history_events: int = _setting(
        100_000,
        "How many updates can be replayed; who was away longer is told of the gap.",
        "a whole number of events from 1 to 100000000",
        "events",
        ge=1,
        le=100_000_000,
    )
    history_seconds: float = _setting(
        86_400,
        "For how long an update can be replayed.",
        "a number of seconds from 1 to 31536000",
        "s",
        ge=1,
        le=31_536_000,
    )
    history_bytes: int = _setting(
        268_435_456,
        "How much memory those updates may take, in Valkey or, without one, in the worker.",
        "a whole number of bytes from 1048576 on",
        "bytes",
        ge=1_048_576,
    )
    ring_events: int = _setting(
        10_000,
        "How many of them each worker holds, to resume clients without asking Valkey.",
        "a whole number of events from 1 to 1000000",
        "events",
        ge=1,
        le=1_000_000,
    )
    ring_bytes: int = _setting(
        33_554_432,
        "How large those may be together.",
        "a whole number of bytes from 65536 on",
        "bytes",
        ge=65_536,
    )
    data_bytes: int = _setting(
        512_000,
        "How large an update's data may be, where each line end counts 6 bytes more, as on the "
        "wire; some clients read no line of 512 KiB.",
        "a whole number of bytes from 1 to 16777216",
        "bytes",
        ge=1,
        le=16_777_216,
    )
    topics_per_event: int = _setting(
        100,
        "Topics of one update: each is looked up for it.",
        "a whole number from 1 to 1000",
        "topics",
        ge=1,
        le=1000,
    )
    topics_per_stream: int = _setting(
        100,
        "Topic selectors of one stream: its memory, and its replay's work.",
        "a whole number from 1 to 1000",
        "topics",
        ge=1,
        le=1000,
    )
    templates_per_stream: int = _setting(
        10,
        "How many of those may be URI templates: each is tried for each update.",
        "a whole number from 0 to 1000",
        "templates",
        ge=0,
        le=1000,
    )
    streams_per_worker: int = _setting(
        8000,
        "Open streams of one worker, below its open files; the next ones are told to retry.",
        "a whole number from 1 to 1000000",
        "streams",
        ge=1,
        le=1_000_000,
    )
    publish_rate: int = _setting(
        1000,
        "Publishes a second that nginx allows one client address, and as many in one go, 64 of "
        "them at the same moment; the next ones get 429.",
        "a whole number from 1 to 1000000",
        "1/s",
        ge=1,
        le=1_000_000,
    )
    log_level: LogLevel = _setting("info", "The least severe log lines of the app.", _LOG_LEVELS)
    bind: str | None = _setting(
        None,
        "A TCP address for all workers in place of the unix sockets, to run without nginx.",
        "host:port, such as 127.0.0.1:9009 or [::1]:9009, the port from 1 to 65535",
        pattern=r"^([^\s:\[\]]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}$",
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

    @field_validator("port", "tls_port", mode="before")
    @classmethod
    def _is_not_that_of_kubernetes(cls, port: Any, info: ValidationInfo) -> Any:
        if isinstance(port, str) and _PORT_OF_KUBERNETES.fullmatch(port):
            return cls.model_fields[str(info.field_name)].default
        return port

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

    @field_validator("token_algorithm", "subscriber_token_algorithm")
    @classmethod
    def _is_an_algorithm(cls, name: str) -> str:
        if name not in ALGORITHMS:
            raise ValueError
        return name

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, listed: str) -> str:
        if listed != "*":
            for origin in _split(listed):
                if not _ORIGIN.fullmatch(origin):
                    ends = "; it ends with a slash" if origin.endswith("/") else ""
                    raise ValueError(f"{origin!r} is not an origin{ends}")
                if _DEFAULT_PORT.fullmatch(origin):
                    raise ValueError(f"{origin!r} names the default port, which browsers leave out")
        # nginx refuses a map that names one twice, and its file has one line for each setting.
        return ",".join(dict.fromkeys(_split(listed)))

    @field_validator("trusted_proxies")
    @classmethod
    def _are_addresses(cls, listed: str) -> str:
        # nginx knows a network by the length of its prefix alone, and not by a mask.
        return ",".join(dict.fromkeys(str(ip_network(part)) for part in _split(listed)))

    @field_validator("broker_url")
    @classmethod
    def _is_local_or_an_address(cls, url: SecretStr) -> SecretStr:
        text = url.get_secret_value()
        if text != LOCAL_BROKER:
            connection_options(text)
        return url

    @property
    def allowed_origins(self) -> list[str]:
        """The origins of ``cors_origins``."""
        return _split(self.cors_origins)

    @property
    def has_local_broker(self) -> bool:
        """Whether updates are kept in the worker's own memory."""
        return self.broker_url.get_secret_value() == LOCAL_BROKER

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


def load(*names: str) -> Settings:
    """Return the settings that the environment asks for; an empty variable means the default.

    Args:
        names: The settings that are needed; the others keep their defaults. Without names all
            settings are read.

    Raises:
        SettingsError: One or more are not of their expected form, or do not go together.
    """
    needed = names or tuple(Settings.model_fields)
    set_values = {name: os.environ.get(_variable(name)) for name in needed}
    given = {name: value for name, value in set_values.items() if value}
    for name, value in given.items():
        # As the environment has bytes that are not UTF-8.
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise SettingsError(f"{_variable(name)}: expected text in UTF-8")
    try:
        found = Settings.model_validate(given | _from_files(os.environ, needed))
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            name = str(problem["loc"][0])
            info = Settings.model_fields[name]
            shown = _SECRET if _is_secret(info) else repr(problem["input"])
            # A validator may say which part of the value is wrong.
            why = str(problem.get("ctx", {}).get("error", ""))
            reason = f" ({why})" if why and not _is_secret(info) else ""
            lines.append(f"{_variable(name)}={shown}: expected {_extra(info)['expected']}{reason}")
        raise SettingsError("\n".join(lines)) from None
    for role in ("token", "subscriber_token"):
        key, algorithm = getattr(found, f"{role}_key"), getattr(found, f"{role}_algorithm")
        if key:
            try:
                Verifier(key.get_secret_value(), algorithm, lambda: 0.0)
            except InvalidKeyError as error:
                raise SettingsError(f"{_variable(role)}_KEY={_SECRET}: {error}") from None
    shares_no_log = found.has_local_broker and "workers" in needed and found.workers > 1
    if found.token_key and shares_no_log:
        raise SettingsError(
            f"{_variable('workers')}={found.workers}: expected 1, because with "
            f"{_variable('token_key')} set updates are published, and each worker would keep its "
            f"own. For more workers set {_variable('broker_url')} to a Valkey that they share."
        )
    return found


def of_nginx(found: Settings) -> str:
    """Return the settings that nginx takes: a line ``VARIABLE=value`` for each, unquoted."""
    lines = []
    for name in _OF_NGINX:
        value = getattr(found, name)
        # Not 1e-05.
        text = f"{value:f}" if isinstance(value, float) else str(value)
        lines.append(f"{_variable(name)}={text}\n")
    return "".join(lines)


def unknown(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence for each variable of the environment that only looks like a setting."""
    known = [_variable(name) for name in Settings.model_fields]
    known += [_variable(name) + FILE_SUFFIX for name in _secrets()]
    known += [ENV_FILE_VARIABLE]
    for variable in sorted(environment):
        is_of_kubernetes = _OF_KUBERNETES.fullmatch(variable) or (
            variable.endswith("_PORT") and _PORT_OF_KUBERNETES.fullmatch(environment[variable])
        )
        if variable.startswith(PREFIX) and not is_of_kubernetes and variable not in known:
            near = difflib.get_close_matches(variable, known, n=1)
            yield f"{variable} is no setting" + (f"; is {near[0]} meant?" if near else "")


def doubts(settings: Settings, environment: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence for each variable that is valid, but probably not meant as it is."""
    yield from unknown(environment)
    for name in _secrets():
        secret: SecretStr | None = getattr(settings, name)
        value = secret.get_secret_value() if secret else ""
        # A key in PEM ends with a line end, and a JWKS is no line.
        is_one_line = not value.startswith(("-----BEGIN ", "{"))
        if is_one_line and value != value.strip():
            yield f"{_variable(name)}: white space or a line end around the value is part of it"
        elif is_one_line and len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            yield f"{_variable(name)}: the quotes around the value are part of it"


def rows() -> Iterator[Row]:
    """Yield the table of all settings."""
    for name, info in Settings.model_fields.items():
        yield Row(
            _variable(name),
            _type(info),
            _default(info),
            _extra(info)["unit"],
            info.description or "",
        )


def _secrets() -> Iterator[str]:
    return (name for name, info in Settings.model_fields.items() if _is_secret(info))


def _from_files(environment: Mapping[str, str], needed: Collection[str]) -> dict[str, Any]:
    """Return the needed secrets that stand in files, without the newline at their end."""
    found = {}
    for name in _secrets():
        if name not in needed:
            continue
        variable = _variable(name)
        path = environment.get(variable + FILE_SUFFIX)
        if not path:
            continue
        # What is set itself goes before what stands in a file, such as Compose's own.
        if environment.get(variable):
            continue
        try:
            text = Path(path).read_text().rstrip("\r\n")
            # Without its secret a protection would be off.
            if not text:
                raise OSError("it is empty")
            found[name] = text
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"{variable}{FILE_SUFFIX}={path!r}: expected a file that can be read ({error})"
            ) from None
    return found


def _split(listed: str) -> list[str]:
    return [part.strip() for part in listed.split(",") if part.strip()]


def _variable(name: str) -> str:
    return PREFIX + name.upper()


def _extra(info: FieldInfo) -> dict[str, str]:
    extra = info.json_schema_extra
    assert isinstance(extra, dict)  # noqa: S101 (every field is made by _setting)
    return {key: str(value) for key, value in extra.items()}


def _is_secret(info: FieldInfo) -> bool:
    return info.annotation in (SecretStr, SecretStr | None)


def _default(info: FieldInfo) -> str:
    if isinstance(info.default, SecretStr):
        return info.default.get_secret_value()
    if isinstance(info.default, bool):
        return str(info.default).lower()
    return "" if info.default is None else str(info.default)


def _type(info: FieldInfo) -> str:
    annotation: object = info.annotation
    if _is_secret(info):
        return f"text, or a file's path in `…{FILE_SUFFIX}`"
    if annotation is bool:
        return "true or false"
    if annotation == LogLevel:
        return _LOG_LEVELS
    return {int: "integer", float: "number", Path: "path"}.get(cast("type", annotation), "text")
