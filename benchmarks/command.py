"""The time of `dagster asset materialize` for one small day beyond that of the same command on an idle asset."""

from collections.abc import Sequence
from datetime import date

from benchmarks.bench import PROJECT, Bench, materialize
from benchmarks.rows import Row, at_most_more
from benchmarks.servers import DAY
from benchmarks.watched import Taken, watch
from game_analytics.errors import GameAnalyticsError
from game_analytics.lake.names import board_key

_EVENTS = 20_000
_OURS = "game_analytics.definitions"
_IDLE = "benchmarks.idle"


def measure(bench: Bench) -> Sequence[Row]:
    """Compares the command for all three assets of a day with that for an idle asset."""
    topic = bench.topic_of_a_day(_EVENTS)
    seconds: dict[str, list[float]] = {_OURS: [], _IDLE: []}
    for run in range(1, bench.runs + 1):
        for module, runs in seconds.items():
            taken = _materialize(bench, module, topic)
            runs.append(taken.seconds)
            bench.report(f"{module}, run {run} of {bench.runs}: {taken.seconds:.2f} s")
    what = f"the command for a day of {_EVENTS:,} events, all three assets"
    return [at_most_more(what, "s", seconds[_OURS], "an asset that does nothing", seconds[_IDLE], 1.0)]


def _materialize(bench: Bench, module: str, topic: str) -> Taken:
    bucket, folder = bench.new_bucket(), bench.new_folder("command")
    environment = bench.environment(bucket, folder, **bench.from_kafka(topic))
    taken = watch(materialize(module), PROJECT, environment, folder / "log", memory=False)
    if module == _OURS and bench.lake(bucket).etag(board_key(date.fromisoformat(DAY))) is None:
        raise GameAnalyticsError(f"{bucket} has no board.")
    return taken
