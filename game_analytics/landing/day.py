"""A day's slices become the day by its manifest, replaced last of all."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

import polars as pl

from game_analytics.engines.engine import Engine
from game_analytics.engines.local import LocalEngine
from game_analytics.errors import GameAnalyticsError
from game_analytics.lake.bucket import InputChanged, Lake
from game_analytics.lake.manifest import VERSION, Manifest, ensure_balanced
from game_analytics.lake.names import manifest_key, old_manifest_key
from game_analytics.lake.standing import Landings
from game_analytics.landing.leftovers import clear_leftovers, keep_replaced
from game_analytics.landing.losses import Truncated, lost_of_finders
from game_analytics.landing.neighbours import Neighbours
from game_analytics.landing.offsets import Offsets
from game_analytics.landing.plan import Plan, Range, offsets_of, plan
from game_analytics.landing.progress import Progress
from game_analytics.landing.slices import COUNTS, MAX_SLICE, Slice, SliceReport, cut, slice_landing
from game_analytics.landing.tally import Missed, Tally
from game_analytics.landing.window import Lookups, own_bounds
from game_analytics.rules.days import window_of
from game_analytics.rules.events import REASONS
from game_analytics.rules.log_identity import LogIdentity
from game_analytics.sources.event_log import EventLog
from game_analytics.sources.formats.format import Format
from game_analytics.sources.formats.json import JSON

HEALED_WITHIN = 7
"""Days: late events of older days are not landed by themselves any more."""

ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class LandingOptions:
    """What an operator decides about landing a day."""

    lateness: timedelta
    """How long after its day an event may arrive and still be read with the day."""
    allow_truncated: bool = False
    """Land what is left of a day that the log no longer holds whole, or holds less of than the standing landing."""
    found_by: tuple[date, ...] = ()
    """Read also what the landings of these other days have read, which found events of this one."""
    engine: Engine = field(default_factory=LocalEngine)
    """Where slices are landed."""
    format: Format = JSON
    """What the bytes of a message say."""
    slice_size: int = MAX_SLICE
    """Offsets in a slice at most."""


@dataclass(frozen=True)
class Landing:
    """A committed day, and what a person should know about how it came to be."""

    manifest: Manifest
    etag: str
    warnings: list[str]
    truncated: list[str]
    reasons: dict[str, int]
    """How many messages were quarantined, by reason, in the order of the rule."""
    samples: dict[str, bytes | None]
    own: Mapping[str, int]
    """Messages of what belongs to the day itself, by `COUNTS`: the day's figures."""
    sha256: str = ""
    """Of the manifest's bytes."""
    lags: str | None = None
    """Why producers or a mirror may be behind."""
    unread_before: list[str] = field(default_factory=list)
    """Offsets before this landing that no landing vouches for, a sentence per partition."""
    heals: Mapping[date, bool] = field(default_factory=dict)
    """Of each day with missed events whether it will be landed again by itself."""

    @property
    def beyond(self) -> dict[str, int]:
        """Messages that were read to heal the day, by `COUNTS`."""
        total = self.manifest.total()
        return {name: total[name] - count for name, count in self.own.items()}


def land_day(
    log: EventLog,
    lake: Lake,
    day: date,
    options: LandingOptions,
    *,
    clock: Callable[[], datetime],
    tell: Callable[[str], None] = lambda _line: None,
) -> Landing:
    """Land one day whole, or raise and leave what stood before. ``tell`` is given lines of progress.

    Raises `Truncated`, `Unbalanced`, `Contested`, `WorkerDied`, and what the log and the lake raise.
    """

    def build() -> tuple[bytes, Landing]:
        landings = Landings(lake, day)
        # Manifests first: what another run commits meanwhile may reach beyond the watermarks that this one asks for.
        others = _neighbours(landings, lake, day, options.found_by)
        lookups = Lookups(log, options.lateness, clock())
        _ensure_same_log(lake, others.finders, lookups.identity)
        to_read = plan(lookups, day, others, allow_truncated=options.allow_truncated)
        tally = Tally(_missed_of(landings, lookups))
        pieces = list(cut(day, to_read.ranges, options.slice_size, _held(landings, lookups, day, to_read.ranges)))
        for report in _landed(log, lake, pieces, options, tell):
            tally.add(report)
        _ensure_still_the_log(log, lookups.identity, day)
        manifest = _manifest(day, lookups.identity, to_read, tally)
        ensure_balanced(manifest)
        fewer = _fewer_than_standing(others.standing, manifest, tally)
        if fewer and not options.allow_truncated:
            raise Truncated(
                f"The log holds less of {day} than was landed: {'; '.join(fewer)}. Nothing was committed. To land what "
                "is left all the same, run again with `allow_truncated: true` in the run config of raw_events."
            )
        body = manifest.to_json()
        _ensure_chained(landings, lookups, day, others, to_read)
        _keep_what_is_replaced(lake, landings, day, body, lossy=bool(fewer or to_read.truncated))
        return body, _landing(landings, lookups, to_read, tally, manifest, fewer)

    landing, etag = lake.replace(manifest_key(day), build)
    warnings = [*landing.warnings, *clear_leftovers(lake, day, clock())]
    return replace(landing, etag=etag, warnings=warnings)


