"""The versions of the Mercure protocol. Pure."""

from enum import Enum


class Version(Enum):
    """A version of the protocol, by the name that settings and messages give it."""

    ZERO = "0.x"
    ONE = "1.0"
