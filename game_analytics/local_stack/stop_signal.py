"""Being asked to stop: SIGINT, SIGTERM or SIGHUP set a flag, at which a program looks when it suits it."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass
class StopSignal:
    """Whether somebody asked us to stop. A flag and no exception, so that no cleaning up is ever cut short."""

    asked: bool = False

    def was_asked(self) -> bool:
        return self.asked

    def handle(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True


@contextmanager
def stop_signals() -> Iterator[StopSignal]:
    """Set explicitly, since a shell without job control starts its background programs deaf to Ctrl-C.

    Must be entered from the main thread, since only that one may listen to signals.
    """
    stop = StopSignal()
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # else: nohup, which means it
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, stop.handle) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
