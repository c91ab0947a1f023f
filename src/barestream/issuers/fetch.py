"""One request for an issuer's keys."""

import time
import urllib.error
import urllib.request
from http.client import HTTPException

# The sets of the large identity providers have 2 to 20 KB.
MOST_BYTES = 256 * 1024

# An issuer that answers more slowly than this counts as away.
ANSWER_SECONDS = 5.0

_PIECE_BYTES = 16 * 1024


class NoKeysError(Exception):
    """The issuer's keys could not be read; the message says why."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    # A redirect could lead to an address that the settings do not allow.
    def redirect_request(self, *_: object) -> None:
        return None


# An http URI is of this machine itself. A proxy of the environment would answer in its place.
_OPENERS = {
    "http": urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect),
    "https": urllib.request.build_opener(_NoRedirect),
}


def fetch(uri: str) -> str:
    """Return the text at a URI.

    This blocks. ANSWER_SECONDS bounds the body, and before it each read from the connection, so an
    issuer that sends its head byte by byte holds it for longer.

    Args:
        uri: An https URI, or an http URI of this machine itself.

    Raises:
        NoKeysError: There is no answer with status 200 and at most MOST_BYTES of UTF-8.
    """
    headers = {"Accept": "application/jwk-set+json, application/json"}
    request = urllib.request.Request(uri, headers=headers)  # noqa: S310 (the settings check it)
    ends_at = time.monotonic() + ANSWER_SECONDS
    body = bytearray()
    try:
        with _OPENERS[request.type].open(request, timeout=ANSWER_SECONDS) as response:
            # The timeout is that of one read; an issuer may send a byte now and then.
            while piece := response.read1(_PIECE_BYTES):
                body += piece
                if len(body) > MOST_BYTES:
                    raise NoKeysError(f"the answer is larger than {MOST_BYTES} bytes")
                if time.monotonic() > ends_at:
                    raise NoKeysError(f"no whole answer came within {ANSWER_SECONDS:g} s")
        return body.decode()
    except urllib.error.HTTPError as error:
        error.close()
        raise NoKeysError(f"it answers with status {error.code}") from None
    except (OSError, HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise NoKeysError(f"{type(reason).__name__}: {reason}") from None
    except UnicodeDecodeError:
        raise NoKeysError("the answer is not UTF-8") from None
    except ValueError as error:
        # The address cannot be encoded, such as http://a..b/.
        raise NoKeysError(f"{type(error).__name__}: {error}") from None
