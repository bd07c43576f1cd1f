"""A message is classified in a batch as it is alone, for any neighbours, position and batch length.

Expected values come from the reference decoder, which reads one message at a time.
"""

from collections.abc import Sequence
from itertools import permutations

import pytest

from game_analytics.simulation.trouble import MALFORMED
from game_analytics_tests.support.batches import NOON_MS, fates, kill, kill_with, shown, words
from game_analytics_tests.support.reference_decoder import Fate, fate_of


def each_alone(values: Sequence[bytes | None]) -> list[Fate]:
    return [fate_of(value, NOON_MS, 2025, 12, 30) for value in values]


def good_messages(count: int) -> list[bytes | None]:
    """Distinct messages, so that none can be confused with another."""
    return [kill(player_id=f"p{number}", event_id=f"e-{number}", game_id=None) for number in range(count)]


def malformed() -> list[bytes | None]:
    return [value for values in MALFORMED.values() for value in values]


def good_messages_of_rarer_forms() -> list[bytes]:
    """Valid messages in unusual notation."""
    return [
        kill(event_type="ASSIST"),
        b" " + kill() + b"\n",
        kill_with('"game_id":7,"game_id":"g"'),
        kill_with('"bag":' + "[" * 63 + "]" * 63),
        kill(player_id="José 😀", note="[" * 100),
        kill(ts="2025-12-30T18:07:12+01:00"),
        kill(ts="2025-12-29T18:07:12.123Z"),
    ]


# Positions


@pytest.mark.parametrize("size", [1, 2, 1_999, 2_000, 2_001, 4_000, 4_001])
def test_a_batch_of_any_size_comes_out_message_by_message(size: int) -> None:
    values = good_messages(size)
    assert fates(values) == each_alone(values)


def test_trouble_in_every_place_of_a_long_batch_leaves_the_messages_beside_it_alone() -> None:
    odd = [*malformed(), *good_messages_of_rarer_forms()]
    values = good_messages(6_000)
    for number, at in enumerate(range(0, len(values), 7)):
        values[at] = odd[number % len(odd)]
    assert fates(values) == each_alone(values)


@pytest.mark.parametrize("at", [0, 1_999, 2_000, 4_500])
def test_a_single_bad_message_is_found_at_its_position(at: int) -> None:
    values = good_messages(4_501)
    expected = each_alone(values)
    for bad in (None, b"", b"\xff", b"{", b"[]", kill(player_id=""), kill_with('"bag":' + "[" * 64 + "]" * 64)):
        values[at], [expected[at]] = bad, each_alone([bad])
        assert fates(values) == expected


def test_a_batch_in_which_nothing_is_good_comes_out_message_by_message() -> None:
    values = malformed() * 80
    assert len(values) > 2_000
    assert fates(values) == each_alone(values)


# Neighbours


@pytest.mark.parametrize(
    "faults",
    list(permutations([None, b"", b"\xff", kill_with('"bag":' + "[" * 64 + "]" * 64)])),
    ids=shown,
)
def test_faults_checked_over_a_whole_batch_are_distinguished(
    faults: tuple[bytes | None, ...],
) -> None:
    values = [kill(), *faults, kill(), *faults]
    assert fates(values) == each_alone(values)


def neighbours_that_make_sense_together() -> list[list[bytes]]:
    """Groups that are valid JSON, or that many objects, when joined by nothing, a space, a line break or a comma."""
    one, two = kill(player_id="a"), kill(player_id="b")
    return [
        # Two halves of an object, and one message with two.
        [b'{"event_type":"KILL","player_id":', b'"p"}', one + two],
        [b'{"event_type":"KILL","player_id":"p","bag":[{}', b"{}]}", one + b"\n" + two],
        [b'{"event_type":"KILL","player_id":"p","bag":[{}', b",{}]}", one + b" " + two],
        [b'{"event_type":"KILL","player_id":"p","bag":{"a":{}', b',"b":{}}}', one + b"," + two],
        [b'{"event_type":"KILL","player_id":"p"', b"}", one + two],
        [one + two, b"", one],
        [one + b"\n" + two, b" ", b"\n"],
        # A string that continues in the next message.
        [b'{"event_type":"KILL","player_id":"p', b'q"}', one + b"\n" + two],
        [b'{"event_type":"KILL","player_id":"p","note":"}', b'{"}', one + two],
        [b'{"event_type":"KILL","player_id":"p","note":"\\', b'n"}', one + two],
        [b'{"event_type":"KILL","player_id":"\\ud83d', b'\\ude00"}', one + two],
        [b'{"event_type":"KILL","player_id":"p","note":"\xc3', b'\xa9"}', one + two],
        # Objects of a longer array.
        [b"[" + one, two + b"]"],
        [b"[", one, b",", two, b"]"],
        [one + b",", two],
        # Comments, byte order marks and other line breaks.
        [b"/*", one, b"*/"],
        [b"\xef\xbb\xbf" + one, two],
        [b"\x1e" + one, b"\x1e" + two],
        [one + b"\r\n", two + b"\r\n"],
        [b"\n" + one, b"\n\n" + two],
        [b'{"event_type":"KILL",\n"player_id":"p"}', b'{"event_type":"KILL","player_id":"p\nq"}'],
        [b'{"event_type":"KILL","player_id":"p","note":"}\n{"}', one],
    ]


@pytest.mark.parametrize("neighbours", neighbours_that_make_sense_together(), ids=shown)
def test_neighbours_that_make_sense_together_are_read_one_by_one(neighbours: list[bytes]) -> None:
    for values in (neighbours, [kill(), *neighbours, kill()], neighbours[::-1]):
        assert fates(values) == each_alone(values)


@pytest.mark.parametrize("separator", [b"", b" ", b"\n", b",", b"\x00", b"\x1e"], ids=shown)
def test_a_message_with_two_objects_is_one_bad_message(separator: bytes) -> None:
    both = separator.join([kill(player_id="a"), kill(player_id="b")])
    assert words([kill(), both, kill()]) == ["landed", "not_json", "landed"]
