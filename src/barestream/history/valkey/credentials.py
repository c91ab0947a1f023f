"""The service's user and password, as the client library asks for them at each connection."""

import logging
from collections.abc import Callable
from typing import Any

from valkey.credentials import CredentialProvider

logger = logging.getLogger(__name__)

# A password; or a function that returns it, for each connection.
Password = str | Callable[[], str] | None


def add_password(options: dict[str, Any], password: Password) -> None:
    """Add a password to the options of connections, if the URL has none."""
    if password is None or "password" in options:
        return
    if isinstance(password, str):
        options["password"] = password
    else:
        user = options.pop("username", None)
        options["credential_provider"] = RereadCredentials(user, password)


class RereadCredentials(CredentialProvider):
    """A user whose password may be changed while the service runs.

    Args:
        user: The user; None for the server's default one.
        read: Returns the password as it is at this moment, or raises OSError or ValueError.

    Raises:
        OSError, ValueError: There is no first password.
    """

    def __init__(self, user: str | None, read: Callable[[], str]) -> None:
        self._user = user
        self._read = read
        self._password = read()

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """Return the user, if there is one, and the password."""
        try:
            self._password = self._read()
        except (OSError, ValueError) as error:
            # Whoever replaces it may be about to write it.
            logger.warning(
                "Valkey's password cannot be read again: the earlier one counts",
                extra={"why": str(error)},
            )
        return (self._user, self._password) if self._user else (self._password,)
