"""The rights of the containers, and the stop of a start with a wrong setting."""

import re
from collections.abc import Callable

import pytest

from compose import Stack
from support.servers.docker_cli import docker, inspect

SERVICES = ["app", "nginx", "valkey"]
each_service = pytest.mark.parametrize("service", SERVICES)


@each_service
def test_no_process_is_root_or_has_or_can_gain_a_capability(stack: Stack, service: str) -> None:
    for process in stack.processes(service):
        assert "0" not in process["Uid"].split()
        assert "0" not in process["Gid"].split()
        for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(process[kind], 16) == 0, (kind, process)
        assert process["NoNewPrivs"] == "1"
        # 2: filtered; Docker's own profile is not switched off.
        assert process["Seccomp"] == "2"


@each_service
def test_docker_reports_the_same_restrictions(stack: Stack, service: str) -> None:
    host = stack.inspect(service)["HostConfig"]
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert host["Privileged"] is False
    assert host["ReadonlyRootfs"] is True
    assert host["NetworkMode"] == stack.network
    assert host["PidMode"] == ""
    assert host["IpcMode"] == "private"
    assert not host["Devices"]


@each_service
def test_the_root_cannot_be_written_to_even_by_root(stack: Stack, service: str) -> None:
    for folder in ("/", "/etc", "/usr/local/bin"):
        done = stack.exec(service, "touch", f"{folder}/probe", user="0:0")
        assert done.returncode != 0
        assert "Read-only file system" in done.stderr


def test_mounts_of_the_host_are_read_only_and_none_is_the_socket_of_docker(
    stack: Stack,
) -> None:
    for service in SERVICES:
        mounts = stack.inspect(service)["Mounts"]
        assert all(not mount["RW"] for mount in mounts if mount["Type"] == "bind")
        assert not any("docker.sock" in mount["Source"] for mount in mounts)
    # nginx connects to the sockets; it makes none.
    [sockets] = [m for m in stack.inspect("nginx")["Mounts"] if m["Type"] == "volume"]
    assert sockets["Destination"] == "/run/barestream"
    assert sockets["RW"] is False
    # The app reads Valkey's password; it gives none.
    [engine] = [m for m in stack.inspect("app")["Mounts"] if "engine" in m["Destination"]]
    assert engine["RW"] is False


def test_the_whole_stack_publishes_one_port(stack: Stack) -> None:
    published = [
        (container["Config"]["Labels"]["com.docker.compose.service"], port, binding["HostPort"])
        for container in map(inspect, stack.containers())
        for port, bindings in (container["HostConfig"]["PortBindings"] or {}).items()
        for binding in bindings
    ]
    assert published == [("nginx", "80/tcp", str(stack.port))]


@pytest.mark.parametrize(
    ("service", "pids", "memory"), [("app", 1024, 1024), ("nginx", 256, 512), ("valkey", 64, 1024)]
)
def test_pids_memory_files_and_logs_are_limited(
    stack: Stack, service: str, pids: int, memory: int, figure: Callable[[str], None]
) -> None:
    container = stack.inspect(service)
    host = container["HostConfig"]
    assert host["PidsLimit"] == pids
    assert host["Memory"] == memory * 1024**2
    assert {"Name": "nofile", "Soft": 16384, "Hard": 16384} in host["Ulimits"]
    assert host["LogConfig"]["Type"] == "json-file"
    assert host["LogConfig"]["Config"] == {"max-size": "10m", "max-file": "3"}
    limits = stack.exec(service, "cat", "/proc/1/limits").stdout
    assert re.search(r"^Max open files +16384 +16384 ", limits, re.MULTILINE)
    used = docker(
        "stats", "--no-stream", "--format", "{{.MemUsage}}, {{.PIDs}} pids", container["Id"]
    )
    figure(used.strip())


def test_the_limit_of_open_files_is_a_setting() -> None:
    with Stack(nofile=2048) as small:
        for service in SERVICES:
            limits = small.exec(service, "cat", "/proc/1/limits").stdout
            assert re.search(r"^Max open files +2048 +2048 ", limits, re.MULTILINE)


def test_the_image_holds_no_compiler_and_no_cache_of_packages(
    stack: Stack, figure: Callable[[str], None]
) -> None:
    image = stack.inspect("app")["Image"]
    # As root, so that no folder is closed to the search.
    found = docker(
        *("run", "--rm", "--network", "none", "--user", "0:0", "--entrypoint", "sh", image, "-c"),
        "find / -xdev '(' -name 'gcc*' -o -name 'cc' -o -name 'c++' -o -name 'g++*' -o "
        "-name 'clang*' -o -name 'cc1*' ')' '(' -type f -o -type l ')' -perm /111; "
        "find / -xdev -type d -path '*/.cache/*'; ls -d /build /src 2>/dev/null; true",
    )
    assert found == ""
    figure(f"{inspect(image)['Size'] / 1e6:.0f} MB")


@pytest.mark.parametrize(
    ("service", "setting", "value", "expected"),
    [
        ("app", "BARESTREAM_CLOCK_SECONDS", "abc", "a whole number of seconds from 1 to 86400"),
        ("app", "BARESTREAM_WORKERS", "0", "a whole number from 1 to 64"),
        ("app", "BARESTREAM_ANONYMOUS", "perhaps", "true or false"),
        ("app", "BARESTREAM_PUBLISH_RATE", "0", "a whole number from 1 to 1000000"),
        ("app", "BARESTREAM_CORS_ORIGINS", "a;b", "origins in lower case, separated by commas"),
        ("nginx", "BARESTREAM_TLS", "yes", "on or off"),
    ],
)
def test_a_wrong_setting_stops_the_start(
    stack: Stack, service: str, setting: str, value: str, expected: str
) -> None:
    done = stack.run("run", "--rm", "--no-TTY", "--no-deps", "--env", f"{setting}={value}", service)
    assert done.returncode != 0
    lines = (done.stdout + done.stderr).splitlines()
    assert any(line.startswith(f"{setting}='{value}': expected {expected}") for line in lines)
    assert "Traceback" not in done.stderr
