"""A client that vanishes: it sends no FIN, and acknowledges no byte."""

import ctypes
import socket
import struct

# A classic BPF program of one instruction (linux/filter.h): accept 0 bytes of each packet.
_DROP_ALL = struct.pack("=HBBI", 0x06, 0, 0, 0)


def vanish(client: socket.socket) -> None:
    """Have the kernel drop every packet that comes for a connection, before TCP sees it.

    To the other end it is as if the client's cable was cut; the socket has to stay open.
    """
    program = ctypes.create_string_buffer(_DROP_ALL, len(_DROP_ALL))
    client.setsockopt(
        socket.SOL_SOCKET,
        26,  # SO_ATTACH_FILTER (asm-generic/socket.h), which Python has no name for
        struct.pack("@HP", 1, ctypes.addressof(program)),
    )
