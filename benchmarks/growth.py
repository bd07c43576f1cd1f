"""Memory and time of a whole day by its number of events, as a table and as a chart.

The simulated messages are in a Kafka topic beforehand. Memory is that of the command and its child processes, without
the broker and the S3 server.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import dagster as dg
import msgspec

from benchmarks.bench import RIVALS, Bench, materialize
from benchmarks.rows import Row, at_most, at_most_times
from benchmarks.watched import watch

_MILLION = 1_000_000
_SMALL, _LARGE, _HUGE = 1, 10, 50
_LIMITS_MIB = {_LARGE: 1.5 * 1024, _HUGE: 3 * 1024}
"""Goals for the whole day."""
_SAME = 1.1
"""What counts as no growth, as two runs of the same day differ by that factor."""
_PICTURE = Path(__file__).parent / "growth.svg"


@dataclass(frozen=True)
class Day:
    """The measurements of one run of a whole day."""

    seconds: float
    peak_mib: float
    landing_mib: float
    """The peak while `raw_events` was running."""


def measure(bench: Bench) -> list[Row]:
    """Returns rows of memory; at full scale also draws `growth.svg`."""
    sizes = {millions: bench.scaled(millions * _MILLION, at_least=1_000) for millions in (_SMALL, _LARGE, _HUGE)}
    topics = {millions: bench.topic_of_a_day(events) for millions, events in sizes.items()}
    days: dict[int, list[Day]] = {millions: [] for millions in sizes}
    for _ in range(bench.runs):
        for millions, topic in topics.items():
            day = _whole_day(bench, topic)
            days[millions].append(day)
            bench.report(
                f"a day of {sizes[millions]:,} events: {day.seconds:.1f} s, {day.peak_mib:,.0f} MiB at most, "
                f"{day.landing_mib:,.0f} while landing"
            )
    if bench.scale == 1:
        _draw(bench, {sizes[millions]: of_size for millions, of_size in days.items()})
    whole = [
        at_most(
            f"peak memory of a whole day, {millions} M events", "MiB", [day.peak_mib for day in days[millions]], limit
        )
        for millions, limit in _LIMITS_MIB.items()
    ]
    small, huge = ([day.landing_mib for day in days[millions]] for millions in (_SMALL, _HUGE))
    landing = f"peak memory of landing alone, {_HUGE} M events"
    return [*whole, at_most_times(landing, "MiB", huge, {f"{_SMALL} M": small}, _SAME)]


def _whole_day(bench: Bench, topic: str) -> Day:
    home = bench.new_folder("growth")
    environment = bench.environment(bench.new_bucket(), home, **bench.from_kafka(topic))
    taken = watch(materialize("game_analytics.definitions"), home, environment, home / "log")
    with dg.DagsterInstance.from_config(str(home)) as instance:
        [run] = instance.get_runs()
        [landing] = instance.get_run_step_stats(run.run_id, ["raw_events"])
    start, end = landing.start_time, landing.end_time
    if start is None or end is None:
        raise ValueError(f"Dagster did not record when {landing.step_key} began and ended.")
    return Day(taken.seconds, taken.peak_mib, taken.peak_mib_within(start, end))


def _draw(bench: Bench, days: dict[int, list[Day]]) -> None:
    points = [
        {
            "events": events,
            "seconds": median(day.seconds for day in of_size),
            "peak_mib": median(day.peak_mib for day in of_size),
            "landing_mib": median(day.landing_mib for day in of_size),
        }
        for events, of_size in days.items()
    ]
    subprocess.run(  # noqa: S603 - our own program
        [bench.rivals_python, RIVALS / "draw_growth.py", _PICTURE], input=msgspec.json.encode(points), check=True
    )
