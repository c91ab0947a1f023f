"""What the errors of a connection mean, in words."""

import errno
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from barestream_client.address import AddressError, HubError
from barestream_client.answers import AwayError
from barestream_client.steps import Request
from barestream_client.tls import of_tls

# The errors of a request that cannot be sent.
_UNSENDABLE = (httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.LocalProtocolError)


class UnsendableError(AddressError):
    """The URL, or a header, is none that a request can have."""


@contextmanager
def meaning(request: Request) -> Iterator[None]:
    """Raise the errors of a hub in place of those of a connection."""
    try:
        yield
    except _UNSENDABLE as error:
        raise UnsendableError(f"{request.url!r} cannot be asked: {error}") from error
    except httpx.RequestError as error:
        raise _meant(error, request) from error


def _meant(error: httpx.RequestError, request: Request) -> HubError:
    causes = [*_causes(error)]
    url = httpx.URL(request.url)
    host = url.netloc.decode()
    for cause in causes:
        if isinstance(cause, socket.gaierror):
            return AddressError(f"{host}: this machine finds no host of that name")
        if isinstance(cause, ssl.SSLError):
            return AddressError(f"{host}: {of_tls(cause)}")
    if isinstance(error, httpx.DecodingError) or str(error).startswith("illegal"):
        return AddressError(f"{host}: the server there does not speak HTTP; check the URL")
    why = _of_system(causes) or str(error) or type(error).__name__
    if isinstance(error, httpx.ConnectTimeout):
        why = "no answer in time"
    elif isinstance(error, httpx.TimeoutException):
        why = f"nothing came for {request.silence_seconds:g} s"
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return AwayError(f"{host} takes no connection: {why}")
    return AwayError(f"{request.method} {url.path} at {host} was cut: {why}")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, and what it was raised for."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        each = waiting.pop(0)
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting += [each.__cause__, each.__context__]
        if isinstance(each, BaseExceptionGroup):
            waiting += each.exceptions


def _of_system(causes: list[BaseException]) -> str:
    numbers = [each.errno for each in causes if isinstance(each, OSError) and each.errno]
    if errno.ECONNREFUSED in numbers:
        return "nothing listens there"
    known = [each for each in causes if isinstance(each, OSError) and each.strerror]
    return str(known[-1].strerror) if known else ""
