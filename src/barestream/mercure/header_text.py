"""Texts that are the same in a header, in a query and in a log: ids and names. Pure."""

import re

# 255 characters hold a UUID's IRI five times.
MOST_CHARACTERS = 255

# All clients leave printable ASCII without spaces at its ends unchanged.
_TEXT = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
FORM = "printable ASCII characters without a space at either end"


def is_header_text(text: str) -> bool:
    """Return whether a text is printable ASCII without spaces at its ends, of any length."""
    return _TEXT.fullmatch(text) is not None


def is_name(text: str) -> bool:
    """Return whether it is such a text of 1 to MOST_CHARACTERS characters."""
    return len(text) <= MOST_CHARACTERS and is_header_text(text)
