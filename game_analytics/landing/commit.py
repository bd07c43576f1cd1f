"""A day's slices become the day by its manifest, replaced last of all; what it doesn't list is cleared away."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from game_analytics.errors import GameAnalyticsError
from game_analytics.landing.slices import SliceReport, cut, land_slice
from game_analytics.landing.window import Lookups, Plan, Range, own_bounds, plan
from game_analytics.layout import day_prefix, manifest_key
from game_analytics.resources.event_log import EventLog
from game_analytics.resources.lake import Lake
from game_analytics.rules.events import REASONS
from game_analytics.rules.manifest import VERSION, Account, Manifest, ensure_balanced

LEFTOVERS_STAY = timedelta(hours=24)
"""How long an object that no manifest lists is left alone: a landing that is under way may be about to list it."""


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


def read_manifest(lake: Lake, day: date) -> tuple[Manifest, str] | None:
    """The day's standing manifest and its ETag; None if the day was never landed."""
    key = manifest_key(day)
    stored = lake.get(key)
    return None if stored is None else (Manifest.from_json(stored.body, lake.uri(key)), stored.etag)


def land_day(
    log: EventLog,
    lake: Lake,
    day: date,
    *,
    lateness: timedelta,
    clock: Callable[[], datetime],
    allow_truncated: bool = False,
    tell: Callable[[str], None] = lambda _line: None,
) -> Landing:
    """Land one day whole, or raise and leave what stood before. ``tell`` is given a line of progress for each slice.

    Raises `Truncated`, `Unbalanced`, `Contested`, and what the log and the lake raise.
    """

    def build() -> tuple[bytes, tuple[Manifest, Plan, list[SliceReport]]]:
        # Manifests first: what another run commits meanwhile may reach beyond the watermarks that this one asks for.
        standing, previous = (_of_topic(lake, each, log.topic) for each in (day, day - timedelta(days=1)))
        lookups = Lookups(log, lateness, clock())
        to_read = plan(lookups, day, standing, previous, allow_truncated=allow_truncated)
        reports = []
        for piece in cut(day, to_read.ranges):
            reports.append(land_slice(log, lake, piece))
            tell(_progress(reports, to_read.ranges))
        manifest = _manifest(day, log.topic, to_read, reports, _missed(lookups, reports))
        ensure_balanced(manifest)
        return manifest.to_json(), (manifest, to_read, reports)

    (manifest, to_read, reports), etag = lake.replace(manifest_key(day), build)
    leftovers = _clear_leftovers(lake, day, clock())
    reasons = sum((Counter(report.reasons) for report in reports), Counter[str]())
    samples = {reason: sample for report in reversed(reports) for reason, sample in report.samples.items()}
    return Landing(
        manifest=manifest,
        etag=etag,
        warnings=[*to_read.warnings, *leftovers],
        truncated=to_read.truncated,
        reasons={reason: reasons[reason] for reason in REASONS if reason in reasons},
        samples=samples,
    )


def _of_topic(lake: Lake, day: date, topic: str) -> Manifest | None:
    """The day's manifest if its offsets are those of this topic."""
    found = read_manifest(lake, day)
    return found[0] if found is not None and found[0].topic == topic else None


def _manifest(day: date, topic: str, to_read: Plan, reports: list[SliceReport], missed: dict[str, int]) -> Manifest:
    return Manifest(
        version=VERSION,
        day=day,
        topic=topic,
        window=to_read.window,
        window_closed=to_read.window_closed,
        partitions=[_account(span, reports) for span in to_read.ranges],
        objects=[landed for report in reports for landed in report.objects],
        missed=missed,
    )


def _account(span: Range, reports: Iterable[SliceReport]) -> Account:
    own = [report for report in reports if report.slice.partition == span.partition]
    read = sum(report.read for report in own)
    return Account(
        partition=span.partition,
        first=span.first,
        end=span.end,
        next_day_first=span.next_day_first,
        read=read,
        gaps=sum(report.slice.end - report.slice.first for report in own) - read,
        landed=sum(report.landed for report in own),
        ignored=sum(report.ignored for report in own),
        other_days=sum(report.other_days.height for report in own),
        quarantined=sum(report.quarantined for report in own),
    )


def _missed(lookups: Lookups, reports: Iterable[SliceReport]) -> dict[str, int]:
    """Events of other days that those days' own windows don't hold, counted by day, in order of the day."""
    missed = Counter[date]()
    for report in reports:
        for (day,), events in report.other_days.group_by("day"):
            first, end = own_bounds(lookups, day, report.slice.partition)
            offset = events["kafka_offset"]
            missed[day] += int(((offset < first) | (offset >= end)).sum())
    return {day.isoformat(): count for day, count in sorted(missed.items()) if count}


def _clear_leftovers(lake: Lake, day: date, now: datetime) -> list[str]:
    """Remove the day's objects that its standing manifest does not list, once they are old. The day is committed
    already, so what goes wrong here is a warning and not its failure."""
    try:
        old = [
            found.key
            for prefix in (day_prefix("raw", day), day_prefix("quarantine", day))
            for found in lake.listing(prefix)
            if now - found.last_modified > LEFTOVERS_STAY and found.key != manifest_key(day)
        ]
        standing = read_manifest(lake, day) if old else None
        if standing is not None:
            listed = {landed.key for landed in standing[0].objects}
            lake.delete(key for key in old if key not in listed)
    except GameAnalyticsError as error:
        return [f"old objects that the manifest does not list could not be removed: {error}"]
    return []


def _progress(reports: list[SliceReport], ranges: list[Range]) -> str:
    done = sum(report.slice.end - report.slice.first for report in reports)
    total = sum(span.end - span.first for span in ranges)
    return f"{done:,} of {total:,} offsets read ({done / total:.0%}), {sum(r.landed for r in reports):,} events landed"