def _landing(
    landings: Landings, lookups: Lookups, to_read: Plan, tally: Tally, manifest: Manifest, fewer: list[str]
) -> Landing:
    return Landing(
        manifest=manifest,
        etag="",
        sha256=sha256_of(manifest),
        warnings=[
            *to_read.warnings,
            *(
                f"taken for no landing: {why} Land this day again once it can be read."
                for why in landings.unreadable.values()
            ),
        ],
        truncated=to_read.truncated or fewer,
        reasons={reason: tally.reasons[reason] for reason in REASONS if reason in tally.reasons},
        samples=tally.samples(),
        own={name: tally.own[name] for name in COUNTS},
        lags=to_read.lags if manifest.window_closed else None,
        unread_before=to_read.unread_before,
        heals={
            day: is_recent(manifest.day, lookups.now) and _heals(landings, lookups, day)
            for day in map(date.fromisoformat, manifest.missed)
        },
    )


def _neighbours(landings: Landings, lake: Lake, day: date, found_by: tuple[date, ...]) -> Neighbours:
    finders = []
    for finder in found_by:
        manifest = landings.manifest_of(finder)
        if finder == day or manifest is None:
            raise GameAnalyticsError(
                f"`up_to_landing_of` names {finder}, but {lake.uri(manifest_key(finder))} is no landing of another day "
                f"than {day}. Land that day first, or name another."
            )
        finders.append(manifest)
    return Neighbours(
        standing=landings.manifest_of(day),
        previous=landings.manifest_of(day - ONE_DAY),
        following=landings.manifest_of(day + ONE_DAY),
        finders=tuple(finders),
    )


def _ensure_still_the_log(log: EventLog, identity: LogIdentity, day: date) -> None:
    now = log.identity
    if now != identity:
        raise GameAnalyticsError(
            f"The topic was deleted and created again while {day} was read: it was {identity}, and is {now}. Nothing "
            "was committed. Run again; that tells what is left."
        )


def _ensure_same_log(lake: Lake, finders: tuple[Manifest, ...], log: LogIdentity) -> None:
    for finder in finders:
        if not finder.log.is_same_as(log):
            raise GameAnalyticsError(
                f"`up_to_landing_of` names {finder.day}, but {lake.uri(manifest_key(finder.day))} was landed from "
                f"{finder.log}, and this log is {log}. Name another day."
            )


def _missed_of(landings: Landings, lookups: Lookups) -> Missed:
    """An event of another day is missed where that day's landing has not read it; without a landing of this log that
    saw its whole window, where it lies outside the day's own window."""

    def missed(day: date, partition: int, offsets: pl.Series) -> int:
        manifest = landings.closed_of(day, lookups.identity)
        held = own_bounds(lookups, day, partition) if manifest is None else offsets_of(manifest, partition)
        return len(offsets) - int(held.hold(offsets).sum())

    return missed


def _held(
    landings: Landings, lookups: Lookups, day: date, ranges: list[Range]
) -> Mapping[int, tuple[Offsets, ...]] | None:
    """Where other days' landings have read their own windows, by partition: what can't be read there is in their
    quarantine. Asked only where the day is read beyond its own offsets."""
    if not any(span.beyond for span in ranges):
        return None
    held: dict[int, list[Offsets]] = {}
    for days in (*range(-HEALED_WITHIN, 0), *range(1, HEALED_WITHIN + 1)):
        other = day + timedelta(days=days)
        manifest = landings.manifest_of(other)
        if manifest is None or not manifest.log.is_same_as(lookups.identity):
            continue
        for span in ranges:
            window = lookups.bounds(window_of(other, lookups.lateness), span.partition)
            read = offsets_of(manifest, span.partition)
            held.setdefault(span.partition, []).append(window.within(read.first, read.end))
    return {partition: tuple(offsets) for partition, offsets in held.items()}


