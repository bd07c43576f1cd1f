"""SIGINT, SIGTERM and SIGHUP as a flag that a program checks, so that they do not interrupt what it is doing."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass
class StopSignal:
    """Whether a stop was requested. A flag, not an exception, which could interrupt a clean-up."""

    asked: bool = False

    def was_asked(self) -> bool:
        return self.asked

    def handle(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True


@contextmanager
def stop_signals() -> Iterator[StopSignal]:
    """Handle the three signals until the block ends. Must be entered from the main thread.

    SIGINT too, since a shell without job control starts background programs with that signal ignored.
    """
    stop = StopSignal()
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # ignored: started by nohup
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, stop.handle) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
