"""The sensor that keeps each day's stats file up to date with its landing. `daily_stats_job` counts right after
landing; this sensor covers the days for which that did not happen.

At each tick it compares the manifests in ``raw/manifests/`` with those that the stats files in ``events/`` were made
from; it has no cursor. Boards follow by `new_stats_file`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import chain, islice

import dagster as dg

from game_analytics.defs.assets.daily_player_stats import daily_player_stats
from game_analytics.defs.assets.raw_events import raw_events
from game_analytics.defs.history import latest_provenance
from game_analytics.defs.jobs import stats_job
from game_analytics.defs.outstanding.comparison import Compared, Comparison, Pair, Status
from game_analytics.defs.outstanding.in_progress import (
    LAKE_TAG,
    RANGE_END,
    RANGE_START,
    days_in_progress,
    scope_of_sensor,
)
from game_analytics.defs.outstanding.requests import (
    MAX_NAMED,
    REQUEST_TAG,
    Outstanding,
    attempts_in_ranges,
    decide,
    has_failed_in_a_range,
    not_compared_warning,
    not_visible_warning,
    outstanding,
    summary,
    unused_run_key,
)
from game_analytics.defs.partitions import daily
from game_analytics.defs.resources import LakeResource
from game_analytics.errors import GameAnalyticsError, Unavailable
from game_analytics.lake.bucket import Lake
from game_analytics.lake.claims import stats_claim
from game_analytics.lake.committed import read_landing
from game_analytics.lake.names import MANIFESTS_PREFIX, STATS_PREFIX, day_of_manifest_key
from game_analytics.lake.reader import Reader
from game_analytics.lake.stats_files import sorted_out

MAX_REQUESTS = 25
"""Runs per tick; the rest follow at the next ticks."""

MAX_DAYS = 31
"""Days per run: its tags, which its page shows, hold a request id for each day."""

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
    """Request the stats of each day whose stats file is missing or stale, one run per range of consecutive days."""
    opened = lake.open()
    scope = scope_of_sensor(context, opened.place)
    days = daily.get_partition_keys()
    # Queried before the lake is read, so that a run that ends in between shows in at least one of the two.
    in_progress = days_in_progress(scope, daily_player_stats.key, days)
    pairs = _pairs(opened, days)
    compared = _comparison(context, opened, pairs).compare(pairs)
    all_outstanding = outstanding(pairs, compared)
    attempts = partial(attempts_in_ranges, scope, _SENSOR_NAME)
    decisions = decide(scope, daily_player_stats.key, all_outstanding, in_progress, attempts)
    candidates = list(islice(decisions.request, MAX_REQUESTS * MAX_DAYS))
    held = {each: reason for each in candidates if (reason := _reason_to_hold(opened, each)) is not None}
    warnings = [
        *not_visible_warning(decisions, opened, "stats"),
        *held.values(),
        *not_compared_warning(compared),
        *_foreign_warning(compared, opened),
    ]
    for line in warnings:
        context.log.warning(line)
    alone = {each for each in candidates if has_failed_in_a_range(decisions.request[each])}
    ranges = islice(_ranges([each for each in candidates if each not in held], alone), MAX_REQUESTS)
    requests = [_request(each, decisions.request, opened.place) for each in ranges]
    if requests:
        return dg.SensorResult(run_requests=requests)
    if behind := len(all_outstanding) - len(held):
        first = (
            f"{behind} stats files are behind their landings, but were already requested ({summary(decisions)}). A "
            "failed one is requested again when its day is landed again."
        )
    else:
        up_to_date = sum(each.status is Status.UP_TO_DATE for each in compared.values())
        first = f"All {up_to_date} stats files are made from the current landings in {MANIFESTS_PREFIX}."
    return dg.SkipReason(" ".join([first, *warnings]))


def _pairs(lake: Lake, partitions: Sequence[str]) -> Mapping[str, Pair]:
    """The manifests by day, the oldest first, each with the day's stats file."""
    manifests = {day_of_manifest_key(listed.key): listed for listed in lake.listing(MANIFESTS_PREFIX)}
    found = sorted_out(lake.listing(STATS_PREFIX), datetime.now(UTC))
    stats = {**found.unfinished, **found.files}
    days = {key: date.fromisoformat(key) for key in partitions}
    return {key: Pair(manifests[day], stats.get(day)) for key, day in days.items() if day in manifests}


