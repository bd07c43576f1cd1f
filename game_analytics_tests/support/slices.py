"""Slices landed by the workers of this machine."""

from collections.abc import Callable, Iterator, Sequence

from game_analytics.engines.local import LocalEngine
from game_analytics.lake.bucket import Lake
from game_analytics.landing.slices import Slice, SliceReport, land_one
from game_analytics.sources.event_log import EventLog


def land_slices(
    log: EventLog, lake: Lake, pieces: Sequence[Slice], workers: int, progress: Callable[[int], None]
) -> Iterator[SliceReport]:
    """The report of each slice, in no particular order."""
    return LocalEngine(workers).run(land_one, (log, lake), pieces, progress, workers_worth=workers)
