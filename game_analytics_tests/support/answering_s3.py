"""A server on loopback with scripted answers, for S3 responses that moto never gives. It records the requests."""

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from dagster_aws.s3 import S3Resource

from game_analytics.defs.resources import LakeResource
from game_analytics.lake.names import CONDITIONS_KEY


@dataclass(frozen=True)
class Answer:
    """One HTTP response. ``missing`` bytes of its body never come."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    missing: int = 0


def s3_error(status: int, code: str, message: str = "what S3 says of it") -> Answer:
    return Answer(status, f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode())


@dataclass(frozen=True)
class Asked:
    """A request: its method, its path without the query, its headers by lower-case name."""

    method: str
    path: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class AnsweringS3:
    url: str
    asked: list[Asked]


@contextmanager
def answering(*answers: Answer, keeps_conditions: bool = True) -> Iterator[AnsweringS3]:
    """Answer any requests with these answers in order, repeating the last one. With ``keeps_conditions`` requests for
    the marker of conditions are refused besides, since it stands, and are not recorded."""
    remaining, asked = list(answers), list[Asked]()

    def next_answer(request: BaseHTTPRequestHandler) -> Answer:
        headers = {name.lower(): value for name, value in request.headers.items()}
        path = request.path.partition("?")[0]
        if keeps_conditions and path.endswith(CONDITIONS_KEY):
            return s3_error(412, "PreconditionFailed")
        asked.append(Asked(request.command, path, headers))
        return remaining.pop(0) if len(remaining) > 1 else remaining[0]

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.rfile.read(int(request.headers.get("Content-Length") or 0))
        response = next_answer(request)
        request.send_response(response.status)
        for name, value in response.headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(response.body) + response.missing))
        request.send_header("Connection", "close")
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(response.body)

    # Python's server finds these by name.
    parts: dict[str, object] = {f"do_{method}": answer for method in ("DELETE", "GET", "HEAD", "POST", "PUT")}
    parts |= {"protocol_version": "HTTP/1.1", "log_message": lambda *_: None}
    handler = type("Handler", (BaseHTTPRequestHandler,), parts)

    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    with ExitStack() as ending:
        ending.callback(server.server_close)
        thread.start()
        ending.callback(thread.join)
        ending.callback(server.shutdown)
        yield AnsweringS3(f"http://127.0.0.1:{server.server_port}", asked)


def closed_port() -> str:
    """The URL of a loopback port on which nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


SECRETS = ("hush-hush/secret+key", "hush-hush/session+token")


def resource_at(url: str, bucket: str = "game-analytics", *, max_attempts: int = 2) -> LakeResource:
    """A lake at any URL, with credentials that must not appear anywhere."""
    secret, token = SECRETS
    return LakeResource(
        bucket=bucket,
        s3=S3Resource(
            endpoint_url=url,
            region_name="eu-central-1",
            aws_access_key_id="AKIAEXAMPLE",
            aws_secret_access_key=secret,
            aws_session_token=token,
            max_attempts=max_attempts,
        ),
    )


LISTED = Answer(200, b"<ListBucketResult></ListBucketResult>")
"""The answers of a healthy bucket when a lake is opened."""
