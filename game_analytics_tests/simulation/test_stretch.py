"""Where a topic of simulated matches is gone on with, told from its newest and oldest messages alone."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from itertools import pairwise

import pytest

from game_analytics.errors import GameAnalyticsError
from game_analytics.simulation.log import MemoryEventLog
from game_analytics.simulation.schedule import Simulation
from game_analytics.simulation.stretch import endless, next_delivery, standing_of
from game_analytics_tests.support.listed_log import ListedLog, Message
from game_analytics_tests.support.samples import utc

START = utc("2025-12-29 23:55")
WEEKS_LATER = utc("2026-01-21 23:55")
BUSY = Simulation(events_per_day=5_000_000, partitions=2)
"""So busy that several messages of a partition share a millisecond now and then."""
QUIET = Simulation(events_per_day=8_000, partitions=2, malformed_share=0.05)


@cache
def delivered(simulation: Simulation, start: datetime, span: timedelta) -> tuple[dict[int, int], list[list[Message]]]:
    """What the in-memory log delivers: the offset of each partition's first message there, and its messages, with
    offsets counted from 0."""
    log = MemoryEventLog(simulation, clock=lambda: start + span)
    firsts = {number: found.offset for number, found in log.first_at_or_after(start).items() if found is not None}
    messages = []
    for number, extent in log.extents().items():
        batches = log.read(number, firsts[number], extent.high, max_messages=10**6, max_bytes=10**9)
        rows = [row for batch in batches for row in batch.iter_rows()]
        messages.append([Message(offset - firsts[number], at, value) for offset, at, value in rows])
    return firsts, messages


def an_hour() -> tuple[dict[int, int], list[list[Message]]]:
    return delivered(QUIET, START, timedelta(hours=1))


def log_of(*partitions: Sequence[Message]) -> ListedLog:
    return ListedLog(dict(enumerate(partitions)))


def renumbered(messages: Sequence[Message]) -> list[Message]:
    return [replace(message, offset=offset) for offset, message in enumerate(messages)]


def refusal_of(log: ListedLog, simulation: Simulation = QUIET) -> str:
    with pytest.raises(GameAnalyticsError) as told:
        standing_of(log, simulation, START)
    return str(told.value)


def test_a_topic_that_holds_nothing_begins_with_the_first_messages_of_the_start() -> None:
    firsts, _ = an_hour()
    standing = standing_of(log_of([], []), QUIET, START)
    assert standing.position == firsts
    assert standing.ends == {0: 0, 1: 0}


def test_wherever_it_was_cut_off_it_goes_on_with_the_next_message() -> None:
    firsts, [messages, others] = delivered(BUSY, START, timedelta(minutes=1))
    amid_a_millisecond = [
        after.offset for before, after in pairwise(messages) if before.timestamp_ms == after.timestamp_ms
    ]
    assert len(amid_a_millisecond) > 10
    behind_it = [offset + 1 for offset in amid_a_millisecond]
    for cut in [1, *amid_a_millisecond, *behind_it, *range(2, len(messages), 100), len(messages)]:
        standing = standing_of(log_of(messages[:cut], others[:7]), BUSY, WEEKS_LATER)
        assert standing.position == {0: firsts[0] + cut, 1: firsts[1] + 7}, cut
        assert standing.ends == {0: cut, 1: 7}


def test_a_topic_whose_first_messages_have_expired_goes_on_where_it_ends() -> None:
    firsts, [messages, others] = an_hour()
    log = replace(log_of(messages, others), low={0: 20, 1: len(others) - 1})
    assert standing_of(log, QUIET, WEEKS_LATER).position == {
        0: firsts[0] + len(messages),
        1: firsts[1] + len(others),
    }


def test_a_topic_all_of_which_has_expired_begins_anew() -> None:
    firsts, _ = an_hour()
    log = ListedLog({0: [], 1: []}, low={0: 500, 1: 700})
    standing = standing_of(log, QUIET, START)
    assert standing.position == firsts
    assert standing.ends == {0: 500, 1: 700}


@pytest.mark.parametrize("sent", [1, 5])
def test_a_partition_that_got_nothing_yet_begins_with_the_others_also_when_days_have_gone_by(sent: int) -> None:
    firsts, [_, messages] = an_hour()
    standing = standing_of(log_of([], messages[:sent]), QUIET, WEEKS_LATER)
    assert standing.position == {0: firsts[0], 1: firsts[1] + sent}


def test_a_partition_that_has_lost_all_while_others_have_not_is_refused() -> None:
    _, [_, messages] = an_hour()
    said = refusal_of(ListedLog({0: [], 1: messages}, low={0: 500, 1: 3}))
    assert "holds nothing in partition 0, but messages in others" in said
    assert "--create-topic" in said


FOREIGN = b"somebody else's"


def inserted(offset: int, delivered: str | None = None) -> Callable[[Sequence[Message]], list[Message]]:
    """Somebody else's message among ours; stamped like the one that it comes before unless told otherwise."""

    def into(messages: Sequence[Message]) -> list[Message]:
        neighbour = messages[min(offset, len(messages) - 1)]
        stamped = neighbour.delivered if delivered is None else utc(delivered)
        return renumbered([*messages[:offset], Message(0, stamped, FOREIGN), *messages[offset:]])

    return into


