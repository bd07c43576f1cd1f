"""What becomes of a day that is owed: a run is asked for, unless one is under way or has failed for just these inputs.

Which days are owed, the lake tells. Dagster's history is asked for nothing but that.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count, islice

import dagster as dg

from game_analytics.defs.history import UNFINISHED, latest_materializations, recorded
from game_analytics.defs.outstanding.comparison import Judged, Pair, Verdict
from game_analytics.defs.outstanding.in_progress import Surroundings, is_given_up
from game_analytics.lake.bucket import Lake, Listed

ASKED_FOR_TAG = "game_analytics/asked_for"
"""Of a run that a sensor asked for: what makes its days' requests the same ones, a word for each day."""

SUCCESSES_AT_MOST = 2
"""Of runs that succeeded for the same request. Who finds it owed still does not see what they have written."""

NAMED_AT_MOST = 25
_LOST_WITHIN = timedelta(days=1)
_CLOCKS_DIFFER = timedelta(days=1)
_LOOKED_UP_AT_ONCE = 200


@dataclass(frozen=True)
class Owed:
    """A day whose product was not made from the source that lies there."""

    day: str
    source: Listed
    product: Listed | None
    name: str = ""
    """Tells products of the same source apart; empty of the first."""

    def key(self, place: str) -> str:
        """What makes it this request and no other: it changes when the source is written or the product changes."""
        written = f"{self.source.last_modified:%Y-%m-%dT%H:%M:%S.%f}"
        stands = self.product.etag if self.product else None
        return f"{place} {self.day} {self.source.etag} {written} {stands} {self.name}".rstrip()

    def word(self, place: str) -> str:
        """The key in short, for a tag."""
        return word_of(self.key(place))


def word_of(key: str) -> str:
    """What a tag has of a key."""
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def owed_of(pairs: Mapping[str, Pair], judged: Mapping[str, Judged], name: str = "") -> list[Owed]:
    """The days whose product is missing or behind, in the order of the pairs."""
    verdicts = {Verdict.MISSING, Verdict.BEHIND}
    return [
        Owed(day, pair.source, pair.product, name) for day, pair in pairs.items() if judged[day].verdict in verdicts
    ]


@dataclass
class Answers:
    """What is to be done about the days that are owed, each group oldest first."""

    ask: dict[Owed, Sequence[dg.RunRecord]] = field(default_factory=dict)
    """With the runs that were asked for before, without success."""
    waiting: list[Owed] = field(default_factory=list)
    """A run that makes it is under way."""
    failed: list[Owed] = field(default_factory=list)
    unseen: list[Owed] = field(default_factory=list)
    """Runs for it have succeeded, and it is owed still."""


Attempts = Mapping[str, Sequence[dg.RunRecord]]
"""The runs that were asked for by word, the latest first."""


def attempts_of_days(around: Surroundings, owed: Sequence[Owed]) -> Attempts:
    """The runs that were asked for, where each is of one day."""
    return attempts_by_word(around, [each.word(around.place) for each in owed])


def attempts_by_word(around: Surroundings, words: Sequence[str]) -> Attempts:
    """The runs that carry one of these words."""
    found: dict[str, list[dg.RunRecord]] = {}
    for start in range(0, len(words), _LOOKED_UP_AT_ONCE):
        wanted = {ASKED_FOR_TAG: words[start : start + _LOOKED_UP_AT_ONCE]}
        for record in around.instance.get_run_records(dg.RunsFilter(tags=wanted)):
            found.setdefault(record.dagster_run.tags[ASKED_FOR_TAG], []).append(record)
    return found


def attempts_of_stretches(around: Surroundings, sensor: str, owed: Sequence[Owed]) -> Attempts:
    """The runs that this sensor asked for, where each may be of many days."""
    if not owed:
        return {}
    # None is older than what it was to read, as far as two clocks agree.
    since = min(each.source.last_modified for each in owed) - _CLOCKS_DIFFER
    wanted = dg.RunsFilter(tags={"dagster/sensor_name": sensor}, created_after=since)
    found: dict[str, list[dg.RunRecord]] = {}
    for record in around.instance.get_run_records(wanted):
        for word in record.dagster_run.tags.get(ASKED_FOR_TAG, "").split():
            found.setdefault(word, []).append(record)
    return found


