"""The interface of engines: one function over many items, by as many workers as the engine has.

What is worked on is not known here. Another engine is one more file in this folder.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeVar

from game_analytics.errors import GameAnalyticsError

S = TypeVar("S")
I = TypeVar("I")  # noqa: E741
R = TypeVar("R")

Progress = Callable[[int], None]
"""Given the units that were done since the last call; 0 is a sign of life."""

Work = Callable[[I, Progress], R]
"""What is done with an item."""

Task = Callable[[S], AbstractContextManager[Work[I, R]]]
"""Opens, from what all items share, what a worker needs, and gives the work that it does with each item: entered once a
worker. A function at the top of a module, so that it can be sent by its name. Shared, items and results can be
pickled."""


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
        """The result of the work for each item, in no particular order, as they come. A caller that stops iterating
        ends the workers.

        ``progress`` is called at least once a second. ``workers_worth`` is how many workers at most the work pays for.
        Raises what the work raises, and `WorkerDied`; the other workers are then ended.
        """
