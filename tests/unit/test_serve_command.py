"""What ``barestream serve`` says of a service that lacks something."""

import os
from pathlib import Path

import pytest

from barestream.commands.serve import missing
from barestream.settings.settings import Settings

KEY = "as many bytes as HS256 asks for: 32"


def test_a_service_that_has_all_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = {"token_key": KEY, "broker_url": "redis://valkey"}
    assert [*missing(Settings(**whole, bind="127.0.0.1:9009"))] == []
    asked: list[str] = []
    monkeypatch.setattr(os, "access", lambda path, _: not asked.append(path))
    # The folder is made at the start.
    assert [*missing(Settings(**whole, socket_dir=Path("/nowhere/yet")))] == []
    assert asked == ["/"]


def test_each_part_that_is_missing_is_named_with_its_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    folder, key, valkey = missing(Settings(socket_dir=Path("/nowhere")))
    assert "/nowhere cannot be written: set BARESTREAM_SOCKET_DIR" in folder
    assert "BARESTREAM_TOKEN_KEY" in key
    assert "BARESTREAM_BROKER_URL" in valkey
