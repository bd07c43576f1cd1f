"""What a landing would lose: messages that the log no longer holds, or that were read from another log."""

from collections.abc import Callable, Iterator

from game_analytics.errors import GameAnalyticsError
from game_analytics.lake.manifest import Manifest
from game_analytics.landing.neighbours import Neighbours
from game_analytics.landing.window import LogSnapshot
from game_analytics.rules.days import Window, milliseconds_floor, time_text

A_FEW = 10
"""So many messages older than a window may be late messages of days before."""


class Truncated(GameAnalyticsError):
    """The log has dropped messages of the day, or is not the log that the day was landed from."""


def another_log(snapshot: LogSnapshot, window: Window, neighbours: Neighbours) -> Iterator[str]:
    """Why this log is not the one that earlier landings were read from, where events would be lost by that."""
    committed = neighbours.committed
    if committed is not None and not committed.log.is_same_as(snapshot.identity):
        yield from _replaces(snapshot, committed)
    elif committed is not None:
        yield from _ends_earlier(snapshot, committed)
    if neighbours.previous is not None:
        yield from _created_again(snapshot, window, neighbours.previous)


def _replaces(snapshot: LogSnapshot, committed: Manifest) -> Iterator[str]:
    total = committed.total()
    if total["landed"] or total["quarantined"]:
        yield (
            f"the committed landing was read from {committed.log}, this log is {snapshot.identity}: "
            f"{total['landed']:,} events of that landing would be replaced by what this log holds"
        )


def _ends_earlier(snapshot: LogSnapshot, committed: Manifest) -> Iterator[str]:
    """Partitions that end before offsets that the committed landing has read: the topic was created again, and the
    manifest is of a version without the topic's id."""
    for account in committed.partitions:
        extent = snapshot.extents.get(account.partition)
        if account.read and (extent is None or account.end > extent.high):
            now = "is gone" if extent is None else f"ends at offset {extent.high}"
            yield (
                f"partition {account.partition} {now}, but the committed landing has read it to offset {account.end}: "
                f"the topic was created again, and {account.landed:,} events of that landing would be lost"
            )


def _created_again(snapshot: LogSnapshot, window: Window, previous: Manifest) -> Iterator[str]:
    """A topic that was created again, renamed or moved on the day itself, compared with the landing of the day before:
    what was delivered before that is in no topic that is read. A topic with older messages existed in time."""
    log = snapshot.identity
    is_simulated = previous.topic != log.topic and None in (previous.topic_id, log.topic_id)
    if is_simulated or _reaches_as_far(snapshot, previous):
        return
    older = sum(
        snapshot.offset_at(window.start, partition) - extent.low for partition, extent in snapshot.extents.items()
    )
    # In the same cluster a few older messages may have been sent late, after the topic was created again.
    is_same_cluster = previous.cluster_id is not None and previous.cluster_id == log.cluster_id
    if older >= (A_FEW if is_same_cluster else 1):
        return
    left = [found for partition in snapshot.extents if (found := snapshot.first_left(partition)) is not None]
    first = f"begins at {time_text(min(found.timestamp_ms for found in left))}" if left else "is empty"
    yield (
        f"the topic was created again or is another one since {previous.day} was landed (from {previous.log}, now "
        f"{log}), and {first}: what was delivered before is lost, or in another topic"
    )


def _reaches_as_far(snapshot: LogSnapshot, previous: Manifest) -> bool:
    """Whether this is the log of that landing, and reaches at least to the offsets that it has read."""
    extents = snapshot.extents
    read = [account for account in previous.partitions if account.read and account.partition in extents]
    same = previous.log.is_same_as(snapshot.identity)
    return same and all(each.end <= extents[each.partition].high for each in read)


def lost_to_finders(snapshot: LogSnapshot, chain: Neighbours) -> Iterator[str]:
    """Offsets read by the finders that the log no longer holds: events of the day may have been there."""
    for finder in chain.finders:
        for account in finder.partitions:
            extent = snapshot.extents.get(account.partition)
            if account.read and (extent is None or account.first < extent.low or account.end > extent.high):
                yield (
                    f"partition {account.partition} no longer holds all of offsets {account.first} to "
                    f"{account.end - 1}, which the landing of {finder.day} has read"
                )


def truncations(snapshot: LogSnapshot, window: Window, chain: Neighbours) -> dict[int, str]:
    """By partition, what the log no longer holds of the window, as a sentence.

    If the committed landing or the day before records at which offset the window starts, that decides. Otherwise a
    partition is truncated if it has dropped messages and none older than the window is left. An empty partition is
    idle, not truncated, unless the whole log is empty.
    """
    some_left = any(extent.low < extent.high for extent in snapshot.extents.values())
    lost = {}
    for partition, extent in sorted(snapshot.extents.items()):
        starts = known_start(snapshot, partition, chain)
        left = snapshot.first_left(partition)
        if starts is not None:
            is_truncated = starts < extent.low
        elif left is not None:
            is_truncated = extent.low > 0 and left.timestamp_ms >= milliseconds_floor(window.start)
        else:
            is_truncated = extent.low > 0 and not some_left
        if is_truncated:
            gone = f"offsets before {extent.low}" if starts is None else f"offsets {starts} to {extent.low - 1}"
            oldest = (
                "no message is left" if left is None else f"the first one left is of {time_text(left.timestamp_ms)}"
            )
            lost[partition] = f"partition {partition} has lost {gone} ({oldest})"
    return lost


def known_start(snapshot: LogSnapshot, partition: int, chain: Neighbours) -> int | None:
    """The offset at which the window starts, if earlier landings of this log record it."""
    extent = snapshot.extents[partition]
    own = None if chain.committed is None else chain.committed.account(partition)
    if own is not None and own.read and own.first < extent.low:
        return own.first  # otherwise it may have been landed truncated, and starts where the log did
    # A day landed before its window closed does not know where the next one starts.
    before = None if chain.previous is None else chain.previous.account(partition)
    return before.next_day_first if before is not None and before.end <= extent.high else None


def fewer_than_committed(committed: Manifest | None, manifest: Manifest, read_again: Callable[[int], int]) -> list[str]:
    """Where the log holds fewer messages at the offsets of the committed landing than that has read: after compaction,
    or in a topic that was created again. ``read_again`` counts them by partition. Manifests without the topic's id are
    also compared by their events."""
    if committed is None or not committed.log.is_same_as(manifest.log):
        return []
    fewer = [
        f"of {account.read:,} messages that were read of partition {account.partition} {again:,} are left"
        for account in committed.partitions
        if (again := read_again(account.partition)) < account.read
    ]
    before, now = committed.total()["landed"], manifest.total()["landed"]
    without_id = committed.topic_id is None and manifest.topic_id is not None
    if fewer or (without_id and now < before):
        fewer.append(f"{before:,} events were landed, {now:,} would be")
    return fewer
