"""The client for pages, as the app and nginx serve it, and as a wheel has it."""

import re
import shutil
import signal
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from barestream.app import create_app
from barestream.settings.settings import Settings
from support.servers.served import Served
from support.servers.service import ROOT, Service, wait_for

SOURCE = ROOT / "client/src"
ENTRY = "/.well-known/mercure/barestream.js"
PAGE = "https://page.example"


@pytest.fixture(scope="module", params=[True, False], ids=["direct", "asgi"])
def server(request: pytest.FixtureRequest) -> Iterator[Served]:
    with Served(create_app(Settings()), ours=request.param) as served:
        yield served


@pytest.fixture
def http(server: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url) as client:
        yield client


def folder_of(entry: httpx.Response) -> str:
    """Return the path of the modules, as the script that pages import names it."""
    assert entry.status_code == 200
    last = entry.text.splitlines()[-1]
    found = re.fullmatch(r"export \* from '\./(client/[0-9a-f]{12})/barestream\.js';", last)
    assert found is not None, entry.text
    return entry.url.join(found[1]).path


def test_the_script_that_pages_import_leads_to_every_module(http: httpx.Client) -> None:
    entry = http.get(ENTRY)
    assert entry.headers["content-type"] == "text/javascript; charset=utf-8"
    assert entry.headers["cache-control"] == "no-cache"
    folder = folder_of(entry)
    modules = sorted(SOURCE.glob("*.js"))
    assert "barestream.js" in {module.name for module in modules}
    for module in modules:
        answer = http.get(f"{folder}/{module.name}")
        assert answer.content == module.read_bytes()
        assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        head = http.head(f"{folder}/{module.name}")
        assert (head.status_code, head.content) == (200, b"")
        # Each module that it imports is there too.
        for imported in re.findall(
            r"^(?:import|export)\b.* from '(.*)';$", answer.text, re.MULTILINE
        ):
            assert http.get(f"{folder}/{imported}").status_code == 200, imported


def test_a_module_of_another_version_is_served_but_not_cached(http: httpx.Client) -> None:
    name = next(SOURCE.glob("*.js")).name
    answer = http.get(f"/.well-known/mercure/client/other/{name}")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")


@pytest.mark.parametrize(
    "path", ["client", "client/", "client/x", "client/x/none.js", "client/x/..%2fpages.py",
             "client/x/y/place.js", "barestream.js/", "Barestream.js"]
)  # fmt: skip
def test_there_is_nothing_else_beside_them(http: httpx.Client, path: str) -> None:
    answer = http.get(f"/.well-known/mercure/{path}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_pages_of_any_origin_may_import_it_and_get_one_and_the_same_answer(
    http: httpx.Client,
) -> None:
    name = next(SOURCE.glob("*.js")).name
    for path in (ENTRY, f"{folder_of(http.get(ENTRY))}/{name}"):
        for origin in (PAGE, "https://other.example", None):
            answer = http.get(path, headers={"Origin": origin} if origin else {})
            assert answer.status_code == 200
            assert answer.headers["access-control-allow-origin"] == "*"
            assert "vary" not in answer.headers


def test_nginx_compresses_the_modules_and_serves_them_while_the_app_is_away() -> None:
    largest = max(SOURCE.glob("*.js"), key=lambda path: path.stat().st_size).name
    with (
        Service(cors_origins=PAGE) as service,
        httpx.Client(base_url=service.url, headers={"Origin": PAGE}) as http,
    ):
        entry = http.get(ENTRY)
        assert entry.headers["cache-control"] == "no-cache"
        address = f"{folder_of(entry)}/{largest}"
        module = http.get(address)
        assert module.headers["content-encoding"] == "gzip"
        assert "immutable" in module.headers["cache-control"]
        assert module.headers["access-control-allow-origin"] == "*"
        assert module.headers["x-content-type-options"] == "nosniff"
        service.signal(signal.SIGTERM)
        wait_for("the app's end", lambda: http.get("/healthz").status_code == 502)
        for path, before in ((ENTRY, entry), (address, module)):
            answer = http.get(path)
            assert (answer.status_code, answer.content) == (200, before.content)
            assert answer.headers["access-control-allow-origin"] == "*"
        assert http.get(ENTRY).headers["cache-control"] == "no-cache"


def test_a_wheel_has_every_module(tmp_path: Path) -> None:
    subprocess.run(
        ["scripts/venv", "requirements-build.lock", "build", ".venv-build"], cwd=ROOT, check=True
    )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy2(ROOT / name, tmp_path)
    for name in ("src", "client/src"):
        shutil.copytree(
            ROOT / name,
            tmp_path / name,
            symlinks=True,
            ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"),
        )
    subprocess.run(
        [
            *(ROOT / ".venv-build/bin/python", "-m", "pip", "wheel", "--quiet"),
            *("--disable-pip-version-check", "--no-deps", "--no-build-isolation"),
            *("--wheel-dir", tmp_path / "wheel", tmp_path),
        ],
        check=True,
    )
    [wheel] = (tmp_path / "wheel").glob("barestream-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {
            Path(name).name: archive.read(name)
            for name in archive.namelist()
            if name.startswith("barestream/web/client/")
        }
    assert packed == {path.name: path.read_bytes() for path in SOURCE.glob("*.js")}
