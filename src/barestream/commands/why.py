"""The command ``barestream why``."""

import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from barestream.commands import exits
from barestream.commands.hub_options import chosen, hub_options
from barestream.commands.printable import printable
from barestream_client.calls import Explanation
from barestream_client.sync_hub import SyncHub

_TOKEN_VARIABLE = "BARESTREAM_AS_TOKEN"  # noqa: S105 (a name)


@click.command()
@click.argument("event")
@click.argument("topics", nargs=-1)
@click.option(
    "--pattern", "patterns", multiple=True, help="A URL Pattern of the stream; repeatable."
)
@click.option(
    "--as",
    "as_token",
    metavar="TOKEN|-",
    help="The token of the one who it is about; - reads it from standard input.  "
    f"[default: {_TOKEN_VARIABLE}]",
)
@click.option(
    "--as-file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with that token.",
)
@click.option("--anonymous", is_flag=True, help="It is about somebody without a token.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
@hub_options
def why(  # noqa: PLR0913 (one for each option)
    event: str,
    topics: tuple[str, ...],
    *,
    patterns: tuple[str, ...],
    as_token: str | None,
    as_file: Path | None,
    anonymous: bool,
    as_json: bool,
    **hub: Any,
) -> None:
    """Say why somebody gets the update EVENT, or does not.

    EVENT is the id of the update: the hub's, or its publisher's. TOPICS are those of the stream.
    Without them the streams count that are registered for the token's user, or the token alone.

    \b
    barestream why "$ID" --as-file token
    barestream why "$ID" '/orders/{id}' --anonymous

    The hub is asked with the token of an operator: --token, BARESTREAM_TOKEN, or that of the
    context. It exits with 0 if the update is delivered, and with 8 if it is not.
    """
    token = _token(as_token, as_file, is_anonymous=anonymous)
    with SyncHub(**chosen(**hub).options()) as asked:
        found = asked.why(event, as_token=token, topics=topics, patterns=patterns)
    if as_json:
        content = {"verdict": found.verdict, "why": found.why, **found.evidence}
        click.echo(json.dumps(content, indent=2))
    else:
        _show(found)
    sys.exit(0 if found.verdict == "delivered" else exits.NOT_DELIVERED)


def _token(as_token: str | None, as_file: Path | None, *, is_anonymous: bool) -> str | None:
    """Return the token of the one who the question is about; None for somebody without one."""
    if (as_token is not None) + (as_file is not None) + is_anonymous > 1:
        raise click.UsageError("Give one of --as, --as-file and --anonymous.")
    if is_anonymous:
        return None
    if as_file is not None:
        given, origin = as_file.read_text(errors="replace"), "--as-file"
    elif as_token is None:
        given, origin = os.environ.get(_TOKEN_VARIABLE, ""), _TOKEN_VARIABLE
        if _TOKEN_VARIABLE not in os.environ:
            return None
    elif as_token == "-":  # noqa: S105 (no token)
        given, origin = sys.stdin.buffer.read().decode(errors="replace"), "--as -"
    else:
        given, origin = as_token, "--as"
    token = given.strip()
    if not token:
        raise click.UsageError(f"{origin} has no token. For somebody without one: --anonymous.")
    return token


def _show(found: Explanation) -> None:
    colour = "green" if found.verdict == "delivered" else "red"
    verdict = click.style(printable(found.verdict.replace("_", " ")), fg=colour)
    click.echo(f"{verdict}: {printable(found.why)}")
    for name, text in _rows(found.evidence):
        click.echo(f"  {name:<8} {printable(text)}")


def _rows(evidence: dict[str, Any]) -> Iterator[tuple[str, str]]:
    event, history = evidence["event"], evidence["history"]
    yield "update", _of_event(event)
    yield "stream", _of_stream(evidence["stream"])
    yield "token", _of_token(evidence["token"])
    if evidence["token"]["needed"]:
        yield "needed", f"a token that may read {' or '.join(evidence['token']['needed'])}"
    has = "has the update" if history["has_event"] else "does not have the update"
    yield "history", f"{has}; nothing after {history['floor']} has left it"
    for each in history["topics"]:
        for kind in ("public", "private"):
            if event["private"] in {None, kind == "private"}:
                floor = each[f"{kind}_floor"]
                yield "topic", f"{each['topic']}: nothing {kind} after {floor} has left it"
    if history["kept_for"] is not None:
        yield "kept", f"it is the kept value of {history['kept_for']}"
    for each in history["ends"]:
        until = _time(each["until"])
        yield "ended", f"{each['topic']} has ended with {each['place']}, until {until}"


def _of_event(event: dict[str, Any]) -> str:
    if event["topics"] is None:
        return f"nothing is known of it{' but its place' if event['place'] else ''}"
    kind = "private" if event["private"] else "public"
    told = f"{event['place']} of {_time(event['published_at'])}, {kind}, on "
    told += ", ".join(event["topics"])
    if event["updates_with_id"] > 1:
        told += f"; the newest of {event['updates_with_id']} with this id"
    return told


_BASES = {
    "request": "as the command says",
    "subscriptions": "as the hub has it registered",
    "token": "what it asks for is not known",
}


def _of_stream(stream: dict[str, Any]) -> str:
    told = _BASES.get(stream["basis"], str(stream["basis"]))
    if stream["matched"] is not None:
        told += f"; {_by('asks for it', stream['matched'])}"
    return told + ("; all of its topics have ended" if stream["is_over"] else "")


def _of_token(token: dict[str, Any]) -> str:
    if token["state"] == "none":
        return "none"
    told = str(token["state"]).replace("_", " ")
    if token["expires_at"] is not None:
        word = "since" if token["state"] == "expired" else "until"
        told += f" {word} {_time(token['expires_at'])}"
    if token["may_read"] is not None:
        told += f"; may read {', '.join(token['may_read']) or 'no private update'}"
    if token["covered"]:
        told += f"; {_by('reads it', token['covered'])}"
    return told


def _by(does: str, matched: list[dict[str, str]]) -> str:
    if not matched:
        return f"nothing {does}"
    return f"{does} by {', '.join(each['selector'] for each in matched)}"


def _time(seconds: float) -> str:
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        # A token may end later than any year that has a number here.
        return f"{seconds:g} s after 1970"
