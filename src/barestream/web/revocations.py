"""/.well-known/mercure/revocations: revoke tokens, list the revocations, take one back."""

import json
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus

from bareasgi import HttpRequest, HttpResponse

from barestream.delivery.revoked import Revoked
from barestream.history.broker import BrokerAwayError
from barestream.history.revocations import Revocation, RevocationStore, TooManyRevocationsError
from barestream.mercure.bearer import Bearer
from barestream.mercure.patterns import TooManyPatternsError
from barestream.mercure.topics import PATH
from barestream.web.answers import no_content, whole
from barestream.web.authorization import Authorization
from barestream.web.body import JSON_TYPE
from barestream.web.refusals import RETRY_AFTER, Refused, too_many_patterns
from barestream.web.revocation_request import ListRequest, asked_id, read_revocation

logger = logging.getLogger(__name__)

REVOCATIONS = f"{PATH}/revocations"

_Answering = Callable[[HttpRequest, Bearer], Awaitable[HttpResponse]]


@dataclass(frozen=True, slots=True)
class Revocations:
    """The handlers.

    Attributes:
        store: Keeps the revocations.
        revoked: What this worker knows of them.
        authorization: Determines who may operate the hub.
        now: The wall clock, in seconds since 1970-01-01 UTC.
    """

    store: RevocationStore
    revoked: Revoked
    authorization: Authorization
    now: Callable[[], float]

    async def revoke(self, request: HttpRequest) -> HttpResponse:
        """Revoke tokens; answer 201, or 200 if the same ones were revoked before."""
        return await self._answer(request, self._revoke)

    async def read(self, request: HttpRequest) -> HttpResponse:
        """Answer with a page of the revocations in force."""
        return await self._answer(request, self._read)

    async def take_back(self, request: HttpRequest) -> HttpResponse:
        """Take a revocation back; answer 204, or 404 if there is none."""
        return await self._answer(request, self._take_back)

    async def _answer(self, request: HttpRequest, answering: _Answering) -> HttpResponse:
        try:
            return await answering(request, await self.authorization.operator(request))
        except TooManyPatternsError:
            return too_many_patterns("Try again later.").response()
        except TooManyRevocationsError:
            return Refused(
                HTTPStatus.INSUFFICIENT_STORAGE,
                "The hub has as many revocations as BARESTREAM_REVOCATIONS allows. Nothing was "
                "revoked. Take some back, or raise the setting; those with an end (until) go by "
                "themselves.",
            ).response()
        except BrokerAwayError as error:
            # A revocation that is sent again is joined with the one that was kept.
            detail = f"The history {error.words}. The request can be sent again."
            return Refused(HTTPStatus.SERVICE_UNAVAILABLE, detail, [RETRY_AFTER]).response()
        except Refused as refused:
            return refused.response()

    async def _revoke(self, request: HttpRequest, bearer: Bearer) -> HttpResponse:
        revocation = await read_revocation(request, self.now())
        # The body may have taken its time.
        self.authorization.check_not_revoked(request, bearer)
        kept, is_new = await self.store.revoke(revocation)
        logger.info("tokens were revoked", extra=_audited(kept, bearer))
        await self._apply()
        return _json(_told(kept), HTTPStatus.CREATED if is_new else HTTPStatus.OK)

    async def _read(self, request: HttpRequest, _: Bearer) -> HttpResponse:
        asked = ListRequest.read(request)
        # One more tells whether there is another page.
        found = await self.revoked.page(asked.after, asked.limit + 1)
        page = found[: asked.limit]
        content: dict[str, object] = {
            "revocations": [*map(_told, page)],
            "next": page[-1].id if len(found) > len(page) else None,
        }
        return _json(content, HTTPStatus.OK)

    async def _take_back(self, request: HttpRequest, bearer: Bearer) -> HttpResponse:
        found = await self.store.take_back(asked_id(request))
        if found is None:
            raise Refused(HTTPStatus.NOT_FOUND, "There is no revocation with this id.")
        logger.info("a revocation was taken back", extra=_audited(found, bearer))
        await self._apply()
        return no_content()

    async def _apply(self) -> None:
        """Have it hold for this worker before the answer; the others notice it by themselves."""
        with suppress(BrokerAwayError):
            await self.revoked.refresh()


def _audited(revocation: Revocation, bearer: Bearer) -> dict[str, object]:
    """Return the fields of a log line: who has done it, and what; never a token."""
    by = bearer.token
    return {
        "by_issuer": by.issuer if by else None,
        "by_sub": by.subject if by else None,
        **_told(revocation),
    }


def _told(revocation: Revocation) -> dict[str, object]:
    selection = revocation.selection
    told: dict[str, object] = {"id": revocation.id}
    if selection.sha256 is not None:
        told["sha256"] = selection.sha256
    else:
        told["issuer"] = selection.issuer
        if selection.jti is not None:
            told["jti"] = selection.jti
        else:
            told["sub"] = selection.subject
            told["issued_before"] = revocation.before_ms / 1000
    until_ms = revocation.until_ms
    return {
        **told,
        "until": None if until_ms is None else until_ms / 1000,
        "revoked_at": revocation.made_ms / 1000,
    }


def _json(content: dict[str, object], status: HTTPStatus) -> HttpResponse:
    return whole(JSON_TYPE, json.dumps(content).encode(), status=status)
