"""`make up` with Docker: its checks before it replaces a container, and its messages."""

import os
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from support.clients.publisher import KEY
from support.servers.docker_cli import docker
from support.servers.service import ROOT, free_port

OWN_IMAGE = "tests/container/own_image.yml"


class Checkout:
    """A copy of the project, whose service has a name and a port of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._project = f"barestream-test-{secrets.token_hex(4)}"
        names = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT)
        folder.mkdir()
        subprocess.run(
            [
                *("xargs", "--null", "cp", "--parents", "--no-dereference", "--preserve=mode"),
                *("--target-directory", folder),
            ],
            cwd=ROOT,
            input=names,
            check=True,
        )

    def make(self, target: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run a target of the Makefile, with these settings and no others in the shell."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("BARESTREAM_", "COMPOSE_"))
        }
        return subprocess.run(
            ["make", "--no-print-directory", target],
            cwd=self.folder,
            env={
                **inherited,
                "COMPOSE_PROJECT_NAME": self._project,
                "COMPOSE_FILE": f"docker-compose.yml:{OWN_IMAGE}",
                "COMPOSE_ANSI": "never",
                "BARESTREAM_TEST_IMAGE": self._project,
                "BARESTREAM_PORT": str(self.port),
                **{f"BARESTREAM_{name.upper()}": value for name, value in settings.items()},
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    def containers(self) -> str:
        """Return the ids of the service's containers."""
        label = f"label=com.docker.compose.project={self._project}"
        return docker("ps", "--all", "--quiet", "--no-trunc", "--filter", label)

    def remove(self) -> None:
        """Leave nothing."""
        self.make("down")
        docker("image", "rm", "--force", self._project)
        for volume in docker(
            "volume", "ls", "--quiet", "--filter", f"name={self._project}"
        ).split():
            docker("volume", "rm", volume)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """Return a checkout whose path holds a space, and whose service runs with a key in .env."""
    made = Checkout(tmp_path_factory.mktemp("make") / "a checkout")
    try:
        write_env(made, f"export BARESTREAM_TOKEN_KEY='{KEY}'\n")
        done = made.make("up")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Publishing is on: " in done.stdout
        yield made
    finally:
        made.remove()


def write_env(checkout: Checkout, text: str) -> None:
    (checkout.folder / ".env").write_text(text)


def test_a_wrong_setting_is_named_before_any_container_is_replaced(checkout: Checkout) -> None:
    before = checkout.containers()
    done = checkout.make("up", retry_ms="soon")
    assert done.returncode != 0
    assert (
        "BARESTREAM_RETRY_MS='soon': expected a whole number of milliseconds from 100 to 60000"
        in done.stdout + done.stderr
    )
    assert checkout.containers() == before
    assert httpx.get(f"http://127.0.0.1:{checkout.port}/readyz").status_code == 200


def test_a_shell_without_the_key_does_not_turn_publishing_off(checkout: Checkout) -> None:
    before = checkout.containers()
    written = (checkout.folder / ".env").read_text()
    (checkout.folder / ".env").unlink()
    try:
        done = checkout.make("up")
    finally:
        write_env(checkout, written)
    assert done.returncode != 0
    assert (
        "The running service has a key for tokens, and neither this shell nor .env" in done.stderr
    )
    assert checkout.containers() == before


def test_a_misspelt_name_in_the_env_file_is_reported_with_the_nearest_real_one(
    checkout: Checkout,
) -> None:
    written = (checkout.folder / ".env").read_text()
    write_env(checkout, f"{written}BARESTREAM_STREAM_PER_ADDRESS=9\n")
    try:
        done = checkout.make("up")
    finally:
        write_env(checkout, written)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (
        "BARESTREAM_STREAM_PER_ADDRESS is not a setting; "
        "did you mean BARESTREAM_STREAMS_PER_ADDRESS?" in done.stdout + done.stderr
    )


def test_files_that_the_containers_may_not_read_are_named_with_the_remedy(
    checkout: Checkout,
) -> None:
    before = checkout.containers()
    file = checkout.folder / "nginx/nginx.conf"
    file.chmod(0o600)
    try:
        done = checkout.make("up")
    finally:
        file.chmod(0o644)
    assert done.returncode != 0
    assert "nginx/nginx.conf (a umask of 077?). Run: chmod -R go+rX nginx deploy" in done.stderr
    assert checkout.containers() == before


def test_a_container_that_does_not_become_healthy_is_shown_with_its_last_log_lines(
    checkout: Checkout,
) -> None:
    try:
        done = checkout.make("up", broker_url="valkey://nowhere.invalid:1")
        assert done.returncode != 0
        assert "app is " in done.stderr
        assert "broker unavailable" in done.stderr
    finally:
        done = checkout.make("up")
    assert done.returncode == 0, done.stdout + done.stderr
