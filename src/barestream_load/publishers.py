"""The publishers of a load, in a process of their own, so that they do not delay the readers.

They write HTTP themselves. The client for Python, by httpx, takes many times as much CPU for a
publish, so the load would measure that; and it sends again what failed, which is to be counted.
"""

import asyncio
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from urllib.parse import urlencode

from barestream_client.answers import problem
from barestream_load.body import Head, InvalidResponseError
from barestream_load.findings import Published
from barestream_load.orders import Begin
from barestream_load.plan import Plan, Publishing
from barestream_load.stamp import Stamp, encode
from barestream_load.target import reason
from barestream_load.usage import Meter

# How long a publisher waits for an answer. The hub answers after 5 s at the latest, if Valkey does
# not answer.
ANSWER_SECONDS = 30

_LOOK_SECONDS = 0.25


class Publishers:
    """Publish stamped events at an even rate; each publisher sends one event after the other.

    Args:
        plan: The load of all processes together.
        publishing: The parameters of publishing.
        control: The pipe for orders and findings.
    """

    def __init__(self, plan: Plan, publishing: Publishing, control: Connection) -> None:
        self._plan = plan
        self._publishing = publishing
        self._control = control
        self._orders: asyncio.Queue[object] = asyncio.Queue()
        self._stopping = asyncio.Event()
        count = publishing.publishers
        self._meter = Meter(f"{count} publisher{'s' if count > 1 else ''}")
        self._published = Published([0] * count, [[] for _ in range(count)], self._meter.usage)

    async def run(self) -> None:
        """Publish from Begin to Stop, and report."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._control.fileno(), self._hear)
        if not isinstance(await self._orders.get(), Begin):
            return
        self._meter = Meter(self._meter.usage.name)
        began_at = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for nth in range(self._publishing.publishers):
                group.create_task(self._publish(nth, began_at))
            looking = group.create_task(self._look())
            ordered = await self._orders.get()
            self._stopping.set()
            looking.cancel()
        self._published.usage = self._meter.stop()
        if ordered is not None:
            self._control.send(self._published)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            self._meter.look()

    def _hear(self) -> None:
        try:
            self._orders.put_nowait(self._control.recv())
        except EOFError:
            asyncio.get_running_loop().remove_reader(self._control.fileno())
            self._orders.put_nowait(None)

    async def _publish(self, nth: int, began_at: float) -> None:
        publishing, published = self._publishing, self._published
        publisher = _Publisher(self._plan, publishing, nth)
        slot = nth
        while not self._stopping.is_set():
            due_at = began_at + slot / publishing.events_per_second
            slot += publishing.publishers
            with suppress(TimeoutError):
                # This also runs if the publisher is late, so that it notices a stop.
                await asyncio.wait_for(self._stopping.wait(), due_at - time.monotonic())
                break
            number = published.numbers[nth]
            published.numbers[nth] += 1
            sent_ns = time.monotonic_ns()
            why = await publisher.post(number)
            if why is None:
                published.answered_after.record((time.monotonic_ns() - sent_ns) // 1000)
            else:
                published.untaken[nth].append(number)
                published.answers[why] += 1
        publisher.close()


class _Publisher:
    def __init__(self, plan: Plan, publishing: Publishing, nth: int) -> None:
        self._plan = plan
        self._nth = nth
        self._tls = plan.target.tls()
        self._data_bytes = publishing.data_bytes
        self._topics = [urlencode({"topic": topic}).encode() for topic in publishing.topics]
        self._head = "\r\n".join(
            [
                f"POST {plan.target.hub_path} HTTP/1.1",
                f"Host: {plan.target.host}",
                f"Authorization: Bearer {publishing.token}",
                "Content-Type: application/x-www-form-urlencoded",
                "Content-Length: ",
            ]
        ).encode()
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def post(self, number: int) -> str | None:
        """Publish an event; return None if it was accepted, else the reason."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                reader, writer = await self._connected()
                writer.write(self._request(number))
                head = Head((await reader.readuntil(b"\r\n\r\n"))[:-4])
                body = b"" if head.body_bytes is None else await reader.readexactly(head.body_bytes)
                if head.body_bytes is None or head.fields.get("connection") == "close":
                    self.close()
        except TimeoutError:
            why = f"no answer within {ANSWER_SECONDS} s"
        except (EOFError, ConnectionResetError, BrokenPipeError):
            why = "the connection was closed without an answer"
        except (OSError, InvalidResponseError, asyncio.LimitOverrunError) as error:
            why = reason(error)
        else:
            return None if head.status == 200 else _refusal(head, body)
        self.close()
        return why

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        # The server may have closed a connection that was idle for some seconds.
        if self._reader is None or self._writer is None or self._reader.at_eof():
            self.close()
            connection = self._plan.target.socket(self._nth)
            loop = asyncio.get_running_loop()
            try:
                await loop.sock_connect(connection, self._plan.target.address)
                self._reader, self._writer = await asyncio.open_connection(
                    sock=connection, ssl=self._tls, server_hostname=self._plan.target.server_name
                )
            except BaseException:
                connection.close()
                raise
        return self._reader, self._writer

    def _request(self, number: int) -> bytes:
        topic = self._topics[number % len(self._topics)]
        data = encode(
            Stamp(self._plan.run, self._nth, number, time.monotonic_ns()), self._data_bytes
        )
        body = topic + b"&data=" + data.replace(b" ", b"+")
        return b"%b%d\r\n\r\n%b" % (self._head, len(body), body)

    def close(self) -> None:
        """Close the connection; the next post makes a new one."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


def _refusal(head: Head, body: bytes) -> str:
    """Return the status of a refusal, and the detail of its problem (RFC 9457)."""
    detail = (problem(head.fields, body) or {}).get("detail", "")
    return f"{head.status} {head.reason}{': ' if detail else ''}{detail}".rstrip(" .")
