"""The settings of the hub: what the app does, however it is deployed."""

import re

from pydantic import BaseModel, ConfigDict, SecretStr, field_validator

from barestream.history.valkey.connections import connection_options
from barestream.mercure.tokens import ALGORITHMS
from barestream.settings.setting import LOG_LEVELS, LogLevel, secret, setting, split

# The default of BARESTREAM_BROKER_URL: the worker's own memory.
LOCAL_BROKER = "local"
_BROKER_SCHEMES = ("redis://", "rediss://", "valkey://", "valkeys://", "unix://")

# As browsers serialize an origin; apps in a web view have schemes of their own (capacitor, ionic).
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
_DEFAULT_PORT = re.compile(r"http://.*:80|https://.*:443")


class HubSettings(BaseModel):
    """The settings of the hub."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workers: int = setting(
        2,
        "Gunicorn workers; nginx has one upstream line for each. One a core is enough.",
        "a whole number from 1 to 64",
        ge=1,
        le=64,
    )
    clock_seconds: int = setting(
        1,
        "From one tick of /events to the next.",
        "a whole number of seconds from 1 to 86400",
        "s",
        ge=1,
        le=86400,
    )
    heartbeat_seconds: float = setting(
        15,
        "A stream that was silent for so long gets a heartbeat. nginx gives up after 60 s.",
        "a number of seconds from 0.1 to 30",
        "s",
        ge=0.1,
        le=30,
    )
    retry_ms: int = setting(
        2000,
        "Mean reconnection delay that clients are given; each gets 0.5 to 1.5 times this.",
        "a whole number of milliseconds from 100 to 60000",
        "ms",
        ge=100,
        le=60_000,
    )
    slow_seconds: float = setting(
        30,
        "A client that takes nothing for so long is cut; it can resume.",
        "a number of seconds from 1 to 3600",
        "s",
        ge=1,
        le=3600,
    )
    drain_seconds: float = setting(
        1,
        "A worker that stops ends its streams evenly over this time.",
        "a number of seconds from 0 to 300",
        "s",
        ge=0,
        le=300,
    )
    token_key: SecretStr | None = secret(
        "Verifies the tokens of publishers and subscribers; without it nobody publishes.",
        "a secret of as many bytes as the algorithm's hash, a public key in PEM, or a JWKS",
    )
    token_algorithm: str = setting(
        "HS256",
        "The algorithm of those tokens; a JWKS says it for each key.",
        f"one of {', '.join(ALGORITHMS)}",
    )
    subscriber_token_key: SecretStr | None = secret(
        "A key for the tokens of subscribers alone, where it is another one.",
        "a secret of as many bytes as the algorithm's hash, a public key in PEM, or a JWKS",
    )
    subscriber_token_algorithm: str = setting(
        "HS256",
        "The algorithm of the tokens under that key.",
        f"one of {', '.join(ALGORITHMS)}",
    )
    token_leeway_seconds: float = setting(
        5,
        "By how much a token's nbf may be ahead of this machine's clock; exp has no leeway.",
        "a number of seconds from 0 to 300",
        "s",
        ge=0,
        le=300,
    )
    anonymous: bool = setting(
        True,
        "Whether one may subscribe to public updates without a token.",
        "true or false",
    )
    cors_origins: str = setting(
        "",
        "Other origins whose pages may use the hub: browsers refuse the others. "
        "* allows all of them, without cookies.",
        "origins in small letters with commas between, such as https://example.com, or *",
    )
    broker_url: SecretStr = secret(
        "Where the history is: this worker's memory (local), or a Valkey that all workers "
        "share. Compose's default is its own Valkey.",
        f"{LOCAL_BROKER}, or an address that begins with {', '.join(_BROKER_SCHEMES)}",
        default=SecretStr(LOCAL_BROKER),
    )
    broker_password: SecretStr | None = secret(
        "Valkey's password, where its address does not hold it.", "a password"
    )
    history_events: int = setting(
        100_000,
        "How many updates can be replayed; who was away longer is told of the gap.",
        "a whole number of events from 1 to 100000000",
        "events",
        ge=1,
        le=100_000_000,
    )
    history_seconds: float = setting(
        86_400,
        "For how long an update can be replayed.",
        "a number of seconds from 1 to 31536000",
        "s",
        ge=1,
        le=31_536_000,
    )
    history_bytes: int = setting(
        268_435_456,
        "How much memory those updates may take, in Valkey or, without one, in the worker.",
        "a whole number of bytes from 1048576 on",
        "bytes",
        ge=1_048_576,
    )
    ring_events: int = setting(
        10_000,
        "How many of them each worker holds, to resume clients without asking Valkey.",
        "a whole number of events from 1 to 1000000",
        "events",
        ge=1,
        le=1_000_000,
    )
    ring_bytes: int = setting(
        33_554_432,
        "How large those may be together.",
        "a whole number of bytes from 65536 on",
        "bytes",
        ge=65_536,
    )
    data_bytes: int = setting(
        512_000,
        "How large an update's data may be, where each line end counts 6 bytes more, as on the "
        "wire; some clients read no line of 512 KiB.",
        "a whole number of bytes from 1 to 16777216",
        "bytes",
        ge=1,
        le=16_777_216,
    )
    topics_per_event: int = setting(
        100,
        "Topics of one update: each is looked up for it.",
        "a whole number from 1 to 1000",
        "topics",
        ge=1,
        le=1000,
    )
    topics_per_stream: int = setting(
        100,
        "Topic selectors of one stream: its memory, and its replay's work.",
        "a whole number from 1 to 1000",
        "topics",
        ge=1,
        le=1000,
    )
    streams_per_worker: int = setting(
        8000,
        "Open streams of one worker, below its open files; the next ones are told to retry.",
        "a whole number from 1 to 1000000",
        "streams",
        ge=1,
        le=1_000_000,
    )
    log_level: LogLevel = setting("info", "The least severe log lines of the app.", LOG_LEVELS)
    bind: str | None = setting(
        None,
        "A TCP address for all workers in place of the unix sockets, to run without nginx.",
        "host:port, such as 127.0.0.1:9009 or [::1]:9009, the port from 1 to 65535",
        pattern=r"^([^\s:\[\]]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}$",
    )

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
            for origin in split(listed):
                if not _ORIGIN.fullmatch(origin):
                    ends = "; it ends with a slash" if origin.endswith("/") else ""
                    raise ValueError(f"{origin!r} is not an origin{ends}")
                if _DEFAULT_PORT.fullmatch(origin):
                    raise ValueError(f"{origin!r} names the default port, which browsers leave out")
        # nginx refuses a map that names one twice, and its file has one line for each setting.
        return ",".join(dict.fromkeys(split(listed)))

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
        return split(self.cors_origins)

    @property
    def has_local_broker(self) -> bool:
        """Whether updates are kept in the worker's own memory."""
        return self.broker_url.get_secret_value() == LOCAL_BROKER
