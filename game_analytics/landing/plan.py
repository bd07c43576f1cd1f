"""What a landing reads: the offsets of the day's window, chained to the landings of the days around it, and the offsets
that late events were found in.

Each day starts at the offset where the day before has ended, so that nothing lies unread between two landings.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

from game_analytics.lake.manifest import Manifest
from game_analytics.landing.losses import Truncated, another_log, known_start, truncations
from game_analytics.landing.neighbours import Neighbours
from game_analytics.landing.offsets import EVERYTHING, NOTHING, Offsets
from game_analytics.landing.window import LogSnapshot
from game_analytics.rules.days import FIRST_DAY, Window, milliseconds_floor, time_text, window_of

SOON = timedelta(hours=1)
"""A busy partition has its first message of a window within this time."""


@dataclass(frozen=True)
class Range:
    """The offsets of one partition that a landing reads: ``first`` up to but without ``end``."""

    partition: int
    first: int
    end: int
    next_day_first: int
    own: Offsets = EVERYTHING
    """The day's own offsets: its window, and what the landings of the days around it have left between them. The rest
    is read for late events, or because the committed landing has read it."""
    read_before: Offsets = NOTHING
    """What the committed landing has read."""

    @property
    def beyond(self) -> bool:
        """Whether it reaches beyond the day's own offsets."""
        return self.first < self.own.first or self.end > self.own.end


@dataclass(frozen=True)
class Plan:
    """What a landing reads, and what an operator should know about it."""

    window: Window
    window_closed: bool
    ranges: list[Range]
    warnings: list[str]
    truncated: list[str]
    """What the log no longer holds of the day, a sentence each; empty unless that was allowed."""
    lags: str | None = None
    """Why producers or a mirror may be behind: a sentence."""
    unread_before: list[str] = field(default_factory=list)
    """Offsets before the first landing of this log: a sentence per partition."""


def plan(snapshot: LogSnapshot, day: date, neighbours: Neighbours, *, allow_truncated: bool) -> Plan:
    """What to read to land ``day``: its own window from where the landing of the day before has ended; what the
    committed landing has read, so that late events once landed stay; and what the finders have read.

    Raises `Truncated` if the log no longer holds all of that, or is not the log of the committed landing, unless
    ``allow_truncated``.
    """
    own_window = window_of(day, snapshot.lateness)
    chain = neighbours.of_log(snapshot.identity)
    window = _window(own_window, chain)
    lost = truncations(snapshot, own_window, chain)
    losses = [*another_log(snapshot, own_window, neighbours), *lost.values()]
    if losses and not allow_truncated:
        raise Truncated(
            f"The log no longer holds all of {day}: {'; '.join(losses)}. Nothing was committed. To land what is left "
            "all the same, run again with `allow_truncated: true` in the run config of raw_events."
        )
    ranges = [
        _range(snapshot, day, partition, chain, window, lost_some=partition in lost)
        for partition in sorted(snapshot.extents)
    ]
    held_back = list(_held_back(snapshot, day, chain))
    return Plan(
        window=window,
        window_closed=snapshot.now >= window.end and not held_back,
        ranges=ranges,
        warnings=[*_stamped_ahead(snapshot, own_window), *_doubts(snapshot, own_window, chain), *held_back],
        truncated=losses,
        lags=_lags(snapshot, own_window, ranges),
        unread_before=_unread_before(snapshot, chain, ranges),
    )


def _window(own: Window, chain: Neighbours) -> Window:
    """From the first start to the last end of the day's window and those of the landings that are read as well."""
    windows = [own, *(manifest.window for manifest in chain.read_as_well)]
    return Window(start=min(each.start for each in windows), end=max(each.end for each in windows))


def _range(
    snapshot: LogSnapshot, day: date, partition: int, chain: Neighbours, window: Window, *, lost_some: bool
) -> Range:
    extent = snapshot.extents[partition]
    own = _own(snapshot, day, partition, chain)
    reach = own.spanning(snapshot.bounds(window, partition))
    for manifest in (*chain.read_as_well, *chain.previous_that_found(day)):
        read = offsets_of(manifest, partition)
        if read.end <= extent.high:
            reach = reach.spanning(read)
    next_day_first = snapshot.offset_at(window_of(day + timedelta(days=1), snapshot.lateness).start, partition)
    if lost_some and next_day_first <= extent.low:
        next_day_first = 0  # the next day may have lost some too, and must not count as complete
    reach, own = reach.clipped(extent.low, extent.stable), own.clipped(extent.low, extent.stable)
    return Range(partition, reach.first, reach.end, next_day_first, own, offsets_of(chain.committed, partition))


