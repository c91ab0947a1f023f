"""The backend of the page in client_page: it serves the page, logs users in, and gives tokens."""

import json
import threading
import time
from collections.abc import Callable
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from barestream.mercure.tokens import sign
from support.clients.publisher import KEY
from support.servers.service import Answering

FOLDER = Path(__file__).parent / "client_page"
TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8"}

# Longer than any test.
DEFAULT_TOKEN_SECONDS = 3600.0

# The user of who has not logged in.
NOBODY = "nobody"


class SiteBackend(Answering):
    """A server in a thread of its own.

    Attributes:
        token_seconds: For how long the tokens hold that it makes from now on.
        is_failing: Whether it answers requests for tokens with 500.
        refused: How many of them it has answered so.
        tokens: How many tokens it has made.
        state: What it gives for a page's state: the state, and the hub's cursor that it is of.
    """

    def __init__(self) -> None:
        super().__init__()
        self.token_seconds = DEFAULT_TOKEN_SECONDS
        self.is_failing = False
        self.refused = 0
        self.tokens = 0
        self.state: Callable[[], tuple[Any, str]] = lambda: (None, "")
        self._server = ThreadingHTTPServer(self.address, _handler(self))
        self._server.daemon_threads = True

    def __enter__(self) -> "SiteBackend":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def token_of(self, user: str) -> tuple[str, float]:
        """Return a token that reads what is the user's, and when it ends."""
        self.tokens += 1
        ends_at = time.time() + self.token_seconds
        return sign(KEY, "HS256", (), (f"/users/{user}/{{what}}", "/numbers"), ends_at), ends_at


def _handler(site: SiteBackend) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Answers one request; its user is the one of the cookie."""

        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = urlsplit(self.path).path.removeprefix("/site/")
            if path == "token":
                self._tell_token(is_cookie=False)
            elif path == "state":
                state, cursor = site.state()
                self._answer(200, json.dumps({"state": state, "cursor": cursor}).encode())
            elif path in ("page.html", "page.js", "other.html"):
                file = FOLDER / path
                self._answer(200, file.read_bytes(), {"Content-Type": TYPES[file.suffix]})
            else:
                self._answer(200 if path == "own" else 404, b"{}")

        def do_POST(self) -> None:
            address = urlsplit(self.path)
            if address.path == "/site/renew":
                self._tell_token(is_cookie=True)
            else:
                [user] = parse_qs(address.query)["user"]
                self._answer(200, b"{}", {"Set-Cookie": f"user={user}; Path=/; HttpOnly"})

        def _tell_token(self, *, is_cookie: bool) -> None:
            if site.is_failing:
                site.refused += 1
                self._answer(500, b"{}")
                return
            cookie = SimpleCookie(self.headers.get("Cookie")).get("user")
            token, ends_at = site.token_of(cookie.value if cookie else NOBODY)
            if is_cookie:
                cookies = f"mercureAuthorization={token}; Path=/.well-known/mercure; HttpOnly"
                body = json.dumps({"expires": ends_at}).encode()
                self._answer(200, body, {"Set-Cookie": cookies})
            else:
                self._answer(200, token.encode(), {"Content-Type": "text/plain"})

        def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            given = {"Content-Type": "application/json", "Cache-Control": "no-cache"}
            for name, value in {**given, **(headers or {})}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Write nothing: the hub's logs are what tests look at."""

    return Handler
