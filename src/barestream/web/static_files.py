"""Static files of one folder, read once at the start, under an address that has their version."""

import hashlib
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from pathlib import Path

from bareasgi import HttpRequest, HttpResponse
from bareutils import bytes_writer

from barestream.web.refusals import problem

# Nobody uses a copy without asking for the file again.
ASK_EACH_TIME = b"no-cache"

_TYPES = {
    ".css": b"text/css; charset=utf-8",
    ".html": b"text/html; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".json": b"application/json",
    ".svg": b"image/svg+xml",
}


def read_folder(folder: Path) -> dict[str, bytes]:
    """Return the bytes of a folder's files, by name.

    Raises:
        OSError: The folder or one of them cannot be read.
    """
    return {
        path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix in _TYPES
    }


def file_answer(
    name: str, content: bytes, caching: bytes, headers: Iterable[tuple[bytes, bytes]] = ()
) -> HttpResponse:
    """Return the answer that has a file.

    Args:
        name: Its name, whose suffix says its type.
        content: Its bytes.
        caching: The value of Cache-Control.
        headers: Further headers.
    """
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


class StaticFiles:
    """The handler of files whose address ends with ``{version}/{name}``.

    The version is the hash of all files, so that a page of one release never runs a cached script
    of another release.

    Args:
        files: Their bytes, by name (see read_folder).
        hidden: Names of files that the version covers, but that are not served.
        headers: Further headers of the answers.

    Attributes:
        version: The version.
    """

    def __init__(
        self,
        files: Mapping[str, bytes],
        hidden: Iterable[str] = (),
        headers: Iterable[tuple[bytes, bytes]] = (),
    ) -> None:
        digest = hashlib.sha256()
        for name, content in files.items():
            digest.update(b"%b %d\n%b" % (name.encode(), len(content), content))
        self.version = digest.hexdigest()[:12]
        self._files = {name: content for name, content in files.items() if name not in {*hidden}}
        self._headers = (*headers,)

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer with a file; it may be cached for ever if the version is this one."""
        name = request.matches["name"]
        if name not in self._files:
            return problem(HTTPStatus.NOT_FOUND, f"There is no static file {name}.")
        is_this_version = request.matches["version"] == self.version
        caching = b"public, max-age=31536000, immutable" if is_this_version else b"no-store"
        return file_answer(name, self._files[name], caching, self._headers)
