"""Where a day lies in the log: its window in time, the offsets of each partition, and whether the log still has them.

Offsets are found by time, never by a consumer group's position, so that a day can be read again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache

from game_analytics.errors import GameAnalyticsError
from game_analytics.layout import FIRST_DAY
from game_analytics.resources.event_log import EventLog, Extent, Found
from game_analytics.rules.manifest import Manifest, Window

LEAD = timedelta(minutes=5)
"""How long before its day a window starts: clocks of producers differ."""

FAR_AHEAD = timedelta(days=1)
"""A message stamped this far past a window's end is not taken for the window's end."""

_START_OF_TIME = datetime(1970, 1, 1, tzinfo=UTC)


class Truncated(GameAnalyticsError):
    """The log has dropped messages of the day's window."""


@dataclass(frozen=True)
class Range:
    """The offsets of one partition that a landing reads: ``first`` up to but without ``end``."""

    partition: int
    first: int
    end: int
    next_day_first: int


@dataclass(frozen=True)
class Plan:
    """What a landing reads, and what a person should know about it."""

    window: Window
    window_closed: bool
    ranges: list[Range]
    warnings: list[str]
    truncated: list[str]
    """What the log no longer holds of the window, a sentence per partition; empty unless that was allowed."""


def window_of(day: date, lateness: timedelta) -> Window:
    """The delivery times at which events of ``day`` are looked for."""
    midnight = datetime.combine(day, time(), UTC)
    return Window(start=midnight - LEAD, end=midnight + timedelta(days=1) + lateness)


class Lookups:
    """The log as it was when this was made: watermarks are asked for once, before reading, and each instant once."""

    def __init__(self, log: EventLog, lateness: timedelta, now: datetime) -> None:
        self.lateness = lateness
        self.now = now
        self.extents: Mapping[int, Extent] = log.extents()
        self._found = cache(log.first_at_or_after)

    def found_at(self, instant: datetime, partition: int) -> Found | None:
        """The first message at or after the instant, unless it came after the watermarks were asked for."""
        found = self._found(instant).get(partition)
        return found if found is not None and found.offset < self.extents[partition].high else None

    def offset_at(self, instant: datetime, partition: int) -> int:
        """The first offset at or after the instant; the high watermark where there is none."""
        found = self.found_at(instant, partition)
        return self.extents[partition].high if found is None else found.offset

    def first_left(self, partition: int) -> Found | None:
        return self.found_at(_START_OF_TIME, partition)

    def bounds(self, window: Window, partition: int) -> tuple[int, int]:
        """The window in offsets of the partition: the first, and the one after the last."""
        end = self.offset_at(window.end, partition)
        if self.stamped_ahead(window.end, partition) is not None:
            end = self.extents[partition].high
        return min(self.offset_at(window.start, partition), end), end

    def stamped_ahead(self, end: datetime, partition: int) -> Found | None:
        """The message found at the window's end, if its timestamp lies in the future or far past that end: it would
        hide all that was delivered after it, so it must not cut the day short."""
        found = self.found_at(end, partition)
        latest = _milliseconds(min(self.now, end + FAR_AHEAD))
        return found if found is not None and found.timestamp_ms > latest else None


def own_bounds(lookups: Lookups, day: date, partition: int) -> tuple[int, int]:
    """The offsets that a landing of ``day`` by itself would read; none for one before the first partition or later than
    tomorrow, which nobody lands."""
    if not FIRST_DAY <= day <= lookups.now.date() + FAR_AHEAD:
        return 0, 0
    return lookups.bounds(window_of(day, lookups.lateness), partition)


