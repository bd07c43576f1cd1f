"""The interface of engines, which run one function over many items with several workers.

Independent of what the items are. A further engine is a further file in this folder.
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
"""Called with the units of work done since the last call; 0 only shows that work continues."""

Work = Callable[[I, Progress], R]
"""Processes one item and returns its result."""

Task = Callable[[S], AbstractContextManager[Work[I, R]]]
"""From what all items share, makes a context manager that each worker enters once. It opens the worker's clients and
yields the function for the items. A module-level function, since it is pickled by name; shared data, items and results
must be picklable."""


@dataclass(frozen=True)
class Done:
    """Units of work that a worker has done since its last report. Defined here, not in `worker.py`: that runs as
    ``__main__``, so its classes would be pickled as another module's."""

    units: int


class WorkerDied(GameAnalyticsError):
    """A worker ended in the middle of an item."""


class Engine(ABC):
    """Where work runs."""

    @abstractmethod
    def run(
        self, task: Task[S, I, R], shared: S, items: Sequence[I], progress: Progress, *, workers_worth: int
    ) -> Iterator[R]:
        """Yields the result of each item as it is done, in no particular order. A caller that stops iterating ends the
        workers.

        ``progress`` is called at least once a second. ``workers_worth`` is the number of workers beyond which more
        would not be faster. Raises what the work raises, and `WorkerDied`; the other workers are then ended.
        """
