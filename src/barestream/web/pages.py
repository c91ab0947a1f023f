"""The page /test and the static files that it needs, read once at the start."""

import hashlib
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from pathlib import Path
from string import Template

from bareasgi import HttpRequest, HttpResponse
from bareutils import bytes_writer

from barestream.mercure.topics import PATH
from barestream.web.refusals import problem

_FOLDER = Path(__file__).parent / "static"
_PAGE = "test.html"
_OPENAPI = "openapi.json"

# This link and all links of the pages are relative, so that they also work behind a proxy that
# serves the pages below another path, such as /hub/.
_HUB_LINK = (b"link", f'<{PATH.removeprefix("/")}>; rel="mercure"'.encode())
_TYPES = {
    ".css": b"text/css; charset=utf-8",
    ".html": b"text/html; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".json": b"application/json",
    ".svg": b"image/svg+xml",
}


def read_files() -> dict[str, bytes]:
    """Return the bytes of the page and of the files that it needs, by name.

    Raises:
        OSError: One of them cannot be read.
    """
    return {
        path.name: path.read_bytes() for path in sorted(_FOLDER.iterdir()) if path.suffix in _TYPES
    }


class Pages:
    """The handlers of /, /test and /openapi.json, and of the files under /static/{version}/.

    The version is the hash of all files, so that a page of one release never runs a cached script
    of another release.

    Args:
        files: Their bytes, by name (see read_files).
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = dict(files)
        digest = hashlib.sha256()
        for name, content in self._files.items():
            digest.update(b"%b %d\n%b" % (name.encode(), len(content), content))
        self._version = digest.hexdigest()[:12]
        page = Template(self._files.pop(_PAGE).decode())
        self._page = page.substitute(static=f"static/{self._version}").encode()

    async def index(self, _request: HttpRequest) -> HttpResponse:
        """Redirect to the page."""
        return HttpResponse(
            HTTPStatus.SEE_OTHER,
            [(b"location", b"test"), (b"content-length", b"0"), _HUB_LINK],
        )

    async def options(self, _request: HttpRequest) -> HttpResponse:
        """Answer with the methods of /: some load balancers check a server's health this way."""
        return HttpResponse(HTTPStatus.NO_CONTENT, [(b"allow", b"GET, HEAD, OPTIONS")])

    async def test(self, _request: HttpRequest) -> HttpResponse:
        """Answer with the page."""
        return _file(_PAGE, self._page, b"no-cache", [_HUB_LINK])

    async def openapi(self, _request: HttpRequest) -> HttpResponse:
        """Answer with the description of the HTTP interface, in OpenAPI."""
        return _file(_OPENAPI, self._files[_OPENAPI], b"no-cache")

    async def static(self, request: HttpRequest) -> HttpResponse:
        """Answer with a static file; it may be cached for ever if the version is this one."""
        name = request.matches["name"]
        if name not in self._files:
            return problem(HTTPStatus.NOT_FOUND, f"There is no static file {name}.")
        is_this_version = request.matches["version"] == self._version
        caching = b"public, max-age=31536000, immutable" if is_this_version else b"no-store"
        return _file(name, self._files[name], caching)


def _file(
    name: str,
    content: bytes,
    caching: bytes,
    headers: Iterable[tuple[bytes, bytes]] = (),
) -> HttpResponse:
    return HttpResponse(
        HTTPStatus.OK,
        [
            (b"content-type", _TYPES[Path(name).suffix]),
            (b"content-length", b"%d" % len(content)),
            (b"cache-control", caching),
            *headers,
        ],
        bytes_writer(content),
    )
