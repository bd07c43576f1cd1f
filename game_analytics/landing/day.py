"""Landing one day: plan, land the slices on an engine, tally, commit by the manifest, clear leftovers."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta

import polars as pl

from game_analytics.errors import GameAnalyticsError
from game_analytics.lake.bucket import InputChanged, Lake
from game_analytics.lake.committed import Landings
from game_analytics.lake.manifest import VERSION, Manifest, ensure_balanced
from game_analytics.lake.names import manifest_key, old_manifest_key
from game_analytics.landing.again import LANDED_AGAIN_WITHIN, is_recent, lands_again
from game_analytics.landing.leftovers import clear_leftovers, keep_replaced
from game_analytics.landing.losses import Truncated, fewer_than_committed
from game_analytics.landing.neighbours import Neighbours, read_neighbours
from game_analytics.landing.offsets import Offsets
from game_analytics.landing.plan import Plan, Range, offsets_of, plan
from game_analytics.landing.progress import Progress
from game_analytics.landing.report import LandingOptions, LandingReport, TypesSeen
from game_analytics.landing.slices import COUNTS, Shared, Slice, SliceReport, cut, most_first, slice_landing
from game_analytics.landing.tally import Missed, Tally
from game_analytics.landing.window import LogSnapshot, own_bounds
from game_analytics.rules.days import ONE_DAY, window_of
from game_analytics.rules.events import REASONS
from game_analytics.rules.log_identity import LogIdentity
from game_analytics.sources.event_log import EventLog


def land_day(
    log: EventLog,
    lake: Lake,
    day: date,
    options: LandingOptions,
    *,
    clock: Callable[[], datetime],
    tell: Callable[[str], None] = lambda _line: None,
) -> LandingReport:
    """Land one day whole, or raise and leave the committed landing as it is. ``tell`` receives lines of progress.

    Raises `Truncated`, `Unbalanced`, `Contested`, `WorkerDied`, and what the log and the lake raise.
    """

    def build() -> tuple[bytes, LandingReport]:
        landings = Landings(lake, day)
        # Manifests before watermarks: what another run commits later may reach beyond the watermarks read here.
        neighbours = read_neighbours(landings, lake, day, options.found_by)
        snapshot = LogSnapshot(log, options.lateness, clock())
        snapshot.ensure_found_by_time()
        neighbours.ensure_finders_read(snapshot.identity, lake)
        to_read = plan(snapshot, day, neighbours, allow_truncated=options.allow_truncated)
        tally = Tally(_missed_of(landings, snapshot))
        elsewhere = _quarantined_elsewhere(landings, snapshot, day, to_read.ranges)
        for report in _landed(log, lake, list(cut(day, to_read.ranges, options.slice_size, elsewhere)), options, tell):
            tally.add(report)
        _ensure_same_topic(log, snapshot.identity, day)
        manifest = _manifest(day, snapshot.identity, to_read, tally)
        ensure_balanced(manifest)
        fewer = fewer_than_committed(neighbours.committed, manifest, tally.read_again)
        if fewer and not options.allow_truncated:
            raise Truncated(
                f"The log holds less of {day} than was landed: {'; '.join(fewer)}. Nothing was committed. To land what "
                "is left all the same, run again with `allow_truncated: true` in the run config of raw_events."
            )
        _ensure_still_chained(landings, snapshot, day, neighbours, to_read)
        body = manifest.to_json()
        _keep_committed(lake, landings, day, body, lossy=bool(fewer or to_read.truncated))
        return body, _report(landings, snapshot, to_read, tally, manifest, fewer)

    landing, etag = lake.replace(manifest_key(day), build)
    return replace(landing, etag=etag, warnings=[*landing.warnings, *clear_leftovers(lake, day, clock())])


def _landed(
    log: EventLog, lake: Lake, slices: list[Slice], options: LandingOptions, tell: Callable[[str], None]
) -> Iterator[SliceReport]:
    offsets = sum(each.end - each.first for each in slices)
    if not offsets:
        return
    progress = Progress(offsets, tell)
    shared = Shared(log, lake, slices[0].day, options.reading)
    # Starting a process takes half a second, which pays only for a full slice of messages.
    worth = -(-offsets // options.slice_size)
    yield from options.engine.run(slice_landing, shared, slices, progress.read, workers_worth=worth)
    progress.finish()


def _missed_of(landings: Landings, snapshot: LogSnapshot) -> Missed:
    """An event of another day is missed if that day's landing has not read its offset. Without a landing of this log
    with a closed window, it is missed if its offset lies outside that day's own window."""

    def missed(day: date, partition: int, offsets: pl.Series) -> int:
        manifest = landings.closed_of(day, snapshot.identity)
        read = own_bounds(snapshot, day, partition) if manifest is None else offsets_of(manifest, partition)
        return len(offsets) - int(read.contains(offsets).sum())

    return missed


