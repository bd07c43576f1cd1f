"""Progress of a landing: a line every few seconds with the messages read, the rate and the time left."""

import time
from collections.abc import Callable
from datetime import timedelta

REPORT_EVERY_SECONDS = 5.0


class Progress:
    """Counts messages read and reports progress every five seconds."""

    def __init__(
        self, offsets: int, tell: Callable[[str], None], seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._offsets = offsets
        self._tell = tell
        self._seconds = seconds
        self._started = self._told = seconds()
        self._read = 0
        self._read_when_told = 0

    def read(self, messages: int) -> None:
        """Add messages that were read; 0 while waiting for the log."""
        self._read += messages
        now = self._seconds()
        if now - self._told >= REPORT_EVERY_SECONDS:
            rate = (self._read - self._read_when_told) / (now - self._told)
            self._told, self._read_when_told = now, self._read
            self._tell(f"{self._so_far()}, {rate:,.0f} a second, {self._left(now)}")

    def finish(self) -> None:
        """Report the total."""
        seconds = self._seconds() - self._started
        self._tell(f"{self._read:,} messages read in {seconds:.1f} s ({self._read / max(seconds, 1e-3):,.0f} a second)")

    def _so_far(self) -> str:
        # Offsets without a message are never read, so this may end below 100 %.
        return f"{self._read:,} of {self._offsets:,} messages read ({self._read / self._offsets:.0%})"

    def _left(self, now: float) -> str:
        """Estimated by the rate since the start, which varies less than the current one."""
        if not self._read:
            return "waiting"
        seconds = (self._offsets - self._read) * (now - self._started) / self._read
        return f"about {timedelta(seconds=round(seconds))} left"