def _landed(
    log: EventLog, lake: Lake, pieces: list[Slice], options: LandingOptions, tell: Callable[[str], None]
) -> Iterator[SliceReport]:
    offsets = sum(piece.end - piece.first for piece in pieces)
    if not offsets:
        return
    progress = Progress(offsets, tell)
    # A process takes half a second to start: that pays only for a slice's worth of messages.
    worth = -(-offsets // options.slice_size)
    yield from options.engine.run(
        slice_landing, (log, options.format, lake), pieces, progress.read, workers_worth=worth
    )
    progress.finish()


def _fewer_than_standing(standing: Manifest | None, manifest: Manifest, tally: Tally) -> list[str]:
    """Where the log holds fewer messages of what the standing landing has read than that has read: compaction, or a
    topic that was created again. A manifest without ids is also compared by its events."""
    if standing is None or not standing.log.is_same_as(manifest.log):
        return []
    fewer = [
        f"of {account.read:,} messages that were read of partition {account.partition} {again:,} are left"
        for account in standing.partitions
        if (again := tally.read_again(account.partition)) < account.read
    ]
    stood, now = standing.total()["landed"], manifest.total()["landed"]
    without_ids = standing.topic_id is None and manifest.topic_id is not None
    if fewer or (without_ids and now < stood):
        fewer.append(f"{stood:,} events were landed, {now:,} would be")
    return fewer


def _ensure_chained(landings: Landings, lookups: Lookups, day: date, others: Neighbours, to_read: Plan) -> None:
    """Raises `InputChanged` if the day before or after was landed meanwhile and left something that was not read."""
    around = (day - ONE_DAY, day + ONE_DAY)
    if not landings.refresh(around):
        return
    previous, following = (landings.manifest_of(each) for each in around)
    fresh = Neighbours(others.standing, previous, following, others.finders)
    if plan(lookups, day, fresh, allow_truncated=True).ranges != to_read.ranges:
        raise InputChanged


def _keep_what_is_replaced(lake: Lake, landings: Landings, day: date, body: bytes, *, lossy: bool) -> None:
    """Raises `InputChanged` if another run has committed the day at its old place meanwhile."""
    standing = landings.of(day)
    if standing is None:
        if lake.etag(old_manifest_key(day)) is not None:
            raise InputChanged
    elif standing.manifest.to_json() != body:
        keep_replaced(lake, standing, for_good=lossy)


def _heals(landings: Landings, lookups: Lookups, day: date) -> bool:
    """Whether events of the day that its landing lacks will be landed by themselves: it is one of the last days, and
    the log still holds it, or it is about to come."""
    return is_recent(day, lookups.now) and not _lost(landings, lookups, day)


def is_recent(day: date, now: datetime) -> bool:
    """Whether the day is one of those that are landed again by themselves, or is about to come."""
    return -ONE_DAY <= now.date() - day <= timedelta(days=HEALED_WITHIN)


def _lost(landings: Landings, lookups: Lookups, day: date, found_by: tuple[date, ...] = ()) -> list[str]:
    finders = (landings.manifest_of(finder) for finder in found_by)
    others = Neighbours(
        standing=landings.manifest_of(day),
        previous=landings.manifest_of(day - ONE_DAY),
        finders=tuple(finder for finder in finders if finder is not None),
    )
    lost = plan(lookups, day, others, allow_truncated=True).truncated
    return lost or list(lost_of_finders(lookups, others.of_log(lookups.identity)))


def lost_of(
    log: EventLog, lake: Lake, day: date, lateness: timedelta, now: datetime, found_by: tuple[date, ...] = ()
) -> list[str]:
    """Why a day that was landed can't be landed again from this log without losing some of it, or of what the landings
    of these other days have found of it, a sentence each; nothing if it can."""
    landings, lookups = Landings(lake, day), Lookups(log, lateness, now)
    if landings.of(day) is None:
        return [f"{lake.uri(manifest_key(day))} does not exist: the day was never landed"]
    return _lost(landings, lookups, day, found_by)


def sha256_of(manifest: Manifest) -> str:
    """What names a landing (hex): of its manifest's bytes."""
    return hashlib.sha256(manifest.to_json()).hexdigest()


def _manifest(day: date, log: LogIdentity, to_read: Plan, tally: Tally) -> Manifest:
    return Manifest(
        version=VERSION,
        day=day,
        topic=log.topic,
        topic_id=log.topic_id,
        cluster_id=log.cluster_id,
        window=to_read.window,
        window_closed=to_read.window_closed,
        partitions=[tally.account(span) for span in to_read.ranges],
        objects=tally.objects(),
        missed=tally.missed(),
    )
