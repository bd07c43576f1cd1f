"""What a landing reads: the day's window, chained to the landings of the days around it, and what healing adds.

Landings chain by offset, so that nothing lies unread between two of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

from game_analytics.lake.manifest import Manifest
from game_analytics.landing.losses import Truncated, another_log, known_start, truncations
from game_analytics.landing.neighbours import Neighbours
from game_analytics.landing.offsets import EVERYTHING, NOTHING, Offsets
from game_analytics.landing.window import Lookups
from game_analytics.rules.days import FIRST_DAY, Window, milliseconds_floor, time_text, window_of

SOON = timedelta(hours=1)
"""How long after a window's start a busy partition has its first message of it at the latest."""


@dataclass(frozen=True)
class Range:
    """The offsets of one partition that a landing reads: ``first`` up to but without ``end``."""

    partition: int
    first: int
    end: int
    next_day_first: int
    own: Offsets = EVERYTHING
    """What belongs to the day itself: its window, and what the landings of the days around it have left between them.
    The rest is read to heal, or because the standing landing has read it."""
    known: Offsets = NOTHING
    """What the standing landing has read."""

    @property
    def beyond(self) -> bool:
        """Whether it is read beyond what belongs to the day itself."""
        return self.first < self.own.first or self.end > self.own.end


@dataclass(frozen=True)
class Plan:
    """What a landing reads, and what a person should know about it."""

    window: Window
    window_closed: bool
    ranges: list[Range]
    warnings: list[str]
    truncated: list[str]
    """What the log no longer holds of the day, a sentence each; empty unless that was allowed."""
    lags: str | None = None
    """Why producers, or a mirror, may be behind: a sentence."""
    unread_before: list[str] = field(default_factory=list)
    """What lies before the first landing of this log: a sentence per partition."""


def plan(lookups: Lookups, day: date, others: Neighbours, *, allow_truncated: bool) -> Plan:
    """What to read to land ``day``: its own window from where the landing of the day before has ended, together with
    what the standing landing has read, so that healing is never undone, and what the finders have.

    Raises `Truncated` unless the log still has all of it, and is the one that the standing landing was read from, or
    ``allow_truncated``.
    """
    own_window = window_of(day, lookups.lateness)
    chain = others.of_log(lookups.identity)
    window = _window(own_window, chain)
    lost = truncations(lookups, own_window, chain)
    losses = [*another_log(lookups, own_window, others), *lost.values()]
    if losses and not allow_truncated:
        raise Truncated(
            f"The log no longer holds all of {day}: {'; '.join(losses)}. Nothing was committed. To land what is left "
            "all the same, run again with `allow_truncated: true` in the run config of raw_events."
        )
    ranges = [
        _range(lookups, day, partition, chain, window, lost_some=partition in lost)
        for partition in sorted(lookups.extents)
    ]
    held_back = list(_held_back(lookups, day, chain))
    return Plan(
        window=window,
        window_closed=lookups.now >= window.end and not held_back,
        ranges=ranges,
        warnings=[*_stamped_ahead(lookups, own_window), *_doubts(lookups, own_window, chain), *held_back],
        truncated=losses,
        lags=_lags(lookups, own_window, ranges),
        unread_before=_unread_before(lookups, chain, ranges),
    )


def _window(own: Window, chain: Neighbours) -> Window:
    """The day's window, and those of the landings that are read as well."""
    windows = [own, *(manifest.window for manifest in chain.read_as_well)]
    return Window(start=min(each.start for each in windows), end=max(each.end for each in windows))


def _range(lookups: Lookups, day: date, partition: int, chain: Neighbours, window: Window, *, lost_some: bool) -> Range:
    extent = lookups.extents[partition]
    own = _own(lookups, day, partition, chain)
    reach = own.spanning(lookups.bounds(window, partition))
    for manifest in (*chain.read_as_well, *chain.previous_that_found(day)):
        read = offsets_of(manifest, partition)
        if read.end <= extent.high:
            reach = reach.spanning(read)
    next_day_first = lookups.offset_at(window_of(day + timedelta(days=1), lookups.lateness).start, partition)
    if lost_some and next_day_first <= extent.low:
        next_day_first = 0  # the next day may have lost some too: it must not be taken for whole
    reach, own = reach.within(extent.low, extent.stable), own.within(extent.low, extent.stable)
    return Range(partition, reach.first, reach.end, next_day_first, own, offsets_of(chain.standing, partition))


