"""A day's quarantined messages decoded again with today's rules, from the lake alone: for a day that the log no longer
holds, once a rule that was too strict has been fixed."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime

import msgspec
import polars as pl

from game_analytics.errors import GameAnalyticsError
from game_analytics.lake.bucket import InputChanged, Lake
from game_analytics.lake.manifest import Account, LandedObject, Manifest, ensure_balanced
from game_analytics.lake.names import manifest_key, slice_of_key, stats_key
from game_analytics.lake.standing import Landings, Standing, read_standing, still_stands
from game_analytics.landing.day import Landing, is_recent, sha256_of
from game_analytics.landing.leftovers import clear_leftovers, keep_replaced
from game_analytics.landing.slices import COUNTS, STRAYS, Slice, store
from game_analytics.rules.events import REASONS, Classified, classify
from game_analytics.rules.log_identity import LogIdentity
from game_analytics.sources.formats.json import JSON


@dataclass
class _Reread:
    """What became of the quarantined messages of a day."""

    objects: list[LandedObject] = field(default_factory=list)
    """All of the day: those that stay as they are, and those that take the place of others."""
    moved: dict[int, Counter[str]] = field(default_factory=dict)
    """By partition: how many messages are now landed, ignored, or of other days."""
    strays: Counter[date] = field(default_factory=Counter)
    """Good events of days whose own landings have not read them: they stay in quarantine, by day."""
    reasons: Counter[str] = field(default_factory=Counter)
    samples: dict[str, bytes | None] = field(default_factory=dict)


def reread_day(lake: Lake, day: date, *, clock: Callable[[], datetime]) -> Landing:
    """Commit the day with those of its quarantined messages that are good now. Nothing else of it changes.

    Messages that turn out to be of another day are left to that day if its landing has read them too, and has them in
    its own quarantine; else they stay in this one, since nobody else holds them.
    Raises `GameAnalyticsError` if the day was never landed, and what committing raises.
    """

    def build() -> tuple[bytes, tuple[Manifest, _Reread]]:
        standing = _landed(lake, day)
        reread, lookups = _Reread(), _OtherDays(lake, day, standing.manifest.log)
        for landed in standing.manifest.objects:
            if landed.kind == "raw":
                reread.objects.append(landed)
            else:
                _read_again(lake, standing, landed, lookups, reread)
        again = _manifest(standing.manifest, reread)
        ensure_balanced(again)
        if again != standing.manifest:
            keep_replaced(lake, standing, for_good=False)
        return again.to_json(), (again, reread)

    (manifest, reread), etag = lake.replace(manifest_key(day), build)
    return Landing(
        manifest=manifest,
        etag=etag,
        warnings=[*_told(reread.strays), *clear_leftovers(lake, day, clock())],
        truncated=[],
        reasons={reason: reread.reasons[reason] for reason in REASONS if reason in reread.reasons},
        samples=reread.samples,
        sha256=sha256_of(manifest),
        own={name: manifest.total()[name] for name in COUNTS},
        heals={
            each: is_recent(each, clock()) and is_recent(day, clock())
            for each in map(date.fromisoformat, manifest.missed)
        },
    )


def quarantined(lake: Lake, standing: Standing, key: str) -> pl.DataFrame:
    """The messages of one quarantine object that the manifest lists.

    Raises `InputChanged` if it is gone because the day was landed anew meanwhile, else `GameAnalyticsError`.
    """
    rows = lake.read_parquet(key)
    if rows is None:
        if not still_stands(lake, standing):
            raise InputChanged
        day = standing.manifest.day
        raise GameAnalyticsError(
            f"{lake.uri(key)}, which {lake.uri(standing.key)} lists, is gone: a lifecycle rule may have expired it. "
            f"What {day} has landed otherwise, its stats and its board stay as they are. To have these messages read "
            f"again, materialize raw_events for {day} without `reread_quarantine` while the log still holds the day, "
            "or restore the object from a backup."
        )
    return rows


def _landed(lake: Lake, day: date) -> Standing:
    found = read_standing(lake, day)
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
    """What other days' quarantines hold, each of them read once."""

    def __init__(self, lake: Lake, day: date, log: LogIdentity) -> None:
        self._lake, self._landings, self._log = lake, Landings(lake, day), log
        self._held: dict[date, set[tuple[int, int]]] = {}

    def hold(self, day: date, partition: int, offsets: pl.Series) -> pl.Series:
        """Of each offset whether it is in the day's own quarantine. That its landing has read it is not enough: where
        it was read to heal, what can't be read is left to the days of its window."""
        if day not in self._held:
            self._held[day] = self._quarantined(day)
        return pl.Series([(partition, offset) in self._held[day] for offset in offsets], dtype=pl.Boolean)

    def _quarantined(self, day: date) -> set[tuple[int, int]]:
        """Partition and offset of each message in the day's quarantine, if it is of this log."""
        standing = self._landings.of(day)
        if standing is None or not standing.manifest.log.is_same_as(self._log):
            return set()
        keys = standing.manifest.keys("quarantine")
        frames = [quarantined(self._lake, standing, key).select("kafka_partition", "kafka_offset") for key in keys]
        return {place for frame in frames for place in frame.iter_rows()}


def _read_again(lake: Lake, standing: Standing, landed: LandedObject, other_days: _OtherDays, reread: _Reread) -> None:
    """Classify the messages of one quarantine object, and store what is now something else than it was."""
    piece = _slice_of(standing.manifest.day, landed.key)
    before = quarantined(lake, standing, landed.key)
    now = classify(before.drop("reason", "kafka_partition"), piece.partition, piece.day, JSON.decode)
    strays = _strays(now, piece.partition, other_days)
    unread = before.filter(pl.col("kafka_offset").is_in(strays["kafka_offset"].implode()))
    stays = pl.concat([now.quarantined, unread]).sort("kafka_offset")
    if now.landed.height:
        reread.objects.append(store(lake, "raw", piece, now.landed))
    if stays.equals(before):
        reread.objects.append(landed)
    elif stays.height:
        reread.objects.append(store(lake, "quarantine", piece, stays))
    counts = reread.moved.setdefault(piece.partition, Counter())
    counts.update(landed=now.landed.height, ignored=now.ignored, other_days=now.other_days.height - strays.height)
    reread.strays.update(strays["day"])
    for reason, sample in stays.select("reason", "value").iter_rows():
        reread.reasons[reason] += 1
        reread.samples.setdefault(reason, sample)


def _slice_of(day: date, key: str) -> Slice:
    place = slice_of_key(key)
    if place is None:
        raise GameAnalyticsError(f"{key} has not the name of a landed slice. Land the day again.")
    return Slice(day, *place)


def _strays(now: Classified, partition: int, other_days: _OtherDays) -> pl.DataFrame:
    """The good events of other days that those days' quarantines don't hold: ``day`` and ``kafka_offset``."""
    unread = [
        events.filter(~other_days.hold(day, partition, events["kafka_offset"]))
        for (day,), events in now.other_days.group_by("day")
    ]
    return pl.concat([STRAYS.to_frame(), *(events.select(STRAYS.names()) for events in unread)])


def _told(strays: Counter[date]) -> list[str]:
    if not strays:
        return []
    days = ", ".join(f"{count:,} of {day}" for day, count in sorted(strays.items()))
    return [
        f"messages that are good now, but of days whose quarantines don't hold them, stay in this quarantine: {days}"
    ]


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
