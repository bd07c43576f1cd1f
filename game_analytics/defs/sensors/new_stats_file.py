"""The sensor that keeps each day's board up with its stats file, whoever wrote the file.

It compares facts at each tick and keeps no cursor: what lies in ``events/`` against what the boards in ``leaderboard/``
were made from. So nothing is missed when a tick is lost, the sensor is reset or two files land in the same second.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, date, datetime
from functools import partial
from itertools import islice

import dagster as dg

from game_analytics.defs.assets.daily_player_stats import daily_player_stats
from game_analytics.defs.assets.top10_leaderboard import top10_leaderboard
from game_analytics.defs.history import latest_facts
from game_analytics.defs.jobs import leaderboard_job
from game_analytics.defs.owed.comparison import Comparison, Judged, Pair, Verdict
from game_analytics.defs.owed.requests import (
    ASKED_FOR_TAG,
    Owed,
    answers,
    attempts_of_days,
    fresh_key,
    not_looked_at,
    owed_of,
    unseen,
    why_nothing,
)
from game_analytics.defs.owed.under_way import LAKE_TAG, of_sensor, under_way
from game_analytics.defs.partitions import daily
from game_analytics.defs.resources import LakeResource, PipelineSettings
from game_analytics.lake.bucket import Lake, Listed
from game_analytics.lake.claims import board_claim
from game_analytics.lake.names import BOARDS_PREFIX, STATS_PREFIX, day_of_stats_key
from game_analytics.lake.reader import Reader
from game_analytics.leaderboards.top10 import TOP10
from game_analytics.rules.days import FIRST_DAY
from game_analytics.rules.leaderboard import RULE_VERSION

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
    covered = under_way(around, top10_leaderboard.key, days)
    pairs = _pairs(context, opened, set(days))
    judged = _comparison(context, opened, pairs).judge(pairs)
    owed = owed_of(pairs, judged)
    told = answers(around, top10_leaderboard.key, owed, covered, partial(attempts_of_days, around))
    said = [*unseen(told, opened, "board"), *not_looked_at(judged), *_under_another_rule(judged, settings)]
    for line in said:
        context.log.warning(line)
    requests = [_request(each, before, opened.place) for each, before in islice(told.ask.items(), MAX_REQUESTS)]
    if requests:
        return dg.SensorResult(run_requests=requests)
    if owed:
        first = (
            f"{len(owed)} boards are behind their stats files, but were asked for already ({why_nothing(told)}). A "
            "failed one is asked for again when its file is written again."
        )
    else:
        made = sum(each.verdict is Verdict.MADE for each in judged.values())
        first = f"All {made} boards are made from the stats files that lie in {STATS_PREFIX} now."
    return dg.SkipReason(" ".join([first, *said]))


def _pairs(context: dg.SensorEvaluationContext, lake: Lake, partitions: AbstractSet[str]) -> Mapping[str, Pair]:
    """The stats files by day, the oldest first, each with its board."""
    files = _stats_files(context, lake.listing(STATS_PREFIX), partitions)
    boards = {TOP10.day_of_key(found.key): found for found in lake.listing(BOARDS_PREFIX)}
    return {day: Pair(file, boards.get(date.fromisoformat(day))) for day, file in sorted(files.items())}


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


def _comparison(context: dg.SensorEvaluationContext, lake: Lake, pairs: Mapping[str, Pair]) -> Comparison:
    """Of boards with their stats files. Nothing is made from a board that somebody else wrote: it is made again."""
    return Comparison(
        lake.place,
        latest_facts(context.instance, top10_leaderboard.key, pairs.keys()),
        partial(latest_facts, context.instance, daily_player_stats.key),
        Reader(lake, _SENSOR_NAME, context.log.warning),
        board_claim,
        foreign=Verdict.BEHIND,
    )


def _request(owed: Owed, before: Sequence[dg.RunRecord], place: str) -> dg.RunRequest:
    tags = {LAKE_TAG: place, ASKED_FOR_TAG: owed.word(place), ETAG_TAG: owed.source.etag}
    return dg.RunRequest(run_key=fresh_key(owed.key(place), before), partition_key=owed.day, tags=tags)


def _under_another_rule(judged: Mapping[str, Judged], settings: PipelineSettings) -> list[str]:
    """A sentence if boards stand that today's setting would make otherwise. They may be meant so, and stay."""
    today = (RULE_VERSION, str(settings.min_engagements))
    made = {day: each.claim.rule for day, each in judged.items() if each.verdict is Verdict.MADE and each.claim}
    days = [day for day, rule in made.items() if rule not in (None, today)]
    if not days:
        return []
    said = (
        f"{len(days)} boards stand that were made under another rule or `min_engagements` than today's, "
        f"{today[0]} and {today[1]}. To make them anew: `dagster asset materialize -m game_analytics.definitions "
        f"--select top10_leaderboard --partition-range {days[0]}...{days[-1]}`."
    )
    return [said]
