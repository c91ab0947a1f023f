"""The address of the server that has the history.

A node of a cluster that does not have it answers MOVED, with the address of the node that does:
https://valkey.io/topics/cluster-spec/#moved-redirection. All keys of the history have one hash tag,
so one node has them all.
"""

from collections.abc import Mapping, Sequence
from typing import Any

_DEFAULT_PORT = 6379


class CurrentAddress:
    """The address of the URL, or the one that a node has named.

    Args:
        options: The options of a connection by the URL. A unix socket names no host, and no answer
            of its server leads elsewhere.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._has_host = "path" not in options
        host = str(options.get("host", "localhost"))
        self._of_url = self._now = (host, int(options.get("port", _DEFAULT_PORT)))

    @property
    def options(self) -> dict[str, Any]:
        """What replaces the options of the URL."""
        host, port = self._now
        return {} if self._now == self._of_url else {"host": host, "port": port}

    def follow(self, answers: Sequence[Any]) -> bool:
        """Take the address that all of these answers name; return whether they name one.

        Where only some do, the others were done, and the question may not be asked again.
        """
        texts = [str(each) for each in answers if isinstance(each, Exception)]
        if not texts or len(texts) < len(answers) or not self._has_host:
            return False
        codes = [text.split(" ") for text in texts]
        if any(len(words) != 3 or words[0] != "MOVED" for words in codes):
            return False
        host, _, port = codes[0][2].rpartition(":")
        # A node that does not know its own name leaves the host out, and means the same one.
        self._now = (host.strip("[]") or self._now[0], int(port))
        return True

    def forget(self) -> None:
        """Go by the URL again, because the server at the other address fails."""
        self._now = self._of_url
