"""Ports of this machine's loopback: which are free, and who holds one that is not."""

import socket
from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path

from game_analytics.errors import GameAnalyticsError

LOOPBACK = "127.0.0.1"
_LISTENING = "0A"


def require_free_port(port: int, purpose: str, option: str) -> None:
    """Raise if nobody can listen on the port, naming who does and the option that chooses another."""
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
            f"Port {port} on {LOOPBACK} is taken{_by_whom(port)}, and {purpose} needs it. "
            f"Stop what listens there, or choose another port: {option} PORT"
        ) from taken


def free_ports(count: int, avoid: Collection[int] = (), partner: int = 0) -> list[int]:
    """That many different ports which nobody listens on now; each one's port + ``partner`` is free as well."""
    found: list[int] = []
    with ExitStack() as held:
        while len(found) < count:
            candidate = held.enter_context(_listener(0)).getsockname()[1]
            if candidate not in avoid and (not partner or _is_free(candidate + partner, avoid)):
                found.append(candidate)
    return found


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
        # As servers do it: connections that ended a moment ago don't hold the port.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK, port))
        listener.listen(1)
    except OSError:
        listener.close()
        raise
    return listener


def _by_whom(port: int) -> str:
    """The process that listens there, as far as the kernel tells this user; only Linux tells without a helper."""
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for process in Path("/proc").glob("[0-9]*") if sockets else ():
        try:
            if any(str(fd.readlink()) in sockets for fd in (process / "fd").iterdir()):
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                return f" by process {process.name} ({command[:80]})"
        except OSError:
            continue  # another user's process, or one that has just ended
    return ""


def _listening_inodes(port: int) -> set[str]:
    inodes = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        if table.exists():
            for line in table.read_text().splitlines()[1:]:
                local, state, inode = (line.split()[column] for column in (1, 3, 9))
                if state == _LISTENING and int(local.rpartition(":")[2], 16) == port:
                    inodes.add(inode)
    return inodes
