"""An issuer of access tokens, whose keys are at an address of this machine."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)

from barestream.issuers.fetch import MOST_BYTES
from barestream.mercure.authorization_details import DETAIL_TYPE
from support.clients.publisher import ISSUER, RESOURCE
from support.servers.http_server import http_server


class Issuer:
    """An issuer that can change its keys, and its mind."""

    def __init__(self) -> None:
        self.keys: dict[str, EllipticCurvePrivateKey] = {}
        self.mood = "well"
        self.asked = 0
        self.url = ""

    def add(self, name: str) -> None:
        self.keys[name] = generate_private_key(SECP256R1())

    def token(self, name: str) -> str:
        detail = {"type": DETAIL_TYPE, "actions": ["publish"], "topics": [{"match": "*"}]}
        claims = {
            "iss": ISSUER,
            "aud": RESOURCE,
            "exp": time.time() + 60,
            "authorization_details": [detail],
        }
        headers = {"typ": "at+jwt", "kid": name}
        return jwt.encode(claims, self.keys[name], "ES256", headers=headers)

    def document(self) -> bytes:
        keys = [
            {**jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": name}
            for name, key in self.keys.items()
        ]
        return json.dumps({"keys": keys}).encode()


@contextmanager
def running_issuer() -> Iterator[Issuer]:
    issuer = Issuer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked += 1
            if issuer.mood == "redirect":
                self.send_response(302)
                self.send_header("Location", f"{issuer.url}/elsewhere")
                self.end_headers()
                return
            self.send_response(503 if issuer.mood == "error" else 200)
            self.end_headers()
            if issuer.mood == "large":
                self.wfile.write(b" " * (MOST_BYTES + 1))
            elif issuer.mood == "slow":
                for _ in range(200):
                    self.wfile.write(b" ")
                    time.sleep(0.05)
            elif issuer.mood == "not utf-8":
                self.wfile.write(b"\xff")
            self.wfile.write(issuer.document())

        def log_message(self, *_: object) -> None:
            pass

    with http_server(Handler) as port:
        issuer.url = f"http://127.0.0.1:{port}"
        yield issuer
