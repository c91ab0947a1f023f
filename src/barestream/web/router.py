"""bareASGI's router, with HEAD for every GET, with 405, and with a body in every 404."""

from collections.abc import Iterator, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any

from bareasgi import HttpRequest, HttpRequestCallback, HttpResponse

from barestream.web.bareasgi_parts import BasicHttpRouter
from barestream.web.refusals import problem


class Router(BasicHttpRouter):
    """Routes are added as on bareASGI's own router."""

    def __init__(self) -> None:
        super().__init__(HttpResponse(HTTPStatus.NOT_FOUND))

    def resolve(self, method: str, path: str) -> tuple[HttpRequestCallback, Mapping[str, Any]]:
        """Return the handler of a request, and the variables of its path."""
        # bareASGI raises on a target that is not a path, such as the "*" of OPTIONS.
        if path.startswith("/"):
            for _, handler, matches in self._find("GET" if method == "HEAD" else method, path):
                return (partial(_head, handler) if method == "HEAD" else handler), matches
            allowed = {found for tried in self._routes for found, *_ in self._find(tried, path)}
            if allowed:
                return partial(_method_not_allowed, allowed), {}
        return _not_found, {}

    def _find(
        self, method: str, path: str
    ) -> Iterator[tuple[str, HttpRequestCallback, Mapping[str, Any]]]:
        for definition, handler in self._routes.get(method, ()):
            is_match, matches = definition.match(path)
            if is_match:
                yield method, handler, matches


async def _head(handler: HttpRequestCallback, request: HttpRequest) -> HttpResponse:
    response = await handler(request)
    return HttpResponse(response.status, response.headers)


async def _method_not_allowed(allowed: set[str], request: HttpRequest) -> HttpResponse:
    if "GET" in allowed:
        allowed = allowed | {"HEAD"}
    allow = ", ".join(sorted(allowed))
    return problem(
        HTTPStatus.METHOD_NOT_ALLOWED,
        f"{request.scope['path']} does not support {request.scope['method']}; it supports {allow}.",
        [(b"allow", allow.encode())],
    )


async def _not_found(request: HttpRequest) -> HttpResponse:
    return problem(HTTPStatus.NOT_FOUND, f"There is nothing at {request.scope['path']}.")
