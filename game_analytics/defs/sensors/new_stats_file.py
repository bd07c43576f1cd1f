"""The sensor that keeps each day's boards up to date with its stats file, whichever program wrote the file.

At each tick it compares the files in ``events/`` with those that the boards in ``leaderboard/`` were made from. It has
no cursor, so nothing is missed when a tick is lost, the sensor is reset or two files are written in the same second.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial

import dagster as dg

from game_analytics.defs.assets.daily_player_stats import daily_player_stats
from game_analytics.defs.history import latest_provenance
from game_analytics.defs.jobs import leaderboard_job
from game_analytics.defs.outstanding.comparison import Compared, Comparison, Pair, Status
from game_analytics.defs.outstanding.in_progress import LAKE_TAG, Scope, days_in_progress, scope_of_sensor
from game_analytics.defs.outstanding.requests import (
    REQUEST_TAG,
    Decisions,
    Outstanding,
    attempts_per_day,
    decide,
    not_compared_warning,
    not_visible_warning,
    outstanding,
    summary,
    unused_run_key,
)
from game_analytics.defs.partitions import daily
from game_analytics.defs.resources import LakeResource, PipelineSettings
from game_analytics.lake.bucket import Lake, Listed
from game_analytics.lake.claims import board_claim
from game_analytics.lake.names import BOARDS_PREFIX, STATS_PREFIX
from game_analytics.lake.reader import SECONDS, Reader
from game_analytics.lake.stats_files import WHOLE_AFTER, sorted_out
from game_analytics.leaderboards.board import Board
from game_analytics.leaderboards.boards import BOARDS
from game_analytics.rules.days import FIRST_DAY

MAX_REQUESTS = 25
"""Runs per tick; the rest follow at the next ticks."""

ETAG_TAG = "game_analytics/stats_etag"
_SENSOR_NAME = "new_stats_file"


@dg.sensor(
    name=_SENSOR_NAME,
    target=leaderboard_job,
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Publishes the leaderboard of each day whose stats file in events/ is new or has changed.",
)
def new_stats_file(
    context: dg.SensorEvaluationContext, lake: LakeResource, settings: PipelineSettings
) -> dg.SensorResult | dg.SkipReason:
    """Request a run for each day whose board is missing or not made from the current file, oldest first."""
    opened = lake.open()
    scope = scope_of_sensor(context, opened.place)
    # All at once: a thousand queries to Dagster would take longer than the rest of the tick.
    days = daily.get_partition_keys()
    # Queried before the lake is read, so that a run that ends in between shows in at least one of the two.
    in_progress = {board.asset: days_in_progress(scope, dg.AssetKey(board.asset), days) for board in BOARDS}
    files, unfinished = _stats_files(context, opened.listing(STATS_PREFIX), set(days))
    boards = list(opened.listing(BOARDS_PREFIX))
    checked = [_check(context, scope, opened, board, _pairs(files, boards, board), in_progress) for board in BOARDS]
    warnings = [line for each in checked for line in _warnings(each, opened, settings)]
    for line in warnings:
        context.log.warning(line)
    requests = [
        _request(each.board, day, attempts, opened.place)
        for each in checked
        for day, attempts in each.decisions.request.items()
    ]
    if requests:
        return dg.SensorResult(run_requests=requests[:MAX_REQUESTS])
    return dg.SkipReason(" ".join([_nothing_requested(checked), *unfinished, *warnings]))


@dataclass(frozen=True)
class _Checked:
    """All days of one board: how each compares with its stats file, and what to do about the outstanding ones."""

    board: Board
    compared: Mapping[str, Compared]
    outstanding: Sequence[Outstanding]
    decisions: Decisions


def _check(
    context: dg.SensorEvaluationContext,
    scope: Scope,
    lake: Lake,
    board: Board,
    pairs: Mapping[str, Pair],
    in_progress: Mapping[str, AbstractSet[str]],
) -> _Checked:
    asset = dg.AssetKey(board.asset)
    compared = _comparison(context, lake, board, pairs).compare(pairs)
    # The first board's requests have no name, as before there were several boards: their earlier failures still count.
    days = outstanding(pairs, compared, "" if board is BOARDS[0] else board.name)
    decisions = decide(scope, asset, days, in_progress[board.asset], partial(attempts_per_day, scope))
    return _Checked(board, compared, days, decisions)


def _warnings(checked: _Checked, lake: Lake, settings: PipelineSettings) -> list[str]:
    return [
        *not_visible_warning(checked.decisions, lake, "board"),
        *not_compared_warning(checked.compared),
        *_another_rule_warning(checked, settings),
    ]


def _nothing_requested(checked: Sequence[_Checked]) -> str:
    behind = [each for each in checked if each.outstanding]
    if behind:
        return " ".join(
            f"{len(each.outstanding)} boards are behind their stats files, but were already requested "
            f"({summary(each.decisions)}). A failed one is requested again when its file is written again."
            for each in behind
        )
    up_to_date = sum(each.status is Status.UP_TO_DATE for board in checked for each in board.compared.values())
    return f"All {up_to_date} boards are made from the current stats files in {STATS_PREFIX}."


def _pairs(files: Mapping[str, Listed], boards: Iterable[Listed], board: Board) -> Mapping[str, Pair]:
    """The stats files by day, the oldest first, each with this board of the day."""
    products = {board.day_of_key(listed.key): listed for listed in boards}
    return {day: Pair(file, products.get(date.fromisoformat(day))) for day, file in sorted(files.items())}


def _stats_files(
    context: dg.SensorEvaluationContext, listing: Iterable[Listed], partitions: AbstractSet[str]
) -> tuple[Mapping[str, Listed], Sequence[str]]:
    """The stats files by partition key, and lines about folders that are not whole yet. Other keys, and those of days
    that are no partition, are logged."""
    found = sorted_out(listing, datetime.now(UTC))
    ignored: list[tuple[date | None, Listed]] = [
        (None, each)
        for each in found.others
        if each.key != STATS_PREFIX  # an empty object that some tools write for a folder
    ]
    ignored += [(day, each) for day, each in found.files.items() if day.isoformat() not in partitions]
    for day, listed in ignored:
        context.log.warning(f"{listed.key!r} is left alone: {_reason_to_ignore(day)}")
    files = {key: listed for day, listed in found.files.items() if (key := day.isoformat()) in partitions}
    return files, [
        f"{folder.key}/ is not ranked yet: it has no _SUCCESS, and was last changed at "
        f"{folder.last_modified:%H:%M:%S} UTC. Without _SUCCESS it is ranked {WHOLE_AFTER.seconds // 60} minutes after "
        "its last change."
        for folder in found.unfinished.values()
    ]


def _reason_to_ignore(day: date | None) -> str:
    if day is None:
        return f"it is not named like a stats file ({STATS_PREFIX}YYYY_MM_DD_events.parquet, a day of the calendar)"
    if day < FIRST_DAY:
        return f"its day lies before the first partition, {FIRST_DAY}"
    return f"its day is not over yet (it is {datetime.now(UTC):%Y-%m-%d %H:%M} UTC); it will be ranked when it is"


def _comparison(context: dg.SensorEvaluationContext, lake: Lake, board: Board, pairs: Mapping[str, Pair]) -> Comparison:
    """Compares boards with their stats files. A board that another program wrote counts as stale and is replaced."""
    return Comparison(
        lake.place,
        latest_provenance(context.instance, dg.AssetKey(board.asset), pairs.keys()),
        partial(latest_provenance, context.instance, daily_player_stats.key),
        Reader(lake, f"{_SENSOR_NAME} {board.name}", context.log.warning, seconds=SECONDS / len(BOARDS)),
        board_claim,
        foreign=Status.STALE,
    )


def _request(board: Board, day: Outstanding, attempts: Sequence[dg.RunRecord], place: str) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=unused_run_key(day.key(place), attempts),
        partition_key=day.day,
        tags={LAKE_TAG: place, REQUEST_TAG: day.id(place), ETAG_TAG: day.source.etag},
        # With a single board the job needs no selection.
        asset_selection=[dg.AssetKey(board.asset)] if len(BOARDS) > 1 else None,
    )


def _another_rule_warning(checked: _Checked, settings: PipelineSettings) -> list[str]:
    """One line if boards were made by another rule or `min_engagements` than today's. They may be intended, and
    stay."""
    today = (checked.board.rule_version, str(settings.min_engagements))
    claims = {day: each.claim for day, each in checked.compared.items() if each.status is Status.UP_TO_DATE}
    days = [day for day, claim in claims.items() if claim is not None and claim.rule not in (None, today)]
    if not days:
        return []
    line = (
        f"{len(days)} boards were made under another rule or `min_engagements` than today's, "
        f"{today[0]} and {today[1]}. To rebuild them: `dagster asset materialize -m game_analytics.definitions "
        f"--select {checked.board.asset} --partition-range {days[0]}...{days[-1]}`."
    )
    return [line]
