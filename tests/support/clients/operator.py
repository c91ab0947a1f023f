"""An operator, who revokes tokens; and tokens whose claims a test chooses."""

import hashlib
import json
import time
from typing import Any

import httpx
import jwt

from barestream.mercure.tokens import sign
from support.clients.publisher import ISSUER, KEY, PATH, RESOURCE, access_token
from support.servers.service import PATIENCE_SECONDS

REVOCATIONS = f"{PATH}/revocations"


def claiming(**claims: Any) -> str:
    """Return a token of 0.x for every topic, with some claims."""
    rights = {"publish": ["*"], "subscribe": ["*"]}
    content = json.dumps({"mercure": rights, **claims}).encode()
    return jwt.api_jws.encode(content, KEY, "HS256", headers={"typ": "JWT"})


def claiming_1(**claims: Any) -> str:
    """Return an access token for every topic, with some claims."""
    return access_token("*", **claims)


def detailed(*details: dict[str, Any]) -> str:
    """Return an access token with some authorization details."""
    claims = {"iss": ISSUER, "aud": RESOURCE, "exp": time.time() + 300}
    content = json.dumps({**claims, "authorization_details": details}).encode()
    return jwt.api_jws.encode(content, KEY, "HS256", headers={"typ": "at+jwt"})


def bearing(token: str) -> dict[str, str]:
    """Return the headers of a client that has a token."""
    return {"Authorization": f"Bearer {token}"}


def sha256(token: str) -> str:
    """Return the digest by which a token can be revoked."""
    return hashlib.sha256(token.encode()).hexdigest()


class Operator:
    """Asks a hub as an operator does.

    Args:
        url: Where the hub is, without its path.
    """

    def __init__(self, url: str) -> None:
        token = sign(KEY, "HS256", (), (), time.time() + 3600, operate=True)
        self._http = httpx.Client(
            base_url=url, headers=bearing(token), timeout=PATIENCE_SECONDS, trust_env=False
        )

    def revoke(self, **fields: Any) -> dict[str, Any]:
        """Revoke tokens, and return what the hub says of the revocation."""
        answer = self.post(fields)
        assert answer.status_code in {200, 201}, answer.text
        told: dict[str, Any] = answer.json()
        return told

    def post(self, content: object) -> httpx.Response:
        """Return the answer to a request to revoke."""
        return self._http.post(REVOCATIONS, json=content)

    def revocations(self, **query: Any) -> dict[str, Any]:
        """Return a page of the list."""
        answer = self._http.get(REVOCATIONS, params=query)
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    def take_back(self, revocation_id: str) -> int:
        """Take a revocation back; return the answer's status."""
        return self._http.delete(REVOCATIONS, params={"id": revocation_id}).status_code

    def close(self) -> None:
        """Close its connection."""
        self._http.close()
