import ast
from collections.abc import Iterator
from pathlib import Path

import barestream

SOURCE = Path(barestream.__file__).parent

# From the top of the house to its ground: a part imports from those below its own line alone.
FLOORS = [
    {"cli"},
    {"server"},
    {"app"},
    {"web"},
    {"resumption"},
    {"intake", "tail"},
    {"catch_up"},
    {"broker", "clock"},
    {"fan_out"},
    {"feed", "hub"},
    {"broadcast", "follower"},
    {"audience", "loop_lag", "stream", "subscription", "tokens", "update"},
    {"delivery_lag", "gap", "prefix_tree", "stall"},
    # What loads a service is a client of it, and needs nothing of it.
    {"env_file", "event_log", "frames", "load", "metrics", "topics"},
    {"metrics_folder", "open_files", "slices"},
]
READ_SETTINGS = {"app.py", "cli.py", "server/config.py"}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        yield from (name for name in names if name.startswith("barestream."))


def files() -> Iterator[Path]:
    # The package's front and its command are doors, not floors.
    doors = {SOURCE / "__init__.py", SOURCE / "__main__.py"}
    yield from (path for path in SOURCE.rglob("*.py") if path not in doors)


def floor(part: str) -> int:
    return next(level for level, parts in enumerate(FLOORS) if part in parts)


def test_imports_point_one_way() -> None:
    upward = []
    for path in files():
        part = path.relative_to(SOURCE).parts[0].removesuffix(".py")
        for name in imports(path):
            imported = name.split(".")[1]
            if "settings" in (part, imported) or part == imported:
                continue
            if floor(part) >= floor(imported):
                upward.append(f"{path.name} imports {name}")
    assert upward == []


def test_settings_are_read_where_the_parts_are_wired_alone() -> None:
    readers = {
        path.relative_to(SOURCE).as_posix()
        for path in files()
        if "barestream.settings" in imports(path)
    }
    assert readers == READ_SETTINGS


def test_the_pure_parts_know_no_loop_socket_or_clock() -> None:
    impure = {"asyncio", "socket", "time", "uvicorn", "gunicorn", "bareasgi"}
    for name in (
        *("audience.py", "broadcast.py", "event_log.py", "feed.py", "frames.py", "gap.py"),
        *("stall.py", "stream.py", "subscription.py", "tokens.py", "topics.py", "update.py"),
    ):
        tree = ast.parse((SOURCE / name).read_text())
        found = {
            alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.Import)
            for alias in node.names
        }
        assert found & impure == set(), name