def plan(
    lookups: Lookups,
    day: date,
    standing: Manifest | None,
    previous: Manifest | None,
    later: Manifest | None = None,
    *,
    allow_truncated: bool,
) -> Plan:
    """What to read to land ``day``: its own window, together with that of the ``standing`` manifest, so that healing
    is never undone, and with that of ``later``, a day whose landing has found late events of this one. ``previous`` is
    the manifest of the day before. All must be of this topic, or None.

    Raises `Truncated` unless the log still has all of it or ``allow_truncated``.
    """
    window = window_of(day, lookups.lateness)
    landed = [manifest for manifest in (standing, later) if manifest is not None]
    for manifest in landed:
        window = Window(start=min(window.start, manifest.window.start), end=max(window.end, manifest.window.end))
    lost = _truncations(lookups, window, standing, previous)
    if lost and not allow_truncated:
        raise Truncated(
            f"The log no longer holds all of {day}: {'; '.join(lost.values())}. Nothing was committed. To "
            "land what is left, run again with `allow_truncated: true` in the run config of raw_events."
        )
    warnings = []
    ranges = []
    held_back = False
    for partition, extent in sorted(lookups.extents.items()):
        first, end = lookups.bounds(window, partition)
        for known in (manifest.account(partition) for manifest in landed):
            if known is not None and known.end <= extent.high:
                first, end = min(first, known.first), max(end, known.end)
        ahead = lookups.stamped_ahead(window.end, partition)
        if ahead is not None:
            warnings.append(
                f"partition {partition}, offset {ahead.offset} is stamped {moment(ahead.timestamp_ms)}, far past the "
                f"window's end: the partition is read to its high watermark {extent.high}"
            )
        if end > extent.stable:
            held_back = True
            warnings.append(
                f"partition {partition} is read to offset {extent.stable} instead of {end}: an open transaction holds "
                "the rest back"
            )
        first, end = max(first, extent.low), min(end, extent.stable)
        next_day_first = lookups.offset_at(window_of(day + timedelta(days=1), lookups.lateness).start, partition)
        if partition in lost and next_day_first <= extent.low:
            next_day_first = 0  # the next day may have lost some too: it must not be taken for whole
        ranges.append(Range(partition, min(first, end), end, next_day_first))
    closed = lookups.now >= window.end and not held_back
    return Plan(window, closed, ranges, warnings, list(lost.values()))


def _truncations(
    lookups: Lookups, window: Window, standing: Manifest | None, previous: Manifest | None
) -> dict[int, str]:
    """What the log no longer holds of the window: a sentence for each partition that lost some of it.

    Where the day before tells at which offset the window starts, that decides. Else a partition is truncated if
    something was dropped from it and no message older than the window is left. An empty partition is idle, not
    truncated, unless the whole log is empty.
    """
    some_left = any(extent.low < extent.high for extent in lookups.extents.values())
    lost = _made_anew(lookups, standing)
    for partition, extent in sorted(lookups.extents.items()):
        if partition in lost:
            continue
        starts = _known_start(partition, extent, standing, previous)
        left = lookups.first_left(partition)
        if starts is not None:
            is_truncated = starts < extent.low
        elif left is not None:
            is_truncated = extent.low > 0 and left.timestamp_ms >= _milliseconds(window.start)
        else:
            is_truncated = extent.low > 0 and not some_left
        if is_truncated:
            gone = f"offsets before {extent.low}" if starts is None else f"offsets {starts} to {extent.low - 1}"
            oldest = "no message is left" if left is None else f"the first one left is of {moment(left.timestamp_ms)}"
            lost[partition] = f"partition {partition} has lost {gone} ({oldest})"
    return lost


def _made_anew(lookups: Lookups, standing: Manifest | None) -> dict[int, str]:
    """The partitions that end before offsets which the standing landing has read: the topic was deleted and made
    again since, and what it holds now is not what the day was made of."""
    lost = {}
    for account in standing.partitions if standing is not None else []:
        extent = lookups.extents.get(account.partition)
        if extent is None or account.end > extent.high:
            now = "is gone" if extent is None else f"ends at offset {extent.high}"
            lost[account.partition] = (
                f"partition {account.partition} {now}, but the standing landing has read it to offset {account.end}: "
                "the topic was made anew"
            )
    return lost


def _known_start(partition: int, extent: Extent, standing: Manifest | None, previous: Manifest | None) -> int | None:
    """The offset at which the window starts, as far as earlier landings tell."""
    own = standing.account(partition) if standing is not None else None
    if own is not None and own.first < extent.low:
        return own.first  # else it tells nothing: it may have been landed truncated, and then starts where the log did
    # A day that was landed too early did not see where the next one starts.
    before = previous.account(partition) if previous is not None and previous.window_closed else None
    return before.next_day_first if before is not None and before.end <= extent.high else None


def _milliseconds(instant: datetime) -> int:
    """Since 1970, rounded down: a timestamp above this is later than the instant."""
    return (instant - _START_OF_TIME) // timedelta(milliseconds=1)


def moment(timestamp_ms: int) -> str:
    """A timestamp as a person reads it; one outside Python's calendar as the number it is."""
    try:
        return f"{_START_OF_TIME + timedelta(milliseconds=timestamp_ms):%Y-%m-%dT%H:%M:%SZ}"
    except OverflowError:
        return f"{timestamp_ms} ms"
