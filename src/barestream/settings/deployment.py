"""The settings of the deployment: ports, nginx and containers."""

import os
import re
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

from barestream.settings.setting import setting, split

# The kernel's sun_path holds 108 bytes (unix(7)); "/<instance>/<slot>.sock" follows this path.
_SOCKET_DIR_MOST_BYTES = 60

# Kubernetes sets BARESTREAM_PORT=tcp://HOST:PORT in a pod if a Service is named "barestream".
OF_KUBERNETES = re.compile(r"(tcp|udp|sctp)://\S+:[0-9]+")


class DeploymentSettings(BaseModel):
    """The settings of the deployment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    port: int = setting(
        80, "The port that nginx publishes.", "a port from 1 to 65535", ge=1, le=65535
    )
    tls_port: int = setting(
        443,
        "The port that nginx publishes for TLS, with deploy/tls.yml; BARESTREAM_PORT redirects to "
        "it.",
        "a port from 1 to 65535",
        ge=1,
        le=65535,
    )
    certificates: Path = setting(
        Path("certificates"),
        "The folder whose current/ has fullchain.pem and privkey.pem; nginx reads them at each "
        "handshake.",
        "a path",
    )
    acme: Path = setting(
        Path("acme"),
        "The folder from which nginx answers HTTP-01 challenges; ACME clients call it webroot.",
        "a path",
    )
    hsts_seconds: int = setting(
        0,
        "How long browsers must use TLS only (HSTS, sent over TLS); 0 sends no such header, and 1 "
        "ends an earlier one.",
        "a whole number of seconds from 0 to 63072000",
        "s",
        ge=0,
        le=63_072_000,
    )
    streams_per_address: int = setting(
        500,
        "How many streams nginx allows one client address (an office may share one); further "
        "clients are sent away with a reconnection delay.",
        "a whole number from 1 to 65535",
        "streams",
        ge=1,
        le=65535,
    )
    publish_rate: int = setting(
        1000,
        "How many publishes a second nginx allows one client address, with the requests that "
        "start, stop or follow a run. As many may come in one burst, with at most 64 under way at "
        "a time. Further ones get 429.",
        "a whole number from 1 to 1000000",
        "1/s",
        ge=1,
        le=1_000_000,
    )
    streamed_publishes: int = setting(
        256,
        "How many streamed publishes nginx allows one client address at the same moment; further "
        "ones get 429.",
        "a whole number from 1 to 65535",
        "requests",
        ge=1,
        le=65535,
    )
    trusted_proxies: str = setting(
        "",
        "Proxies in front of nginx whose X-Forwarded-For and X-Forwarded-Proto headers nginx "
        "trusts.",
        "addresses and networks separated by commas, such as 10.0.0.0/8",
    )
    nofile: int = setting(
        16384,
        "Limit of open files in each container, at most the host's hard limit; an nginx worker "
        "needs two for each stream.",
        "a whole number from 1024 to 1048576",
        "files",
        ge=1024,
        le=1_048_576,
    )
    app_memory: str = setting(
        "1g",
        "Memory of the app's container: about 20 KB for each stream, and 100 MB for each worker.",
        "a number and a unit b, k, m or g, such as 512m",
        pattern=r"^[0-9]+[bkmg]$",
    )
    nginx_memory: str = setting(
        "512m",
        "Memory of nginx's container: about 15 KB for each stream (45 KB if the stream has a TLS "
        "connection of its own, as in HTTP/1.1), and 13 MB for each core of the host.",
        "a number and a unit b, k, m or g, such as 512m",
        pattern=r"^[0-9]+[bkmg]$",
    )
    valkey_memory: str = setting(
        "1g",
        "Memory of Valkey's container: twice BARESTREAM_HISTORY_BYTES, and room for a rewrite of "
        "its append-only file.",
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
        # nginx accepts a network only with a prefix length, not with a mask.
        return ",".join(dict.fromkeys(str(ip_network(part)) for part in split(listed)))


class InstanceSettings(BaseModel):
    """The settings that the scripts of a deployment set for one instance; users do not set them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    socket_dir: Path = setting(
        Path("/run/barestream"),
        "The folder that contains each instance's folder of unix sockets, and the link `current`.",
        f"an absolute path of at most {_SOCKET_DIR_MOST_BYTES} bytes",
    )
    instance: str = setting(
        "main",
        "Name of this instance's folder of sockets; instances that run at the same time need "
        "different names.",
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
