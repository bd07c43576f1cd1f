"""A day's slices become the day by its manifest, replaced last of all; what it doesn't list is cleared away."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from game_analytics.errors import GameAnalyticsError
from game_analytics.landing.progress import Progress
from game_analytics.landing.slices import MAX_SLICE, Slice, SliceReport, cut
from game_analytics.landing.standing import read_standing
from game_analytics.landing.tally import Tally
from game_analytics.landing.window import Lookups, Plan, plan
from game_analytics.landing.workers import land_slices
from game_analytics.layout import day_prefix, manifest_key
from game_analytics.resources.event_log import EventLog
from game_analytics.resources.lake import Lake
from game_analytics.rules.events import REASONS
from game_analytics.rules.manifest import VERSION, LogIdentity, Manifest, ensure_balanced

LEFTOVERS_STAY = timedelta(hours=24)
"""How long an object that no manifest lists is left alone: a landing that is under way may be about to list it."""


@dataclass(frozen=True)
class LandingOptions:
    """What an operator decides about landing a day."""

    lateness: timedelta
    """How long after its day an event may arrive and still be read with the day."""
    allow_truncated: bool = False
    """Land what is left of a day that the log no longer holds whole."""
    up_to_landing_of: date | None = None
    """Read on to where the landing of this later day has ended, which found late events."""
    workers: int = 1
    """Processes at most: no more than there are slices' worth of messages, and one is this process itself."""
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

    def build() -> tuple[bytes, tuple[Manifest, Plan, Tally]]:
        # Manifests first: what another run commits meanwhile may reach beyond the watermarks that this one asks for.
        standing, previous = (_of_topic(lake, each, log.topic) for each in (day, day - timedelta(days=1)))
        later = None if options.up_to_landing_of is None else _later(lake, day, options.up_to_landing_of, log.topic)
        lookups = Lookups(log, options.lateness, clock())
        to_read = plan(lookups, day, standing, previous, later, allow_truncated=options.allow_truncated)
        tally = Tally(lookups)
        for report in _landed(log, lake, list(cut(day, to_read.ranges, options.slice_size)), options, tell):
            tally.add(report)
        manifest = _manifest(day, log.identity, to_read, tally)
        ensure_balanced(manifest)
        return manifest.to_json(), (manifest, to_read, tally)

    (manifest, to_read, tally), etag = lake.replace(manifest_key(day), build)
    leftovers = clear_leftovers(lake, day, clock())
    return Landing(
        manifest=manifest,
        etag=etag,
        warnings=[*to_read.warnings, *leftovers],
        truncated=to_read.truncated,
        reasons={reason: tally.reasons[reason] for reason in REASONS if reason in tally.reasons},
        samples=tally.samples(),
    )


def _landed(
    log: EventLog, lake: Lake, pieces: list[Slice], options: LandingOptions, tell: Callable[[str], None]
) -> Iterator[SliceReport]:
    offsets = sum(piece.end - piece.first for piece in pieces)
    if not offsets:
        return
    progress = Progress(offsets, tell)
    # A process takes half a second to start: that is worth it only for a slice's worth of messages.
    workers = min(options.workers, -(-offsets // options.slice_size))
    yield from land_slices(log, lake, pieces, workers, progress.read)
    progress.finish()


def _of_topic(lake: Lake, day: date, topic: str) -> Manifest | None:
    """The day's manifest if its offsets are those of this topic."""
    found = read_standing(lake, day)
    return found.manifest if found is not None and found.manifest.topic == topic else None


def _later(lake: Lake, day: date, later: date, topic: str) -> Manifest:
    """The manifest of the later day up to whose end ``day`` is read."""
    if later <= day:
        raise GameAnalyticsError(f"`up_to_landing_of` is {later}, which is no day after {day}. Name a later one.")
    found = _of_topic(lake, later, topic)
    if found is None:
        raise GameAnalyticsError(
            f"`up_to_landing_of` is {later}, but {lake.uri(manifest_key(later))} is no landing of the topic {topic}. "
            "Land that day first, or name another."
        )
    return found


def lost_of(log: EventLog, lake: Lake, day: date, lateness: timedelta, now: datetime) -> list[str]:
    """Why a day that was landed can't be landed again from this log without losing some of it, a sentence per
    partition; nothing if it can."""
    standing, previous = (_of_topic(lake, each, log.topic) for each in (day, day - timedelta(days=1)))
    if standing is None:
        return [f"{lake.uri(manifest_key(day))} is no landing of the topic {log.topic}"]
    return plan(Lookups(log, lateness, now), day, standing, previous, allow_truncated=True).truncated


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


def clear_leftovers(lake: Lake, day: date, now: datetime) -> list[str]:
    """Remove the day's objects that its standing manifest does not list, once they are old. The day is committed
    already, so what goes wrong here is a warning and not its failure: the sentences that are returned."""
    try:
        old = [
            found.key
            for prefix in (day_prefix("raw", day), day_prefix("quarantine", day))
            for found in lake.listing(prefix)
            if now - found.last_modified > LEFTOVERS_STAY
        ]
        standing = read_standing(lake, day) if old else None
        if standing is not None:
            listed = {standing.key, *(landed.key for landed in standing.manifest.objects)}
            lake.delete(key for key in old if key not in listed)
    except GameAnalyticsError as error:
        return [f"old objects that the manifest does not list could not be removed: {error}"]
    return []
