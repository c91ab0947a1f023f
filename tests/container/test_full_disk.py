"""A Valkey that is one of several does not start on a full disk."""

from compose import ROOT
from support.servers.docker_cli import docker
from support.servers.service import wait_for

# It fills its disk first. Nobody answers as a sentinel.
START = "head -c 3000000 /dev/zero >/data/full; exec valkey-start 2>&1"


def test_a_server_that_starts_on_a_full_disk_waits_for_room_before_it_asks_who_is_the_primary() -> (
    None
):
    container = docker(
        *("run", "--detach", "--init", "--user", "0:0", "--network", "none"),
        *("--env", "BARESTREAM_VALKEY_NAME=valkey"),
        *("--tmpfs", "/data:size=2m", "--tmpfs", "/run/barestream-engine"),
        *("--volume", f"{ROOT}/deploy/valkey-start:/usr/local/bin/valkey-start:ro"),
        "--volume",
        f"{ROOT}/deploy/valkey-service.acl:/usr/local/share/barestream/valkey-service.acl:ro",
        *("valkey/valkey:8", "sh", "-c", START),
    ).strip()
    try:
        wait_for("the wait for room", lambda: "waiting for room" in docker("logs", container))
        assert "sentinels" not in docker("logs", container)
        docker("exec", container, "rm", "/data/full")
        wait_for(
            "a question to the sentinels", lambda: "two sentinels" in docker("logs", container)
        )
    finally:
        docker("rm", "--force", container)
