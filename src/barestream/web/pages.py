"""The page /test and the static files that it needs."""

from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from string import Template

from bareasgi import HttpRequest, HttpResponse

from barestream.mercure.topics import PATH
from barestream.web.static_files import ASK_EACH_TIME, StaticFiles, file_answer

PAGES_FOLDER = Path(__file__).parent / "static"
_PAGE = "test.html"
_OPENAPI = "openapi.json"

# This link and all links of the pages are relative, so that they also work behind a proxy that
# serves the pages below another path, such as /hub/.
_HUB_LINK = (b"link", f'<{PATH.removeprefix("/")}>; rel="mercure"'.encode())


class Pages:
    """The handlers of /, /test and /openapi.json, and of the files under /static/{version}/.

    Args:
        files: Their bytes, by name (see read_folder).

    Attributes:
        static: The handler of the files.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.static = StaticFiles(files, hidden=[_PAGE])
        self._openapi = files[_OPENAPI]
        page = Template(files[_PAGE].decode())
        self._page = page.substitute(static=f"static/{self.static.version}").encode()

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
        return file_answer(_PAGE, self._page, ASK_EACH_TIME, [_HUB_LINK])

    async def openapi(self, _request: HttpRequest) -> HttpResponse:
        """Answer with the description of the HTTP interface, in OpenAPI."""
        return file_answer(_OPENAPI, self._openapi, ASK_EACH_TIME)
