"""A year of small days in one command, beside what its days take one by one.

Asked is at most 1.2 times «365 times the work of one day without its start-up», which can be read in two ways. Both are
told:

- The work of one day is what the command takes for that day beyond what the same command takes on an asset that does
  nothing. That is what a user sees, with all that a first day does once: imports, connections, first uses.
- The work of one day is what a process takes that has all of that behind it, lands, counts and ranks one day after the
  other and does nothing else. That is the harsher one: whatever Dagster does for a day is then our overhead, and it
  records each day of a range three times for each asset, planned, done, and once more at the end.

The messages lie in Kafka before, so that nobody waits for the simulation.
"""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from statistics import fmean, median

import msgspec

from benchmarks.ground import PROJECT, Ground
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
"""Days that are done by hand, of which the mean counts."""
_ONE_DAYS = 3
"""Commands for one day, of which the median counts: one of them is seconds, and its noise is multiplied."""
_LIMIT = 1.2

_TOPIC = "backfill"


def measure(ground: Ground) -> Sequence[Row]:
    """The range against the days, in both readings."""
    days = days_before(date.fromisoformat(DAY), ground.scaled(_DAYS, at_least=5))
    target = KafkaSettings(ground.broker.bootstrap_servers, _TOPIC)
    sent = publish_days(target, days[0] - timedelta(days=1), days[-1], Simulation(events_per_day=_EVENTS_A_DAY))
    ground.tell(f"{sent:,} messages lie in Kafka")
    ranges, beyond_idle, by_hand = list[float](), list[float](), list[float]()
    for run in range(1, ground.runs + 1):
        etags, seconds = _range(ground, days)
        ranges.append(seconds)
        beyond_idle.append(len(days) * _one_day_beyond_idle(ground, days[0]))
        by_hand.append(len(days) * _one_day_by_hand(ground, days, etags))
        ground.tell(
            f"run {run}: {len(days)} days {seconds:.1f} s; as many times a day {beyond_idle[-1]:.1f} s, by hand "
            f"{by_hand[-1]:.1f} s"
        )
    what = f"backfill of {len(days)} days of {_EVENTS_A_DAY:,} events"
    times = f"{len(days)} times a day"
    return [
        at_most_times(what, "s", ranges, {f"{times} beyond an idle command": beyond_idle}, _LIMIT),
        at_most_times(what, "s", ranges, {f"{times} by hand, warm": by_hand}, _LIMIT),
    ]


def _range(ground: Ground, days: Sequence[date]) -> tuple[Mapping[str, str], float]:
    """What the lake holds after the command for all days, key to ETag, and its seconds. Raises if anything is amiss."""
    bucket, seconds = _materialize(ground, "game_analytics.definitions", "*", days[0], days[-1])
    etags = {found.key: found.etag for found in ground.lake(bucket).listing("")}
    missing = [key for day in days for key in (manifest_key(day), stats_key(day), board_key(day)) if key not in etags]
    if missing:
        raise GameAnalyticsError(f"The backfill did not write {missing[0]} and {len(missing) - 1} others.")
    return etags, seconds


def _one_day_beyond_idle(ground: Ground, day: date) -> float:
    ours, idle = [], []
    for _ in range(_ONE_DAYS):
        ours.append(_materialize(ground, "game_analytics.definitions", "*", day, day)[1])
        idle.append(_materialize(ground, "benchmarks.idle", "*", day, day)[1])
    return median(ours) - median(idle)


def _one_day_by_hand(ground: Ground, days: Sequence[date], etags: Mapping[str, str]) -> float:
    """Of days from the second on. Raises unless they are, to the byte, what the range made of them."""
    some = days[1 : 1 + _BY_HAND]
    bucket = ground.new_bucket()
    environment = _environment(ground, bucket)
    words = ["-m", "benchmarks.days_by_hand", str(some[0]), str(len(some))]
    told = subprocess.run([sys.executable, *words], cwd=PROJECT, env=environment, check=True, stdout=subprocess.PIPE)  # noqa: S603
    boards = {found.key: found.etag for found in ground.lake(bucket).listing("leaderboard/")}
    for day in some:
        if boards[board_key(day)] != etags[board_key(day)]:
            raise GameAnalyticsError(f"The board of {day} is another one by hand than in the range.")
    return fmean(msgspec.json.decode(told.stdout, type=list[float]))


def _materialize(ground: Ground, module: str, selection: str, first: date, last: date) -> tuple[str, float]:
    """The bucket, made for it, and the seconds of the command as a user types it."""
    bucket = ground.new_bucket()
    days = ["--partition", str(first)] if first == last else ["--partition-range", f"{first}...{last}"]
    command: list[str | Path] = [program("dagster"), "asset", "materialize", "-m", module, "--select", selection, *days]
    log = ground.new_folder("materialize") / "log"
    return bucket, watch(command, PROJECT, _environment(ground, bucket), log, memory=False).seconds


def _environment(ground: Ground, bucket: str) -> dict[str, str]:
    return ground.environment(
        bucket,
        ground.new_folder("home"),
        KAFKA_BOOTSTRAP_SERVERS=ground.broker.bootstrap_servers,
        KAFKA_TOPIC=_TOPIC,
    )
