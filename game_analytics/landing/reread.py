"""Reading a day's quarantine again: its messages are decoded by today's rules, from the lake alone. For a day that the
log no longer holds, after a rule that was too strict has been fixed."""

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial

import msgspec
import polars as pl

from game_analytics.errors import GameAnalyticsError
from game_analytics.lake.bucket import InputChanged, Lake
from game_analytics.lake.committed import CommittedLanding, Landings, is_current, read_landing
from game_analytics.lake.manifest import Account, LandedObject, Manifest, ensure_balanced
from game_analytics.lake.names import manifest_key, slice_of_key, stats_key
from game_analytics.landing.again import is_recent
from game_analytics.landing.kept_schemas import LakeSchemas
from game_analytics.landing.leftovers import clear_leftovers, keep_replaced
from game_analytics.landing.report import LandingReport
from game_analytics.landing.slices import AS_JSON, COUNTS, STRAYS, Reading, Slice, store
from game_analytics.rules.events import REASONS, Classified, classify
from game_analytics.rules.log_identity import LogIdentity
from game_analytics.sources.event_log import ON_REQUEST


@dataclass
class _Reread:
    """What the quarantined messages of a day are now."""

    objects: list[LandedObject] = field(default_factory=list)
    """All objects of the day: unchanged ones, and those that replace others."""
    moved: dict[int, Counter[str]] = field(default_factory=dict)
    """By partition, the messages that are now landed, ignored, or of other days."""
    strays: Counter[date] = field(default_factory=Counter)
    """By day, events of other days that are in no other quarantine: they stay in this one."""
    reasons: Counter[str] = field(default_factory=Counter)
    samples: dict[str, bytes | None] = field(default_factory=dict)


def reread_day(lake: Lake, day: date, *, clock: Callable[[], datetime], reading: Reading = AS_JSON) -> LandingReport:
    """Commit the day with those of its quarantined messages that can be read now. Nothing else changes.

    An event of another day is left to that day if it is in that day's quarantine too; otherwise it stays in this one,
    since no other object holds it.
    Raises `GameAnalyticsError` if the day was never landed, and what committing raises.
    """

    def build() -> tuple[bytes, tuple[Manifest, _Reread]]:
        committed = _landed(lake, day)
        reread, other_days = _Reread(), _OtherDays(lake, day, committed.manifest.log)
        by_today = partial(classify, decode=decode, names=reading.names)
        for landed in committed.manifest.objects:
            if landed.kind == "raw":
                reread.objects.append(landed)
            else:
                _read_again(lake, committed, landed, other_days, reread, by_today, reading.format.on_request)
        again = _manifest(committed.manifest, reread)
        ensure_balanced(again)
        if again != committed.manifest:
            keep_replaced(lake, committed, for_good=False)
        return again.to_json(), (again, reread)

    with reading.format.opened(LakeSchemas(lake, day)) as decode:
        (manifest, reread), etag = lake.replace(manifest_key(day), build)
    return LandingReport(
        manifest=manifest,
        etag=etag,
        warnings=[*_warnings(reread.strays), *clear_leftovers(lake, day, clock())],
        truncated=[],
        reasons={reason: reread.reasons[reason] for reason in REASONS if reason in reread.reasons},
        samples=reread.samples,
        own={name: manifest.total()[name] for name in COUNTS},
        lands_again={
            each: is_recent(each, clock()) and is_recent(day, clock())
            for each in map(date.fromisoformat, manifest.missed)
        },
    )


def quarantined(lake: Lake, committed: CommittedLanding, key: str) -> pl.DataFrame:
    """The messages of one quarantine object of the landing.

    Raises `InputChanged` if the object is missing because the day was landed again meanwhile, and `GameAnalyticsError`
    if it is missing otherwise.
    """
    rows = lake.read_parquet(key)
    if rows is None:
        if not is_current(lake, committed):
            raise InputChanged
        day = committed.manifest.day
        raise GameAnalyticsError(
            f"{lake.uri(key)}, which {lake.uri(committed.key)} lists, is missing: a lifecycle rule may have expired "
            f"it. The other objects, stats and board of {day} stay as they are. To have these messages read again, "
            f"materialize raw_events for {day} without `reread_quarantine` while the log still holds the day, "
            "or restore the object from a backup."
        )
    return rows


def _landed(lake: Lake, day: date) -> CommittedLanding:
    found = read_landing(lake, day)
    if found is None and lake.etag(stats_key(day)) is not None:
        raise GameAnalyticsError(
            f"{lake.uri(manifest_key(day))} does not exist, though {lake.uri(stats_key(day))} does: a lifecycle rule "
            f"may have expired raw/. Stats and board of {day} stay. Restore raw/ and quarantine/ of the day "
            "from a backup, or materialize raw_events without `reread_quarantine` while the log still holds it."
        )
    if found is None:
        raise GameAnalyticsError(
            f"{lake.uri(manifest_key(day))} does not exist: {day} was never landed, so nothing of it is quarantined. "
            "Materialize raw_events for it without `reread_quarantine`."
        )
    return found


