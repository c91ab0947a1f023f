"""Which topics a publisher may use, and the hub's URL, which relative topics are resolved against.

Pure. Sources: https://mercure.rocks/spec#terminology and #publication, https://url.spec.whatwg.org
"""

import re
import unicodedata
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

from urlpattern import URLPattern

# Every proxy accepts a URL of this length, and a subscription names its topics in its URL.
MOST_CHARACTERS = 2048

# The selector, and the matcher, of every topic. No update may have it as its topic.
EVERYTHING = "*"

PATH = "/.well-known/mercure"

# The components of a canonical prefix, in its order.
URL_PARTS: Final = ("protocol", "hostname", "port", "pathname")

# A topic is repeated in many updates; so many of them take at most 4 MB.
_MOST_REMEMBERED = 1024

# A pattern of everything: it only divides a URL into its components. Its base URL is the topic's.
_ANY_URL = URLPattern({})

_SLASHES = re.compile(r" *[/\\]{3,}")

# A topic that may resolve to the hub's own path although it does not contain that path's last word.
_WITHOUT_A_PATH = re.compile(r" *(?:https?:)? *(?:[?#].*)?", re.IGNORECASE | re.DOTALL)


def unseen_character(text: str) -> str | None:
    """Return the first control or format character of a text, which nobody sees; None without one.

    They are those of Unicode's general categories Cc and Cf.
    """
    if text.isprintable():
        return None
    for character in text:
        if unicodedata.category(character) in {"Cc", "Cf"}:
            return character
    return None


def reference(topic: str) -> str:
    """Return a topic as the library's parser reads it: with three slashes it fails, where the
    standard ignores the third.
    """
    slashes = _SLASHES.match(topic)
    return f"//{topic[slashes.end() :]}" if slashes else topic


class HubUrl:
    """The URL of the hub.

    Args:
        url: An absolute URL.

    Attributes:
        url: The URL.
        path: Its path, which is reserved, with everything below it.
        canonical: Returns a topic's URL, as far as URL Patterns have literal prefixes of it:
            scheme, host, port and path. None for a topic that is not a URL reference.

    Raises:
        ValueError: It is not an absolute URL.
    """

    def __init__(self, url: str) -> None:
        found = _ANY_URL.exec(url)
        if found is None:
            raise ValueError(f"expected an absolute URL: {url!r}")
        self.url = url
        self.path: str = found["pathname"]["input"]
        self._last_word = self.path.rpartition("/")[2]
        # Streams with patterns ask for the same topics again and again.
        self.canonical = lru_cache(_MOST_REMEMBERED)(self._canonical)

    def is_reserved(self, topic: str) -> bool:
        """Return whether a topic is in the namespace of the hub's own updates.

        That is the hub's path and everything below it, of any scheme and host.
        """
        word = self._last_word
        may_be = word in topic or ("%" in topic and word in unquote(topic))
        if not may_be and not _WITHOUT_A_PATH.fullmatch(topic):
            return False
        found = _ANY_URL.exec(reference(topic), self.url)
        if found is None:
            return False
        # The parser has removed the dot segments, and keeps what is percent-encoded.
        path = unquote(found["pathname"]["input"])
        return path == self.path or path.startswith(f"{self.path}/")

    def _canonical(self, topic: str) -> str | None:
        found = _ANY_URL.exec(reference(topic), self.url)
        if found is None:
            return None
        return canonical_prefix(*(found[name]["input"] for name in URL_PARTS))


def canonical_prefix(protocol: str, hostname: str, port: str, pathname: str) -> str:
    """Return the text that a URL with these components starts with, in the form for prefixes."""
    return f"{protocol}://{hostname}{port and ':'}{port}{pathname}"
