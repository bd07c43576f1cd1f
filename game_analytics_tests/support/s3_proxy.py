"""An HTTP/1.1 proxy in front of an S3 server, on a free port of loopback. A hook decides what happens to each request:
pass it on, answer with an error, break off, delay, or call a function before or after it. Counts requests and
writes."""

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
"""SO_LINGER with zero seconds: closing sends a reset."""


@dataclass(frozen=True)
class Request:
    """A request before its body is read."""

    number: int
    """The number of the request, from 0."""
    write_number: int | None
    """The number among writing requests, from 0; None for a read."""
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
    """What happens to a request."""

    @abstractmethod
    def befall(self, exchange: "Exchange") -> None:
        """Handle the request, with or without an answer."""


Hook = Callable[[Request], Fate]


@dataclass(frozen=True)
class Forward(Fate):
    """Pass on request and answer. ``before`` is called before S3 has seen the request, ``after`` before the client has
    seen the answer."""

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
    """Read the request, call ``then``, and close the connection; S3 never sees the request."""

    then: Callable[[], None]

    def befall(self, exchange: "Exchange") -> None:
        exchange.body()
        self.then()
        exchange.end()


@dataclass(frozen=True)
class Refuse(Fate):
    """Answer with an error, without passing the request on."""

    status: int
    code: str

    def befall(self, exchange: "Exchange") -> None:
        exchange.body()
        exchange.send(Answer.of_error(self.status, self.code))


@dataclass(frozen=True)
class LoseAnswer(Fate):
    """Pass the request on, but answer with an error."""

    status: int
    code: str

    def befall(self, exchange: "Exchange") -> None:
        exchange.ask(exchange.body())
        exchange.send(Answer.of_error(self.status, self.code))


class ResetRequest(Fate):
    """Reset the connection after half of the request's body; S3 never sees the request."""

    def befall(self, exchange: "Exchange") -> None:
        exchange.half_of_the_body()
        exchange.reset()


class ResetAnswer(Fate):
    """Pass the request on, and reset the connection after half of the answer's body."""

    def befall(self, exchange: "Exchange") -> None:
        exchange.send_half(exchange.ask(exchange.body()))
        exchange.reset()


class TruncateAnswer(Fate):
    """Pass the request on, and close the connection properly after half of the answer's body."""

    def befall(self, exchange: "Exchange") -> None:
        exchange.send_half(exchange.ask(exchange.body()))
        exchange.end()


@dataclass(frozen=True)
class Stall(Fate):
    """Pass the request on, and send nothing for a while, or until the client has gone."""

    seconds: float

    def befall(self, exchange: "Exchange") -> None:
        answer = exchange.ask(exchange.body())
        if exchange.wait(self.seconds):
            exchange.send(answer)


@dataclass(frozen=True)
class StallAnswer(Fate):
    """Pass the request on, and pause in the middle of the answer's body."""

    seconds: float

    def befall(self, exchange: "Exchange") -> None:
        answer = exchange.ask(exchange.body())
        exchange.send_half(answer)
        if exchange.wait(self.seconds):
            exchange.send_rest(answer)


@dataclass(frozen=True)
class Answer:
    """An answer of S3: headers as received, and the body."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @staticmethod
    def of_error(status: int, code: str) -> "Answer":
        body = f"<Error><Code>{code}</Code><Message>what S3 says of it</Message></Error>".encode()
        return Answer(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))], body)

    def halves(self, method: str) -> tuple[bytes, bytes]:
        """The bytes, cut in the middle of the body, or of the head if there is no body."""
        lines = [f"HTTP/1.1 {self.status} .", *(f"{name}: {value}" for name, value in self.headers), "", ""]
        head = "\r\n".join(lines).encode("latin-1")
        body = b"" if method == "HEAD" else self.body
        middle = len(head) + len(body) // 2 if body else len(head) // 2
        whole = head + body
        return whole[:middle], whole[middle:]


@dataclass(frozen=True)
class Exchange:
    """One request and its answer, between the client and the server."""

    handler: BaseHTTPRequestHandler
    server: tuple[str, int]
    turn: AbstractContextManager[object]
    """Held while the server handles the request."""
    stopping: threading.Event
    answered: Callable[[int], None]
    """Called with the status of each answer of the server."""

    def body(self) -> bytes:
        return self.handler.rfile.read(self._length)

    def half_of_the_body(self) -> None:
        self.handler.rfile.read(self._length // 2)

    def ask(self, body: bytes) -> Answer:
        """Pass the request on with the client's Host header, since that is signed."""
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
        """Wait. Returns whether the client still waits for the answer."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.stopping.wait(0.02):
                return False
            with suppress(BlockingIOError):
                if not self.handler.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT):
                    return False
        return True

    def end(self) -> NoReturn:
        """Close the connection properly."""
        raise ConnectionAbortedError

    def reset(self) -> NoReturn:
        self.handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.end()

    @property
    def _length(self) -> int:
        return int(self.handler.headers.get("Content-Length") or 0)


class Count:
    """Numbers the requests of all connections, and counts S3's answers by status."""

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
    """The server's endpoint through the proxy."""
    hook: Hook
    count: Count = field(default_factory=Count)


@contextmanager
def proxy_before(server: S3Endpoint, hook: Hook = lambda _request: Forward()) -> Iterator[Proxy]:
    """A proxy during the block; then all of its connections are closed.

    Writes reach the server one at a time: S3 serializes conditional writes, and moto does not.
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
            """Logs nothing."""

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
    """Keeps track of its connections to close them all, and does not shut down those that are to be reset."""

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
        """Ignores errors: clients may be killed or give up, and hooks may close connections."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)
