"""A webhook on loopback that keeps what it is told, and answers as a test wants it to."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET_PATH = "/services/T0HUSH/B0HUSH/hush-hush"


@dataclass
class WebhookServer:
    """Gives these answers in this order, and the last one again and again."""

    url: str = ""
    answers: list[int] = field(default_factory=lambda: [200])
    slow_seconds: float = 0
    told: list[dict[str, object]] = field(default_factory=list)

    @property
    def texts(self) -> list[str]:
        return [str(message["text"]) for message in self.told]


@contextmanager
def webhook_server(*answers: int, slow_seconds: float = 0) -> Iterator[WebhookServer]:
    """A server that is there as long as the block."""
    hook = WebhookServer(answers=list(answers) or [200], slow_seconds=slow_seconds)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert (self.path, self.headers["Content-Type"]) == (SECRET_PATH, "application/json")
            hook.told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
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
