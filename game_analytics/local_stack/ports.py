"""TCP ports of the loopback interface: which are free, and which process uses one that is not."""

import secrets
import socket
from collections.abc import Collection

import psutil

from game_analytics.errors import GameAnalyticsError

LOOPBACK = "127.0.0.1"

_NEVER_GIVEN = range(12_000, 22_000)
"""By default no system gives these to outgoing connections, which could else take a port between its choice and its
use."""


def require_free_port(port: int, purpose: str, option: str) -> None:
    """Raise `GameAnalyticsError` unless this user can listen on the port.

    It names ``purpose``, the process that holds the port, and the command-line ``option`` that chooses another one.
    """
    if not 1 <= port <= 65535:
        raise GameAnalyticsError(f"{port} is no port for {purpose}. Choose one from 1 to 65535: {option} PORT")
    try:
        _listener(port).close()
    except PermissionError as refused:
        raise GameAnalyticsError(
            f"This user may not listen on port {port} for {purpose}. Choose one above 1023: {option} PORT"
        ) from refused
    except OSError as taken:
        raise GameAnalyticsError(
            f"Port {port} on {LOOPBACK} is taken{_holder(port)}, and {purpose} needs it. "
            f"Stop what listens there, or choose another port: {option} PORT"
        ) from taken


def free_ports(count: int, avoid: Collection[int] = (), partner: int = 0) -> list[int]:
    """``count`` different ports that are free now, none of them in ``avoid``.

    With ``partner``, each port + ``partner`` is free as well.
    """
    found: set[int] = set()
    while len(found) < count:
        candidate = secrets.choice(_NEVER_GIVEN)
        if _is_free(candidate, avoid) and (not partner or _is_free(candidate + partner, avoid)):
            found.add(candidate)
    return list(found)


def _is_free(port: int, avoid: Collection[int]) -> bool:
    if port > 65535 or port in avoid:
        return False
    try:
        _listener(port).close()
    except OSError:
        return False
    return True


def _listener(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        # As servers do: closed connections that linger don't hold the port.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK, port))
        listener.listen(1)
    except OSError:
        listener.close()
        raise
    return listener


def _holder(port: int) -> str:
    """`` by process 17 (its command)``, or nothing if the system does not show it to this user."""
    try:
        sockets = psutil.net_connections("tcp")
        pids = [
            it.pid
            for it in sockets
            if it.status == psutil.CONN_LISTEN and it.laddr and it.laddr.port == port and it.pid
        ]
        return f" by process {pids[0]} ({' '.join(psutil.Process(pids[0]).cmdline())[:80]})" if pids else ""
    except psutil.Error:  # macOS shows it to root only; or the process has just ended
        return ""
