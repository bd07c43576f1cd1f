"""An HTTP/1.1 proxy between the project and an S3 server, on a free port of loopback. A hook decides what becomes of
each request: it is passed on, or answered with an error, broken off, kept waiting, or passed on with a call before or
after it. It counts requests, and tells those that write from those that read."""

import socket
import struct
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import ThreadingMixIn
from typing import Any, NoReturn
from urllib.parse import unquote, urlsplit

from game_analytics.local_stack.endpoint import S3Endpoint

_S3_TAKES_AT_MOST_SECONDS = 60
_DROPPED = {"connection", "expect", "keep-alive", "transfer-encoding"}
"""Headers that belong to one connection, and are not passed on."""
_RESET = struct.pack("ii", 1, 0)
"""Lingers for no time at all: closing sends a reset, not an end."""


@dataclass(frozen=True)
class Request:
    """What is known of a request before its body has come."""

    number: int
    """Of all requests, from 0 on."""
    write_number: int | None
    """Of all that write, from 0 on; None if it only reads."""
    method: str
    target: str

    @property
    def is_write(self) -> bool:
        return self.write_number is not None

    @property
    def key(self) -> str:
        """The object's key, empty if the request is for the bucket."""
        _, _, key = unquote(urlsplit(self.target).path).lstrip("/").partition("/")
        return key


class Fate(ABC):
    """What becomes of a request."""

    @abstractmethod
    def befall(self, exchange: "Exchange") -> None:
        """Read the request from the client, and answer it or don't."""


Hook = Callable[[Request], Fate]


@dataclass(frozen=True)
class Forward(Fate):
    """It is passed on, and so is the answer. ``before`` and ``after`` are called when S3 has not seen the request yet,
    and when S3 has answered and the client has not seen that yet."""

    before: Callable[[], None] = lambda: None
    after: Callable[[], None] = lambda: None

    def befall(self, exchange: "Exchange") -> None:
        body = exchange.body()
        self.before()
        answer = exchange.ask(body)
        self.after()
        exchange.send(answer)


@dataclass(frozen=True)
class Drop(Fate):
    """It is read, ``then`` is called, and the connection ends; S3 never sees the request."""

    then: Callable[[], None]

    def befall(self, exchange: "Exchange") -> None:
        exchange.body()
        self.then()
        exchange.end()


@dataclass(frozen=True)
class Refuse(Fate):
    """S3 answers with an error, and does nothing."""

    status: int
    code: str

    def befall(self, exchange: "Exchange") -> None:
        exchange.body()
        exchange.send(Answer.of_error(self.status, self.code))


@dataclass(frozen=True)
class LoseAnswer(Fate):
    """S3 does what it was asked for, and something on the way back says that it failed."""

    status: int
    code: str

    def befall(self, exchange: "Exchange") -> None:
        exchange.ask(exchange.body())
        exchange.send(Answer.of_error(self.status, self.code))


class ResetRequest(Fate):
    """The connection is reset when half of the request's body has come; S3 never sees the request."""

    def befall(self, exchange: "Exchange") -> None:
        exchange.half_of_the_body()
        exchange.reset()


class ResetAnswer(Fate):
    """S3 does what it was asked for; the connection is reset when half of the answer's body is sent."""

    def befall(self, exchange: "Exchange") -> None:
        exchange.send_half(exchange.ask(exchange.body()))
        exchange.reset()


class TruncateAnswer(Fate):
    """S3 does what it was asked for; the connection ends in good order when half of the answer's body is sent."""

    def befall(self, exchange: "Exchange") -> None:
        exchange.send_half(exchange.ask(exchange.body()))
        exchange.end()


@dataclass(frozen=True)
class Stall(Fate):
    """It is passed on, and nothing comes back for a while, or until the client has gone."""

    seconds: float

    def befall(self, exchange: "Exchange") -> None:
        answer = exchange.ask(exchange.body())
        if exchange.wait(self.seconds):
            exchange.send(answer)


@dataclass(frozen=True)
class StallAnswer(Fate):
    """It is passed on, and the answer pauses in the middle of its body."""

    seconds: float

    def befall(self, exchange: "Exchange") -> None:
        answer = exchange.ask(exchange.body())
        exchange.send_half(answer)
        if exchange.wait(self.seconds):
            exchange.send_rest(answer)


