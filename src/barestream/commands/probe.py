"""The command ``barestream probe``."""

import asyncio
import sys

import click

from barestream.brokering import make_broker
from barestream.commands.token import settings_or_exit
from barestream.history.broker import Broker, BrokerAwayError


@click.command()
def probe() -> None:
    """Check that the broker of the settings answers from here, and would accept an update.

    \b
    barestream probe

    It publishes nothing. Without a Valkey in BARESTREAM_BROKER_URL the broker is this process.
    """
    try:
        asyncio.run(_probe(make_broker(settings_or_exit())))
    except BrokerAwayError as error:
        sys.exit(f"the broker of BARESTREAM_BROKER_URL {error.words}: {error}")


async def _probe(broker: Broker) -> None:
    try:
        await broker.probe()
    finally:
        await broker.close()
