"""The interface of engines: one function over many items, by as many workers as the engine has.

What is worked on is not known here. Another engine is one more file in this folder.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from game_analytics.errors import GameAnalyticsError

S = TypeVar("S")
I = TypeVar("I")  # noqa: E741
R = TypeVar("R")

Progress = Callable[[int], None]
"""Given the units that were done since the last call; 0 is a sign of life."""

Task = Callable[[S, I, Progress], R]
"""A function at the top of a module, so that it can be sent by its name: what all items share, an item, and progress.
Shared, items and results can be pickled."""


@dataclass(frozen=True)
class Done:
    """Units of work that a worker has done since the last of these. Not in `worker.py`, which runs as ``__main__``."""

    units: int


class WorkerDied(GameAnalyticsError):
    """A worker ended in the middle of an item."""


class Engine(ABC):
    """Where work runs."""

    @abstractmethod
    def run(
        self, task: Task[S, I, R], shared: S, items: Sequence[I], progress: Progress, *, workers_worth: int
    ) -> Iterator[R]:
        """The result of the task for each item, in no particular order.

        ``progress`` is called at least once a second. ``workers_worth`` is how many workers at most the work pays for.
        Raises what the task raises, and `WorkerDied`; the other workers are then ended.
        """
