"""The command ``barestream context``."""

import json
import sys

import click

from barestream.commands.contexts import Contexts, NamedHub
from barestream_client.address import hub_url


@click.group()
def context() -> None:
    """Name hubs, with their URL and token, so that commands need neither.

    \b
    barestream context add live --url https://events.example --token "$TOKEN" --use
    barestream publish news Hello
    barestream tail news

    The file of the contexts is for its owner alone.
    """


@context.command()
@click.argument("name")
@click.option("--url", required=True, help="The hub's URL, or that of its site.")
@click.option("--token", help="The token; - reads it from standard input.")
@click.option("--use", "is_used", is_flag=True, help="Use it from now on.")
def add(name: str, url: str, token: str | None, is_used: bool) -> None:
    """Add a context, or put it in the place of the one of that name.

    The first one is used at once.
    """
    hub_url(url)
    contexts = Contexts()
    if token == "-":  # noqa: S105 (no token)
        token = sys.stdin.readline().strip()
    contexts.hubs[name] = NamedHub(url, token or None)
    if is_used or contexts.current is None:
        contexts.current = name
    contexts.save()
    click.echo(f"{name}: {url}{' (in use)' if contexts.current == name else ''}")


@context.command()
@click.argument("name")
def use(name: str) -> None:
    """Use a context from now on."""
    contexts = Contexts()
    contexts.named(name)
    contexts.current = name
    contexts.save()
    click.echo(f"{name}: {contexts.hubs[name].url} (in use)")


@context.command()
@click.argument("name")
def remove(name: str) -> None:
    """Remove a context."""
    contexts = Contexts()
    contexts.named(name)
    del contexts.hubs[name]
    if contexts.current == name:
        contexts.current = None
    contexts.save()
    click.echo(f"{name} is removed")


@context.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_all(as_json: bool) -> None:
    """List the contexts, without their tokens."""
    contexts = Contexts()
    rows = [
        {
            "name": name,
            "url": hub.url,
            "has_token": hub.token is not None,
            "is_used": name == contexts.current,
        }
        for name, hub in sorted(contexts.hubs.items())
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    width = max((len(str(row["name"])) for row in rows), default=0)
    for row in rows:
        mark = "*" if row["is_used"] else " "
        token = "" if row["has_token"] else "  (no token)"
        click.echo(f"{mark} {row['name']:<{width}}  {row['url']}{token}")
