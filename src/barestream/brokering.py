"""Makes the broker of the history that the settings name."""

import time
from collections.abc import Callable

from pydantic import SecretStr

from barestream.history.broker import Broker, HistoryBounds
from barestream.history.local import LocalBroker
from barestream.history.producers import ProducerBounds
from barestream.history.standing import Standing
from barestream.history.valkey.broker import ValkeyBroker
from barestream.history.valkey.broker_url import Replicated
from barestream.history.valkey.coding import PLAIN, Coding
from barestream.history.valkey.credentials import Password
from barestream.settings.setting import FileSecret
from barestream.settings.settings import Settings


def make_broker(
    settings: Settings,
    notify: Callable[[Standing], None] = lambda _: None,
    coding: Coding = PLAIN,
) -> Broker:
    """Return the broker.

    Args:
        settings: The settings.
        notify: Called with what sentinels say whenever that changes.
        coding: How updates are written to Valkey and read back.

    Raises:
        OSError, ValueError: A file of a password cannot be read.
    """
    bounds = HistoryBounds(
        settings.history_events,
        settings.history_seconds,
        settings.history_bytes,
        settings.topic_events,
        topics=settings.history_topics,
        kept_values=settings.kept_values,
        kept_bytes=settings.kept_bytes,
        revocations=settings.revocations,
    )
    of_producers = ProducerBounds(settings.producers, settings.producer_seconds, settings.runs)
    if settings.has_local_broker:
        return LocalBroker(bounds, time.time, of_producers)
    where = Replicated(
        settings.broker_url.get_secret_value(),
        _password(settings.broker_sentinel_password),
        settings.broker_replicas,
        notify,
    )
    return ValkeyBroker(
        where, bounds, _password(settings.broker_password), of_producers, coding=coding
    )


def _password(secret: SecretStr | None) -> Password:
    if isinstance(secret, FileSecret):
        return secret.read
    return secret.get_secret_value() if secret else None
