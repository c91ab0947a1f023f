"""The settings of the hub itself, independent of its deployment."""

from pydantic import BaseModel, ConfigDict, SecretStr, field_validator

from barestream.history.valkey.broker_url import EXPECTED_OF_SENTINELS, read_url
from barestream.history.valkey.tls import check_files
from barestream.settings.setting import LOG_LEVELS, LogLevel, check_origin, secret, setting, split

# The default of BARESTREAM_BROKER_URL: the worker's own memory.
LOCAL_BROKER = "local"
_BROKER_SCHEMES = ("redis://", "rediss://", "valkey://", "valkeys://", "unix://")


class HubSettings(BaseModel):
    """The settings of the hub."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workers: int = setting(
        2,
        "Number of Gunicorn workers; one for each core is enough.",
        "a whole number from 1 to 64",
        ge=1,
        le=64,
    )
    clock_seconds: int = setting(
        1,
        "Time from one tick of /events to the next.",
        "a whole number of seconds from 1 to 86400",
        "s",
        ge=1,
        le=86400,
    )
    heartbeat_seconds: float = setting(
        15,
        "A stream that was silent for this long is sent a heartbeat; nginx ends a stream that was "
        "silent for 60 s.",
        "a number of seconds from 0.1 to 30",
        "s",
        ge=0.1,
        le=30,
    )
    retry_ms: int = setting(
        2000,
        "Mean reconnection delay that is sent to clients; each gets 0.5 to 1.5 times this.",
        "a whole number of milliseconds from 100 to 60000",
        "ms",
        ge=100,
        le=60_000,
    )
    slow_seconds: float = setting(
        30,
        "A client that reads nothing for this long is cut; it can resume.",
        "a number of seconds from 1 to 3600",
        "s",
        ge=1,
        le=3600,
    )
    drain_seconds: float = setting(
        1,
        "How long a worker that stops takes to end its streams, evenly one after another.",
        "a number of seconds from 0 to 300",
        "s",
        ge=0,
        le=300,
    )
    anonymous: bool = setting(
        True,
        "Whether clients may subscribe to public updates without a token.",
        "true or false",
    )
    subscriptions: bool = setting(
        False,
        "Whether who subscribes is registered: presence, the subscription API and its events.",
        "true or false",
    )
    presence_grace_seconds: float = setting(
        10,
        "How long after the end of its stream a subscription is announced as ended, unless its "
        "client has come back. It must be longer than a client's reconnection delay.",
        "a number of seconds from 0.1 to 3600",
        "s",
        ge=0.1,
        le=3600,
    )
    cors_origins: str = setting(
        "",
        "Other origins whose pages may use the hub; browsers block the pages of all others. "
        "* allows every origin, without cookies.",
        "origins in lower case, separated by commas, such as https://example.com, or *",
    )
    broker_url: SecretStr = secret(
        "Where the history is kept: in the memory of one worker (local), or in a Valkey that all "
        "workers share, perhaps with sentinels that say which server it is. Compose sets it to its "
        "own Valkey.",
        f"{LOCAL_BROKER}, or the URL of a Valkey: redis://[USER@]HOST[:PORT][/DATABASE], "
        "valkey://, rediss:// and valkeys:// for TLS, or unix:///PATH; or, with sentinels, "
        f"{EXPECTED_OF_SENTINELS}",
        default=SecretStr(LOCAL_BROKER),
    )
    broker_password: SecretStr | None = secret(
        "The password of the user in BARESTREAM_BROKER_URL, if the URL does not contain it. A file "
        "is read again for each new connection.",
        "a password",
    )
    broker_sentinel_password: SecretStr | None = secret(
        "The password of the sentinels, if they have one. A file is read again for each new "
        "connection.",
        "a password",
    )
    broker_replicas: int = setting(
        0,
        "How many of Valkey's replicas must have an update on the disk before it is accepted; "
        "needs the command WAITAOF of Valkey, or of Redis 7.2.",
        "a whole number from 0 to 10",
        "replicas",
        ge=0,
        # A publish waits for the slowest of them.
        le=10,
    )
    history_events: int = setting(
        100_000,
        "How many updates the history keeps; a client that missed more is sent a gap.",
        "a whole number of events from 1 to 100000000",
        "events",
        ge=1,
        le=100_000_000,
    )
    history_seconds: float = setting(
        86_400,
        "How long the history keeps an update.",
        "a number of seconds from 1 to 31536000",
        "s",
        ge=1,
        le=31_536_000,
    )
    history_bytes: int = setting(
        268_435_456,
        "How much memory the history may take, in Valkey or, without Valkey, in the worker.",
        "a whole number of bytes, at least 1048576",
        "bytes",
        ge=1_048_576,
    )
    history_topics: int = setting(
        100_000,
        "How many topics the history can look up; public and private updates of a topic count "
        "apart. With more, the history removes what it has of the oldest ones.",
        "a whole number of topics from 1000 to 100000000",
        "topics",
        # One update may have 1,000.
        ge=1000,
        le=100_000_000,
    )
    topic_events: int = setting(
        10_000,
        "How many updates of one topic the history keeps, so that a busy topic does not push out "
        "those of others. Updates of the last minute stay.",
        "a whole number of events from 1 to 100000000",
        "events",
        ge=1,
        le=100_000_000,
    )
    kept_values: int = setting(
        10_000,
        "How many topics may have a kept value; publishing a further one gets 507.",
        "a whole number from 0 to 100000000",
        "values",
        ge=0,
        le=100_000_000,
    )
    kept_bytes: int = setting(
        16_777_216,
        "How large the kept values may be together; publishing a further one gets 507.",
        "a whole number of bytes, at least 0",
        "bytes",
        ge=0,
    )
    ended_seconds: float = setting(
        3600,
        "How long a topic that has ended takes no updates and can still be read, until the hub "
        "forgets it; a publish may ask for less.",
        "a number of seconds from 1 to 31536000",
        "s",
        ge=1,
        le=31_536_000,
    )
    producers: int = setting(
        10_000,
        "How many producers the hub knows; a run counts as one. If there is one more, the hub "
        "forgets the producer without a lease that was silent longest. If all have leases, the new "
        "one gets 503.",
        "a whole number from 1 to 1000000",
        "producers",
        # One takes Valkey 0.5 KB, and 11 KB with a lease on a topic of the greatest length.
        ge=1,
        le=1_000_000,
    )
    producer_seconds: float = setting(
        86_400,
        "How long after its last publish the hub forgets a producer without a lease.",
        "a number of seconds from 60 to 31536000",
        "s",
        # Less than a deploy takes would forget producers that come back after it.
        ge=60,
        le=31_536_000,
    )
    runs: int = setting(
        10_000,
        "How many runs the hub knows. If there is one more, it forgets the ended run that would "
        "expire first. If all are active, the new one gets 503.",
        "a whole number from 1 to 1000000",
        "runs",
        ge=1,
        le=1_000_000,
    )
    rewind_events: int = setting(
        100,
        "How many updates of one topic a rewind sends at most.",
        "a whole number of events from 1 to 10000",
        "events",
        ge=1,
        le=10_000,
    )
    ring_events: int = setting(
        10_000,
        "How many of the newest updates each worker holds, to resume clients without Valkey.",
        "a whole number of events from 1 to 1000000",
        "events",
        ge=1,
        le=1_000_000,
    )
    ring_bytes: int = setting(
        33_554_432,
        "How large the updates that a worker holds may be together.",
        "a whole number of bytes, at least 65536",
        "bytes",
        ge=65_536,
    )
    data_bytes: int = setting(
        512_000,
        "How large an update's data may be, in UTF-8; each line end counts as 7 bytes, as on the "
        "wire. Some clients cannot read a line of 512 KiB.",
        "a whole number of bytes from 1 to 16777216",
        "bytes",
        ge=1,
        le=16_777_216,
    )
    topics_per_event: int = setting(
        100,
        "How many topics an update may have; the hub looks up the subscribers of each.",
        "a whole number from 1 to 1000",
        "topics",
        ge=1,
        le=1000,
    )
    topics_per_stream: int = setting(
        100,
        "How many topic selectors a stream may have; each takes memory, and time in a replay.",
        "a whole number from 1 to 1000",
        "topics",
        ge=1,
        le=1000,
    )
    url_patterns: int = setting(
        1000,
        "How many different URL Patterns (Mercure 1.0) a worker holds for its streams, and as many "
        "for its tokens; each takes some 75 KB, at most 250 KB. Streams with further ones are sent "
        "away with a reconnection delay.",
        "a whole number from 1 to 100000",
        "patterns",
        ge=1,
        le=100_000,
    )
    streams_per_worker: int = setting(
        8000,
        "How many streams a worker may have open; must be below its limit of open files. Further "
        "clients are sent away with a reconnection delay.",
        "a whole number from 1 to 1000000",
        "streams",
        ge=1,
        le=1_000_000,
    )
    log_level: LogLevel = setting("info", "Lowest severity that the app logs.", LOG_LEVELS)
    bind: str | None = setting(
        None,
        "TCP address of all workers in place of the unix sockets, to run without nginx.",
        "host:port, such as 127.0.0.1:9009 or [::1]:9009, the port from 1 to 65535",
        pattern=r"^([^\s:\[\]]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}$",
    )

    @field_validator("bind")
    @classmethod
    def _has_a_port_that_exists(cls, address: str | None) -> str | None:
        if address and not 1 <= int(address.rpartition(":")[2]) <= 65535:
            raise ValueError
        return address

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, listed: str) -> str:
        if listed != "*":
            for origin in split(listed):
                check_origin(origin)
        # nginx refuses a map with a duplicate, and its file has one line for each setting.
        return ",".join(dict.fromkeys(split(listed)))

    @field_validator("broker_url")
    @classmethod
    def _is_local_or_an_address(cls, url: SecretStr) -> SecretStr:
        text = url.get_secret_value()
        if text != LOCAL_BROKER:
            check_files(read_url(text).options)
        return url

    @property
    def allowed_origins(self) -> list[str]:
        """The origins of ``cors_origins``."""
        return split(self.cors_origins)

    @property
    def has_local_broker(self) -> bool:
        """Whether updates are kept in the worker's own memory."""
        return self.broker_url.get_secret_value() == LOCAL_BROKER
