"""The service's user may do what the service needs, and nothing else.

All other tests on a Valkey of this machine run the service as that user.
"""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import valkey
from valkey.exceptions import NoPermissionError

from barestream.history.broker import BrokerAwayError, HistoryBounds
from barestream.history.update import Update
from barestream.history.valkey.broker import ValkeyBroker
from barestream.mercure.sse import Event
from support.servers.service import PATIENCE_SECONDS
from support.servers.valkey_server import ValkeyServer, service_rules

BOUNDS = HistoryBounds(events=1000, seconds=3600, bytes=10_000_000)

# A server lets every user run these: https://valkey.io/topics/acl/
FOR_ALL = {"auth", "hello", "quit", "reset"}

READ_ANOTHER = "return redis.call('GET', 'another')"


def update(data: str = "data") -> Update:
    return Update(("topic",), Event(data))


def commands(server: ValkeyServer) -> Iterator[tuple[list[str], int]]:
    """Yield each command, or subcommand, and how many arguments it needs behind that at least."""
    for name, each in server.ask("COMMAND").items():
        for sub, arity, *_ in each["subcommands"]:
            yield sub.decode().split("|"), abs(arity) - 2
        if not each["subcommands"]:
            yield [name], abs(each["arity"]) - 1


@pytest.fixture(scope="module")
def open_valkey() -> Iterator[ValkeyServer]:
    """Return a server that refuses no command because of its own configuration."""
    with ValkeyServer(further="enable-module-command yes\nenable-debug-command yes\n") as running:
        yield running


@pytest.fixture
def as_service(open_valkey: ValkeyServer) -> Iterator[Any]:
    """Return a function that asks as the service's user; its answer may be an error."""
    client = valkey.Valkey(
        port=open_valkey.port, username="barestream", password=open_valkey.password, protocol=2
    )

    def ask(*command: object) -> Any:
        try:
            return client.execute_command(*command)
        except valkey.ValkeyError as error:
            return error

    yield ask
    client.close()


def test_each_command_beyond_the_rules_is_refused(
    open_valkey: ValkeyServer, as_service: Any
) -> None:
    allowed = {rule[1:] for rule in service_rules() if rule.startswith("+")}
    known, taken = set(), []
    for words, arguments in commands(open_valkey):
        name = "|".join(words)
        known.add(name)
        if name in allowed or name in FOR_ALL:
            continue
        answer = as_service(*words, *(["1"] * arguments))
        # EXEC has a code of its own before that of its reason.
        if not isinstance(answer, NoPermissionError) and "NOPERM" not in str(answer):
            taken.append((name, answer))
    assert taken == []
    assert allowed | FOR_ALL <= known
    assert len(known) > 300


@pytest.mark.parametrize(
    "command",
    [
        ("GET", "another"),
        ("HGETALL", "barestream"),
        ("HMGET", "{barestream}", "field"),
        ("HSCAN", "another", "0"),
        ("XRANGE", "another", "-", "+"),
        ("XREAD", "STREAMS", "another", "0"),
        ("XREAD", "STREAMS", "{barestream}:log", "another", "0", "0"),
        ("XADD", "another", "*", "field", "value"),
        ("DEL", "{barestream}:log", "another"),
        ("EVAL", "return 1", "1", "another"),
        ("EVAL", READ_ANOTHER, "0"),
    ],
)
def test_keys_of_others_are_refused(
    open_valkey: ValkeyServer, as_service: Any, command: tuple[str, ...]
) -> None:
    open_valkey.ask("SET", "another", "value")
    answer = as_service(*command)
    assert isinstance(answer, valkey.ResponseError)
    assert "permission" in str(answer) or "can't access" in str(answer)
    assert open_valkey.ask("GET", "another") == b"value"


def test_a_missing_permission_is_named_with_its_remedy_and_publishing_goes_on_once_it_is_given(
    fresh_valkey: ValkeyServer,
) -> None:
    whole = fresh_valkey.users.read_text()

    def load(users: str) -> None:
        fresh_valkey.users.write_text(users)
        fresh_valkey.ask("ACL", "LOAD")

    async def error_of(broker: ValkeyBroker, cause: str | None) -> BrokerAwayError | None:
        """Publish until the outcome has a cause: a server may first end connections."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                error = None
                try:
                    await broker.publish(update())
                except BrokerAwayError as raised:
                    error = raised
                if getattr(error, "cause", None) == cause:
                    return error
                await asyncio.sleep(0.01)

    async def scenario() -> None:
        broker = ValkeyBroker(fresh_valkey.url, BOUNDS, fresh_valkey.password)
        try:
            await broker.publish(update())
            load(whole.replace("+eval ", "").replace("+evalsha ", ""))
            error = await error_of(broker, "NOPERM")
            assert error is not None
            assert error.nothing_taken
            assert "'evalsha' command; give the service's user the rules in " in str(error)
            load(whole.replace("+rpush ", ""))
            error = await error_of(broker, "NOPERM")
            assert error is not None
            assert not error.nothing_taken
            assert "script" in str(error)
            assert "deploy/valkey-service.acl" in str(error)
            load(whole.replace("user barestream on", "user barestream off"))
            fresh_valkey.ask("CLIENT", "KILL", "USER", "barestream")
            error = await error_of(broker, "WRONGPASS")
            assert "check the user in BARESTREAM_BROKER_URL" in str(error)
            load(whole)
            assert await error_of(broker, None) is None
        finally:
            await broker.close()

    asyncio.run(scenario())
