"""Heartbeats that are events, which tell a client where its stream stands. Pure."""

from barestream.mercure.sse import Event, Frame, encode, frame

HEARTBEAT_TYPE = "barestream.heartbeat"


def heartbeat_event(cursor: object) -> Frame:
    """Return a heartbeat with this cursor as its id."""
    return frame(encode(Event(id=str(cursor), type=HEARTBEAT_TYPE)))
