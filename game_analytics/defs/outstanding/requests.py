"""Which outstanding days get a run now: those for which none is in progress and none has failed on the same inputs.

The lake says which days are outstanding. Dagster's history is only asked about runs.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count, islice

import dagster as dg

from game_analytics.defs.history import UNFINISHED, latest_materializations, recorded
from game_analytics.defs.outstanding.comparison import Compared, Pair, Status
from game_analytics.defs.outstanding.in_progress import Scope, is_stalled
from game_analytics.lake.bucket import Lake, Listed

REQUEST_TAG = "game_analytics/asked_for"
"""On runs that a sensor requested: the `request_id` of each day, separated by spaces."""

MAX_SUCCESSES = 2
"""After this many successful runs for the same request no further one is requested: what they write does not appear in
the listing."""

MAX_NAMED = 25
"""Days that a message names."""

_DELETED_WITHIN = timedelta(days=1)
_CLOCK_SKEW = timedelta(days=1)
_IDS_PER_QUERY = 200


@dataclass(frozen=True)
class Outstanding:
    """A day whose product is missing or not made from its current source."""

    day: str
    source: Listed
    product: Listed | None
    name: str = ""
    """Distinguishes several products of one source; empty for the first."""

    def key(self, place: str) -> str:
        """Identifies the request; it changes whenever the source is written or the product changes."""
        written = f"{self.source.last_modified:%Y-%m-%dT%H:%M:%S.%f}"
        product = self.product.etag if self.product else None
        return f"{place} {self.day} {self.source.etag} {written} {product} {self.name}".rstrip()

    def id(self, place: str) -> str:
        return request_id(self.key(place))


def request_id(key: str) -> str:
    """A hash of the key, short enough that a tag can hold those of many days."""
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def outstanding(pairs: Mapping[str, Pair], compared: Mapping[str, Compared], name: str = "") -> list[Outstanding]:
    """The days whose product is missing or stale, in the order of the pairs."""
    statuses = {Status.MISSING, Status.STALE}
    return [
        Outstanding(day, pair.source, pair.product, name)
        for day, pair in pairs.items()
        if compared[day].status in statuses
    ]


@dataclass
class Decisions:
    """What to do about the outstanding days, each group oldest first."""

    request: dict[Outstanding, Sequence[dg.RunRecord]] = field(default_factory=dict)
    """A run is to be requested. With the earlier runs for the same request, none of which has settled it."""
    in_progress: list[Outstanding] = field(default_factory=list)
    failed: list[Outstanding] = field(default_factory=list)
    not_visible: list[Outstanding] = field(default_factory=list)
    """`MAX_SUCCESSES` runs have succeeded, and the lake still lists the day as outstanding."""


Attempts = Mapping[str, Sequence[dg.RunRecord]]
"""Earlier runs by request id, the latest first."""


def attempts_per_day(scope: Scope, days: Sequence[Outstanding]) -> Attempts:
    """The earlier runs for these days, where the sensor requests a run per day."""
    return attempts_by_id(scope, [each.id(scope.place) for each in days])


def attempts_by_id(scope: Scope, ids: Sequence[str]) -> Attempts:
    """The runs whose tag is one of these request ids."""
    attempts: dict[str, list[dg.RunRecord]] = {}
    for start in range(0, len(ids), _IDS_PER_QUERY):
        wanted = {REQUEST_TAG: ids[start : start + _IDS_PER_QUERY]}
        for record in scope.instance.get_run_records(dg.RunsFilter(tags=wanted)):
            attempts.setdefault(record.dagster_run.tags[REQUEST_TAG], []).append(record)
    return attempts


def attempts_in_ranges(scope: Scope, sensor: str, days: Sequence[Outstanding]) -> Attempts:
    """The earlier runs for these days, where the sensor of this name requests runs for ranges of days."""
    if not days:
        return {}
    # A run is created after the source that it reads was written, give or take the skew of two clocks.
    since = min(each.source.last_modified for each in days) - _CLOCK_SKEW
    wanted = dg.RunsFilter(tags={"dagster/sensor_name": sensor}, created_after=since)
    attempts: dict[str, list[dg.RunRecord]] = {}
    for record in scope.instance.get_run_records(wanted):
        for each in record.dagster_run.tags.get(REQUEST_TAG, "").split():
            attempts.setdefault(each, []).append(record)
    return attempts


def decide(
    scope: Scope,
    asset_key: dg.AssetKey,
    days: Sequence[Outstanding],
    in_progress: AbstractSet[str],
    attempts: Callable[[Sequence[Outstanding]], Attempts],
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Decisions:
    """What to do about each of these days. ``in_progress`` are the days that unfinished runs cover."""
    decisions = Decisions(in_progress=[each for each in days if each.day in in_progress])
    others = [each for each in days if each.day not in in_progress]
    runs = attempts(others)
    runs_of = {each: runs.get(each.id(scope.place), ()) for each in others}
    failed = [each.day for each, records in runs_of.items() if _with(records, dg.DagsterRunStatus.FAILURE)]
    materialized = latest_materializations(scope.instance, asset_key, failed)
    for each, records in runs_of.items():
        if any(record.dagster_run.status in UNFINISHED and not is_stalled(record, now()) for record in records):
            decisions.in_progress.append(each)
        elif _has_failed(records, _in_lake(materialized.get(each.day), scope.place)):
            decisions.failed.append(each)
        elif len(_ineffective(each, records, now())) >= MAX_SUCCESSES:
            decisions.not_visible.append(each)
        else:
            decisions.request[each] = records
    return decisions


def _is_for_several_days(record: dg.RunRecord) -> bool:
    return " " in record.dagster_run.tags.get(REQUEST_TAG, "")


def has_failed_in_a_range(records: Sequence[dg.RunRecord]) -> bool:
    """Whether a run for several days, this one among them, has failed. The day then gets a run of its own, since any of
    them may be the cause."""
    return any(_is_for_several_days(record) for record in _with(records, dg.DagsterRunStatus.FAILURE))


def _with(records: Sequence[dg.RunRecord], status: dg.DagsterRunStatus) -> list[dg.RunRecord]:
    return [record for record in records if record.dagster_run.status is status]


def _in_lake(record: dg.EventLogRecord | None, place: str) -> dg.EventLogRecord | None:
    return record if recorded(record, "lake") == place else None


def _has_failed(records: Sequence[dg.RunRecord], materialized: dg.EventLogRecord | None) -> bool:
    """Whether a run for this day alone has failed, and the day was not materialized since."""
    failures = [
        record.create_timestamp.timestamp()
        for record in _with(records, dg.DagsterRunStatus.FAILURE)
        if not _is_for_several_days(record)
    ]
    return bool(failures) and (materialized is None or materialized.timestamp < max(failures))


def _ineffective(day: Outstanding, records: Sequence[dg.RunRecord], now: datetime) -> Sequence[dg.RunRecord]:
    """The runs that succeeded though the day is still outstanding. A missing product may have been deleted after each
    of them, so only the last day's runs count: what is deleted regularly is rebuilt, but twice a day at most."""
    successes = _with(records, dg.DagsterRunStatus.SUCCESS)
    if day.product is not None:
        return successes
    return [record for record in successes if record.update_timestamp > now - _DELETED_WITHIN]


