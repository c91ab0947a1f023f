"""The number of bytes written to a socket that the kernel still holds."""

import fcntl
import sys
import termios

_COUNT = bytes(4)


def untaken_bytes(fd: int) -> int:
    """Return how many bytes the other end of a socket has not received; 0 if that is unknown.

    Over TCP these are the bytes that the peer has not acknowledged; on a unix socket the buffers
    that it has not read completely. Linux calls the request SIOCOUTQ; its number is that of
    TIOCOUTQ.
    Source: https://man7.org/linux/man-pages/man7/tcp.7.html, unix(7)
    """
    try:
        return int.from_bytes(fcntl.ioctl(fd, termios.TIOCOUTQ, _COUNT), sys.byteorder)
    except OSError:
        return 0
