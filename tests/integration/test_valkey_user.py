"""The service's user in Valkey: its password and its rights change while the service runs."""

import logging
from pathlib import Path
from typing import Any

import httpx
import pytest

from barestream.app import create_app
from barestream.mercure.topics import PATH
from barestream.settings.settings import load
from support.clients.publisher import KEY, token
from support.servers.served import Served
from support.servers.service import wait_for
from support.servers.valkey_server import ValkeyServer

AUTHORIZATION = {"Authorization": f"Bearer {token()}"}


class Hub:
    """A hub that reads Valkey's password from a file."""

    def __init__(self, valkey: ValkeyServer, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.valkey = valkey
        self.password = folder / "password"
        self.password.write_text(f"{valkey.password}\n")
        patch.setenv("BARESTREAM_TOKEN_KEY", KEY)
        patch.setenv("BARESTREAM_BROKER_URL", valkey.url)
        patch.setenv("BARESTREAM_BROKER_PASSWORD_FILE", str(self.password))
        self.served = Served(create_app(load()), ours=True)

    def publish(self) -> httpx.Response:
        url = self.served.url + PATH
        return httpx.post(url, data={"topic": "t"}, headers=AUTHORIZATION, timeout=30)

    def readiness(self) -> str:
        return httpx.get(f"{self.served.url}/readyz").text

    def metrics(self) -> str:
        return httpx.get(f"{self.served.url}/metrics").text

    def end_connections(self) -> None:
        self.valkey.ask("CLIENT", "KILL", "USER", "barestream")


def test_a_password_in_a_file_is_replaced_without_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with ValkeyServer() as valkey:
        hub = Hub(valkey, tmp_path, monkeypatch)
        with hub.served:
            wait_for("the history", lambda: hub.publish().is_success)
            hub.password.unlink()
            hub.end_connections()
            # Until there is another one the earlier password counts.
            wait_for("the history", lambda: hub.publish().is_success)
            assert "Valkey's password cannot be read again" in caplog.text
            valkey.ask("ACL", "SETUSER", "barestream", "resetpass", ">another one")
            hub.end_connections()
            wait_for("a refusal", lambda: "user or password" in hub.readiness())
            hub.password.write_text("another one\n")
            wait_for("the history", lambda: hub.publish().is_success)
            wait_for("a ready hub", lambda: hub.readiness() == "ok\n")


def test_a_permission_that_is_missing_is_logged_with_its_remedy_until_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    def lines(message: str) -> list[Any]:
        return [each for each in caplog.records if each.message == message]

    with ValkeyServer() as valkey:
        hub = Hub(valkey, tmp_path, monkeypatch)
        whole = valkey.users.read_text()
        valkey.users.write_text(whole.replace("+evalsha ", "").replace("+xread ", ""))
        valkey.ask("ACL", "LOAD")
        with hub.served:
            wait_for("a refusal", lambda: "lacks the permission" in hub.readiness())
            assert hub.publish().status_code == 503
            assert 'barestream_publishes_failed_total{cause="NOPERM"} 1.0' in hub.metrics()
            assert "barestream_history_writable 0.0" in hub.metrics()
            line = lines("broker does not accept updates")[0]
            assert line.cause == "NOPERM"
            assert "'evalsha' command" in line.why
            assert "give the service's user the rules in deploy/valkey-service.acl" in line.why
            valkey.users.write_text(whole)
            valkey.ask("ACL", "LOAD")
            wait_for("a ready hub", lambda: hub.readiness() == "ok\n")
            assert hub.publish().is_success
            assert "barestream_history_writable 1.0" in hub.metrics()
            wait_for("the log", lambda: lines("broker accepts updates"))
