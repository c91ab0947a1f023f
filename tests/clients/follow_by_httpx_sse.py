"""Follow a stream by httpx-sse, with the loop around it that its documentation has."""

import sys
import time

import httpx
from httpx_sse import connect_sse

from reporting import tell_event, tell_open


def main(url: str) -> None:
    """Report all events, and come back after each end."""
    last_event_id = ""
    retry_ms = 0
    with httpx.Client(timeout=None) as client:
        while True:
            headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
            try:
                with connect_sse(client, "GET", url, headers=headers) as source:
                    tell_open()
                    for event in source.iter_sse():
                        last_event_id = event.id
                        retry_ms = retry_ms if event.retry is None else event.retry
                        tell_event(event.event, event.data, event.id)
            except httpx.TransportError:
                pass
            time.sleep(retry_ms / 1000)


main(sys.argv[1])
