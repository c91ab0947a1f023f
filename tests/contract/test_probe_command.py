"""The command `barestream probe`, as a rollout runs it."""

from support.clients.command_line import CommandLine
from support.servers.service import free_port
from support.servers.valkey_server import ValkeyServer


def probe(url: str, password: str) -> tuple[int, str]:
    """Return the exit code, and what it says."""
    with CommandLine(BARESTREAM_BROKER_URL=url, BARESTREAM_BROKER_PASSWORD=password) as shell:
        done = shell.run("barestream probe")
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    return done.returncode, done.stderr


def test_a_valkey_that_takes_updates_passes_and_any_other_is_told_with_its_cause() -> None:
    with ValkeyServer() as valkey:
        assert probe(valkey.url, valkey.password) == (0, "")
        assert valkey.ask("XLEN", "{barestream}:log") == 0
        code, said = probe(valkey.url, "another")
        assert code == 1
        assert "WRONGPASS" in said
        valkey.ask("REPLICAOF", "127.0.0.1", free_port())
        code, said = probe(valkey.url, valkey.password)
        assert code == 1
        assert "it is a read-only replica" in said
    code, said = probe(valkey.url, valkey.password)
    assert code == 1
    assert "the broker of BARESTREAM_BROKER_URL cannot be reached" in said
    assert f"127.0.0.1:{valkey.port}" in said
