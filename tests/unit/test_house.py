import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import barestream

SOURCE = Path(barestream.__file__).parent.parent
ROOTS = ("barestream", "barestream_client", "barestream_doctor", "barestream_load")

# The house asks for about so many at the most (CONTRIBUTING.md).
MOST_LINES = 350

READ_SETTINGS = {
    *("barestream.app", "barestream.cli", "barestream.server.config", "barestream.registering"),
    *("barestream.brokering", "barestream.observing", "barestream.tracing", "barestream.verifying"),
    *(f"barestream.commands.{name}" for name in ("dev", "serve", "settings", "token")),
}

# Pure modules take bytes and return bytes; time is an argument.
PURE = {
    "barestream.mercure": [
        *(
            "access_tokens",
            "authorization_details",
            "bearer",
            "header_text",
            "identity",
            "keys",
            "matchers",
            "patterns",
            "reserved",
            "run_topics",
            "selectors",
            "signatures",
            "sse",
            "subscription_topics",
        ),
        *("templates", "time_budget", "token_id", "tokens", "topics", "version"),
    ],
    "barestream.history": [
        *("entry", "extent", "gap", "kept_values", "lane_index", "local_log", "local_pages"),
        *(
            "local_producers",
            "misfit",
            "own_ids",
            "positions",
            "producers",
            "record",
            "revocations",
            "ring",
        ),
        "runs",
        *("sorted_list", "subscription_table", "subscriptions", "topic_ends"),
        *("topic_state", "traced", "update"),
    ],
    "barestream.delivery": [
        *(
            "attendee",
            "broadcast",
            "catching_up",
            "cursor",
            "ends",
            "explanation",
            "feed",
            "heartbeat",
            "index",
            "lost_end",
            "named",
        ),
        "numbering",
        *("prefix_tree", "ready", "stall", "stream"),
        *("subscriber", "subscriber_state", "subscription"),
    ],
    "barestream_doctor": [
        *("answers", "bounds", "ends", "exchange", "finding", "foreign", "heads", "hops"),
        *("lateness", "opinion", "remedies", "response_reader", "seen", "silence", "timing"),
    ],
}
PURE_OF_CLIENT = [
    *("address", "answers", "calls", "event_reader", "events", "following", "retries"),
    *("steps", "streaming", "tls", "updates"),
]
IMPURE = {"asyncio", "bareasgi", "gunicorn", "select", "socket", "threading", "time", "uvicorn"}


def imports(path: Path) -> Iterator[str]:
    """Yield the modules that a file imports, `from package import module` included."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            within = [f"{node.module}.{alias.name}" for alias in node.names]
            modules = [name for name in within if file_of(name).exists()]
            yield from modules
            if len(modules) < len(within):
                yield node.module


def file_of(module: str) -> Path:
    return SOURCE / (module.replace(".", "/") + ".py")


def modules() -> dict[str, set[str]]:
    """Return what each module imports of ours."""
    files = {
        ".".join(path.relative_to(SOURCE).with_suffix("").parts): path
        for root in ROOTS
        for path in (SOURCE / root).rglob("*.py")
    }
    return {name: {each for each in imports(path) if each in files} for name, path in files.items()}


def room(module: str) -> str:
    return ".".join(module.split(".")[:2])


def test_no_file_is_longer_than_a_reader_keeps_in_mind() -> None:
    lines = {
        str(path): len(path.read_text().splitlines())
        for root in ROOTS
        for path in (SOURCE / root).rglob("*.py")
    }
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}


def test_imports_go_one_way_between_packages_and_inside_them() -> None:
    of_modules = modules()
    of_rooms: dict[str, set[str]] = {}
    for module, imported in of_modules.items():
        of_rooms.setdefault(room(module), set()).update(set(map(room, imported)) - {room(module)})
    for graph in (of_modules, of_rooms):
        # It raises CycleError, which names the circle.
        TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("package", ROOTS[1:])
def test_the_other_packages_import_nothing_of_the_service(package: str) -> None:
    of_package = [imported for name, imported in modules().items() if name.startswith(package)]
    assert len(of_package) > 10
    # The client for Python is no part of it.
    allowed = (package, "barestream_client")
    assert all(each.startswith(allowed) for imported in of_package for each in imported)


def test_the_logic_of_the_client_is_pure() -> None:
    for name in PURE_OF_CLIENT:
        outside = {each.split(".")[0] for each in imports(file_of(f"barestream_client.{name}"))}
        assert outside & (IMPURE | {"httpx", "random"}) == set(), name


def test_only_the_modules_that_wire_the_parts_read_settings() -> None:
    package = "barestream.settings"
    readers = {
        name
        for name, imported in modules().items()
        if package in set(map(room, imported)) and room(name) != package
    }
    assert readers == READ_SETTINGS


def test_each_raise_makes_its_exception() -> None:
    # Each raise of a shared exception adds to its traceback, which holds the frames of the request.
    shared = [
        f"{path}:{node.lineno}"
        for root in ROOTS
        for path in (SOURCE / root).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Raise)
        and (
            isinstance(node.exc, ast.Attribute)
            or (isinstance(node.exc, ast.Name) and node.exc.id.isupper())
        )
    ]
    assert shared == []


def test_the_pure_parts_import_no_loop_socket_or_clock() -> None:
    for package, names in PURE.items():
        for name in names:
            outside = {each.split(".")[0] for each in imports(file_of(f"{package}.{name}"))}
            assert outside & IMPURE == set(), name


def test_every_module_of_the_protocol_is_pure() -> None:
    package = "barestream.mercure"
    names = {path.stem for path in file_of(package).with_suffix("").glob("[!_]*.py")}
    assert names == set(PURE[package])
