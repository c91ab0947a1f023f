import ast
import inspect
import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import pytest

import barestream
from barestream.history.valkey import valkey_parts
from barestream.server import gunicorn_parts, uvicorn_parts
from barestream.web import bareasgi_parts

PARTS = [uvicorn_parts, gunicorn_parts, bareasgi_parts, valkey_parts]

# Their documented modules, which any file may import.
PUBLIC = {"bareasgi", "gunicorn.app.base", "uvicorn", "valkey.exceptions"}


def has(owner: type, name: str) -> bool:
    """Return whether it is an attribute of the class, or one that its instances are given."""
    if hasattr(owner, name):
        return True
    sources = (inspect.getsource(each) for each in owner.__mro__[:-1] if each.__module__ != "abc")
    return any(re.search(rf"\bself\.{name}\b[^=\n]*=[^=]", source) for source in sources)


@pytest.mark.parametrize("parts", PARTS, ids=lambda parts: parts.__name__)
def test_a_library_has_the_version_in_which_its_parts_were_read(parts: ModuleType) -> None:
    installed = {name: version(name) for name in parts.READ_IN}
    assert installed == parts.READ_IN, parts.__doc__


@pytest.mark.parametrize("parts", PARTS, ids=lambda parts: parts.__name__)
def test_a_library_has_each_part_that_is_used(parts: ModuleType) -> None:
    missing = [
        f"{owner.__qualname__}.{name}"
        for owner, names in parts.PARTS.items()
        for name in names
        if not has(owner, name)
    ]
    assert missing == [], parts.__doc__


def test_a_part_that_a_library_does_not_have_is_found_missing() -> None:
    class Before:
        def __init__(self) -> None:
            self.flow = None

        def feed(self) -> None:
            assert self.flow == self.there  # type: ignore[attr-defined]

    assert [has(Before, name) for name in ("flow", "feed", "there", "flo")] == [
        *(True, True, False, False)
    ]


def undocumented(path: Path) -> Iterator[str]:
    """Yield the modules of these libraries that a file imports and that are not public."""
    libraries = {"bareasgi", "gunicorn", "uvicorn", "uvicorn_worker", "valkey"}
    for node in ast.walk(ast.parse(path.read_text())):
        module = node.module if isinstance(node, ast.ImportFrom) else None
        if module and module not in PUBLIC and module.split(".")[0] in libraries:
            yield module


def test_no_other_file_imports_what_a_library_does_not_document() -> None:
    source = Path(barestream.__file__).parent
    importing = {path for path in source.rglob("*.py") if list(undocumented(path))}
    assert importing == {Path(str(parts.__file__)) for parts in PARTS}