def _quarantined_elsewhere(
    landings: Landings, snapshot: LogSnapshot, day: date, ranges: list[Range]
) -> Mapping[int, tuple[Offsets, ...]]:
    """By partition, the offsets that other days' landings have read in their own windows: unreadable messages there are
    in their quarantine. Empty unless the day is read beyond its own offsets."""
    if not any(span.beyond for span in ranges):
        return {}
    elsewhere: dict[int, list[Offsets]] = {}
    for days in (*range(-LANDED_AGAIN_WITHIN, 0), *range(1, LANDED_AGAIN_WITHIN + 1)):
        other = day + timedelta(days=days)
        manifest = landings.manifest_of(other)
        if manifest is None or not manifest.log.is_same_as(snapshot.identity):
            continue
        for span in ranges:
            window = snapshot.bounds(window_of(other, snapshot.lateness), span.partition)
            read = offsets_of(manifest, span.partition)
            elsewhere.setdefault(span.partition, []).append(window.clipped(read.first, read.end))
    return {partition: tuple(offsets) for partition, offsets in elsewhere.items()}


def _ensure_same_topic(log: EventLog, identity: LogIdentity, day: date) -> None:
    now = log.identity
    if now != identity:
        raise GameAnalyticsError(
            f"The topic was deleted and created again while {day} was read: it was {identity}, and is {now}. Nothing "
            "was committed. Run again: that run says what is left."
        )


def _ensure_still_chained(
    landings: Landings, snapshot: LogSnapshot, day: date, neighbours: Neighbours, to_read: Plan
) -> None:
    """Raises `InputChanged` if a landing of the day before or after was committed meanwhile and changes what to
    read."""
    around = (day - ONE_DAY, day + ONE_DAY)
    if not landings.refresh(around):
        return
    previous, following = (landings.manifest_of(each) for each in around)
    fresh = Neighbours(neighbours.committed, previous, following, neighbours.finders)
    if plan(snapshot, day, fresh, allow_truncated=True).ranges != to_read.ranges:
        raise InputChanged


def _keep_committed(lake: Lake, landings: Landings, day: date, body: bytes, *, lossy: bool) -> None:
    """Keep a copy of the manifest that is about to be replaced. Raises `InputChanged` if another run has committed the
    day at its old key meanwhile."""
    committed = landings.of(day)
    if committed is None:
        if lake.etag(old_manifest_key(day)) is not None:
            raise InputChanged
    elif committed.manifest.to_json() != body:
        keep_replaced(lake, committed, for_good=lossy)


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


def _report(
    landings: Landings, snapshot: LogSnapshot, to_read: Plan, tally: Tally, manifest: Manifest, fewer: list[str]
) -> LandingReport:
    unreadable = (
        f"a manifest was ignored: {why} Land this day again once it can be read."
        for why in landings.unreadable.values()
    )
    return LandingReport(
        manifest=manifest,
        etag="",
        warnings=[*to_read.warnings, *unreadable],
        truncated=to_read.truncated or fewer,
        reasons={reason: tally.reasons[reason] for reason in REASONS if reason in tally.reasons},
        samples=tally.samples(),
        own={name: tally.own[name] for name in COUNTS},
        types=TypesSeen(tally.landed_types, dict(most_first(tally.ignored_types)), tally.times),
        lags=to_read.lags if manifest.window_closed else None,
        unread_before=to_read.unread_before,
        lands_again={
            day: is_recent(manifest.day, snapshot.now) and lands_again(landings, snapshot, day)
            for day in map(date.fromisoformat, manifest.missed)
        },
    )