def unused_run_key(key: str, records: Iterable[dg.RunRecord]) -> str:
    """The key, or the key with the first number that none of these runs has used: the daemon never launches a second
    run with the same run key, whatever became of the first."""
    used = {record.dagster_run.tags.get("dagster/run_key") for record in records}
    return next(each for number in count(1) if (each := key if number == 1 else f"{key} {number}") not in used)


def not_visible_warning(decisions: Decisions, lake: Lake, product: str) -> list[str]:
    """One line for the tick's log if the listing does not show what successful runs have written."""
    if not decisions.not_visible:
        return []
    first = decisions.not_visible[0]
    listed = "nothing" if first.product is None else f"an object with the ETag {first.product.etag}, not made from it"
    line = (
        f"Runs have made the {product} of {named(decisions.not_visible)} {MAX_SUCCESSES} times, and the server at "
        f"{lake.endpoint} does not show it: for {first.day} it lists a source with the ETag {first.source.etag} and "
        f"{listed}. A cache between here and the bucket may answer with old objects, or another program may put them "
        "back. No run is requested until the source or the product changes."
    )
    return [line]


def not_compared_warning(compared: Mapping[str, Compared]) -> list[str]:
    """One line for the tick's log if some days could not be compared."""
    days = [day for day, each in compared.items() if each.status is Status.UNKNOWN]
    if not days:
        return []
    return [
        f"{len(days)} days were not compared yet, or can't be read (from {days[0]} on); the next tick continues there."
    ]


def named(days: Sequence[Outstanding], at_most: int = MAX_NAMED) -> str:
    """The days as text, the first ``at_most`` of them by name."""
    names = ", ".join(each.day for each in islice(days, at_most))
    return names if len(days) <= at_most else f"{names} and {len(days) - at_most} more"


def summary(decisions: Decisions) -> str:
    """The days for which no run is requested, by reason."""
    groups = {
        "a run is in progress": decisions.in_progress,
        "failed": decisions.failed,
        "not visible after a run": decisions.not_visible,
    }
    return "; ".join(f"{what}: {named(days)}" for what, days in groups.items() if days)
