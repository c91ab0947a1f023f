"""The way to the hub."""

import json
import time

import httpx
import jwt
from django.conf import settings

# A token is made for each publish, so it need not be valid for long.
TOKEN_SECONDS = 60

_client = httpx.Client()


def publish(topic: str, data: object) -> None:
    """Publish an update with JSON as its data.

    Raises:
        httpx.HTTPError: The hub does not answer, or refuses it.
    """
    claims = {"mercure": {"publish": [topic]}, "exp": int(time.time()) + TOKEN_SECONDS}
    headers = {"Authorization": f"Bearer {jwt.encode(claims, settings.HUB_KEY)}"}
    form = {"topic": topic, "data": json.dumps(data)}
    _client.post(settings.HUB, data=form, headers=headers).raise_for_status()
