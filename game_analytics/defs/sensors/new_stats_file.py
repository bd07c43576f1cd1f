"""The sensor that keeps each day's board up with its stats file, whoever wrote the file.

It compares facts at each tick and keeps no cursor: what lies in ``events/`` against what the boards in ``leaderboard/``
were made from. So nothing is missed when a tick is lost, the sensor is reset or two files land in the same second.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial

import dagster as dg

from game_analytics.defs.assets.daily_player_stats import daily_player_stats
from game_analytics.defs.history import latest_facts
from game_analytics.defs.jobs import leaderboard_job
from game_analytics.defs.outstanding.comparison import Comparison, Judged, Pair, Verdict
from game_analytics.defs.outstanding.in_progress import LAKE_TAG, Surroundings, of_sensor, under_way
from game_analytics.defs.outstanding.requests import (
    ASKED_FOR_TAG,
    Answers,
    Owed,
    answers,
    attempts_of_days,
    fresh_key,
    not_looked_at,
    owed_of,
    unseen,
    why_nothing,
)
from game_analytics.defs.partitions import daily
from game_analytics.defs.resources import LakeResource, PipelineSettings
from game_analytics.lake.bucket import Lake, Listed
from game_analytics.lake.claims import board_claim
from game_analytics.lake.names import BOARDS_PREFIX, STATS_PREFIX, day_of_stats_key
from game_analytics.lake.reader import SECONDS, Reader
from game_analytics.leaderboards.board import Board
from game_analytics.leaderboards.boards import BOARDS
from game_analytics.rules.days import FIRST_DAY

MAX_REQUESTS = 25
"""Runs that one tick asks for; the rest follow at the next ticks."""

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
    """Ask for a run for each day whose board is missing or not made from the file that lies there now, oldest first."""
    opened = lake.open()
    around = of_sensor(context, opened.place)
    # All at once: to ask Dagster for each of a thousand days takes longer than the rest of the tick.
    days = daily.get_partition_keys()
    # Before the lake: a run that ends in between is then either under way or has made its board.
    covered = {board.asset: under_way(around, dg.AssetKey(board.asset), days) for board in BOARDS}
    files = _stats_files(context, opened.listing(STATS_PREFIX), set(days))
    boards = list(opened.listing(BOARDS_PREFIX))
    checked = [_check(context, around, opened, board, _pairs(files, boards, board), covered) for board in BOARDS]
    said = [line for each in checked for line in _warnings(each, opened, settings)]
    for line in said:
        context.log.warning(line)
    requests = [
        _request(each.board, owed, before, opened.place)
        for each in checked
        for owed, before in each.answers.ask.items()
    ]
    if requests:
        return dg.SensorResult(run_requests=requests[:MAX_REQUESTS])
    return dg.SkipReason(" ".join([_why_nothing_is_asked(checked), *said]))


@dataclass(frozen=True)
class _Checked:
    """The days of one board: how each stands to its stats file, and what to do about those that are behind."""

    board: Board
    judged: Mapping[str, Judged]
    owed: Sequence[Owed]
    answers: Answers


def _check(
    context: dg.SensorEvaluationContext,
    around: Surroundings,
    lake: Lake,
    board: Board,
    pairs: Mapping[str, Pair],
    covered: Mapping[str, AbstractSet[str]],
) -> _Checked:
    asset = dg.AssetKey(board.asset)
    judged = _comparison(context, lake, board, pairs).judge(pairs)
    # The first board's requests carry no name, as before there were others: what has failed then counts as failed.
    owed = owed_of(pairs, judged, "" if board is BOARDS[0] else board.name)
    told = answers(around, asset, owed, covered[board.asset], partial(attempts_of_days, around))
    return _Checked(board, judged, owed, told)


def _warnings(checked: _Checked, lake: Lake, settings: PipelineSettings) -> list[str]:
    return [
        *unseen(checked.answers, lake, "board"),
        *not_looked_at(checked.judged),
        *_under_another_rule(checked, settings),
    ]


def _why_nothing_is_asked(checked: Sequence[_Checked]) -> str:
    behind = [each for each in checked if each.owed]
    if behind:
        return " ".join(
            f"{len(each.owed)} boards are behind their stats files, but were asked for already "
            f"({why_nothing(each.answers)}). A failed one is asked for again when its file is written again."
            for each in behind
        )
    made = sum(judged.verdict is Verdict.MADE for each in checked for judged in each.judged.values())
    return f"All {made} boards are made from the stats files that lie in {STATS_PREFIX} now."


def _pairs(files: Mapping[str, Listed], boards: Iterable[Listed], board: Board) -> Mapping[str, Pair]:
    """The stats files by day, the oldest first, each with this board of the day."""
    made = {board.day_of_key(found.key): found for found in boards}
    return {day: Pair(file, made.get(date.fromisoformat(day))) for day, file in sorted(files.items())}


def _stats_files(
    context: dg.SensorEvaluationContext, listing: Iterable[Listed], partitions: AbstractSet[str]
) -> Mapping[str, Listed]:
    """The stats files by partition key. What is none, or belongs to no partition, is named in the tick's log."""
    files: dict[str, Listed] = {}
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


def _comparison(context: dg.SensorEvaluationContext, lake: Lake, board: Board, pairs: Mapping[str, Pair]) -> Comparison:
    """Of boards with their stats files. Nothing is made from a board that somebody else wrote: it is made again."""
    return Comparison(
        lake.place,
        latest_facts(context.instance, dg.AssetKey(board.asset), pairs.keys()),
        partial(latest_facts, context.instance, daily_player_stats.key),
        Reader(lake, f"{_SENSOR_NAME} {board.name}", context.log.warning, seconds=SECONDS / len(BOARDS)),
        board_claim,
        foreign=Verdict.BEHIND,
    )


def _request(board: Board, owed: Owed, before: Sequence[dg.RunRecord], place: str) -> dg.RunRequest:
    tags = {LAKE_TAG: place, ASKED_FOR_TAG: owed.word(place), ETAG_TAG: owed.source.etag}
    return dg.RunRequest(
        run_key=fresh_key(owed.key(place), before),
        partition_key=owed.day,
        tags=tags,
        # Where the job makes one board alone, all of it is asked for.
        asset_selection=[dg.AssetKey(board.asset)] if len(BOARDS) > 1 else None,
    )


def _under_another_rule(checked: _Checked, settings: PipelineSettings) -> list[str]:
    """A sentence if boards stand that today's setting would make otherwise. They may be meant so, and stay."""
    today = (checked.board.rule_version, str(settings.min_engagements))
    made = {day: each.claim.rule for day, each in checked.judged.items() if each.verdict is Verdict.MADE and each.claim}
    days = [day for day, rule in made.items() if rule not in (None, today)]
    if not days:
        return []
    said = (
        f"{len(days)} boards stand that were made under another rule or `min_engagements` than today's, "
        f"{today[0]} and {today[1]}. To make them anew: `dagster asset materialize -m game_analytics.definitions "
        f"--select {checked.board.asset} --partition-range {days[0]}...{days[-1]}`."
    )
    return [said]
