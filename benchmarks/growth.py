"""What a whole day takes as it grows: memory and time over events a day, as a table and as a picture.

The day's messages are simulated, and lie in a Kafka topic before anything is measured. Memory is that of the command
with the processes that it starts, neither the broker's nor the S3 server's.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import dagster as dg
import msgspec

from benchmarks.ground import RIVALS, Ground, materialize
from benchmarks.rows import Row, at_most, at_most_times
from benchmarks.watched import watch

_MILLION = 1_000_000
_SMALL, _LARGE, _HUGE = 1, 10, 50
_LIMITS_MIB = {_LARGE: 1.5 * 1024, _HUGE: 3 * 1024}
"""Asked of the whole day."""
_SAME = 1.1
"""What counts as no growth: two runs of the same day differ by as much."""
_PICTURE = Path(__file__).parent / "growth.svg"


@dataclass(frozen=True)
class Day:
    """What one run of a whole day took."""

    seconds: float
    peak_mib: float
    landing_mib: float
    """The peak while `raw_events` was at work."""


def measure(ground: Ground) -> list[Row]:
    """Rows of memory; draws `growth.svg` at full scale."""
    sizes = {millions: ground.scaled(millions * _MILLION, at_least=1_000) for millions in (_SMALL, _LARGE, _HUGE)}
    topics = {millions: ground.topic_of_a_day(events) for millions, events in sizes.items()}
    days: dict[int, list[Day]] = {millions: [] for millions in sizes}
    for _ in range(ground.runs):
        for millions, topic in topics.items():
            day = _whole_day(ground, topic)
            days[millions].append(day)
            ground.tell(
                f"a day of {sizes[millions]:,} events: {day.seconds:.1f} s, {day.peak_mib:,.0f} MiB at most, "
                f"{day.landing_mib:,.0f} while landing"
            )
    if ground.scale == 1:
        _draw(ground, {sizes[millions]: of_size for millions, of_size in days.items()})
    whole = [
        at_most(
            f"peak memory of a whole day, {millions} M events", "MiB", [day.peak_mib for day in days[millions]], limit
        )
        for millions, limit in _LIMITS_MIB.items()
    ]
    small, huge = ([day.landing_mib for day in days[millions]] for millions in (_SMALL, _HUGE))
    landing = f"peak memory of landing alone, {_HUGE} M events"
    return [*whole, at_most_times(landing, "MiB", huge, {f"{_SMALL} M": small}, _SAME)]


def _whole_day(ground: Ground, topic: str) -> Day:
    home = ground.new_folder("growth")
    environment = ground.environment(ground.new_bucket(), home, **ground.from_kafka(topic))
    taken = watch(materialize("game_analytics.definitions"), home, environment, home / "log")
    with dg.DagsterInstance.from_config(str(home)) as instance:
        [run] = instance.get_runs()
        [landing] = instance.get_run_step_stats(run.run_id, ["raw_events"])
    start, end = landing.start_time, landing.end_time
    if start is None or end is None:
        raise ValueError(f"Dagster does not tell when {landing.step_key} began and ended.")
    return Day(taken.seconds, taken.peak_mib, taken.peak_mib_within(start, end))


def _draw(ground: Ground, days: dict[int, list[Day]]) -> None:
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
        [ground.rivals_python, RIVALS / "draw_growth.py", _PICTURE], input=msgspec.json.encode(points), check=True
    )
