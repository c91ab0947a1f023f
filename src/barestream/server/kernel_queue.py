"""How much the kernel still holds of the bytes that were written to a socket."""

import fcntl
import sys
import termios

_COUNT = bytes(4)


def untaken_bytes(fd: int) -> int:
    """Return how much the other end of a socket has not taken; 0 where the kernel cannot tell.

    Over TCP these are the bytes that the peer has not acknowledged; on a unix socket the buffers
    that it has not read to their end. Linux calls the request SIOCOUTQ and gives it the number of
    TIOCOUTQ.
    Source: https://man7.org/linux/man-pages/man7/tcp.7.html, unix(7)
    """
    try:
        return int.from_bytes(fcntl.ioctl(fd, termios.TIOCOUTQ, _COUNT), sys.byteorder)
    except OSError:
        return 0
