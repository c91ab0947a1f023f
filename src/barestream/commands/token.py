"""The command ``barestream token``."""

import asyncio
import json
import sys
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click

from barestream.mercure.access_tokens import check_length, sign_access_token
from barestream.mercure.authorization_details import DETAIL_TYPE, MOST_TOKEN_PATTERNS, granted
from barestream.mercure.bearer import Bearer
from barestream.mercure.keys import InvalidKeyError
from barestream.mercure.matchers import EXACT, URL_PATTERN, InvalidMatcherError, Matcher, selectors
from barestream.mercure.patterns import Patterns
from barestream.mercure.signatures import InvalidTokenError, unverified, version_of
from barestream.mercure.time_budget import at_once
from barestream.mercure.tokens import sign
from barestream.mercure.topics import PATH
from barestream.mercure.version import Version
from barestream.settings.setting import SettingsError
from barestream.settings.settings import Settings, load
from barestream.telemetry.metrics import Metrics
from barestream.verifying import Verifying, hub_url
from barestream.web.verifiers import Verifiers

# The settings that say what the aud of access tokens names.
_AUDIENCE = ("resource_identifier", "public_urls")

# The claims that are texts, beside the topics.
_TEXTS = ("iss", "aud", "sub", "client_id", "jti")

# Why a token of each version may grant nothing.
_NOTHING = {
    Version.ZERO: "nothing: its claim mercure has no list for this",
    Version.ONE: f"nothing: it has no detail of the type {DETAIL_TYPE} with this action",
}

# An access token needs an end.
_ACCESS_TOKEN_MINUTES = 60.0


@click.command()
@click.option(
    "--protocol",
    type=click.Choice([version.value for version in Version]),
    default=Version.ZERO.value,
    show_default=True,
    help="The version of Mercure that the token is for.",
)
@click.option(
    "--publish", multiple=True, metavar="SELECTOR", help="Topics that the token may publish to."
)
@click.option(
    "--subscribe",
    multiple=True,
    metavar="SELECTOR",
    help="Topics whose private updates the token may read.",
)
@click.option(
    "--publish-pattern",
    multiple=True,
    metavar="PATTERN",
    help="The same as --publish, by a URL Pattern.",
)
@click.option(
    "--subscribe-pattern",
    multiple=True,
    metavar="PATTERN",
    help="The same as --subscribe, by a URL Pattern.",
)
@click.option(
    "--operate", is_flag=True, help="The token may revoke tokens, and have the hub examined."
)
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    help="How long the token is valid.  [default: without end; in 1.0 for 60 minutes]",
)
@click.option("--issuer", help="In 1.0: the iss.  [default: BARESTREAM_ISSUER]")
@click.option(
    "--audience",
    help="In 1.0: the aud.  [default: BARESTREAM_RESOURCE_IDENTIFIER, or the hub at the first of "
    "BARESTREAM_PUBLIC_URLS]",
)
@click.option("--subject", help="In 1.0: the sub.  [default: the issuer]")
@click.option("--client-id", help="In 1.0: the client_id.  [default: the issuer]")
@click.option(
    "--key-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with the private key in PEM, or with the secret, that signs the token.",
)
@click.option(
    "--explain",
    metavar="TOKEN|-",
    help="Instead of making a token, say what this one allows, and why it would be refused; - "
    "reads it from the standard input.",
)
def token(  # noqa: PLR0913, PLR0917 (one for each option)
    protocol: str,
    publish: tuple[str, ...],
    subscribe: tuple[str, ...],
    publish_pattern: tuple[str, ...],
    subscribe_pattern: tuple[str, ...],
    operate: bool,
    minutes: float | None,
    issuer: str | None,
    audience: str | None,
    subject: str | None,
    client_id: str | None,
    key_file: Path | None,
    explain: str | None,
) -> None:
    """Make a token, signed with BARESTREAM_TOKEN_KEY or the private key in --key-file.

    \b
    barestream token --publish '/orders/{id}' --minutes 60
    barestream token --explain "$TOKEN"

    A SELECTOR is a topic or *, or in 0.x a URI template; each of these options can be given several
    times.
    """
    if explain is not None:
        _explain(sys.stdin.read().strip() if explain == "-" else explain)
        return
    if protocol == Version.ZERO.value:
        if publish_pattern or subscribe_pattern or issuer or audience or subject or client_id:
            raise click.UsageError(
                "--issuer, --audience, --subject, --client-id and URL Patterns are of Mercure 1.0: "
                "add --protocol 1.0."
            )
        click.echo(
            signed(publish, subscribe, minutes, key_file, "give --key-file", operate=operate)
        )
        return
    found = settings_or_exit("token_key", "token_algorithm", "issuer", *_AUDIENCE)
    issuer = issuer or found.issuer
    audience = audience or next(_audiences(found), None)
    if not issuer or not audience:
        name, option = ("issuer", "ISSUER") if not issuer else ("audience", "RESOURCE_IDENTIFIER")
        sys.exit(f"An access token needs its {name}: give --{name}, or set BARESTREAM_{option}.")
    now = time.time()
    claims = {
        "iss": issuer,
        "aud": audience,
        "sub": subject or issuer,
        "client_id": client_id or issuer,
        "iat": int(now),
        "exp": int(now + 60 * (minutes or _ACCESS_TOKEN_MINUTES)),
        "jti": str(uuid.uuid4()),
    }
    key = _signing_key(found, key_file, "give --key-file")
    publishes = _matchers(publish, publish_pattern)
    subscribes = _matchers(subscribe, subscribe_pattern)
    try:
        for matchers in (publishes, subscribes):
            at_once(selectors(matchers, _patterns(found), MOST_TOKEN_PATTERNS))
        made = sign_access_token(
            key, found.token_algorithm, claims, publishes, subscribes, operate=operate
        )
        check_length(made)
        granted(unverified(made)[1])
    except InvalidMatcherError as error:
        raise click.UsageError(f"The token's topics: {error}.") from None
    except InvalidTokenError as error:
        raise click.UsageError(str(error)) from None
    except InvalidKeyError as error:
        sys.exit(f"The key cannot sign a token: {error}")
    click.echo(made)


