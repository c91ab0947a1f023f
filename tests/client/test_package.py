"""The npm package: what it contains, how large it is, and its types."""

import gzip
import json
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from support.servers.node_packages import (
    CLIENT,
    CLIENT_TOOLS,
    bundle,
    install,
    project_with_client,
)
from support.servers.programs import path_of
from support.servers.service import ROOT

# What each page pays for it, and what one pays that uses everything: little more than they are,
# so that a growth is seen. Other clients of live events have 17 to 58 KB.
MOST_BYTES = 12_608
MOST_BYTES_OF_ALL = 16_544

ADAPTERS = ("ai-sdk", "react", "svelte", "turbo", "vue")

# The browser loads it by its address, and no module imports it.
WORKER = "src/lock_worker.js"

COMPILER_OPTIONS = {
    "strict": True,
    "noUncheckedIndexedAccess": True,
    "noEmit": True,
    "target": "es2022",
    "lib": ["es2024", "dom", "dom.iterable", "dom.asynciterable"],
    "module": "esnext",
    "moduleResolution": "bundler",
    "jsx": "react-jsx",
    "types": [],
}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the node_modules of a project in which the package is installed."""
    return project_with_client(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def package() -> dict[str, Any]:
    """Return package.json."""
    found: dict[str, Any] = json.loads((CLIENT / "package.json").read_text())
    return found


def compile_types(folder: Path, files: list[str], **options: object) -> str:
    """Run the compiler of TypeScript on files below a folder; return what it complains of."""
    configuration = folder / "tsconfig.json"
    chosen = {**COMPILER_OPTIONS, **options}
    configuration.write_text(json.dumps({"compilerOptions": chosen, "files": files}))
    compiler = install(CLIENT_TOOLS) / ".bin/tsc"
    done = subprocess.run(
        [compiler, "--project", configuration],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert bool(done.stdout) == bool(done.returncode), done.stderr
    return done.stdout


def built(packages: Path, folder: Path, source: str, *options: str) -> bytes:
    """Return the minified module that a source and its imports make."""
    entry, out = packages.parent / f"{folder.name}.js", folder / "out.js"
    entry.write_text(source)
    bundle(packages, entry, out, "--minify", "--format=esm", *options)
    return out.read_bytes()


def _gzipped(path: Path) -> int:
    return len(gzip.compress(path.read_bytes(), 9, mtime=0))


def test_the_version_is_that_of_the_service(package: dict[str, Any]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (package["name"], package["version"]) == (project["name"], project["version"])


def test_the_license_is_that_of_the_service() -> None:
    # npm leaves out links, so it is a file of its own.
    assert (CLIENT / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_it_needs_no_other_package(package: dict[str, Any]) -> None:
    assert {"dependencies", "devDependencies", "scripts"} & package.keys() == set()
    optional = {name for name, meta in package["peerDependenciesMeta"].items() if meta["optional"]}
    assert optional == package["peerDependencies"].keys()


def test_it_contains_what_is_used_and_nothing_else(packages: Path, tmp_path: Path) -> None:
    metafile = tmp_path / "meta.json"
    built(packages, tmp_path, "export * from 'barestream'", f"--metafile={metafile}")
    inputs = json.loads(metafile.read_text())["inputs"]
    prefix = "node_modules/barestream/"
    reached = {each.removeprefix(prefix) for each in inputs if each.startswith(prefix)}
    adapters = {
        f"adapters/{name}{end}" for name in (*ADAPTERS, "collect") for end in (".js", ".d.ts")
    }
    done = subprocess.run(
        [path_of("npm", "npm"), "pack", "--dry-run", "--json"],
        cwd=CLIENT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    answer = json.loads(done.stdout)
    # npm 12 answers with an object by name, earlier ones with an array.
    [packed] = answer if isinstance(answer, list) else answer.values()
    assert {each["path"] for each in packed["files"]} == {
        *("LICENSE", "README.md", "barestream.d.ts", "package.json", WORKER),
        *reached,
        *adapters,
    }


def test_each_entry_has_its_types(packages: Path, package: dict[str, Any]) -> None:
    entries = {name: each for name, each in package["exports"].items() if name != "./package.json"}
    assert entries.keys() == {".", *(f"./{name}" for name in ADAPTERS)}
    for each in entries.values():
        assert (packages / "barestream" / each["types"]).is_file()
        assert (packages / "barestream" / each["default"]).is_file()


def test_a_page_loads_little_and_the_rest_on_demand(
    packages: Path, tmp_path: Path, figure: Any
) -> None:
    entry, out = packages.parent / "all_chunks.js", packages.parent / "chunks"
    metafile = tmp_path / "meta.json"
    entry.write_text("export * from 'barestream'")
    out.mkdir()
    options = ("--minify", "--format=esm", "--splitting", f"--metafile={metafile}")
    bundle(packages, entry, out, *options)
    outputs = json.loads(metafile.read_text())["outputs"]
    size = {name: _gzipped(packages.parent / name) for name in outputs}
    [main] = [name for name, each in outputs.items() if "all_chunks.js" in each["entryPoint"]]
    # A chunk that the main one imports would be loaded by each page too.
    kinds = {each["kind"] for each in outputs[main]["imports"]}
    assert kinds == {"dynamic-import"}
    assert all(not each["imports"] for name, each in outputs.items() if name != main)
    of_all = sum(size.values())
    figure(f"{size[main]:,} bytes with gzip, {of_all:,} with what is loaded on demand")
    assert size[main] <= MOST_BYTES
    assert of_all <= MOST_BYTES_OF_ALL


def test_what_a_page_does_not_use_is_left_out(packages: Path, tmp_path: Path) -> None:
    assert built(packages, tmp_path, "import { connect } from 'barestream'") == b""
    only_error = built(packages, tmp_path, "export { DeniedError } from 'barestream'")
    assert len(only_error) < 500
    # An adapter brings neither the others nor a second copy of the client.
    hook = "export { useHubState } from 'barestream/react'"
    assert len(built(packages, tmp_path, hook, "--external:react")) < 1_000


@pytest.mark.parametrize("resolution", ["bundler", "nodenext"])
def test_the_types_take_right_uses_and_refuse_wrong_ones(packages: Path, resolution: str) -> None:
    folder = packages.parent
    names = []
    for path in sorted((CLIENT_TOOLS / "types").iterdir()):
        (folder / path.name).write_text(path.read_text())
        names.append(path.name)
    module = "esnext" if resolution == "bundler" else "nodenext"
    complaints = compile_types(
        folder, names, module=module, moduleResolution=resolution, types=["node"]
    )
    assert complaints == ""


def test_the_modules_use_their_types_rightly(tmp_path: Path) -> None:
    files = sorted(map(str, (CLIENT / "src").glob("*.js")))
    assert files
    # Fields that are null at first would each need a type: what may be null is for the tests.
    chosen = {"strict": False, "strictFunctionTypes": True, "strictBindCallApply": True}
    assert compile_types(tmp_path, files, allowJs=True, checkJs=True, **chosen) == ""


def test_the_adapters_are_what_their_types_say(packages: Path) -> None:
    folder = packages.parent / "client"
    # The compiler checks no JavaScript in node_modules.
    shutil.copytree(CLIENT, folder)
    files = sorted(map(str, (folder / "adapters").glob("*.js")))
    assert len(files) > len(ADAPTERS)
    complaints = compile_types(folder, files, allowJs=True, checkJs=True, types=["node"])
    assert complaints == ""
