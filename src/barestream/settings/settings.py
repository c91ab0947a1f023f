"""All settings, read from the environment and checked at once."""

import os
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from barestream.history.valkey.tls import TlsFilesError
from barestream.mercure.keys import InvalidKeyError
from barestream.mercure.signatures import Keys
from barestream.mercure.version import Version
from barestream.settings.deployment import DeploymentSettings, InstanceSettings
from barestream.settings.hub import HubSettings
from barestream.settings.issuers import InvalidIssuersError, Issuer, read_issuers
from barestream.settings.setting import (
    FILE_SUFFIX,
    FileSecret,
    SettingsError,
    expected,
    is_secret,
    variable,
)
from barestream.settings.tokens import TokenSettings
from barestream.settings.traces import TraceSettings

# Messages show this in place of a secret's value.
_SECRET = "(a secret)"  # noqa: S105

# The settings that nginx reads from the running app (nginx/upstream.envsh). Compose passes the
# settings whose change needs a new container.
_OF_NGINX = (
    "cors_origins",
    "data_bytes",
    "drain_seconds",
    "hsts_seconds",
    "publish_rate",
    "streamed_publishes",
    "streams_per_address",
    "tls_port",
    "trusted_proxies",
    "workers",
)


class Settings(InstanceSettings, HubSettings, TokenSettings, TraceSettings, DeploymentSettings):
    """The settings of the app, of nginx and of Compose; ``load`` reads them."""


def load(*names: str) -> Settings:
    """Return the settings of the environment; an empty variable means the default.

    Args:
        names: The settings that are needed; the others keep their defaults. Without names all
            settings are read.

    Raises:
        SettingsError: One or more do not have their expected form, or contradict each other.
    """
    needed = names or tuple(Settings.model_fields)
    set_values = {name: os.environ.get(variable(name)) for name in needed}
    given = {name: value for name, value in set_values.items() if value}
    for name, value in given.items():
        # The environment holds bytes that are not UTF-8 as surrogates.
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise SettingsError(f"{variable(name)}: expected text in UTF-8")
    try:
        found = Settings.model_validate(given | _from_files(os.environ, needed))
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            name = str(problem["loc"][0])
            info = Settings.model_fields[name]
            shown = _SECRET if is_secret(info) else repr(problem["input"])
            # A validator may say which part of the value is wrong.
            why = problem.get("ctx", {}).get("error", "")
            is_shown = not is_secret(info) or isinstance(why, TlsFilesError)
            reason = f" ({why})" if str(why) and is_shown else ""
            lines.append(f"{variable(name)}={shown}: expected {expected(info)}{reason}")
        raise SettingsError("\n".join(lines)) from None
    for role in ("token", "subscriber_token"):
        key, algorithm = getattr(found, f"{role}_key"), getattr(found, f"{role}_algorithm")
        if key:
            try:
                Keys(key.get_secret_value(), algorithm)
            except InvalidKeyError as error:
                raise SettingsError(f"{variable(role)}_KEY={_SECRET}: {error}") from None
    issuers = _issuers(found)
    shares_no_log = found.has_local_broker and "workers" in needed and found.workers > 1
    speaks_zero, speaks_one = (version in found.versions for version in Version)
    turned_on_by = None
    if found.token_key and (speaks_zero or found.issuer):
        turned_on_by = "token_key"
    elif speaks_one and any("publish" in issuer.roles for issuer in issuers):
        turned_on_by = "issuers"
    if turned_on_by and shares_no_log:
        raise SettingsError(
            f"{variable('workers')}={found.workers}: expected 1, because {variable(turned_on_by)} "
            "turns publishing on, and without Valkey each worker would keep a history of its own. "
            f"For more workers, set {variable('broker_url')} to a Valkey that they share."
        )
    return found


def _issuers(found: Settings) -> list[Issuer]:
    if found.issuers is None:
        return []
    try:
        issuers = read_issuers(found.issuers)
    except InvalidIssuersError as error:
        raise SettingsError(
            f"{variable('issuers')}={str(found.issuers)!r}: expected "
            f"{expected(Settings.model_fields['issuers'])} ({error})"
        ) from None
    if found.issuer in {issuer.id for issuer in issuers}:
        raise SettingsError(
            f"{variable('issuer')}={found.issuer!r}: expected an issuer that is not in "
            f"{variable('issuers')}"
        )
    return issuers


def of_nginx(found: Settings) -> str:
    """Return the settings that nginx reads: a line ``VARIABLE=value`` for each, unquoted."""
    lines = []
    for name in _OF_NGINX:
        value = getattr(found, name)
        # nginx does not read 1e-05.
        text = f"{value:f}" if isinstance(value, float) else str(value)
        lines.append(f"{variable(name)}={text}\n")
    return "".join(lines)


def secrets() -> Iterator[str]:
    """Yield the names of the settings whose values no message shows."""
    return (name for name, info in Settings.model_fields.items() if is_secret(info))


def _from_files(environment: Mapping[str, str], needed: Collection[str]) -> dict[str, Any]:
    """Return the needed secrets that are in files."""
    found = {}
    for name in secrets():
        if name not in needed:
            continue
        own = variable(name)
        path = environment.get(own + FILE_SUFFIX)
        if not path:
            continue
        # The variable itself has precedence over a file, such as the one that Compose sets.
        if environment.get(own):
            continue
        try:
            found[name] = FileSecret(path)
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"{own}{FILE_SUFFIX}={path!r}: expected a readable file with a value ({error})"
            ) from None
    return found
