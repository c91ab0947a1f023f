"""Warnings about settings that are valid, but probably a mistake."""

import difflib
import re
from collections.abc import Iterator, Mapping

from pydantic import SecretStr

from barestream.mercure.version import Version
from barestream.settings.deployment import OF_KUBERNETES
from barestream.settings.env_file import VARIABLE as ENV_FILE_VARIABLE
from barestream.settings.setting import FILE_SUFFIX, PREFIX, variable
from barestream.settings.settings import Settings, secrets

# The variables that Kubernetes sets for a Service that is named barestream, or barestream-tls,
# beside BARESTREAM_PORT or BARESTREAM_TLS_PORT:
# https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
_OF_KUBERNETES = re.compile(rf"{PREFIX}(\w+_)?(PORT_[0-9]+_.*|SERVICE_(HOST|PORT.*))")

# What the commands that use a hub read, in the same shell perhaps.
_OF_COMMANDS = ("BARESTREAM_CONTEXT", "BARESTREAM_TOKEN", "BARESTREAM_URL")


def doubts(settings: Settings, environment: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence for each variable that is valid, but probably a mistake."""
    yield from unknown(environment)
    yield from _incomplete(settings)
    if settings.has_local_broker and settings.broker_replicas:
        yield (
            f"{variable('broker_replicas')} has no effect without a Valkey: set "
            f"{variable('broker_url')}"
        )
    for name in secrets():
        secret: SecretStr | None = getattr(settings, name)
        value = secret.get_secret_value() if secret else ""
        # A key in PEM ends with a line end, and a JWKS may have several lines.
        is_one_line = not value.startswith(("-----BEGIN ", "{"))
        if is_one_line and value != value.strip():
            yield (
                f"{variable(name)}: the white space or line end around the value counts as a part "
                "of it; remove it if it is not meant"
            )
        elif is_one_line and len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            yield (
                f"{variable(name)}: the quotes around the value count as a part of it; remove them "
                "if they are not meant"
            )


def _incomplete(settings: Settings) -> Iterator[str]:
    """Yield why access tokens are refused, if only a part of their settings is set."""
    has_issuer = bool(settings.issuer or settings.issuers)
    if Version.ONE not in settings.versions:
        if has_issuer:
            yield f"the issuers have no effect: {variable('protocols')} leaves Mercure 1.0 out"
        return
    if Version.ZERO not in settings.versions and not has_issuer:
        yield (
            f"no token is accepted: {variable('protocols')} leaves Mercure 0.x out, and no issuer "
            f"is set ({variable('issuer')})"
        )
    elif has_issuer and not (settings.resource_identifier or settings.public_urls):
        yield (
            f"access tokens of Mercure 1.0 are refused: set {variable('resource_identifier')} or "
            f"{variable('public_urls')}, which say what their aud must name"
        )
    elif (settings.resource_identifier or settings.public_urls) and not has_issuer:
        yield (
            f"access tokens of Mercure 1.0 are refused: set {variable('issuer')} or "
            f"{variable('issuers')}, which say whose tokens are accepted"
        )
    if settings.issuer and not (settings.token_key or settings.subscriber_token_key):
        yield (
            f"access tokens of {variable('issuer')} are refused: set {variable('token_key')}, "
            "which verifies them"
        )


def unknown(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence for each variable that has the prefix of settings, but is not a setting."""
    known = [variable(name) for name in Settings.model_fields]
    known += [variable(name) + FILE_SUFFIX for name in secrets()]
    known += [ENV_FILE_VARIABLE, *_OF_COMMANDS]
    for each in sorted(environment):
        is_of_kubernetes = _OF_KUBERNETES.fullmatch(each) or (
            each.endswith("_PORT") and OF_KUBERNETES.fullmatch(environment[each])
        )
        if each.startswith(PREFIX) and not is_of_kubernetes and each not in known:
            near = difflib.get_close_matches(each, known, n=1)
            yield f"{each} is not a setting" + (f"; did you mean {near[0]}?" if near else "")
