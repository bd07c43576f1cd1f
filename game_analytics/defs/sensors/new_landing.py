"""The sensor that keeps each day's stats up with its landing: the backstop of the runs that land and count in one go.

It compares facts at each tick and keeps no cursor: the manifests in ``raw/manifests/`` against what the stats files in
``events/`` were made from. The boards follow by `new_stats_file`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, timedelta
from functools import partial
from itertools import chain, islice

import dagster as dg

from game_analytics.defs.assets.daily_player_stats import daily_player_stats
from game_analytics.defs.assets.raw_events import raw_events
from game_analytics.defs.history import latest_facts
from game_analytics.defs.jobs import stats_job
from game_analytics.defs.outstanding.comparison import Comparison, Judged, Pair, Verdict
from game_analytics.defs.outstanding.in_progress import LAKE_TAG, RANGE_END, RANGE_START, of_sensor, under_way
from game_analytics.defs.outstanding.requests import (
    ASKED_FOR_TAG,
    NAMED_AT_MOST,
    Owed,
    answers,
    attempts_of_stretches,
    fresh_key,
    has_failed_with_others,
    not_looked_at,
    owed_of,
    unseen,
    why_nothing,
)
from game_analytics.defs.partitions import daily
from game_analytics.defs.resources import LakeResource
from game_analytics.errors import GameAnalyticsError, Unavailable
from game_analytics.lake.bucket import Lake
from game_analytics.lake.claims import stats_claim
from game_analytics.lake.names import MANIFESTS_PREFIX, STATS_PREFIX, day_of_manifest_key, day_of_stats_key
from game_analytics.lake.reader import Reader
from game_analytics.lake.standing import read_standing

MAX_REQUESTS = 25
"""Runs that one tick asks for; the rest follow at the next ticks."""

MAX_DAYS = 31
"""Of one run. Its tags name each day's request, and a page shows them."""

_SENSOR_NAME = "new_landing"
_ONE_DAY = timedelta(days=1)


@dg.sensor(
    name=_SENSOR_NAME,
    target=stats_job,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Counts each day whose landing is newer than what its stats file in events/ was made from.",
)
def new_landing(context: dg.SensorEvaluationContext, lake: LakeResource) -> dg.SensorResult | dg.SkipReason:
    """Ask for the stats of each day that has none of its standing landing, in one run for each stretch of days."""
    opened = lake.open()
    around = of_sensor(context, opened.place)
    days = daily.get_partition_keys()
    # Before the lake: a run that ends in between is then either under way or has made its stats.
    covered = under_way(around, daily_player_stats.key, days)
    pairs = _pairs(opened, days)
    judged = _comparison(context, opened, pairs).judge(pairs)
    owed = owed_of(pairs, judged)
    attempts = partial(attempts_of_stretches, around, _SENSOR_NAME)
    told = answers(around, daily_player_stats.key, owed, covered, attempts)
    asked = list(islice(told.ask, MAX_REQUESTS * MAX_DAYS))
    stay = {each: why for each in asked if (why := _why_it_stays(opened, each)) is not None}
    said = [*unseen(told, opened, "stats"), *stay.values(), *not_looked_at(judged), *_foreign(judged, opened)]
    for line in said:
        context.log.warning(line)
    alone = {each for each in asked if has_failed_with_others(told.ask[each])}
    stretches = islice(_stretches([each for each in asked if each not in stay], alone), MAX_REQUESTS)
    requests = [_request(each, told.ask, opened.place) for each in stretches]
    if requests:
        return dg.SensorResult(run_requests=requests)
    if behind := len(owed) - len(stay):
        first = (
            f"{behind} stats files are behind their landings, but were asked for already ({why_nothing(told)}). A "
            "failed one is asked for again when its day is landed again."
        )
    else:
        made = sum(each.verdict is Verdict.MADE for each in judged.values())
        first = f"All {made} stats files are made from the landings that stand in {MANIFESTS_PREFIX} now."
    return dg.SkipReason(" ".join([first, *said]))


