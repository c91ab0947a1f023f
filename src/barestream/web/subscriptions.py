"""/.well-known/mercure/subscriptions: the subscription API of both versions.

Sources: https://mercure.rocks/spec#subscription-api; for 0.x the tag v0.24.2 of dunglas/mercure
"""

from http import HTTPStatus
from typing import Any
from urllib.parse import quote, unquote

from bareasgi import HttpRequest, HttpResponse

from barestream.delivery.attendee import selector_text, subscription_id
from barestream.delivery.time_slices import Slices
from barestream.history.subscriptions import Listing, Registry, Subscription
from barestream.mercure.matchers import MATCHER_TYPES, Matcher
from barestream.mercure.reserved import MERCURE_TYPE
from barestream.mercure.subscription_topics import (
    SUBSCRIPTIONS,
    URI_TEMPLATE,
    alone,
    document,
    listed,
)
from barestream.mercure.topics import PATH
from barestream.mercure.version import Version
from barestream.web.answers import whole
from barestream.web.authorization import Authorization
from barestream.web.credentials import header
from barestream.web.refusals import Refused, answered, bad_request, problem

_SELECTOR_TYPES = (*MATCHER_TYPES, URI_TEMPLATE)

_CONTENT_TYPES = {Version.ZERO: b"application/ld+json", Version.ONE: b"application/json"}

# It changes all the time, but while it is the same an ETag says so.
_CACHING = (b"cache-control", b"private, no-cache")

# Pages of other origins, if they are allowed, may read the cursor too.
_EXPOSED = (b"access-control-expose-headers", b"link")


class Subscriptions:
    """The handler.

    Args:
        registry: Knows the subscriptions.
        authorization: Determines what a client may read.
        slices: The slices of long work.
    """

    def __init__(self, registry: Registry, authorization: Authorization, slices: Slices) -> None:
        self._registry = registry
        self._authorization = authorization
        self._slices = slices

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer with all subscriptions, those of one selector, or one of them."""
        return await answered(request, self._answer)

    async def _answer(self, request: HttpRequest) -> HttpResponse:
        bearer, version = await self._authorization.client(request, from_any_page=True)
        path = raw_path(request)
        await self._authorization.allow_subscribe(request, bearer, path, self._slices)
        assert version is not None  # noqa: S101 (who may subscribe has a token)
        parts = [unquote(part) for part in path.removeprefix(SUBSCRIPTIONS).split("/")[1:]]
        selectors, subscriber = _asked(version, parts)
        if subscriber is None:
            texts = None if selectors is None else list(map(selector_text, selectors))
            found = await self._registry.subscriptions(texts)
        else:
            found = await self._find(selectors or [], subscriber)
        cursor = str(found.place)
        etag = f'"{cursor}"'
        # The reference hub of 0.x compares the bare id.
        if not _known_etags(request).isdisjoint({etag, cursor, "*"}):
            return HttpResponse(HTTPStatus.NOT_MODIFIED, [(b"etag", etag.encode()), _CACHING])
        documents = []
        for each in found.subscriptions:
            documents.append(_document(version, each))
            await self._slices.step()
        if subscriber is None:
            text = listed(version, path, documents, cursor)
        elif documents:
            text = alone(version, documents[0], cursor)
        else:
            return problem(HTTPStatus.NOT_FOUND, "There is no such subscription.")
        headers = [_CACHING, (b"etag", etag.encode())]
        if version is Version.ONE:
            headers += [(b"link", _link(cursor)), _EXPOSED]
        return whole(_CONTENT_TYPES[version], text.encode(), headers=headers)

    async def _find(self, selectors: list[Matcher], subscriber: str) -> Listing:
        """Return the subscription of one of the selectors, or none."""
        for selector in selectors:
            found = await self._registry.subscription(subscription_id(selector, subscriber))
            if found.subscriptions:
                break
        return found


def _known_etags(request: HttpRequest) -> set[str]:
    """Return the ETags that a client has; a proxy that compresses an answer makes its ETag weak."""
    sent = header(request, b"if-none-match") or ""
    return {each.strip().removeprefix("W/") for each in sent.split(",")}


def raw_path(request: HttpRequest) -> str:
    """Return the path of a request as it was sent, percent-encoded."""
    scope: Any = request.scope
    sent = scope.get("raw_path")
    return sent.decode("latin-1") if sent else quote(scope["path"])


def _asked(version: Version, parts: list[str]) -> tuple[list[Matcher] | None, str | None]:
    """Return which selectors a path asks for, None for all, and which subscriber; None for all.

    Raises:
        Refused: 404 for a path that the version does not have, 400 for an unknown type.
    """
    if not parts:
        return None, None
    types: tuple[str, ...] = _SELECTOR_TYPES
    if version is Version.ONE:
        known, *parts = parts
        types = (known,)
    if len(parts) not in (1, 2):
        raise Refused(
            HTTPStatus.NOT_FOUND,
            f"The subscription API of Mercure {version.value} has no such path.",
        )
    if types[0] not in _SELECTOR_TYPES:
        raise bad_request(f"A match_type is one of {', '.join(_SELECTOR_TYPES)}.")
    # A path of 0.x does not name the type.
    selectors = [Matcher(parts[0], each) for each in types]
    return selectors, parts[1] if len(parts) == 2 else None


def _document(version: Version, subscription: Subscription) -> str:
    """Return the document of a subscription in a version, which its events may not be in."""
    for notice in subscription.announcement.notices:
        if (notice.type == MERCURE_TYPE) is (version is Version.ONE):
            return notice.after
    # It was announced by a worker with another setting, which spoke the other version alone.
    match_type, _, match = subscription.selector.partition(":")
    return document(version, Matcher(match, match_type), subscription.subscriber, "")


def _link(cursor: str) -> bytes:
    """Return the header that has the cursor from which events bring the answer on."""
    link = (
        f'<{PATH}>; rel="mercure"; last-event-id="{cursor}"; type="{MERCURE_TYPE}"; '
        f'content-type="application/json"'
    )
    return link.encode()