def without(offset: int) -> Callable[[Sequence[Message]], list[Message]]:
    return lambda messages: renumbered([*messages[:offset], *messages[offset + 1 :]])


def repeated(offset: int) -> Callable[[Sequence[Message]], list[Message]]:
    return lambda messages: renumbered([*messages[: offset + 1], *messages[offset:]])


@pytest.mark.parametrize(
    ("spoilt", "culprit"),
    [
        (inserted(0), 0),
        (inserted(0, "2019-01-01 12:00"), 0),
        (inserted(17), 17),
        (inserted(17, "2019-01-01 12:00"), 17),
        (inserted(17, "2100-01-01 12:00"), 17),
        (inserted(39), 39),
        (inserted(40), 40),
        (inserted(40, "2019-01-01 12:00"), 40),
        (inserted(40, "2100-01-01 12:00"), 40),
        (inserted(40, "9999-06-01 12:00"), 40),
        (without(17), 16),
        (without(1), 0),
        (repeated(17), 17),
        (repeated(39), 40),
    ],
)
def test_a_message_that_does_not_belong_or_is_missing_is_named(
    spoilt: Callable[[Sequence[Message]], list[Message]], culprit: int
) -> None:
    _, [others, messages] = an_hour()
    said = refusal_of(log_of(others, spoilt(messages[:40])))
    assert f"partition 1, offset {culprit} (stamped " in said
    assert "--create-topic" in said


def test_a_topic_of_other_settings_is_refused_with_the_options_that_set_them() -> None:
    _, messages = an_hour()
    said = refusal_of(log_of(*messages), replace(QUIET, seed=8))
    assert "partition 0, offset " in said
    assert "--seed" in said


def test_an_offset_that_holds_no_message_is_refused() -> None:
    _, [others, messages] = an_hour()
    said = refusal_of(ListedLog({0: others, 1: messages}, high={1: len(messages) + 1}))
    assert f"partition 1, offset {len(messages)} (part of a transaction, or compacted)" in said


def test_a_topic_with_an_open_transaction_is_refused() -> None:
    _, [others, messages] = an_hour()
    said = refusal_of(ListedLog({0: others, 1: messages}, stable={1: 30}))
    assert "partition 1, offset 30 (part of a transaction, or compacted)" in said


def test_the_next_delivery_is_that_of_whichever_partition_comes_first() -> None:
    firsts, [messages, others] = an_hour()
    for taken in ({0: 0, 1: 0}, {0: 60, 1: 3}, {0: 3, 1: 60}):
        position = {number: firsts[number] + count for number, count in taken.items()}
        expected = min(messages[taken[0]].delivered, others[taken[1]].delivered)
        assert next_delivery(endless(QUIET), position) == expected
