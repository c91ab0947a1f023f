"""Follow a stream by curl, which knows HTTP alone: the rest is as the standard says."""

import subprocess
import sys
import time

from by_the_standard import Parser
from reporting import tell_event, tell_open


def main(url: str) -> None:
    """Report all events, and come back after each end."""
    parser = Parser()
    while True:
        parser = Parser(parser.last_event_id)
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
        time.sleep((parser.retry_ms or 0) / 1000)


main(sys.argv[1])
