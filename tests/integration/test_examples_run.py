"""`examples/run`, which starts an example beside a hub: what it refuses, and what it needs."""

import os
import shutil
import socket
import subprocess
from pathlib import Path

import httpx
import pytest

from support.servers.example import Example
from support.servers.service import ROOT, Service, free_port


@pytest.mark.parametrize("name", ["", "none", "llm-chat"])
def test_a_name_of_no_example_that_it_starts_is_answered_with_the_usage(name: str) -> None:
    # llm-chat has a README, and is started as that says.
    done = subprocess.run(
        [ROOT / "examples/run", name], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 2
    folders = "order-board, django, htmx, who-is-online, plain-html"
    assert f"NAME is a folder here: {folders}." in done.stderr


def test_without_a_hub_it_says_how_to_start_one() -> None:
    ports = {"BARESTREAM_PORT": str(free_port()), "PORT": str(free_port())}
    done = subprocess.run(
        [ROOT / "examples/run", "plain-html"],
        env={**os.environ, **ports},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert f"No hub answers on port {ports['BARESTREAM_PORT']}." in done.stderr
    assert "make up" in done.stderr


def test_files_are_served_from_a_path_with_a_space_and_need_no_port_of_an_app(
    tmp_path: Path,
) -> None:
    root = tmp_path / "a path"
    for name in ("examples/plain-html", "scripts"):
        shutil.copytree(ROOT / name, root / name)
    for name in ("run", "style.css"):
        shutil.copy2(ROOT / "examples" / name, root / "examples")
    # nginx may have been unpacked already.
    if (ROOT / ".run/package").exists():
        (root / ".run").mkdir()
        (root / ".run/package").symlink_to(ROOT / ".run/package")
    with socket.create_server(("127.0.0.1", 0)) as taken, Service(workers=1) as hub:
        taken_port = str(taken.getsockname()[1])
        with (
            Example("plain-html", hub, root, APP_PORT=taken_port) as example,
            httpx.Client(base_url=example.url) as http,
        ):
            assert "Departures" in http.get("/").text
            assert http.get("/style.css").headers["content-type"] == "text/css"
            assert http.get("/.well-known/mercure/barestream.js").status_code == 200
