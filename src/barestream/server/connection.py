"""The begin of a connection."""

from typing import Any

from barestream.server.uvicorn_parts import FlowControl, HttpToolsProtocol


class Connection(HttpToolsProtocol):
    """uvicorn's HTTP protocol, which begins as it does there, but with fewer questions.

    uvicorn makes a socket object and asks the kernel for each address; uvloop knows both already.
    That took 5 % of a connect.
    """

    __slots__ = ()

    def connection_made(self, transport: Any) -> None:
        """Note the connection and its addresses."""
        peer, own = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        if not isinstance(peer, tuple) or not isinstance(own, tuple):
            # A unix socket, or another event loop's.
            super().connection_made(transport)
            return
        self.connections.add(self)
        self.transport = transport
        self.flow = FlowControl(transport)
        self.server, self.client = own[:2], peer[:2]
        self.scheme = "https" if transport.get_extra_info("sslcontext") else "http"
