"""Unsigned tokens, which the test broker's third listener takes from anybody, and an endpoint that gives them by
OpenID Connect."""

import base64
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs

from game_analytics.errors import GameAnalyticsError
from game_analytics.sources.kafka.tokens import Token, TokenSource
from game_analytics_tests.support.serving import serving

OAUTH = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "OAUTHBEARER"}
"""A client's properties for ``broker.oauth_bootstrap_servers``, beside a source of tokens."""

CLIENT_ID, CLIENT_SECRET = "game-analytics", "not-for-a-log"


def unsigned_token(seconds: float) -> Token:
    """For the user ``reader``, from now on."""
    now = time.time()
    parts = ({"alg": "none"}, {"sub": "reader", "iat": now, "exp": now + seconds})
    return Token("".join(f"{_encoded(part)}." for part in parts), now + seconds)


def _encoded(part: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


@dataclass
class UnsignedTokens(TokenSource):
    """Makes them, and remembers which ones."""

    seconds: float
    """How long each is valid."""
    made: list[Token] = field(default_factory=list)
    fails: bool = False
    """Whether it has no credentials any more."""

    def token(self) -> Token:
        if self.fails:
            raise GameAnalyticsError("The role is gone.")
        self.made.append(unsigned_token(self.seconds))
        return self.made[-1]


@dataclass
class TokenEndpoint:
    """An OpenID provider's endpoint for a client's own credentials."""

    url: str = ""
    seconds: float = 60.0
    """How long each token is valid."""
    given: int = 0

    def properties(self, secret: str = CLIENT_SECRET) -> dict[str, str]:
        """What librdkafka asks it with."""
        return {
            **OAUTH,
            "sasl.oauthbearer.method": "oidc",
            "sasl.oauthbearer.token.endpoint.url": self.url,
            "sasl.oauthbearer.client.id": CLIENT_ID,
            "sasl.oauthbearer.client.secret": secret,
        }


@contextmanager
def token_endpoint() -> Iterator[TokenEndpoint]:
    """The endpoint, while the block runs."""
    endpoint = TokenEndpoint()
    expected = "Basic " + base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            knows = self.headers["Authorization"] == expected and asked["grant_type"] == ["client_credentials"]
            if knows:
                endpoint.given += 1
            answer = {"access_token": unsigned_token(endpoint.seconds).value} if knows else {"error": "invalid_client"}
            body = json.dumps(answer).encode()
            self.send_response(200 if knows else 401)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the interface's name
            """Say nothing."""

    with serving(Handler) as url:
        endpoint.url = f"{url}/token"
        yield endpoint