def signed(  # noqa: PLR0913 (one for each part of a token)
    publish: tuple[str, ...],
    subscribe: tuple[str, ...],
    minutes: float | None,
    key_file: Path | None,
    otherwise: str,
    *,
    operate: bool = False,
) -> str:
    """Return a token of 0.x; exit with the reason if there is no key that can sign it.

    Args:
        publish: Selectors of the topics that it may publish to.
        subscribe: Selectors of the topics whose private updates it may read.
        minutes: How long it is valid; None for a token without end.
        key_file: A file with the key; None for the key of the settings.
        otherwise: What else the user can do without a key.
        operate: Whether it may revoke tokens.
    """
    found = settings_or_exit("token_key", "token_algorithm")
    expires_at = time.time() + 60 * minutes if minutes else None
    key = _signing_key(found, key_file, otherwise)
    try:
        return sign(key, found.token_algorithm, publish, subscribe, expires_at, operate=operate)
    except InvalidKeyError as error:
        sys.exit(f"The key cannot sign a token: {error}")


def settings_or_exit(*names: str) -> Settings:
    """Return the settings of the environment; exit with what is wrong with them."""
    try:
        return load(*names)
    except SettingsError as error:
        sys.exit(str(error))


def _audiences(found: Settings) -> Iterator[str]:
    if found.resource_identifier:
        yield found.resource_identifier
    else:
        yield from (f"{origin}{PATH}" for origin in found.public_origins)


def _matchers(exact: tuple[str, ...], patterns: tuple[str, ...]) -> list[Matcher]:
    return [
        *(Matcher(text, EXACT) for text in exact),
        *(Matcher(text, URL_PATTERN) for text in patterns),
    ]


