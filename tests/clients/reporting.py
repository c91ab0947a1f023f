"""What a client's program tells the tests: JSON, one object a line."""

import json


def tell_open() -> None:
    """Tell that the stream is open."""
    print(json.dumps({"open": True}), flush=True)


def tell_event(kind: str, data: str, event_id: str) -> None:
    """Tell of an event that the client has dispatched."""
    print(json.dumps({"type": kind, "data": data, "id": event_id}), flush=True)
