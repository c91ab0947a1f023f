"""Follow a stream by curl, which knows HTTP alone: the rest is as the standard says."""

import subprocess
import sys
import time
from pathlib import Path

from reporting import tell_event, tell_open

sys.path.append(str(Path(__file__).parent.parent))
from support.clients.event_parser import EventParser


def main(url: str) -> None:
    """Report all events, and come back after each end."""
    parser = EventParser()
    while True:
        parser = EventParser(parser.last_event_id)
        header = f"Last-Event-ID: {parser.last_event_id}"
        resuming = ["--header", header] if parser.last_event_id else []
        options = ["--silent", "--no-buffer", "--header", "Accept: text/event-stream"]
        with subprocess.Popen(
            ["curl", *options, *resuming, "--", url], stdout=subprocess.PIPE
        ) as curl:
            assert curl.stdout
            opened = False
            while received := curl.stdout.read1():
                if not opened:
                    opened = True
                    tell_open()
                for event in parser.feed(received):
                    tell_event(event.type, event.data, event.id)
        time.sleep((parser.retries_ms or [0])[-1] / 1000)


main(sys.argv[1])
