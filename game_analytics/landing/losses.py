"""What a landing would lose: whether the log still holds all of a day's window, and is the log of earlier landings."""

from collections.abc import Iterator

from game_analytics.errors import GameAnalyticsError
from game_analytics.lake.manifest import Manifest
from game_analytics.landing.neighbours import Neighbours
from game_analytics.landing.window import Lookups
from game_analytics.rules.days import Window, milliseconds_floor, time_text

A_FEW = 10
"""So many messages older than a window may be stragglers."""


class Truncated(GameAnalyticsError):
    """The log has dropped messages of the day, or is another log than the one that the day was landed from."""


def another_log(lookups: Lookups, window: Window, others: Neighbours) -> Iterator[str]:
    """Why this log is not the one that earlier landings were read from, where that takes events away."""
    standing = others.standing
    if standing is not None and not standing.log.is_same_as(lookups.identity):
        yield from _replaces(lookups, standing)
    elif standing is not None:
        yield from _ends_earlier(lookups, standing)
    if others.previous is not None:
        yield from _created_again(lookups, window, others.previous)


def _replaces(lookups: Lookups, standing: Manifest) -> Iterator[str]:
    total = standing.total()
    if total["landed"] or total["quarantined"]:
        yield (
            f"the landing that stands was read from {standing.log}, this log is {lookups.identity}: "
            f"{total['landed']:,} events of that landing would be replaced by what this log holds"
        )


def _ends_earlier(lookups: Lookups, standing: Manifest) -> Iterator[str]:
    """The partitions that end before offsets which the standing landing has read, as where the topic was deleted and
    created again and the manifest does not tell the topic's id."""
    for account in standing.partitions:
        extent = lookups.extents.get(account.partition)
        if account.read and (extent is None or account.end > extent.high):
            now = "is gone" if extent is None else f"ends at offset {extent.high}"
            yield (
                f"partition {account.partition} {now}, but the standing landing has read it to offset {account.end}: "
                f"the topic was created again, and {account.landed:,} events of that landing would go"
            )


def _created_again(lookups: Lookups, window: Window, previous: Manifest) -> Iterator[str]:
    """A topic that was created again, renamed or moved on the day itself, as the landing of the day before tells: what
    was delivered before that is in no topic that is read. One that holds older messages was there in time."""
    log = lookups.identity
    is_simulated = previous.topic != log.topic and None in (previous.topic_id, log.topic_id)
    if is_simulated or _reaches_as_far(lookups, previous):
        return
    older = sum(
        lookups.offset_at(window.start, partition) - extent.low for partition, extent in lookups.extents.items()
    )
    # In the same cluster a few older messages may be stragglers that were sent after the topic was created again.
    is_same_cluster = previous.cluster_id is not None and previous.cluster_id == log.cluster_id
    if older >= (A_FEW if is_same_cluster else 1):
        return
    left = [found for partition in lookups.extents if (found := lookups.first_left(partition)) is not None]
    first = f"begins at {time_text(min(found.timestamp_ms for found in left))}" if left else "is empty"
    yield (
        f"the topic was created again or is another one since {previous.day} was landed (from {previous.log}, now "
        f"{log}), and {first}: what was delivered before is gone, or lies elsewhere"
    )


def _reaches_as_far(lookups: Lookups, previous: Manifest) -> bool:
    """Whether this is the log of that landing, and holds no fewer offsets than it has read."""
    extents = lookups.extents
    read = [account for account in previous.partitions if account.read and account.partition in extents]
    same = previous.log.is_same_as(lookups.identity)
    return same and all(each.end <= extents[each.partition].high for each in read)


def lost_of_finders(lookups: Lookups, chain: Neighbours) -> Iterator[str]:
    """What the log no longer holds of what the finders have read: events of the day may have been there."""
    for finder in chain.finders:
        for account in finder.partitions:
            extent = lookups.extents.get(account.partition)
            if account.read and (extent is None or account.first < extent.low or account.end > extent.high):
                yield (
                    f"partition {account.partition} no longer holds all of offsets {account.first} to "
                    f"{account.end - 1}, which the landing of {finder.day} has read"
                )


def truncations(lookups: Lookups, window: Window, chain: Neighbours) -> dict[int, str]:
    """What the log no longer holds of the window: a sentence for each partition that lost some of it.

    Where the standing landing or the day before tells at which offset the window starts, that decides. Else a partition
    is truncated if something was dropped from it and no message older than the window is left. An empty partition is
    idle, not truncated, unless the whole log is empty.
    """
    some_left = any(extent.low < extent.high for extent in lookups.extents.values())
    lost = {}
    for partition, extent in sorted(lookups.extents.items()):
        starts = known_start(lookups, partition, chain)
        left = lookups.first_left(partition)
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


def known_start(lookups: Lookups, partition: int, chain: Neighbours) -> int | None:
    """The offset at which the window starts, as far as earlier landings of this log tell."""
    extent = lookups.extents[partition]
    own = None if chain.standing is None else chain.standing.account(partition)
    if own is not None and own.read and own.first < extent.low:
        return own.first  # else it tells nothing: it may have been landed truncated, and then starts where the log did
    # A day that was landed too early did not see where the next one starts.
    before = None if chain.previous is None else chain.previous.account(partition)
    return before.next_day_first if before is not None and before.end <= extent.high else None
