"""A year of small days in one command, compared with its days one by one.

The goal is at most 1.2 times "365 times the work of one day without its start-up", of which two readings are reported:

- The work of one day is the time of the command for that day, less that of the same command on an asset that does
  nothing. That is what a user sees, including what is done once: imports, connections, first uses.
- The work of one day is the time of a warm process that lands, counts and ranks one day after the other without
  Dagster. This is stricter: all of Dagster's work counts as overhead, and it records each day of a range three times
  for each asset: planned, done, and once more at the end.

The messages are in Kafka beforehand, so the simulation takes no time.
"""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from statistics import fmean, median

import msgspec

from benchmarks.bench import PROJECT, Bench
from benchmarks.rows import Row, at_most_times
from benchmarks.servers import DAY, program
from benchmarks.simulated_days import days_before, publish_days
from benchmarks.watched import watch
from game_analytics.errors import GameAnalyticsError
from game_analytics.lake.names import board_key, manifest_key, stats_key
from game_analytics.simulation.schedule import Simulation
from game_analytics.sources.kafka.client import KafkaSettings

_DAYS = 365
_EVENTS_A_DAY = 20_000
_BY_HAND = 20
"""Days processed without Dagster, of which the mean counts."""
_ONE_DAYS = 3
"""Commands for one day, of which the median counts: each takes seconds, and its noise is multiplied by the days."""
_LIMIT = 1.2

_TOPIC = "backfill"


def measure(bench: Bench) -> Sequence[Row]:
    """Compares the range with its days, in both readings."""
    days = days_before(date.fromisoformat(DAY), bench.scaled(_DAYS, at_least=5))
    target = KafkaSettings(bench.broker.bootstrap_servers, _TOPIC)
    sent = publish_days(target, days[0] - timedelta(days=1), days[-1], Simulation(events_per_day=_EVENTS_A_DAY))
    bench.report(f"{sent:,} messages are in Kafka")
    ranges, beyond_idle, by_hand = list[float](), list[float](), list[float]()
    for run in range(1, bench.runs + 1):
        etags, seconds = _range(bench, days)
        ranges.append(seconds)
        beyond_idle.append(len(days) * _one_day_beyond_idle(bench, days[0]))
        by_hand.append(len(days) * _one_day_by_hand(bench, days, etags))
        bench.report(
            f"run {run}: {len(days)} days {seconds:.1f} s; as many times a day {beyond_idle[-1]:.1f} s, by hand "
            f"{by_hand[-1]:.1f} s"
        )
    what = f"backfill of {len(days)} days of {_EVENTS_A_DAY:,} events"
    times = f"{len(days)} times a day"
    return [
        at_most_times(what, "s", ranges, {f"{times} beyond an idle command": beyond_idle}, _LIMIT),
        at_most_times(what, "s", ranges, {f"{times} by hand, warm": by_hand}, _LIMIT),
    ]


def _range(bench: Bench, days: Sequence[date]) -> tuple[Mapping[str, str], float]:
    """The ETag of each key in the lake after the command for all days, and its seconds. Raises `GameAnalyticsError` if
    an object is missing."""
    bucket, seconds = _materialize(bench, "game_analytics.definitions", "*", days[0], days[-1])
    etags = {found.key: found.etag for found in bench.lake(bucket).listing("")}
    missing = [key for day in days for key in (manifest_key(day), stats_key(day), board_key(day)) if key not in etags]
    if missing:
        raise GameAnalyticsError(f"The backfill did not write {missing[0]} and {len(missing) - 1} others.")
    return etags, seconds


def _one_day_beyond_idle(bench: Bench, day: date) -> float:
    ours, idle = [], []
    for _ in range(_ONE_DAYS):
        ours.append(_materialize(bench, "game_analytics.definitions", "*", day, day)[1])
        idle.append(_materialize(bench, "benchmarks.idle", "*", day, day)[1])
    return median(ours) - median(idle)


def _one_day_by_hand(bench: Bench, days: Sequence[date], etags: Mapping[str, str]) -> float:
    """Mean seconds of days from the second on. Raises `GameAnalyticsError` unless their boards have the same bytes as
    those of the range."""
    some = days[1 : 1 + _BY_HAND]
    bucket = bench.new_bucket()
    environment = _environment(bench, bucket)
    words = ["-m", "benchmarks.days_by_hand", str(some[0]), str(len(some))]
    done = subprocess.run([sys.executable, *words], cwd=PROJECT, env=environment, check=True, stdout=subprocess.PIPE)  # noqa: S603
    boards = {found.key: found.etag for found in bench.lake(bucket).listing("leaderboard/")}
    for day in some:
        if boards[board_key(day)] != etags[board_key(day)]:
            raise GameAnalyticsError(f"The board of {day} differs between the days one by one and the range.")
    return fmean(msgspec.json.decode(done.stdout, type=list[float]))


def _materialize(bench: Bench, module: str, selection: str, first: date, last: date) -> tuple[str, float]:
    """A new bucket, and the seconds of the command as a user types it."""
    bucket = bench.new_bucket()
    days = ["--partition", str(first)] if first == last else ["--partition-range", f"{first}...{last}"]
    command: list[str | Path] = [program("dagster"), "asset", "materialize", "-m", module, "--select", selection, *days]
    log = bench.new_folder("materialize") / "log"
    return bucket, watch(command, PROJECT, _environment(bench, bucket), log, memory=False).seconds


def _environment(bench: Bench, bucket: str) -> dict[str, str]:
    return bench.environment(
        bucket,
        bench.new_folder("home"),
        KAFKA_BOOTSTRAP_SERVERS=bench.broker.bootstrap_servers,
        KAFKA_TOPIC=_TOPIC,
    )