def offsets_of(manifest: Manifest | None, partition: int) -> Offsets:
    """What a landing has read of a partition."""
    account = None if manifest is None else manifest.account(partition)
    return NOTHING if account is None else Offsets(account.first, account.end)


def _own(snapshot: LogSnapshot, day: date, partition: int, chain: Neighbours) -> Offsets:
    """The day's own offsets of a partition: its window, and what the landings of the days around it have left
    unread."""
    window = window_of(day, snapshot.lateness)
    own = snapshot.bounds(window, partition)
    chained = _chained_first(snapshot, partition, chain.previous)
    if chained is not None:
        # Without a message this late in the log, all that is unread starts where the day before ended.
        none_so_late = snapshot.found_at(window.start, partition) is None
        own = Offsets(chained if none_so_late else min(own.first, chained), own.end).ordered()
    follows = None if chain.following is None else chain.following.account(partition)
    if follows is not None and own.end < follows.first <= snapshot.extents[partition].high:
        own = Offsets(own.first, follows.first)
    return own


def _chained_first(snapshot: LogSnapshot, partition: int, previous: Manifest | None) -> int | None:
    """Where the landing of the day before has ended; the low watermark for a partition that it does not list. None
    without such a landing, or if the partition ends before that."""
    if previous is None:
        return None
    extent, account = snapshot.extents[partition], previous.account(partition)
    if account is None:
        return extent.low
    return account.end if account.end <= extent.high else None


def _held_back(snapshot: LogSnapshot, day: date, chain: Neighbours) -> Iterator[str]:
    for partition, extent in sorted(snapshot.extents.items()):
        end = _own(snapshot, day, partition, chain).end
        if end > extent.stable:
            yield (
                f"partition {partition} is read to offset {extent.stable} instead of {end}: an open transaction holds "
                "the rest back"
            )


def _stamped_ahead(snapshot: LogSnapshot, window: Window) -> Iterator[str]:
    for partition, extent in sorted(snapshot.extents.items()):
        ahead = snapshot.stamped_ahead(window.end, partition)
        if ahead is not None:
            yield (
                f"partition {partition}, offset {ahead.offset} is stamped {time_text(ahead.timestamp_ms)}, far past "
                f"the window's end: the partition is read to its high watermark {extent.high}"
            )
    yield from _stamped_long_ago(snapshot)


def _stamped_long_ago(snapshot: LogSnapshot) -> Iterator[str]:
    """A topic that holds messages, but none of a day that can be landed: producers may stamp seconds."""
    first_day = datetime.combine(FIRST_DAY, time(), snapshot.now.tzinfo)
    held = [partition for partition, extent in snapshot.extents.items() if extent.low < extent.high]
    if held and all(snapshot.found_at(first_day, partition) is None for partition in held):
        stamps = [found.timestamp_ms for partition in held if (found := snapshot.first_left(partition)) is not None]
        first = f", the first one {time_text(min(stamps))}" if stamps else ""
        yield (
            f"all messages of the topic are stamped before {FIRST_DAY}{first}: no day will find them. Kafka's "
            "timestamps are milliseconds since 1970; do the producers give seconds?"
        )


def _doubts(snapshot: LogSnapshot, window: Window, chain: Neighbours) -> Iterator[str]:
    """Partitions that have dropped messages, where a single older message is the only sign that the window is
    complete."""
    soon = milliseconds_floor(window.start + SOON)
    for partition, extent in sorted(snapshot.extents.items()):
        found = snapshot.found_at(window.start, partition)
        alone = found is not None and found.offset == extent.low + 1 and found.timestamp_ms > soon
        if extent.low > 0 and alone and known_start(snapshot, partition, chain) is None:
            yield (
                f"partition {partition} has dropped offsets before {extent.low}, and of those that are left a single "
                "one lies before the window: it may have been sent late, so the window may be incomplete"
            )


def _lags(snapshot: LogSnapshot, window: Window, ranges: list[Range]) -> str | None:
    busy = [span.partition for span in ranges if span.own.first < span.own.end]
    if not busy or any(snapshot.found_at(window.end, partition) is not None for partition in busy):
        return None
    return (
        "no partition that has messages of the day holds any later than the window's end "
        f"({window.end:%Y-%m-%d %H:%M} UTC): producers or a mirror may lag. What comes later is read with the next "
        "day, and landed where it belongs"
    )


def _unread_before(snapshot: LogSnapshot, chain: Neighbours, ranges: list[Range]) -> list[str]:
    """Offsets before the first landing of this log, which no landing has read: a sentence per partition."""
    if chain.previous is not None:
        return []
    return [
        f"partition {span.partition}: offsets {low} to {span.first - 1}"
        for span in ranges
        if (low := snapshot.extents[span.partition].low) < span.first
    ]
