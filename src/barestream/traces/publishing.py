"""The spans of publishes."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from random import random

from bareasgi import HttpRequest, HttpRequestCallback, HttpResponse
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer

from barestream.history.broker import BrokerAwayError
from barestream.history.traced import TracedUpdate
from barestream.history.update import Update
from barestream.mercure.topics import PATH
from barestream.traces import context
from barestream.web.publish import Keeper

# Source: https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server-span
_ATTRIBUTES = {"http.request.method": "POST", "http.route": PATH, "url.path": PATH}


class TracedPublish:
    """The handler of publishes, with a span for each one that is traced.

    A request that is refused before the history is asked has no span: it may come from anybody, and
    a header of its own would make the hub send spans.

    Spans are passed on as arguments, because a call may begin outside of a task, where it must not
    set a context variable (see BEGINS_AT_ONCE in the contract).

    Args:
        tracer: Makes the spans.
        ratio: The share of those that are traced whose request does not say whether it is.
        keeper: Gives updates to the history.
        make: Returns the handler that gives its updates to a keeper.
    """

    def __init__(
        self,
        tracer: Tracer,
        ratio: float,
        keeper: Keeper,
        make: Callable[[Keeper], HttpRequestCallback],
    ) -> None:
        self._tracer = tracer
        self._ratio = ratio
        self._keeper = keeper
        self._make = make
        self._untraced = make(keeper)

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer as the handler does."""
        parent = context.of_request(request)
        # A sampler would do the same once a span is made, which takes 5 % of a publish.
        if parent is None and random() >= self._ratio:  # noqa: S311 (no secret)
            return await self._untraced(request)
        span = self._tracer.start_span(
            "publish",
            parent or Context(),
            kind=SpanKind.SERVER,
            attributes={**_ATTRIBUTES, "url.scheme": request.scope["scheme"]},
        )
        if not span.is_recording():
            return await self._untraced(request)
        keeper = _TracedKeeper(self._tracer, self._keeper, span)
        try:
            response = await self._make(keeper)(request)
        except BaseException as error:
            _fail(span, type(error).__name__)
            raise
        else:
            span.set_attribute("http.response.status_code", int(response.status))
            if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                _fail(span, str(int(response.status)))
            return response
        finally:
            # A span that does not end is not sent.
            if keeper.was_asked:
                span.end()


def _fail(span: Span, error_type: str, words: str | None = None) -> None:
    span.set_attribute("error.type", error_type)
    span.set_status(StatusCode.ERROR, words)


class _TracedKeeper:
    """Gives the updates of one traced publish to the history, with its trace context.

    Attributes:
        was_asked: Whether it was given any.
    """

    def __init__(self, tracer: Tracer, keeper: Keeper, span: Span) -> None:
        self._tracer = tracer
        self._keeper = keeper
        self._span = span
        self._trace = context.trace_of(span)
        self.was_asked = False

    async def publish(self, update: Update) -> str:
        with self._appending([update]) as ids:
            ids.append(await self._keeper.publish(TracedUpdate.of(update, self._trace)))
        return ids[0]

    async def publish_all(self, updates: Sequence[Update]) -> list[str]:
        traced = [TracedUpdate.of(update, self._trace) for update in updates]
        with self._appending(updates) as ids:
            ids.extend(await self._keeper.publish_all(traced))
        return ids

    @contextmanager
    def _appending(self, updates: Sequence[Update]) -> Iterator[list[str]]:
        """Make the span of the history's wait; yield a list for the ids of the updates."""
        self.was_asked = True
        self._span.set_attributes(
            {
                "barestream.updates": len(updates),
                "barestream.topics": sum(len(update.topics) for update in updates),
            }
        )
        ids: list[str] = []
        waiting = self._tracer.start_span(
            "history append", context.below(self._span), kind=SpanKind.CLIENT
        )
        try:
            yield ids
        except BrokerAwayError as error:
            _fail(waiting, error.cause, error.words)
            raise
        except BaseException as error:
            _fail(waiting, type(error).__name__)
            raise
        else:
            self._span.set_attribute("barestream.update.id", ids[0])
        finally:
            waiting.end()