def _pairs(lake: Lake, partitions: Sequence[str]) -> Mapping[str, Pair]:
    """The manifests by day, the oldest first, each with the day's stats file."""
    manifests = {day_of_manifest_key(found.key): found for found in lake.listing(MANIFESTS_PREFIX)}
    stats = {day_of_stats_key(found.key): found for found in lake.listing(STATS_PREFIX)}
    landed = {key: found for key in partitions if (found := manifests.get(date.fromisoformat(key))) is not None}
    return {key: Pair(found, stats.get(date.fromisoformat(key))) for key, found in landed.items()}


def _comparison(context: dg.SensorEvaluationContext, lake: Lake, pairs: Mapping[str, Pair]) -> Comparison:
    return Comparison(
        lake.place,
        latest_facts(context.instance, daily_player_stats.key, pairs.keys()),
        partial(latest_facts, context.instance, raw_events.key),
        Reader(lake, _SENSOR_NAME, context.log.warning),
        stats_claim,
    )


def _why_it_stays(lake: Lake, owed: Owed) -> str | None:
    """Why a day is not to be counted; None if it is. Where nothing was landed of the messages that were read, all of
    them unreadable or of ignored types, stats and board are left as they stand until somebody has had a look."""
    try:
        standing = read_standing(lake, date.fromisoformat(owed.day))
    except Unavailable:
        raise
    except GameAnalyticsError as error:  # one manifest that can't be read keeps no other day waiting
        return str(error)
    if standing is None:
        return f"{owed.day} is not counted: its manifest is gone."
    total = standing.manifest.total()
    if total["landed"] or not total["quarantined"] + total["ignored"]:
        return None
    return (
        f"{owed.day} is not counted: of the messages that were read none was landed, {total['quarantined']:,} could "
        f"not be read and {total['ignored']:,} are of ignored types. Look at the last run of raw_events for it."
    )


def _stretches(owed: Iterable[Owed], alone: AbstractSet[Owed]) -> Iterator[Sequence[Owed]]:
    """Days that follow one another, oldest first; those that are to be asked for alone by themselves."""
    stretch: list[Owed] = []
    for each in owed:
        parted = bool(stretch) and bool(alone & {stretch[-1], each})
        follows = (
            stretch and not parted and date.fromisoformat(each.day) == date.fromisoformat(stretch[-1].day) + _ONE_DAY
        )
        if stretch and (not follows or len(stretch) == MAX_DAYS):
            yield stretch
            stretch = []
        stretch = [*stretch, each]
    if stretch:
        yield stretch


def _request(stretch: Sequence[Owed], before: Mapping[Owed, Sequence[dg.RunRecord]], place: str) -> dg.RunRequest:
    words = " ".join(each.word(place) for each in stretch)
    tags = {LAKE_TAG: place, ASKED_FOR_TAG: words}
    first, last = stretch[0], stretch[-1]
    if first is last:
        return dg.RunRequest(run_key=fresh_key(first.key(place), before[first]), partition_key=first.day, tags=tags)
    key = fresh_key(f"{place} {first.day} to {last.day} {words}", chain.from_iterable(before[each] for each in stretch))
    return dg.RunRequest(run_key=key, tags={**tags, RANGE_START: first.day, RANGE_END: last.day})


def _foreign(judged: Mapping[str, Judged], lake: Lake) -> list[str]:
    """A sentence if stats files stand beside a landing that somebody else wrote."""
    days = [day for day, each in judged.items() if each.verdict is Verdict.FOREIGN]
    if not days:
        return []
    more = f" and {len(days) - NAMED_AT_MOST} more" if len(days) > NAMED_AT_MOST else ""
    said = (
        f"{len(days)} days are landed, but their stats files in {lake.uri(STATS_PREFIX)} were written by somebody "
        f"else, so they stay ({', '.join(days[:NAMED_AT_MOST])}{more}). To have one counted from its landing, "
        "materialize daily_player_stats for the day with `replace_foreign_stats: true` in its run config, or remove "
        "the file."
    )
    return [said]
