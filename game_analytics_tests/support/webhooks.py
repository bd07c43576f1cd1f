"""A webhook on loopback that records messages and has scripted answers."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET_PATH = "/services/T0HUSH/B0HUSH/hush-hush"


@dataclass
class WebhookServer:
    """Gives these answers in order, repeating the last one."""

    url: str = ""
    answers: list[int] = field(default_factory=lambda: [200])
    slow_seconds: float = 0
    received: list[dict[str, object]] = field(default_factory=list)

    @property
    def texts(self) -> list[str]:
        return [str(message["text"]) for message in self.received]


@contextmanager
def webhook_server(*answers: int, slow_seconds: float = 0) -> Iterator[WebhookServer]:
    """A server during the block."""
    hook = WebhookServer(answers=list(answers) or [200], slow_seconds=slow_seconds)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert (self.path, self.headers["Content-Type"]) == (SECRET_PATH, "application/json")
            hook.received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            time.sleep(hook.slow_seconds)
            self.send_response(hook.answers.pop(0) if len(hook.answers) > 1 else hook.answers[0])
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hook.url = f"http://127.0.0.1:{server.server_port}{SECRET_PATH}"
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    with ExitStack() as ending:
        ending.callback(server.server_close)
        thread.start()
        ending.callback(thread.join)
        ending.callback(server.shutdown)
        yield hook


@contextmanager
def _raw_server(answer: Iterator[bytes]) -> Iterator[str]:
    """Accepts one connection and sends these chunks."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError), listener.accept()[0] as connection:
                connection.recv(65_536)
                for piece in answer:
                    connection.sendall(piece)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}{SECRET_PATH}"
        thread.join()


def answering_with(answer: bytes) -> AbstractContextManager[str]:
    """A server that answers once, with these bytes."""
    return _raw_server(iter([answer]))


def dripping_server() -> AbstractContextManager[str]:
    """A server that sends a byte of its answer's head now and then, for eight seconds."""

    def drip() -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nX: "
        for _ in range(16):
            time.sleep(0.5)
            yield b"x"

    return _raw_server(drip())