class _OtherDays:
    """The offsets in other days' quarantines, each read once."""

    def __init__(self, lake: Lake, day: date, log: LogIdentity) -> None:
        self._lake, self._landings, self._log = lake, Landings(lake, day), log
        self._offsets: dict[date, set[tuple[int, int]]] = {}

    def contain(self, day: date, partition: int, offsets: pl.Series) -> pl.Series:
        """For each offset (Int64) whether it is in the day's quarantine (Boolean). That its landing has read the offset
        does not suffice: unreadable messages beyond its own offsets are left to the days of their window."""
        if day not in self._offsets:
            self._offsets[day] = self._quarantined(day)
        return pl.Series([(partition, offset) in self._offsets[day] for offset in offsets], dtype=pl.Boolean)

    def _quarantined(self, day: date) -> set[tuple[int, int]]:
        """Partition and offset of each message in the day's quarantine; none if it is of another log."""
        committed = self._landings.of(day)
        if committed is None or not committed.manifest.log.is_same_as(self._log):
            return set()
        keys = committed.manifest.keys("quarantine")
        frames = [quarantined(self._lake, committed, key).select("kafka_partition", "kafka_offset") for key in keys]
        return {place for frame in frames for place in frame.iter_rows()}


def _read_again(
    lake: Lake,
    committed: CommittedLanding,
    landed: LandedObject,
    other_days: _OtherDays,
    reread: _Reread,
    by_today: Callable[[pl.DataFrame, int, date], Classified],
    wanted: Collection[str],
) -> None:
    """Classify the messages of one quarantine object again, and store the rows of a changed class."""
    slice_ = _slice_of(committed.manifest.day, landed.key)
    before = quarantined(lake, committed, landed.key)
    now = by_today(_with_columns(before.drop("reason", "kafka_partition"), wanted), slice_.partition, slice_.day)
    strays = _strays(now, slice_.partition, other_days)
    before = _with_columns(before, wanted)
    unread = before.filter(pl.col("kafka_offset").is_in(strays["kafka_offset"].implode()))
    stays = pl.concat([now.quarantined, unread.select(now.quarantined.columns)]).sort("kafka_offset")
    if now.landed.height:
        reread.objects.append(store(lake, "raw", slice_, now.landed))
    if stays.equals(before):
        reread.objects.append(landed)
    elif stays.height:
        reread.objects.append(store(lake, "quarantine", slice_, stays))
    counts = reread.moved.setdefault(slice_.partition, Counter())
    counts.update(
        landed=now.landed.height, ignored=now.ignored.height, other_days=now.other_days.height - strays.height
    )
    reread.strays.update(strays["day"])
    for reason, sample in stays.select("reason", "value").iter_rows():
        reread.reasons[reason] += 1
        reread.samples.setdefault(reason, sample)


def _with_columns(messages: pl.DataFrame, wanted: Collection[str]) -> pl.DataFrame:
    """With the columns that a format asks for: null where another format had landed the messages without them."""
    missing = [name for name in wanted if name not in messages.columns]
    return messages.with_columns(pl.lit(None, ON_REQUEST[name]).alias(name) for name in missing)


def _slice_of(day: date, key: str) -> Slice:
    place = slice_of_key(key)
    if place is None:
        raise GameAnalyticsError(f"{key} is not the name of a landed slice. Land the day again.")
    return Slice(day, *place)


def _strays(now: Classified, partition: int, other_days: _OtherDays) -> pl.DataFrame:
    """Events of other days that are not in those days' quarantines, by the schema `STRAYS`."""
    unread = [
        events.filter(~other_days.contain(day, partition, events["kafka_offset"]))
        for (day,), events in now.other_days.group_by("day")
    ]
    return pl.concat([STRAYS.to_frame(), *(events.select(STRAYS.names()) for events in unread)])


def _warnings(strays: Counter[date]) -> list[str]:
    if not strays:
        return []
    days = ", ".join(f"{count:,} of {day}" for day, count in sorted(strays.items()))
    return [f"events of other days that are not in those days' quarantines stay in this one: {days}"]


def _manifest(before: Manifest, reread: _Reread) -> Manifest:
    return msgspec.structs.replace(
        before,
        partitions=[_account(account, reread.moved.get(account.partition, Counter())) for account in before.partitions],
        objects=reread.objects,
    )


def _account(before: Account, moved: Counter[str]) -> Account:
    return msgspec.structs.replace(
        before,
        landed=before.landed + moved["landed"],
        ignored=before.ignored + moved["ignored"],
        other_days=before.other_days + moved["other_days"],
        quarantined=before.quarantined - moved.total(),
    )
