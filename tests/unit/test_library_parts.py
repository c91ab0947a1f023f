"""The undocumented parts of libraries that the service builds on are where they were read.

Where one of these tests fails after an upgrade: read the named files of the library again, change
what is built on the part, then the list in the named file of ours, and its READ_IN last.
"""

import ast
import asyncio
import inspect
import re
import textwrap
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from uvicorn import Config

import barestream
from barestream.history.valkey import valkey_parts
from barestream.server import gunicorn_parts, uvicorn_parts
from barestream.server.connections_state import ConnectionsState
from barestream.server.protocol import Protocol
from barestream.telemetry import prometheus_parts
from barestream.web import bareasgi_parts

PARTS = [uvicorn_parts, gunicorn_parts, bareasgi_parts, valkey_parts, prometheus_parts]

LIBRARIES = {
    *("bareasgi", "gunicorn", "prometheus_client", "uvicorn", "uvicorn_worker", "valkey"),
}

# Their documented modules, which any file may import.
PUBLIC = {
    *("bareasgi", "gunicorn.app.base", "prometheus_client", "prometheus_client.multiprocess"),
    *("uvicorn", "valkey.credentials", "valkey.exceptions"),
}

LOCK = (Path(__file__).parents[2] / "requirements.lock").read_text()

# CPython shares the keys of at most so many attributes between the instances of a class.
MOST_SHARED_KEYS = 30

MISSING = object()


def of_a_library(test: Any) -> Any:
    return pytest.mark.parametrize("parts", PARTS, ids=lambda parts: parts.__name__)(test)


@cache
def attributes(owner: type) -> list[ast.Attribute]:
    """Return each ``self.name``, and each ``self.name.other``, in the source of a class."""
    sources = (inspect.getsource(each) for each in owner.__mro__[:-1] if each.__module__ != "abc")
    trees = (ast.parse(textwrap.dedent(source)) for source in sources)
    return [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute)]


def is_of_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


def is_set(owner: Any, name: str) -> bool:
    """Return whether a class gives its instances an attribute."""
    return isinstance(owner, type) and any(
        node.attr == name and isinstance(node.ctx, ast.Store) and is_of_self(node.value)
        for node in attributes(owner)
    )


def used_of(owner: type, name: str) -> set[str]:
    """Return what a class uses of an attribute of its instances."""
    return {
        node.attr
        for node in attributes(owner)
        if isinstance(node.value, ast.Attribute)
        and node.value.attr == name
        and is_of_self(node.value.value)
    }


def found(owner: Any, name: str) -> str:
    """Return a part as the lists have it: a function with its parameters, others by their name."""
    member = inspect.getattr_static(owner, name, MISSING)
    function = getattr(member, "__func__", member)
    if inspect.isfunction(function):
        kind = "async " if inspect.iscoroutinefunction(function) else ""
        return f"{kind}{name}({', '.join(inspect.signature(function).parameters)})"
    return name if member is not MISSING or is_set(owner, name) else "nothing"


def moved(parts: ModuleType) -> Iterator[str]:
    """Yield a sentence for each part that is not as it was read."""
    for owner, expected in parts.PARTS.items():
        for part in expected:
            name = part.removeprefix("async ").partition("(")[0]
            if (there := found(owner, name)) != part:
                yield (
                    f"{owner.__name__}: expected {part}, found {there}: "
                    f"read {inspect.getsourcefile(owner)} again, then change {parts.__file__}"
                )


@of_a_library
def test_a_library_has_the_version_in_which_its_parts_were_read(parts: ModuleType) -> None:
    for name, read_in in parts.READ_IN.items():
        [locked] = re.findall(rf"^{re.escape(name)}==(\S+)", LOCK, re.MULTILINE)
        assert (locked, version(name)) == (read_in, read_in), (
            f"{name} was read in {read_in}; requirements.lock has {locked}, and {version(name)} "
            f"is installed: read again in it what {parts.__file__} lists"
        )


@of_a_library
def test_a_library_has_each_part_as_it_was_read(parts: ModuleType) -> None:
    sentences = list(moved(parts))
    assert not sentences, "\n".join(sentences)


def test_a_part_that_was_moved_or_changed_is_named_with_its_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    [cycle, flow] = [uvicorn_parts.RequestResponseCycle, uvicorn_parts.FlowControl]
    listed = {cycle: ("response_finished",), flow: ("resume_reading(self, now)", "write_paused")}
    monkeypatch.setattr(uvicorn_parts, "PARTS", listed)
    [gone, changed] = moved(uvicorn_parts)
    assert gone.startswith("RequestResponseCycle: expected response_finished, found nothing: read ")
    assert changed.startswith(
        "FlowControl: expected resume_reading(self, now), found resume_reading(self): read "
    )
    assert "httptools_impl.py again" in gone
    assert "flow_control.py again" in changed
    assert changed.endswith("uvicorn_parts.py")


def test_an_attribute_is_found_where_it_is_set_and_not_where_it_is_read() -> None:
    class Before:
        def __init__(self) -> None:
            self.flow, self.head = None, ""

        def feed(self) -> None:
            assert self.there(flow=self.flow)  # type: ignore[attr-defined]

    names = ("flow", "head", "feed", "there", "flo")
    assert [found(Before, name) for name in names] == [
        *("flow", "head", "feed(self)", "nothing", "nothing")
    ]


def test_uvicorn_uses_no_more_of_what_is_replaced_than_it_did() -> None:
    for (owner, name), expected in uvicorn_parts.USED_OF_REPLACED.items():
        assert used_of(owner, name) == expected, (
            f"{owner.__name__} uses something else of its {name}: read "
            f"{inspect.getsourcefile(owner)} again, then change what is put in its place"
        )


def test_the_attributes_of_a_connection_share_their_keys() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        """Answer nothing: no request is sent."""

    loop = asyncio.new_event_loop()
    config = Config(app, ws="none", log_config=None)
    connection = Protocol(config=config, server_state=ConnectionsState(), app_state={}, _loop=loop)
    connection.on_message_begin()
    loop.close()
    assert len(vars(connection)) <= MOST_SHARED_KEYS


def test_valkey_py_takes_the_code_off_an_error_of_each_class() -> None:
    for error_class, code in valkey_parts.CODES.items():
        error = valkey_parts.BaseParser.parse_error(f"{code} and its message")
        assert (type(error), str(error)) == (error_class, "and its message"), (
            f"read {inspect.getsourcefile(valkey_parts.BaseParser)} again, "
            f"then change {valkey_parts.__file__}"
        )


def undocumented(path: Path) -> Iterator[str]:
    """Yield the modules of these libraries that a file imports and that are not public."""
    for node in ast.walk(ast.parse(path.read_text())):
        modules: list[str] = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules = [node.module]
        for module in modules:
            if module not in PUBLIC and module.split(".")[0] in LIBRARIES:
                yield module


def test_no_other_file_imports_what_a_library_does_not_document() -> None:
    source = Path(barestream.__file__).parent
    importing = {path for path in source.rglob("*.py") if list(undocumented(path))}
    assert importing == {Path(str(parts.__file__)) for parts in PARTS}
