"""The package of the client for Python, in an environment that has httpx and nothing else."""

import shutil
import subprocess
import sys
import venv
from importlib.util import find_spec
from pathlib import Path

import pytest

from support.clients.publisher import KEY
from support.servers.bound import Bound
from support.servers.service import ROOT

# httpx, and what it is made of; sniffio where this version of anyio still needs it.
OF_HTTPX = ["httpx", "httpcore", "h11", "anyio", "certifi", "idna", "typing_extensions", "sniffio"]

PROGRAM = """
import sys
from barestream_client import SyncHub, mint

url, key = sys.argv[1:]
with SyncHub(url, mint(key, publish=["*"], subscribe=["*"])) as hub:
    hub.publish("/news", "Hello", private=True)
    with hub.subscribe("/news", cursor="earliest") as events:
        print(next(events).data)
assert not any(name.partition(".")[0] == "barestream" for name in sys.modules)
"""


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """Return the interpreter of an environment that has the package."""
    # A copy, because a build writes beside the files; it has no link, as an archive has none.
    shutil.copytree(ROOT / "client-python", tmp_path / "client-python")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    wheel = [*pip, "wheel", "--no-deps", "--wheel-dir", tmp_path, tmp_path / "client-python"]
    subprocess.run(wheel, check=True)
    [built] = tmp_path.glob("barestream_client-*.whl")
    environment = tmp_path / "environment"
    venv.create(environment, symlinks=True)
    [packages] = environment.glob("lib/python*/site-packages")
    subprocess.run(
        [*pip, "install", "--no-deps", "--no-index", "--target", packages, built], check=True
    )
    for name in OF_HTTPX:
        if spec := find_spec(name):
            found = Path(str(spec.origin))
            found = found.parent if found.name == "__init__.py" else found
            (packages / found.name).symlink_to(found)
    return environment / "bin/python"


def test_it_publishes_and_subscribes_without_the_service(python: Path) -> None:
    with Bound(token_key=KEY) as service:
        done = subprocess.run(
            [python, "-I", "-c", PROGRAM, service.url, KEY],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert (done.returncode, done.stdout, done.stderr) == (0, "Hello\n", "")
