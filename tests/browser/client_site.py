"""A site whose pages use the client, as its README shows it, beside a hub of the same origin."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from support.clients.publisher import PATH, token
from support.servers.node_packages import CLIENT, build_page, project_with_client
from support.servers.outer_nginx import OuterNginx, site_nginx
from support.servers.service import Answering, Service

HERE = Path(__file__).parent / "adapters"

_PART = re.compile(
    r"^## (?P<heading>[^\n]*)$|^```(?P<language>[a-z]+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)

_PAGE = """<!doctype html>
<html lang="en">
  <meta charset="utf-8">
  <title>{name}</title>
  <link rel="icon" href="data:,">
  {head}
  <body>{body}<div id="root"></div></body>
</html>
"""


def samples() -> dict[tuple[str, str, int], str]:
    """Return the samples of the README: by heading, language, and number among its equals."""
    found: dict[tuple[str, str, int], str] = {}
    heading = ""
    for part in _PART.finditer((CLIENT / "README.md").read_text()):
        if part["heading"]:
            heading = part["heading"]
            continue
        number = 0
        while (heading, part["language"], number) in found:
            number += 1
        found[heading, part["language"], number] = part["text"]
    return found


class ClientSite:
    """The site, while it runs.

    Args:
        hub: Its hub, which takes publishes under the tests' key.
        front: Its nginx.
        pages: What that serves.
        packages: The node_modules of the project that its pages are built in.
    """

    def __init__(self, hub: Service, front: OuterNginx, pages: Path, packages: Path) -> None:
        self.hub = hub
        self.url = front.url
        self.pages = pages
        self._packages = packages

    def add(self, name: str, script: str, body: str = "") -> str:
        """Add a page with a script, which is built; return its address.

        Args:
            name: The page's name.
            script: The file name of the script in the project's folder.
            body: What the page contains beside the root of an app.
        """
        build_page(self._packages, self.project / script, self.pages / f"{name}.js")
        head = f'<script type="module" src="/{name}.js"></script>'
        return self.add_plain(name, body, head)

    def add_plain(self, name: str, body: str, head: str = "") -> str:
        """Add a page as it is; return its address."""
        (self.pages / f"{name}.html").write_text(_PAGE.format(name=name, head=head, body=body))
        return f"{self.url}/{name}.html"

    @property
    def project(self) -> Path:
        """The folder with the sources of the pages."""
        return self._packages.parent

    def publish(self, topic: str, data: str, **fields: str) -> str:
        """Publish an update, and return its id."""
        answer = httpx.post(
            self.hub.url + PATH,
            data={"topic": topic, "data": data, **fields},
            headers={"Authorization": f"Bearer {token()}"},
        )
        assert answer.status_code == 200, answer.text
        return answer.text

    def streams(self) -> float:
        """Return how many streams the hub has."""
        return self.hub.metrics().get("barestream_streams", 0)


@contextmanager
def client_site(hub: Service, folder: Path, **behind: Answering) -> Iterator[ClientSite]:
    """Run a site.

    Args:
        hub: Its hub.
        folder: An empty one.
        behind: What answers below further paths, by their first segment.
    """
    for name in ("project", "pages", "front"):
        (folder / name).mkdir()
    packages = project_with_client(folder / "project")
    for source in HERE.iterdir():
        shutil.copy(source, folder / "project")
    paths = {"/.well-known/": hub, **{f"/{name}/": each for name, each in behind.items()}}
    with site_nginx(folder / "pages", folder / "front", paths) as front:
        yield ClientSite(hub, front, folder / "pages", packages)
