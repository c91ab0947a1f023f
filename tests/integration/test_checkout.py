"""`make up` without Docker, in checkouts as users have them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from support.servers.service import ROOT, free_port

KEY = "0123456789abcdef0123456789abcdef"


class Checkout:
    """A clone on a machine where no Docker answers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._environment = {
            **{key: value for key, value in os.environ.items() if "BARESTREAM" not in key},
            "DOCKER_HOST": "unix:///nowhere",
            "PYTHON": sys.executable,
            "BARESTREAM_PORT": str(free_port()),
        }

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._environment['BARESTREAM_PORT']}"

    def make(self, target: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["make", target],
            cwd=self.folder,
            env=self._environment | environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    @contextmanager
    def up(self, **environment: str) -> Iterator[str]:
        """Run `make up`, and return its output."""
        try:
            done = self.make("up", **environment)
            assert done.returncode == 0, done.stdout + done.stderr
            yield done.stdout + done.stderr
        finally:
            assert self.make("down").returncode == 0


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """Return a checkout as Git for Windows makes it, in a path with a space."""
    folder = tmp_path / "a path" / "barestream"
    command = ["git", "clone", "--quiet", "--config", "core.autocrlf=true"]
    command += ["--config", "core.symlinks=false", ROOT, folder]
    subprocess.run(command, check=True)
    # nginx may have been unpacked already.
    if (package := ROOT / ".run/package").exists():
        (folder / ".run").mkdir()
        (folder / ".run/package").symlink_to(package)
    return Checkout(folder)


def test_no_file_of_a_checkout_has_the_line_ends_of_windows(checkout: Checkout) -> None:
    listed = subprocess.check_output(["git", "ls-files", "-z"], cwd=checkout.folder, text=True)
    files = [checkout.folder / name for name in listed.split("\0") if name]
    texts = [path for path in files if path.suffix != ".png" and path.is_file()]
    assert len(texts) > 100
    assert [path for path in texts if b"\r\n" in path.read_bytes()] == []


def test_make_up_starts_in_a_path_with_a_space_and_prints_whether_publishing_is_on(
    checkout: Checkout,
) -> None:
    with checkout.up() as said:
        assert f"barestream is up: {checkout.url}/" in said
        assert "Publishing is off: BARESTREAM_TOKEN_KEY is not set." in said
        assert httpx.get(f"{checkout.url}/readyz").text == "ok\n"
        # The client for pages, without symbolic links too.
        assert httpx.get(f"{checkout.url}/.well-known/mercure/barestream.js").status_code == 200
    (checkout.folder / ".env").write_text(f"export BARESTREAM_TOKEN_KEY = '{KEY}' # for tests\n")
    # Without Valkey one worker is the default, because each would have a history of its own.
    with checkout.up() as said:
        assert f"Publishing is on: {checkout.url}/.well-known/mercure" in said
    refused = checkout.make("up", BARESTREAM_WORKERS="2")
    assert refused.returncode != 0
    assert "BARESTREAM_WORKERS=2: expected 1" in refused.stderr


def test_a_misspelt_name_in_the_env_file_is_reported_with_the_nearest_real_one(
    checkout: Checkout,
) -> None:
    (checkout.folder / ".env").write_text("BARESTREAM_WORKER=1\n")
    with checkout.up() as said:
        assert "BARESTREAM_WORKER is not a setting; did you mean BARESTREAM_WORKERS?" in said


def test_a_docker_that_refuses_the_user_is_named_with_the_remedy(
    checkout: Checkout, tmp_path: Path
) -> None:
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    # The message of Docker 26 for a user who is not in its group.
    docker.write_text(
        "#!/bin/sh\n"
        "echo 'permission denied while trying to connect to the Docker daemon socket' >&2\n"
        "exit 1\n"
    )
    docker.chmod(0o755)
    done = checkout.make("up", PATH=f"{docker.parent}:{os.environ['PATH']}")
    assert done.returncode != 0
    assert "Docker refuses this user (permission denied). Add it to the group docker" in done.stderr
    assert "DOCKER_HOST=unix:///nowhere make up" in done.stderr
