"""The probe of request bodies: a streamed publish that goes on after its first line."""

import asyncio
import json
import secrets
from urllib.parse import urlencode

from barestream_doctor import http1
from barestream_doctor.exchange import Exchange, arrivals
from barestream_doctor.probes import Probes
from barestream_doctor.seen import BodySent

# How long the body goes on after its first line, and how long the rest may take then.
_OPEN_SECONDS = 2.5
_LEFT_SECONDS = 4


async def body(probes: Probes, topic: str) -> None:
    """Publish one line to a topic, and note when it comes by a stream, and when the body ends."""
    marker = f"barestream doctor {secrets.token_hex(6)}"
    query = urlencode({"topic": topic})

    def has_come(exchange: Exchange) -> bool:
        return any(event.data == marker for event in arrivals(exchange))

    stream_path = f"{probes.target.hub_path}?{query}"
    seconds = 3 + _OPEN_SECONDS + _LEFT_SECONDS
    reading = asyncio.create_task(probes.ask(stream_path, seconds, until=has_come))
    # The stream follows the topic before the line is sent.
    await asyncio.sleep(1)
    loop = asyncio.get_running_loop()
    line = json.dumps({"data": marker}).encode() + b"\n"
    sending = _Sending(probes, f"{probes.target.hub_path}/publish-stream?{query}", line)
    began_at = loop.time()
    answer = await sending.run()
    stream = await reading
    came = next((event.at for event in arrivals(stream) if event.data == marker), None)
    if came is not None:
        # Its time counts from the stream's request.
        came += stream.sent_at - answer.sent_at
    if not stream.is_stream:
        probes.seen.notices.append(
            f"Request bodies were not probed: the stream of {topic} gets "
            f"{stream.status or stream.error}"
        )
        return
    probes.seen.body = BodySent(answer, came, sending.ended_at - began_at)


class _Sending:
    """A request whose body ends a while after its first line.

    Attributes:
        ended_at: When the body ended, on the loop's clock.
    """

    def __init__(self, probes: Probes, path: str, line: bytes) -> None:
        self._probes = probes
        fields = {
            "Host": probes.target.host,
            "User-Agent": "barestream-doctor",
            "Content-Type": "application/x-ndjson",
            "Transfer-Encoding": "chunked",
            **probes.headers,
        }
        head = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
        self._begin = "\r\n".join([*head, "", ""]).encode() + b"%x\r\n%b\r\n" % (len(line), line)
        self.ended_at = 0.0

    async def run(self) -> Exchange:
        """Send it, and return the answer."""
        return await http1.exchange_bytes(
            self._probes.target,
            self._begin,
            tls=self._probes.tls(),
            seconds=_OPEN_SECONDS + _LEFT_SECONDS,
            later=(_OPEN_SECONDS, b"0\r\n\r\n", self._note_end),
        )

    def _note_end(self, at: float) -> None:
        self.ended_at = at
