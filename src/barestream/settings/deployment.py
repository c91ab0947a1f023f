"""The settings of the deployment: ports, nginx and containers."""

import os
import re
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

from barestream.settings.setting import setting, split

# The kernel's sun_path holds 108 bytes (unix(7)); "/<instance>/<slot>.sock" comes behind it.
_SOCKET_DIR_MOST_BYTES = 60

# What Kubernetes sets in the variable of a port, for a Service of the variable's name.
OF_KUBERNETES = re.compile(r"(tcp|udp|sctp)://\S+:[0-9]+")


class DeploymentSettings(BaseModel):
    """The settings of the deployment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    port: int = setting(
        80, "The port that nginx publishes.", "a port from 1 to 65535", ge=1, le=65535
    )
    tls_port: int = setting(
        443,
        "The port that nginx publishes for TLS, with deploy/tls.yml; BARESTREAM_PORT leads there.",
        "a port from 1 to 65535",
        ge=1,
        le=65535,
    )
    certificates: Path = setting(
        Path("certificates"),
        "The folder whose current/ holds fullchain.pem and privkey.pem; nginx reads them at each "
        "handshake.",
        "a path",
    )
    acme: Path = setting(
        Path("acme"),
        "The folder that answers HTTP-01: what an ACME client calls its webroot.",
        "a path",
    )
    hsts_seconds: int = setting(
        0,
        "For how long browsers come by TLS alone (HSTS), told over TLS; 0 tells them nothing, and "
        "1 takes it back.",
        "a whole number of seconds from 0 to 63072000",
        "s",
        ge=0,
        le=63_072_000,
    )
    streams_per_address: int = setting(
        500,
        "Open streams that nginx allows one client address (an office shares one); "
        "the next ones are told to retry.",
        "a whole number from 1 to 65535",
        "streams",
        ge=1,
        le=65535,
    )
    publish_rate: int = setting(
        1000,
        "Publishes a second that nginx allows one client address, and as many in one go, 64 of "
        "them at the same moment; the next ones get 429.",
        "a whole number from 1 to 1000000",
        "1/s",
        ge=1,
        le=1_000_000,
    )
    trusted_proxies: str = setting(
        "",
        "Proxies before nginx whose word on a client's address and scheme counts (X-Forwarded-For, "
        "X-Forwarded-Proto).",
        "addresses and networks with commas between, such as 10.0.0.0/8",
    )
    nofile: int = setting(
        16384,
        "Open files of each container; an nginx worker needs two a stream. "
        "Not above the host's hard limit.",
        "a whole number from 1024 to 1048576",
        "files",
        ge=1024,
        le=1_048_576,
    )
    app_memory: str = setting(
        "1g",
        "Memory of the app's container; about 20 KB a stream, and 100 MB a worker.",
        "a number and a unit b, k, m or g, such as 512m",
        pattern=r"^[0-9]+[bkmg]$",
    )
    nginx_memory: str = setting(
        "512m",
        "Memory of nginx's container; about 15 KB a stream, 45 KB where it has a TLS connection of "
        "its own (HTTP/1.1), and 13 MB a core of the host.",
        "a number and a unit b, k, m or g, such as 512m",
        pattern=r"^[0-9]+[bkmg]$",
    )
    valkey_memory: str = setting(
        "1g",
        "Memory of Valkey's container: twice BARESTREAM_HISTORY_BYTES, and room for a rewrite.",
        "a number and a unit b, k, m or g, such as 512m",
        pattern=r"^[0-9]+[bkmg]$",
    )

    @field_validator("port", "tls_port", mode="before")
    @classmethod
    def _is_not_that_of_kubernetes(cls, port: Any, info: ValidationInfo) -> Any:
        if isinstance(port, str) and OF_KUBERNETES.fullmatch(port):
            return cls.model_fields[str(info.field_name)].default
        return port

    @field_validator("trusted_proxies")
    @classmethod
    def _are_addresses(cls, listed: str) -> str:
        # nginx knows a network by the length of its prefix alone, and not by a mask.
        return ",".join(dict.fromkeys(str(ip_network(part)) for part in split(listed)))


class InstanceSettings(BaseModel):
    """What the scripts of a deployment say to one instance, and no user sets."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    socket_dir: Path = setting(
        Path("/run/barestream"),
        "Where each instance keeps a folder of unix sockets, and the link `current`.",
        f"an absolute path of at most {_SOCKET_DIR_MOST_BYTES} bytes",
    )
    instance: str = setting(
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

    @field_validator("socket_dir")
    @classmethod
    def _fits_a_socket_address(cls, path: Path) -> Path:
        if not path.is_absolute() or len(os.fsencode(path)) > _SOCKET_DIR_MOST_BYTES:
            raise ValueError
        return path
