import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from barestream.cli import main
from barestream.telemetry.metrics_folder import METRICS_FOLDER
from support.servers.service import ROOT


def test_the_image_runs_the_same_server_as_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run: list[list[str]] = []
    monkeypatch.setattr(os, "execvp", lambda _, command: run.append(command))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")
    CliRunner().invoke(main, ["serve"])
    [[_, *arguments]] = run
    dockerfile = (ROOT / "Dockerfile").read_text()
    folder = f"PROMETHEUS_MULTIPROC_DIR=$(mktemp -d -t {METRICS_FOLDER}XXXXXX)"
    assert f'"{folder} exec python {" ".join(arguments)}"' in dockerfile