def answers(
    around: Surroundings,
    asset_key: dg.AssetKey,
    owed: Sequence[Owed],
    covered: AbstractSet[str],
    attempts: Callable[[Sequence[Owed]], Attempts],
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Answers:
    """What to do about each of these days. ``covered`` are those that a run under way makes."""
    told = Answers(waiting=[each for each in owed if each.day in covered])
    free = [each for each in owed if each.day not in covered]
    runs = attempts(free)
    tried = {each: runs.get(each.word(around.place), ()) for each in free}
    failed = [each.day for each, records in tried.items() if _with(records, dg.DagsterRunStatus.FAILURE)]
    made = latest_materializations(around.instance, asset_key, failed)
    for each, records in tried.items():
        if any(record.dagster_run.status in UNFINISHED and not is_given_up(record, now()) for record in records):
            told.waiting.append(each)
        elif _has_failed(records, _made_here(made.get(each.day), around.place)):
            told.failed.append(each)
        elif len(_seen_in_vain(each, records, now())) >= SUCCESSES_AT_MOST:
            told.unseen.append(each)
        else:
            told.ask[each] = records
    return told


def is_of_many(record: dg.RunRecord) -> bool:
    """Whether a run was asked for on behalf of several days. That it failed tells nothing of each of them."""
    return " " in record.dagster_run.tags.get(ASKED_FOR_TAG, "")


def has_failed_with_others(records: Sequence[dg.RunRecord]) -> bool:
    """Whether the day was asked for together with others, and that run failed: it is asked for alone then."""
    return any(is_of_many(record) for record in _with(records, dg.DagsterRunStatus.FAILURE))


def _with(records: Sequence[dg.RunRecord], status: dg.DagsterRunStatus) -> list[dg.RunRecord]:
    return [record for record in records if record.dagster_run.status is status]


def _made_here(record: dg.EventLogRecord | None, place: str) -> dg.EventLogRecord | None:
    return record if recorded(record, "lake") == place else None


def _has_failed(records: Sequence[dg.RunRecord], made: dg.EventLogRecord | None) -> bool:
    """Whether a run has failed, and nobody has made the day since."""
    failures = [
        record.create_timestamp.timestamp()
        for record in _with(records, dg.DagsterRunStatus.FAILURE)
        if not is_of_many(record)
    ]
    return bool(failures) and (made is None or made.timestamp < max(failures))


def _seen_in_vain(owed: Owed, records: Sequence[dg.RunRecord], now: datetime) -> Sequence[dg.RunRecord]:
    """The runs that succeeded though it is owed. What is missing may have been deleted after each of them, so there
    only those of the last day count: one that is deleted again and again is made again, and no loop is a fast one."""
    successes = _with(records, dg.DagsterRunStatus.SUCCESS)
    if owed.product is not None:
        return successes
    return [record for record in successes if record.update_timestamp > now - _LOST_WITHIN]


def fresh_key(key: str, records: Iterable[dg.RunRecord]) -> str:
    """A run key that no run carries: the daemon asks for none that was carried before, whatever became of the run."""
    spent = {record.dagster_run.tags.get("dagster/run_key") for record in records}
    return next(each for number in count(1) if (each := key if number == 1 else f"{key} {number}") not in spent)


def unseen(told: Answers, lake: Lake, made: str) -> list[str]:
    """A sentence if runs have succeeded in vain, for the tick's log. ``made`` says what they make."""
    if not told.unseen:
        return []
    first = told.unseen[0]
    stands = "nothing" if first.product is None else f"an object with the ETag {first.product.etag}, not made from it"
    said = (
        f"Runs have made the {made} of {named(told.unseen)} {SUCCESSES_AT_MOST} times, and the server at "
        f"{lake.endpoint} does not show it: for {first.day} it lists a source with the ETag {first.source.etag} and "
        f"{stands}. Something between here and the bucket may answer with what was, or another program may put old "
        "objects back. No run is asked for until one of the two changes."
    )
    return [said]


def not_looked_at(judged: Mapping[str, Judged]) -> list[str]:
    """A sentence if there was no time for all days, or some can't be read, for the tick's log."""
    days = [day for day, each in judged.items() if each.verdict is Verdict.UNKNOWN]
    if not days:
        return []
    return [f"{len(days)} days were not looked at yet, or can't be read (from {days[0]} on); the next tick goes on."]


def named(owed: Sequence[Owed], at_most: int = NAMED_AT_MOST) -> str:
    """The days, or the first of them."""
    days = ", ".join(each.day for each in islice(owed, at_most))
    return days if len(owed) <= at_most else f"{days} and {len(owed) - at_most} more"


def why_nothing(told: Answers) -> str:
    """Where each of the days stands for which nothing is asked."""
    groups = {"a run is under way": told.waiting, "failed": told.failed, "made in vain": told.unseen}
    return "; ".join(f"{what}: {named(owed)}" for what, owed in groups.items() if owed)
