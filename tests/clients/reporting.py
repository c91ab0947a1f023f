"""The reports of a client's program to the tests: JSON, one object a line."""

import json


def tell_open() -> None:
    """Report that the stream is open."""
    print(json.dumps({"open": True}), flush=True)


def tell_event(kind: str, data: str, event_id: str) -> None:
    """Report an event that the client has dispatched."""
    print(json.dumps({"type": kind, "data": data, "id": event_id}), flush=True)
