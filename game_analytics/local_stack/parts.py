"""The parts of `game-analytics stack`: servers that can be started, looked after and ended alike."""

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from game_analytics.local_stack.ports import require_free_port
from game_analytics.local_stack.processes import OneChild, locked_log, start_child
from game_analytics.local_stack.seaweedfs import SeaweedFS, seaweedfs

ENDED_WELL = "exit code 0"


class Server(Protocol):
    """What can be asked of any of them, Kafka's broker and PostgreSQL included."""

    def start(self) -> None:
        """Start it. Raises `GameAnalyticsError` saying why that can't be."""

    def stop(self) -> None:
        """End it with all that it started, if it runs."""

    def has_ended(self) -> bool:
        """Whether it was started and runs no more."""

    def how_it_ended(self) -> str:
        """``exit code 1`` or ``signal SIGKILL``."""


@dataclass
class Guarded:
    """A server on a port that must be free before it starts, so that whoever holds it is named."""

    server: Server
    port: int
    purpose: str
    option: str

    def start(self) -> None:
        require_free_port(self.port, self.purpose, self.option)
        self.server.start()

    def stop(self) -> None:
        self.server.stop()

    def has_ended(self) -> bool:
        return self.server.has_ended()

    def how_it_ended(self) -> str:
        return self.server.how_it_ended()


@dataclass
class Program(OneChild):
    """A command of `game-analytics` in an environment of its own, with a log of its own."""

    words: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    log: Path
    """Emptied at the first start, and gone on with when it is started again: the reason for that stands there."""
    _has_run: bool = field(default=False, init=False)

    def start(self) -> None:
        programs = Path(sys.executable).parent
        path = os.pathsep.join([str(programs), self.environment.get("PATH", os.defpath)])
        with closing(
            locked_log(self.log, f"`game-analytics {' '.join(self.words)}`", "End it first.", keep=self._has_run)
        ) as output:
            command = [str(programs / "game-analytics"), *self.words]
            self._child = start_child(command, self.folder, {**self.environment, "PATH": path}, output)
            self._has_run = True

    def how_it_ended(self) -> str:
        """With the last words of its log, if it did not end well."""
        ended = super().how_it_ended()
        words = self.log.read_text(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(words) if line.strip()), "")
        return (
            f"{ended} ({self.log}: {last})" if ended.startswith("exit code") and ended != ENDED_WELL and last else ended
        )


@dataclass
class S3Server:
    """SeaweedFS."""

    folder: Path
    port: int
    weed: Path
    avoid: Sequence[int]
    _running: ExitStack = field(default_factory=ExitStack, init=False, repr=False)
    _server: SeaweedFS | None = field(default=None, init=False, repr=False)

    def start(self) -> None:
        self._server = self._running.enter_context(seaweedfs(self.folder, self.port, self.weed, self.avoid))

    def stop(self) -> None:
        self._running.close()
        self._server = None

    def has_ended(self) -> bool:
        return self._server is not None and self._server.child.has_ended()

    def how_it_ended(self) -> str:
        return "" if self._server is None else self._server.child.how_it_ended()
