"""The token of a client: a text, or a function that returns one."""

import base64
import inspect
import json
from collections.abc import Awaitable, Callable

from barestream_client.answers import AwayError, UnauthorizedError

Token = str | Callable[[], str | Awaitable[str | None] | None] | None


async def token_of(given: Token) -> str | None:
    """Return the token that counts now.

    Raises:
        AwayError: The function that returns it fails: it may succeed a moment later.
        UnauthorizedError: No header can have it.
    """
    try:
        found = given() if callable(given) else given
        value = await found if inspect.isawaitable(found) else found
    except Exception as error:
        raise _failed(error) from error
    return _checked(value)


def token_at_once(given: Token) -> str | None:
    """Return the token that counts now, without a loop.

    Raises:
        AwayError: As above.
        TypeError: The function is asynchronous.
    """
    try:
        found = given() if callable(given) else given
    except Exception as error:
        raise _failed(error) from error
    if inspect.isawaitable(found):
        if inspect.iscoroutine(found):
            found.close()
        raise TypeError("SyncHub takes no asynchronous function that returns the token")
    return _checked(found)


def is_access_token(token: str) -> bool:
    """Return whether a token is one of Mercure 1.0: its header says so."""
    head = token.partition(".")[0]
    try:
        kind = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4))).get("typ", "")
    except (ValueError, AttributeError, RecursionError):
        return False
    return str(kind).lower().removeprefix("application/") == "at+jwt"


def _failed(error: Exception) -> AwayError:
    return AwayError(f"the function that returns the token failed: {type(error).__name__}: {error}")


def _checked(value: object) -> str | None:
    if isinstance(value, str) and not (value.isascii() and value.isprintable()):
        raise UnauthorizedError("the token has characters that no token has")
    if value is None or isinstance(value, str):
        return value
    raise AwayError(f"the function that returns the token returned {value!r}")
