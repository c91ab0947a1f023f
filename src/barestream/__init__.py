"""barestream: live events to browsers over Server-Sent Events."""

from barestream.mercure.sse import Event, InvalidEventError
from barestream.web.event_stream import event_stream

__all__ = ["Event", "InvalidEventError", "event_stream"]
