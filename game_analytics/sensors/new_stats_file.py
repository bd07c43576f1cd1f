"""The sensor that keeps each day's board up with its stats file, whoever wrote the file.

It compares facts at each tick and keeps no cursor: what lies in ``events/`` against what each day's latest board was
made from. So nothing is missed when a tick is lost, the sensor is reset or two files land in the same second.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import islice

import dagster as dg

from game_analytics.assets.top10_leaderboard import SOURCE_ETAG, top10_leaderboard
from game_analytics.history import latest_recorded, spent_run_keys, unfinished_runs
from game_analytics.jobs import leaderboard_job
from game_analytics.layout import FIRST_DAY, STATS_PREFIX, day_of_stats_key
from game_analytics.partitions import daily
from game_analytics.resources.configured import LakeResource
from game_analytics.resources.lake import Listed

MAX_REQUESTS = 25
"""Runs that one tick asks for; the rest follow at the next ticks."""

ETAG_TAG = "game_analytics/stats_etag"
_SENSOR_NAME = "new_stats_file"
_LOOKED_UP_AT_ONCE = 200


@dataclass(frozen=True)
class Owed:
    """A day whose stats file is not what its board was made from."""

    day: str
    file: Listed
    board_id: int | None

    @property
    def run_key(self) -> str:
        """Spent for ever by the first run that carries it, so it changes when the file is written or the board is."""
        return f"{self.day} {self.file.etag} {self.file.last_modified:%Y-%m-%dT%H:%M:%S.%f} {self.board_id}"

    def request(self) -> dg.RunRequest:
        return dg.RunRequest(run_key=self.run_key, partition_key=self.day, tags={ETAG_TAG: self.file.etag})


@dg.sensor(
    name=_SENSOR_NAME,
    target=leaderboard_job,
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Publishes the leaderboard of each day whose stats file in events/ is new or has changed.",
)
def new_stats_file(context: dg.SensorEvaluationContext, lake: LakeResource) -> dg.SensorResult | dg.SkipReason:
    """Ask for a run for each day whose board was not made from the file that lies there now, oldest day first."""
    files = _stats_files(context, lake.open().listing(STATS_PREFIX))
    # Before the boards: a run that ends in between is then either under way or has made its board.
    under_way = _under_way(context.instance)
    boards = latest_recorded(context.instance, top10_leaderboard.key, files, SOURCE_ETAG)
    owed = [
        Owed(day, file, None if board is None else board.storage_id)
        for day, file in sorted(files.items())
        if (board := boards.get(day)) is None or board.value != file.etag
    ]
    pending = _not_asked_for(context.instance, owed, under_way)
    requests = [each.request() for each in islice(pending, MAX_REQUESTS)]
    if requests:
        return dg.SensorResult(run_requests=requests)
    if owed:
        days = ", ".join(each.day for each in owed[:MAX_REQUESTS])
        return dg.SkipReason(
            f"{len(owed)} boards are behind their stats files, but were asked for already: their runs are under way or "
            f"have failed ({days}). A failed one is asked for again when its file is written again."
        )
    return dg.SkipReason(f"All {len(files)} boards are made from the stats files that lie in {STATS_PREFIX} now.")


def _stats_files(context: dg.SensorEvaluationContext, listing: Iterable[Listed]) -> Mapping[str, Listed]:
    """The stats files by partition key. What is none, or belongs to no partition, is named in the tick's log."""
    files: dict[str, Listed] = {}
    # All at once: to ask Dagster for each of a thousand days takes longer than the rest of the tick.
    partitions = set(daily.get_partition_keys())
    for found in listing:
        day = day_of_stats_key(found.key)
        if day is not None and day.isoformat() in partitions:
            files[day.isoformat()] = found
        elif found.key != STATS_PREFIX:  # which is how some tools mark a folder
            context.log.warning(f"{found.key!r} is left alone: {_why_not(day)}")
    return files


def _why_not(day: date | None) -> str:
    if day is None:
        return f"it is not named like a stats file ({STATS_PREFIX}YYYY_MM_DD_events.parquet, a day of the calendar)"
    if day < FIRST_DAY:
        return f"its day lies before the first partition, {FIRST_DAY}"
    return f"its day is not over yet (it is {datetime.now(UTC):%Y-%m-%d %H:%M} UTC); it will be ranked when it is"


def _under_way(instance: dg.DagsterInstance) -> set[tuple[str | None, str | None]]:
    """The day and the ETag of each run of this sensor's that is not finished."""
    return {
        (run.tags.get("dagster/partition"), run.tags.get(ETAG_TAG)) for run in unfinished_runs(instance, _SENSOR_NAME)
    }


def _not_asked_for(
    instance: dg.DagsterInstance, owed: list[Owed], under_way: set[tuple[str | None, str | None]]
) -> Iterator[Owed]:
    """Those for which no run was asked for yet: none with their key, and none under way for the same bytes."""
    for start in range(0, len(owed), _LOOKED_UP_AT_ONCE):
        batch = owed[start : start + _LOOKED_UP_AT_ONCE]
        spent = spent_run_keys(instance, [each.run_key for each in batch])
        for each in batch:
            if each.run_key not in spent and (each.day, each.file.etag) not in under_way:
                yield each
