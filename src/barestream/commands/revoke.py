"""The command ``barestream revoke``."""

import hashlib
import json
import math
import sys
from datetime import datetime
from http import HTTPStatus
from typing import Any, NoReturn
from urllib.parse import urlencode, urlsplit

import click
import httpx

from barestream.commands import exits
from barestream.commands.printable import printable
from barestream.commands.token import signed
from barestream.mercure.token_id import issued_form
from barestream_client.address import PATH, AddressError, hub_url
from barestream_client.answers import Answer, error_of, json_object, not_a_hub, problem
from barestream_client.failures import meaning
from barestream_client.link import answer_to, built
from barestream_client.steps import Request

# A hub whose history is away answers within this time.
_ANSWER_SECONDS = 15.0

# For so long a token is valid that the command signs itself.
_TOKEN_MINUTES = 5.0

_PAGE = "1000"


class _Moment(click.ParamType[float]):
    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        try:
            seconds = float(value)
        except ValueError:
            seconds = math.nan
            try:
                moment = datetime.fromisoformat(value)
            except ValueError:
                moment = None
            if moment is not None and moment.tzinfo is not None:
                seconds = moment.timestamp()
        if not math.isfinite(seconds):
            self.fail(
                f"{value!r}: expected seconds since 1970-01-01 UTC, or a time such as "
                "2027-01-31T12:00:00Z.",
                param,
                ctx,
            )
        return seconds


@click.command()
@click.argument("url")
@click.option("--issuer", help="The iss of the tokens; without it, tokens that have none.")
@click.option("--jti", help="Revoke the token with this jti.")
@click.option("--sub", help="Revoke the tokens with this sub.")
@click.option(
    "--issued-before",
    type=_Moment(),
    metavar="TIME",
    help="With --sub: those that were issued before this time.  [default: now]",
)
@click.option("--sha256", metavar="HEX", help="Revoke the token with this SHA-256.")
@click.option(
    "--sha256-of",
    metavar="TOKEN|-",
    help="Revoke this token; - reads it from the standard input. Only its SHA-256 is sent.",
)
@click.option(
    "--until", type=_Moment(), metavar="TIME", help="The revocation's end.  [default: none]"
)
@click.option("--list", "lists", is_flag=True, help="Print the revocations in force.")
@click.option("--take-back", metavar="ID", help="Take back the revocation with this id.")
@click.option(
    "--token",
    envvar="BARESTREAM_TOKEN",
    help="The operator's token.  "
    "[default: BARESTREAM_TOKEN, or a token that BARESTREAM_TOKEN_KEY signs]",
)
def revoke(  # noqa: PLR0913, PLR0917 (one for each option)
    url: str,
    issuer: str | None,
    jti: str | None,
    sub: str | None,
    issued_before: float | None,
    sha256: str | None,
    sha256_of: str | None,
    until: float | None,
    lists: bool,
    take_back: str | None,
    token: str | None,
) -> None:
    """Revoke tokens of the hub at URL, and print the revocation as JSON.

    A TIME is in seconds since 1970-01-01 UTC, or such as 2027-01-31T12:00:00Z.

    \b
    barestream revoke http://127.0.0.1:9009 --sub alice
    """
    if sha256_of is not None:
        if sha256 is not None:
            raise click.UsageError("Give --sha256 or --sha256-of.")
        sha256 = _sha256(sha256_of)
    fields = {
        "issuer": issuer,
        "jti": jti,
        "sub": sub,
        "issued_before": issued_before,
        "sha256": sha256,
        "until": until,
    }
    given = {name: value for name, value in fields.items() if value is not None}
    selects = not given.keys().isdisjoint({"jti", "sub", "sha256"})
    if sum((lists, take_back is not None, selects)) != 1 or (
        given and (lists or take_back is not None)
    ):
        raise click.UsageError(
            "Give one of --jti, --sub, --sha256 and --sha256-of; or --list or --take-back alone."
        )
    endpoint = _endpoint(url)
    if token is not None and not (token.isascii() and token.isprintable()):
        raise click.BadParameter("it is not a token.", param_hint="--token")
    if token is None:
        token = signed((), (), _TOKEN_MINUTES, None, "give --token", operate=True)
    if lists:
        _list(endpoint, token)
    elif take_back is not None:
        _ask("DELETE", f"{endpoint}?{urlencode({'id': take_back})}", token)
    else:
        click.echo(json.dumps(_ask("POST", endpoint, token, given)))


def _sha256(given: str) -> str:
    """Return the SHA-256 of a token, whose holder may have given it another form since."""
    if given == "-":
        revoked = sys.stdin.buffer.read().strip()
    else:
        revoked = given.strip().encode(errors="surrogateescape")
    try:
        if revoked.count(b".") != 2:
            raise ValueError
        issued = issued_form(revoked.decode())
    except ValueError:
        raise click.BadParameter("it is not a token.", param_hint="--sha256-of") from None
    return hashlib.sha256(issued.encode()).hexdigest()


def _list(endpoint: str, token: str) -> None:
    query = {"limit": _PAGE}
    while True:
        page = _ask("GET", f"{endpoint}?{urlencode(query)}", token)
        for each in page["revocations"]:
            click.echo(json.dumps(each))
        if page["next"] is None:
            return
        query["after"] = page["next"]


def _endpoint(url: str) -> str:
    try:
        hub = hub_url(url)
    except AddressError:
        hub = ""
    is_whole = hub.endswith(PATH) and urlsplit(hub).port != 0
    if not is_whole or not url.isascii() or not url.isprintable() or " " in url:
        raise AddressError(
            f"{url!r}: expected the URL of a hub, such as https://live.example or "
            f"https://live.example{PATH}"
        )
    return f"{hub}/revocations"


def _ask(method: str, url: str, token: str, content: object = None) -> Any:
    """Return the JSON of an answer, or None without a body; exit if the hub refuses.

    Raises:
        HubError: The hub cannot be asked, or what answers is none.
    """
    body = None if content is None else json.dumps(content).encode()
    headers = {"Content-Type": "application/json"}
    asked = Request(method, url, (), headers, body, _ANSWER_SECONDS).by(token)
    with httpx.Client() as client, meaning(asked):
        response = client.send(built(client, asked))
    answer = answer_to(asked, response, response.content)
    if not response.is_success:
        _refused(answer)
    if answer.status == HTTPStatus.NO_CONTENT:
        return None
    found = json_object(answer.body)
    if found is None:
        raise not_a_hub(answer)
    return found


def _refused(answer: Answer) -> NoReturn:
    told = problem(answer.headers, answer.body)
    if told is None:
        raise error_of(answer)
    may_pass = answer.status == HTTPStatus.TOO_MANY_REQUESTS or (
        answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        and answer.status != HTTPStatus.INSUFFICIENT_STORAGE
    )
    if answer.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        code = exits.NO_RIGHT
    else:
        code = exits.AWAY if may_pass else exits.REFUSED
    phrase = httpx.codes.get_reason_phrase(answer.status)
    click.echo(printable(f"{answer.status} {phrase}: {told.get('detail')}"), err=True)
    sys.exit(code)
