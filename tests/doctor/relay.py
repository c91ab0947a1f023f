"""A proxy with one fault: ``python tests/doctor/relay.py PORT TARGET_PORT delay|behind``.

delay: each part of an answer comes 200 ms later. behind: each chunk of a body comes when the next
one does.
"""

import asyncio
import sys

DELAY_SECONDS = 0.2


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass all on at once."""
    while data := await reader.read(65_536):
        writer.write(data)
    writer.close()


async def delay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass each part on later."""
    loop = asyncio.get_running_loop()
    while data := await reader.read(65_536):
        loop.call_later(DELAY_SECONDS, writer.write, data)
    loop.call_later(DELAY_SECONDS, writer.close)


async def hold_one_back(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass the headers on at once, and each chunk with the next."""
    head = await reader.readuntil(b"\r\n\r\n")
    writer.write(head)
    if b"transfer-encoding: chunked" in head.lower():
        held = b""
        while True:
            line = await reader.readuntil(b"\r\n")
            size = int(line.partition(b";")[0], 16)
            chunk = line + await reader.readexactly(size + 2)
            writer.write(held)
            held = chunk
            if not size:
                writer.write(held)
                break
    await pass_on(reader, writer)


ANSWERS = {"delay": delay, "behind": hold_one_back}


async def main(port: int, target: int, fault: str) -> None:
    """Serve until the process ends."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", target)
        both = [pass_on(reader, back), ANSWERS[fault](there, writer)]
        done, waiting = await asyncio.wait(
            map(asyncio.ensure_future, both), return_when=asyncio.FIRST_COMPLETED
        )
        for task in waiting:
            if fault != "delay" or reader.at_eof():
                task.cancel()
        await asyncio.gather(*done, return_exceptions=True)
        if fault == "delay":
            await asyncio.sleep(2 * DELAY_SECONDS)
        back.close()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