def _patterns(found: Settings) -> Patterns:
    return Patterns(hub_url(found), 2 * MOST_TOKEN_PATTERNS)


def _signing_key(found: Settings, key_file: Path | None, otherwise: str) -> str:
    if key_file:
        try:
            return key_file.read_text().rstrip("\r\n")
        except UnicodeDecodeError:
            sys.exit(
                f"The key cannot sign a token: {key_file} is not text. Convert a key in DER to "
                f"PEM: openssl pkey -inform der -in {key_file} -out key.pem"
            )
    if found.token_key:
        return found.token_key.get_secret_value()
    sys.exit(f"There is no key to sign a token with: set BARESTREAM_TOKEN_KEY, or {otherwise}.")


def _explain(token: str) -> None:
    """Print what a token allows by the environment's settings; exit with 1 if it is refused."""
    found = settings_or_exit()
    version = version_of(token)
    click.echo(f"version: {version.value}")
    _show_content(token)
    if version not in found.versions:
        sys.exit(f"refused: tokens of Mercure {version.value} are off (BARESTREAM_PROTOCOLS)")
    verifying = Verifying(found, _patterns(found), Metrics())
    if version is Version.ONE:
        for keys in verifying.fetched:
            asyncio.run(keys.refresh())
            if keys.why:
                click.echo(f"the keys of {keys.issuer} cannot be read: {keys.why}")
    is_accepted = False
    for verifiers, does in ((verifying.publishers, "publish to"), (verifying.subscribers, "read")):
        try:
            bearer = _verified(verifiers, version, token, found)
        except InvalidTokenError as error:
            click.echo(f"may {does}: nothing, it is refused: {error}")
            continue
        topics = [*(bearer.publish if does == "publish to" else bearer.subscribe)]
        click.echo(f"may {does}: {', '.join(map(_shown, topics)) or _NOTHING[version]}")
        if does == "publish to" and bearer.may_operate:
            click.echo("may operate: it may revoke tokens, and have the hub examined")
        is_accepted = True
    sys.exit(0 if is_accepted else 1)


def _show_content(token: str) -> None:
    """Print what a token contains; exit with the reason if it cannot be read."""
    try:
        header, claims = unverified(token)
    except InvalidTokenError as error:
        sys.exit(str(error))
    for part, names in ((header, ("typ", "alg", "kid")), (claims, _TEXTS)):
        for name in names:
            if name in part:
                click.echo(f"{name}: {_shown(part[name])}")
    for name in ("iat", "nbf", "exp"):
        if name in claims:
            click.echo(f"{name}: {_readable_time(claims[name])}")


def _verified(verifiers: Verifiers, version: Version, token: str, found: Settings) -> Bearer:
    if version is Version.ZERO:
        if verifiers.zero is None:
            raise InvalidTokenError("BARESTREAM_TOKEN_KEY is not set.")
        return verifiers.zero.verify(token)
    if verifiers.one is None:
        lack = "has a key for this" if found.issuer or found.issuers else "is set"
        raise InvalidTokenError(f"Neither BARESTREAM_ISSUER nor BARESTREAM_ISSUERS {lack}.")
    audiences = [*_audiences(found)]
    if not audiences:
        raise InvalidTokenError(
            "Neither BARESTREAM_RESOURCE_IDENTIFIER nor BARESTREAM_PUBLIC_URLS is set."
        )
    return verifiers.one.verify(token, *audiences)


def _shown(value: object) -> str:
    """Return a claim as text. Nobody has checked it, so it may have control characters."""
    return value if isinstance(value, str) and value.isprintable() else json.dumps(value)


def _readable_time(seconds: object) -> str:
    try:
        moment = datetime.fromtimestamp(float(str(seconds)), UTC)
    except (ValueError, OverflowError, OSError):
        return f"{_shown(seconds)} (not a time)"
    away = moment.timestamp() - time.time()
    when = f"in {away:.0f} s" if away > 0 else f"{-away:.0f} s ago"
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC ({when})"
