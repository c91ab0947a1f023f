"""barestream: live events to browsers over Server-Sent Events."""

from typing import TYPE_CHECKING

from barestream.mercure.sse import Event, InvalidEventError

if TYPE_CHECKING:
    from barestream.web.event_stream import event_stream

__all__ = ["Event", "InvalidEventError", "event_stream"]


def __getattr__(name: str) -> object:
    # An app that only asks a hub by HTTP (barestream.runs) imports no bareASGI.
    if name == "event_stream":
        from barestream.web.event_stream import event_stream  # noqa: PLC0415

        return event_stream
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
