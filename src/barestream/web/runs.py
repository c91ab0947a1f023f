"""/.well-known/mercure/runs: start a run, ask for it, and ask for its stop."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus

from bareasgi import HttpRequest, HttpResponse

from barestream.delivery.time_slices import Slices
from barestream.history.broker import Broker, BrokerAwayError
from barestream.history.intake import Intake
from barestream.history.producers import (
    Run,
    TooManyProducersError,
    TooManyRunsError,
    to_runner,
)
from barestream.mercure.bearer import Bearer
from barestream.mercure.patterns import TooManyPatternsError
from barestream.mercure.reserved import FOLLOWED_TYPE, STOP_TYPE
from barestream.mercure.run_topics import control_topic, right_to
from barestream.telemetry.metrics import Metrics
from barestream.web.answers import whole
from barestream.web.authorization import Authorization
from barestream.web.body import JSON_TYPE
from barestream.web.refusals import RETRY_AFTER, Refused, counted, too_many_patterns
from barestream.web.run_request import RunnerRequest, asked_key, read_claim

_Answering = Callable[[HttpRequest, Bearer], Awaitable[HttpResponse]]


@dataclass(frozen=True, slots=True)
class Runs:
    """The handlers.

    Attributes:
        broker: Knows the runs.
        intake: Gives the requests to stop them to the history.
        authorization: Determines what a publisher may do.
        metrics: Where refusals are counted.
        slices: The slices of long work.
        ended_seconds: For how long a run may be known after its end.
    """

    broker: Broker
    intake: Intake
    authorization: Authorization
    metrics: Metrics
    slices: Slices
    ended_seconds: float

    async def start(self, request: HttpRequest) -> HttpResponse:
        """Answer 201 with a run that was started, or 200 with the key's run if none was."""
        return await self._answer(request, self._start)

    async def read(self, request: HttpRequest) -> HttpResponse:
        """Answer with the newest run of a key."""
        return await self._answer(request, self._read)

    async def stop(self, request: HttpRequest) -> HttpResponse:
        """Ask the process of a run to stop it, and answer 202 with the status it has meanwhile."""
        return await self._answer(request, partial(self._tell, STOP_TYPE))

    async def tell_followed(self, request: HttpRequest) -> HttpResponse:
        """Tell the process of a run that the run has followers, and answer 202 with its status."""
        return await self._answer(request, partial(self._tell, FOLLOWED_TYPE))

    async def _answer(self, request: HttpRequest, answering: _Answering) -> HttpResponse:
        try:
            return await answering(request, await self.authorization.publisher(request))
        except TooManyPatternsError:
            refused = too_many_patterns("Try again later.")
        except TooManyRunsError:
            refused = _too_many("runs as BARESTREAM_RUNS allows, and all of them are active")
        except TooManyProducersError:
            refused = _too_many(
                "producers as BARESTREAM_PRODUCERS allows, and all of them have leases; each run "
                "counts as one"
            )
        except BrokerAwayError as error:
            # Each of the requests can be sent again: a claim has its run's id.
            detail = f"The history {error.words}. The request can be sent again."
            refused = Refused(HTTPStatus.SERVICE_UNAVAILABLE, detail, [RETRY_AFTER])
        except Refused as error:
            refused = error
        return counted(self.metrics, refused)

    async def _start(self, request: HttpRequest, bearer: Bearer) -> HttpResponse:
        claim = await read_claim(request, self.ended_seconds)
        await self._check_right(request, bearer, claim.key)
        run, _ = await self.broker.claim(claim)
        told = {**_told(run), "control": control_topic(run.runner)}
        # It may have been started by the same request, whose answer was lost, and have ended since.
        if run.id != claim.id or run.status != "running":
            return _json(HTTPStatus.OK, told)
        return _json(HTTPStatus.CREATED, {**told, "fence": run.fence})

    async def _read(self, request: HttpRequest, bearer: Bearer) -> HttpResponse:
        key = asked_key(request)
        await self._check_right(request, bearer, key)
        run = await self.broker.run(key)
        if run is None:
            raise _unknown()
        return _json(HTTPStatus.OK, _told(run))

    async def _tell(self, kind: str, request: HttpRequest, bearer: Bearer) -> HttpResponse:
        asked = RunnerRequest.read(request)
        await self._check_right(request, bearer, asked.key)
        run = await self.broker.run(asked.key)
        if run is None or asked.id not in {None, run.id}:
            raise _unknown()
        if run.status == "running":
            await self.intake.publish(to_runner(run, kind))
        return _json(HTTPStatus.ACCEPTED, {"status": run.status})

    async def _check_right(self, request: HttpRequest, bearer: Bearer, key: str) -> None:
        await self.authorization.allow_publish(request, bearer, (right_to(key),), self.slices)


def _unknown() -> Refused:
    return Refused(
        HTTPStatus.NOT_FOUND,
        "The key has no run, or the time of its run is over. Nothing was started.",
    )


def _too_many(what: str) -> Refused:
    return Refused(
        HTTPStatus.SERVICE_UNAVAILABLE,
        f"The hub knows as many {what}. Nothing was started. Try again later, or raise the "
        "setting.",
        [RETRY_AFTER],
    )


def _told(run: Run) -> dict[str, object]:
    return {
        "key": run.key,
        "id": run.id,
        "topic": run.topic,
        "status": run.status,
        "started": run.started_ms,
    }


def _json(status: HTTPStatus, content: dict[str, object]) -> HttpResponse:
    return whole(JSON_TYPE, json.dumps(content).encode(), status=status)