def _comparison(context: dg.SensorEvaluationContext, lake: Lake, pairs: Mapping[str, Pair]) -> Comparison:
    return Comparison(
        lake.place,
        latest_provenance(context.instance, daily_player_stats.key, pairs.keys()),
        partial(latest_provenance, context.instance, raw_events.key),
        Reader(lake, _SENSOR_NAME, context.log.warning),
        stats_claim,
    )


def _reason_to_hold(lake: Lake, day: Outstanding) -> str | None:
    """Why the day must not be counted, None if it may be. A day of which messages were read but none landed, all being
    unreadable or of ignored types, keeps its stats and board until an operator has decided."""
    try:
        landing = read_landing(lake, date.fromisoformat(day.day))
    except Unavailable:
        raise
    except GameAnalyticsError as error:  # an unreadable manifest must not hold up other days
        return str(error)
    if landing is None:
        return f"{day.day} is not counted: its manifest is gone."
    messages = landing.manifest.landed_nothing_of
    if messages is None:
        return None
    return (
        f"{day.day} is not counted: none of its messages was landed, {messages}. Look at the last run of raw_events "
        "for it."
    )


def _ranges(days: Iterable[Outstanding], alone: AbstractSet[Outstanding]) -> Iterator[Sequence[Outstanding]]:
    """Ranges of consecutive days, oldest first, at most `MAX_DAYS` long. The days in ``alone`` get a range each."""
    days_of_range: list[Outstanding] = []
    for each in days:
        if days_of_range and (len(days_of_range) == MAX_DAYS or not _can_join(each, days_of_range[-1], alone)):
            yield days_of_range
            days_of_range = []
        days_of_range = [*days_of_range, each]
    if days_of_range:
        yield days_of_range


def _can_join(day: Outstanding, previous: Outstanding, alone: AbstractSet[Outstanding]) -> bool:
    is_next = date.fromisoformat(day.day) == date.fromisoformat(previous.day) + _ONE_DAY
    return is_next and not alone & {previous, day}


def _request(
    days: Sequence[Outstanding], attempts: Mapping[Outstanding, Sequence[dg.RunRecord]], place: str
) -> dg.RunRequest:
    ids = " ".join(each.id(place) for each in days)
    tags = {LAKE_TAG: place, REQUEST_TAG: ids}
    first, last = days[0], days[-1]
    if first is last:
        run_key = unused_run_key(first.key(place), attempts[first])
        return dg.RunRequest(run_key=run_key, partition_key=first.day, tags=tags)
    earlier = chain.from_iterable(attempts[each] for each in days)
    run_key = unused_run_key(f"{place} {first.day} to {last.day} {ids}", earlier)
    return dg.RunRequest(run_key=run_key, tags={**tags, RANGE_START: first.day, RANGE_END: last.day})


def _foreign_warning(compared: Mapping[str, Compared], lake: Lake) -> list[str]:
    """One line if landed days have stats files that another program wrote."""
    days = [day for day, each in compared.items() if each.status is Status.FOREIGN]
    if not days:
        return []
    more = f" and {len(days) - MAX_NAMED} more" if len(days) > MAX_NAMED else ""
    line = (
        f"{len(days)} days are landed, but their stats files in {lake.uri(STATS_PREFIX)} were written by another "
        f"program, so they stay ({', '.join(days[:MAX_NAMED])}{more}). To have one counted from its landing, "
        "materialize daily_player_stats for the day with `replace_foreign_stats: true` in its run config, or remove "
        "the file."
    )
    return [line]
