"""What `dagster asset materialize` of one small day takes more than the same command on an asset that does nothing."""

from collections.abc import Sequence
from datetime import date

from benchmarks.ground import PROJECT, Ground, materialize
from benchmarks.rows import Row, at_most_more
from benchmarks.servers import DAY
from benchmarks.watched import Taken, watch
from game_analytics.errors import GameAnalyticsError
from game_analytics.lake.names import board_key

_EVENTS = 20_000
_OURS = "game_analytics.definitions"
_IDLE = "benchmarks.idle"


def measure(ground: Ground) -> Sequence[Row]:
    """All three assets of a day, by one command."""
    topic = ground.topic_of_a_day(_EVENTS)
    seconds: dict[str, list[float]] = {_OURS: [], _IDLE: []}
    for run in range(1, ground.runs + 1):
        for module, runs in seconds.items():
            taken = _materialize(ground, module, topic)
            runs.append(taken.seconds)
            ground.tell(f"{module}, run {run} of {ground.runs}: {taken.seconds:.2f} s")
    what = f"the command for a day of {_EVENTS:,} events, all three assets"
    return [at_most_more(what, "s", seconds[_OURS], "an asset that does nothing", seconds[_IDLE], 1.0)]


def _materialize(ground: Ground, module: str, topic: str) -> Taken:
    bucket, folder = ground.new_bucket(), ground.new_folder("command")
    environment = ground.environment(bucket, folder, **ground.from_kafka(topic))
    taken = watch(materialize(module), PROJECT, environment, folder / "log", memory=False)
    if module == _OURS and ground.lake(bucket).etag(board_key(date.fromisoformat(DAY))) is None:
        raise GameAnalyticsError(f"{bucket} has no board.")
    return taken
