"""Starts, watches and stops the parts of `game-analytics dev` and `game-analytics stack`."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

from game_analytics.errors import GameAnalyticsError
from game_analytics.local_stack.ports import require_free_port
from game_analytics.local_stack.processes import Server
from game_analytics.local_stack.running import answers, say
from game_analytics.local_stack.stop_signal import StopSignal

ENDED_WELL = "exit code 0"

_LOOK_EVERY_SECONDS = 0.1
_RESTART_AFTER_SECONDS = 2.0


class Port(NamedTuple):
    """The port that a server listens on, with what an error message says about it."""

    number: int
    purpose: str
    option: str


@dataclass
class Part:
    """A server or program of the stack, and its state."""

    name: str
    server: Server
    port: Port | None = None
    """Must be free when it starts, so that an error can name the process that holds it."""
    after: "Part | None" = None
    """It is not started before that one is ready."""
    once: bool = False
    """It does its work and ends; if it fails, it is started again."""
    restart: bool = True
    """Whether it is started again when it fails or ends. If not, the whole stack stops with it."""
    serves_others: bool = False
    """It is stopped after the parts that use it."""
    is_up: bool = field(default=False, init=False)
    is_done: bool = field(default=False, init=False)
    _complaint: str | None = field(default=None, init=False)
    _start_at: float = field(default=0, init=False)

    @property
    def is_ready(self) -> bool:
        """Whether it runs or, with ``once``, has done its work."""
        return self.is_done if self.once else self.is_up

    def look_after(self, now: float, report: Callable[[str], None]) -> None:
        """Start it unless it is running, and restart it if it has ended. Each change is reported once, in one line.

        ``now`` is in seconds, of any clock. Raises `GameAnalyticsError` if it cannot start and must not be restarted.
        """
        if self.is_up and self.server.has_ended():
            how = self.server.how_it_ended()
            self.server.stop()
            self.is_up, self._start_at = False, now + _RESTART_AFTER_SECONDS
            self.is_done = self.once and how == ENDED_WELL
            if not self.is_done:
                report(f"{self.name} ended by itself with {how}. It is started again.")
        waits = self.after is not None and not self.after.is_ready
        if not (self.is_up or self.is_done or waits) and now >= self._start_at:
            self._start(now, report)

    def _start(self, now: float, report: Callable[[str], None]) -> None:
        try:
            if self.port is not None:
                require_free_port(*self.port)
            self.server.start()
        except GameAnalyticsError as error:
            if not self.restart:
                raise
            complaint, *more = str(error).splitlines()
            if complaint != self._complaint:
                # The last line of a quoted log usually holds the reason.
                report(f"{self.name} can't start, and is tried again: {' … '.join([complaint, *more[-1:]])}")
            self._complaint, self._start_at = complaint, now + _RESTART_AFTER_SECONDS
        else:
            self.is_up = True
            if self._complaint is not None:
                report(f"{self.name} has started.")
            self._complaint = None


def run_parts(
    parts: Sequence[Part], stop: StopSignal, ui_port: int, addresses: Mapping[str, str], servers: str
) -> str | None:
    """Run the parts until a stop is requested or one ends that must not be restarted; then stop all of them.

    ``addresses`` are printed once every part is ready and the Dagster UI answers on ``ui_port``. ``servers`` names
    what is stopped last. Returns why a part ended, with the last lines of its log; None if a stop was requested.
    Raises `GameAnalyticsError` if a part cannot start and must not be restarted.
    """
    try:
        ended = _watch(parts, stop, ui_port, addresses)
        say(f"Stopping: Dagster and its runs first, then {servers} ...")
        return ended
    finally:
        for serves_others in (False, True):
            group = [part.server for part in parts if part.serves_others == serves_others]
            with ThreadPoolExecutor(len(parts)) as threads:
                list(threads.map(lambda server: server.stop(), group))


def _watch(parts: Sequence[Part], stop: StopSignal, ui_port: int, addresses: Mapping[str, str]) -> str | None:
    announced = False
    while not stop.asked:
        for part in parts:
            if part.server.has_ended() and not part.restart:
                return f"{part.name} ended by itself with {part.server.how_it_ended()}. {part.server.reasons()}"
            if not stop.asked:
                try:
                    part.look_after(time.monotonic(), say)
                except GameAnalyticsError:
                    if not stop.asked:  # else it failed because it was not waited for
                        raise
        if not announced and all(part.is_ready for part in parts) and answers(ui_port):
            announced = True
            say("")
            for what, where in {**addresses, "To stop": "Ctrl-C"}.items():
                say(f"  {what:<16}{where}")
            say("")
        time.sleep(_LOOK_EVERY_SECONDS)
    return None