def offsets_of(manifest: Manifest | None, partition: int) -> Offsets:
    """What a landing has read of a partition."""
    account = None if manifest is None else manifest.account(partition)
    return NOTHING if account is None else Offsets(account.first, account.end)


def _own(lookups: Lookups, day: date, partition: int, chain: Neighbours) -> Offsets:
    """The day's window in offsets, and what the landings of the days before and after it have left between them."""
    window = window_of(day, lookups.lateness)
    own = lookups.bounds(window, partition)
    chained = _chained_first(lookups, partition, chain.previous)
    if chained is not None:
        # Where no message so late was found by time, all that is unread begins where the day before ended.
        unseen = lookups.found_at(window.start, partition) is None
        own = Offsets(chained if unseen else min(own.first, chained), own.end).ordered()
    follows = None if chain.following is None else chain.following.account(partition)
    if follows is not None and own.end < follows.first <= lookups.extents[partition].high:
        own = Offsets(own.first, follows.first)
    return own


def _chained_first(lookups: Lookups, partition: int, previous: Manifest | None) -> int | None:
    """Where the landing of the day before has ended; the low watermark where it does not know the partition. None
    without such a landing."""
    if previous is None:
        return None
    extent, account = lookups.extents[partition], previous.account(partition)
    if account is None:
        return extent.low
    return account.end if account.end <= extent.high else None


def _held_back(lookups: Lookups, day: date, chain: Neighbours) -> Iterator[str]:
    for partition, extent in sorted(lookups.extents.items()):
        end = _own(lookups, day, partition, chain).end
        if end > extent.stable:
            yield (
                f"partition {partition} is read to offset {extent.stable} instead of {end}: an open transaction holds "
                "the rest back"
            )


def _stamped_ahead(lookups: Lookups, window: Window) -> Iterator[str]:
    for partition, extent in sorted(lookups.extents.items()):
        ahead = lookups.stamped_ahead(window.end, partition)
        if ahead is not None:
            yield (
                f"partition {partition}, offset {ahead.offset} is stamped {time_text(ahead.timestamp_ms)}, far past "
                f"the window's end: the partition is read to its high watermark {extent.high}"
            )
    yield from _stamped_long_ago(lookups)


def _stamped_long_ago(lookups: Lookups) -> Iterator[str]:
    """A topic that holds messages, and none of a day that could be landed: producers that stamp seconds, perhaps."""
    first_day = datetime.combine(FIRST_DAY, time(), lookups.now.tzinfo)
    held = [partition for partition, extent in lookups.extents.items() if extent.low < extent.high]
    if held and all(lookups.found_at(first_day, partition) is None for partition in held):
        stamps = [found.timestamp_ms for partition in held if (found := lookups.first_left(partition)) is not None]
        first = f", the first one {time_text(min(stamps))}" if stamps else ""
        yield (
            f"all messages of the topic are stamped before {FIRST_DAY}{first}: no day will find them. Kafka's "
            "timestamps are milliseconds since 1970; do the producers give seconds?"
        )


def _doubts(lookups: Lookups, window: Window, chain: Neighbours) -> Iterator[str]:
    """Partitions that have dropped messages, and of which a single older one that is left seems to say that the window
    is whole."""
    soon = milliseconds_floor(window.start + SOON)
    for partition, extent in sorted(lookups.extents.items()):
        found = lookups.found_at(window.start, partition)
        alone = found is not None and found.offset == extent.low + 1 and found.timestamp_ms > soon
        if extent.low > 0 and alone and known_start(lookups, partition, chain) is None:
            yield (
                f"partition {partition} has dropped offsets before {extent.low}, and of those that are left a single "
                "one lies before the window: it may be a straggler, so whether all of the window is there can't be told"
            )


def _lags(lookups: Lookups, window: Window, ranges: list[Range]) -> str | None:
    busy = [span.partition for span in ranges if span.own.first < span.own.end]
    if not busy or any(lookups.found_at(window.end, partition) is not None for partition in busy):
        return None
    return (
        "no partition that has messages of the day holds any later than the window's end "
        f"({window.end:%Y-%m-%d %H:%M} UTC): producers or a mirror may lag. What comes later is read with the next "
        "day, and landed where it belongs"
    )


def _unread_before(lookups: Lookups, chain: Neighbours, ranges: list[Range]) -> list[str]:
    """Offsets before the first landing of this log, which no other landing has read."""
    if chain.previous is not None:
        return []
    return [
        f"partition {span.partition}: offsets {low} to {span.first - 1}"
        for span in ranges
        if (low := lookups.extents[span.partition].low) < span.first
    ]
