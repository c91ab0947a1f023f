"""The settings of traces."""

from importlib.util import find_spec
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, field_validator

from barestream.settings.setting import setting


class TraceSettings(BaseModel):
    """The settings of traces."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    traces_url: str = setting(
        "",
        "Where traces are sent, by OTLP over HTTP; empty turns them off.",
        "the URL of a collector that takes traces by OTLP over HTTP, without a user and password, "
        "such as http://collector:4318/v1/traces",
    )
    traces_ratio: float = setting(
        # A traced publish takes a worker 0.2 ms more, up to twice what another one takes. Where one
        # of a hundred is traced, they take 5 % more.
        0.01,
        "Which share of the publishes is traced; one with a traceparent header is traced if the "
        "header says so.",
        "a number from 0 to 1",
        ge=0,
        le=1,
    )

    @field_validator("traces_url")
    @classmethod
    def _is_a_url_that_can_be_used(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
            raise ValueError
        # The port is read here: one that is no port raises.
        if parts.port == 0 or not url.isascii() or not url.isprintable() or set(url) & set(' "#'):
            raise ValueError
        if not _has_exporter():
            raise ValueError(
                "the packages that send traces are not installed: install barestream[otel], or "
                "leave the setting empty"
            )
        return url


def _has_exporter() -> bool:
    try:
        found = find_spec("opentelemetry.exporter.otlp.proto.http")
    except ModuleNotFoundError:
        return False
    return found is not None
