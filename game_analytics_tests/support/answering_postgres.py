"""A server on loopback that implements PostgreSQL's protocol just enough to accept or refuse a client."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

_ENCRYPTION = {80877103, 80877104}  # by TLS, by GSSAPI
ASKS = "asks for a password"
_SETTINGS = {"server_version": "15.19", "client_encoding": "UTF8", "DateStyle": "ISO, MDY"}


@contextmanager
def answering_postgres(*answers: str) -> Iterator[int]:
    """The port of a server that refuses with these reasons in turn, repeating the last one. An empty reason accepts the
    client, and ``ASKS`` requires a password."""
    remaining = list(answers)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                _answer(connection, remaining.pop(0) if len(remaining) > 1 else remaining[0])

    thread = threading.Thread(target=serve)
    with ExitStack() as ending:
        ending.callback(thread.join)
        ending.callback(listener.close)
        ending.callback(listener.shutdown, socket.SHUT_RDWR)
        thread.start()
        yield listener.getsockname()[1]


def _answer(connection: socket.socket, refusal: str) -> None:
    while _request(connection) in _ENCRYPTION:
        connection.sendall(b"N")
    if refusal == ASKS:
        connection.sendall(_message(b"R", struct.pack("!i", 3)))
        connection.recv(1024)
        return
    if refusal:
        connection.sendall(_message(b"E", f"SFATAL\0C28P01\0M{refusal}\0\0".encode()))
        return
    connection.sendall(_message(b"R", struct.pack("!i", 0)))
    for name, value in _SETTINGS.items():
        connection.sendall(_message(b"S", f"{name}\0{value}\0".encode()))
    connection.sendall(_message(b"Z", b"I"))
    connection.recv(1024)  # until the client disconnects


def _request(connection: socket.socket) -> int:
    """What the first four bytes of a message at the start of a connection say."""
    (length,) = struct.unpack("!i", connection.recv(4, socket.MSG_WAITALL))
    (code,) = struct.unpack("!i", connection.recv(length - 4, socket.MSG_WAITALL)[:4])
    return int(code)


def _message(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("!i", len(content) + 4) + content