@dataclass(frozen=True)
class Answer:
    """What S3 answers: headers as they came, and the whole body."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @staticmethod
    def of_error(status: int, code: str) -> "Answer":
        body = f"<Error><Code>{code}</Code><Message>what S3 says of it</Message></Error>".encode()
        return Answer(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))], body)

    def halves(self, method: str) -> tuple[bytes, bytes]:
        """As it goes over the wire, cut in the middle of its body; of its head where it has no body."""
        lines = [f"HTTP/1.1 {self.status} .", *(f"{name}: {value}" for name, value in self.headers), "", ""]
        head = "\r\n".join(lines).encode("latin-1")
        body = b"" if method == "HEAD" else self.body
        middle = len(head) + len(body) // 2 if body else len(head) // 2
        whole = head + body
        return whole[:middle], whole[middle:]


@dataclass(frozen=True)
class Exchange:
    """One request and its answer, between a client's connection and the server behind."""

    handler: BaseHTTPRequestHandler
    server: tuple[str, int]
    turn: AbstractContextManager[object]
    """Held while the server behind works on the request."""
    stopping: threading.Event
    answered: Callable[[int], None]
    """Told the status of each answer of the server behind."""

    def body(self) -> bytes:
        return self.handler.rfile.read(self._length)

    def half_of_the_body(self) -> None:
        self.handler.rfile.read(self._length // 2)

    def ask(self, body: bytes) -> Answer:
        """Pass the request on, with the host that the client asked for, since that is signed."""
        headers = {name: value for name, value in self.handler.headers.items() if name.lower() not in _DROPPED}
        with closing(HTTPConnection(*self.server, timeout=_S3_TAKES_AT_MOST_SECONDS)) as connection, self.turn:
            connection.request(self.handler.command, self.handler.path, body or None, headers)
            answer = connection.getresponse()
            content = answer.read()
        self.answered(answer.status)
        kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in _DROPPED]
        if answer.chunked:
            kept.append(("Content-Length", str(len(content))))
        return Answer(answer.status, kept, content)

    def send(self, answer: Answer) -> None:
        for half in answer.halves(self.handler.command):
            self.handler.wfile.write(half)

    def send_half(self, answer: Answer) -> None:
        self.handler.wfile.write(answer.halves(self.handler.command)[0])

    def send_rest(self, answer: Answer) -> None:
        self.handler.wfile.write(answer.halves(self.handler.command)[1])

    def wait(self, seconds: float) -> bool:
        """Whether anybody still waits for the answer after so long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.stopping.wait(0.02):
                return False
            with suppress(BlockingIOError):
                if not self.handler.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT):
                    return False
        return True

    def end(self) -> NoReturn:
        """End the connection in good order."""
        raise ConnectionAbortedError

    def reset(self) -> NoReturn:
        self.handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.end()

    @property
    def _length(self) -> int:
        return int(self.handler.headers.get("Content-Length") or 0)


class Count:
    """Numbers requests as they come, from all connections, and counts S3's answers by status."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.requests = 0
        self.writes = 0
        self.answers = Counter[int]()

    def answer(self, status: int) -> None:
        with self._lock:
            self.answers[status] += 1

    def request(self, method: str, target: str) -> Request:
        is_write = method in {"PUT", "DELETE"} or (method == "POST" and "delete" in urlsplit(target).query)
        with self._lock:
            number, write_number = self.requests, self.writes if is_write else None
            self.requests += 1
            self.writes += is_write
        return Request(number, write_number, method, target)


@dataclass
class Proxy:
    """A running proxy. ``hook`` may be changed at any time; it is called by several threads."""

    endpoint: S3Endpoint
    """The server behind, as one reaches it by the proxy."""
    hook: Hook
    count: Count = field(default_factory=Count)


@contextmanager
def proxy_before(server: S3Endpoint, hook: Hook = lambda _request: Forward()) -> Iterator[Proxy]:
    """A proxy for as long as the block lasts; then all of its connections are ended.

    Requests that write reach the server one at a time: S3 decides on conditional ones so, and moto does not.
    """
    address = urlsplit(server.url)
    assert address.hostname is not None
    assert address.port is not None
    behind = address.hostname, address.port
    write_turn = threading.Lock()
    stopping = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def serve(self) -> None:
            request = proxy.count.request(self.command, self.path)
            turn = write_turn if request.is_write else nullcontext()
            proxy.hook(request).befall(Exchange(self, behind, turn, stopping, proxy.count.answer))

        do_DELETE = do_GET = do_HEAD = do_POST = do_PUT = serve  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with ExitStack() as ending:
        front = _Front(("127.0.0.1", 0), Handler)
        ending.callback(front.server_close)
        proxy = Proxy(replace(server, url=f"http://127.0.0.1:{front.server_port}"), hook)
        thread = threading.Thread(target=front.serve_forever, args=[0.01])
        thread.start()
        ending.callback(front.end_connections)
        ending.callback(stopping.set)
        ending.callback(thread.join)
        ending.callback(front.shutdown)
        yield proxy


class _Front(ThreadingMixIn, HTTPServer):
    """Knows its connections, so that none is left, and closes a connection that is to be reset without a good-bye."""

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._connections = set[socket.socket]()
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        if request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, len(_RESET)) == _RESET:
            self.close_request(request)
        else:
            super().shutdown_request(request)

    def end_connections(self) -> None:
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed or gave up is no fault of the proxy, and an end may be what a hook wants."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)
