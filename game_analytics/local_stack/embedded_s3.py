"""An S3 server inside this process that keeps its objects in memory: moto, for the demo and for tests."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any

from game_analytics.errors import GameAnalyticsError
from game_analytics.local_stack.endpoint import S3Endpoint, make_bucket

if TYPE_CHECKING:
    from werkzeug.serving import BaseWSGIServer

_HOST = "127.0.0.1"
_STOP_WITHIN_SECONDS = 0.05


@contextmanager
def embedded_s3(bucket: str, port: int = 0) -> Iterator[S3Endpoint]:
    """Serve an empty bucket until the block ends; port 0 takes a free one.

    moto has one state per process, so use one at a time: a second one would empty the first. Raises
    `GameAnalyticsError` if moto is not installed or the bucket's name is not allowed.
    """
    server = _moto_server(port)
    thread = threading.Thread(target=server.serve_forever, args=[_STOP_WITHIN_SECONDS], daemon=True)
    with ExitStack() as ending:
        ending.callback(server.server_close)
        thread.start()
        ending.callback(thread.join)
        ending.callback(server.shutdown)
        _reset_moto(server.port)
        ending.callback(_reset_moto, server.port)
        endpoint = S3Endpoint(f"http://{_HOST}:{server.port}", "embedded", "embedded")
        make_bucket(endpoint, bucket)
        yield endpoint


def _moto_server(port: int) -> "BaseWSGIServer":
    # moto's own ThreadedMotoServer does the same, but leaves its socket open and logs each request.
    try:
        from moto.moto_server import werkzeug_app as moto  # noqa: PLC0415
        from werkzeug.serving import make_server  # noqa: PLC0415
    except ImportError as missing:
        raise GameAnalyticsError(
            f"The embedded S3 server needs the Python package {missing.name!r}. "
            "Install it with: pip install 'game-analytics[local]'"
        ) from missing

    class SilentRequestHandler(moto.MotoRequestHandler):
        def log_request(self, *_: Any) -> None:
            """Log nothing: the terminal shows a leaderboard."""

    app = moto.DomainDispatcherApplication(moto.create_backend_app)
    return make_server(_HOST, port, app, threaded=True, request_handler=SilentRequestHandler)


def _reset_moto(port: int) -> None:
    connection = HTTPConnection(_HOST, port, timeout=10)
    try:
        connection.request("POST", "/moto-api/reset")
        connection.getresponse().read()
    finally:
        connection.close()
