"""What a message must be before its fields are read: UTF-8, one RFC 8259 document without lone surrogates, nested at
most 64 levels, and an object."""

import sys

import pytest

from game_analytics_tests.support.batches import fate, fates, kill, kill_with, shown, words
from game_analytics_tests.support.event_samples import (
    bytes_that_are_no_utf8,
    strings_with_a_lone_surrogate,
    texts_that_are_no_json,
    values_that_are_json,
    values_that_are_no_json,
)
from game_analytics_tests.support.reference_decoder import Landed

REPLACED = '"game_id":7,"game_id":null,'
"""Repeated keys that change nothing, since the last one counts; a decoder by types has to parse twice."""


# UTF-8


@pytest.mark.parametrize("value", bytes_that_are_no_utf8(), ids=shown)
def test_invalid_utf_8_is_quarantined_as_such(value: bytes) -> None:
    assert words([kill(), value, kill()]) == ["landed", "not_utf8", "landed"]


def test_halves_of_a_character_in_two_messages_do_not_make_one() -> None:
    assert words([b'{"note":"\xc3', b'\xa9"}']) == ["not_utf8", "not_utf8"]


def test_utf_16_without_a_byte_order_mark_is_utf_8_but_not_json() -> None:
    assert fate(kill().decode().encode("utf-16-le")) == "not_json"


# JSON


@pytest.mark.parametrize("value", texts_that_are_no_json(), ids=shown)
def test_invalid_json_is_quarantined_as_such(value: bytes) -> None:
    assert words([kill(), value, kill()]) == ["landed", "not_json", "landed"]


@pytest.mark.parametrize("value", values_that_are_no_json(), ids=shown)
@pytest.mark.parametrize("member", ["damage", "player_id", "event_type", "ts"])
def test_a_broken_value_breaks_the_message_even_in_an_unused_field(member: str, value: str) -> None:
    assert fate(kill_with(f'"{member}":{value}')) == "not_json"
    assert fate(kill_with(f'"bag":[{{"{member}":{value}}}]')) == "not_json"


@pytest.mark.parametrize("key", [r'"\x41"', r'"\u12"', '"\n"', '"\x00"', '"', "'a'", "a", "7", ""])
def test_a_broken_key_breaks_the_message(key: str) -> None:
    assert fate(kill_with(f"{key}:1")) == "not_json"
    assert fate(kill_with(f'"bag":{{{key}:1}}')) == "not_json"


def test_a_message_cut_off_anywhere_is_no_json() -> None:
    whole = '{"event_type":"KILL","player_id":"é😀","n":[1.5e3,{"a":null}],"s":"\\ud83d\\ude00 \\n"}'
    assert fate(whole.encode()) == "landed"
    assert words([whole[:end].encode() for end in range(len(whole))]) == ["not_json"] * len(whole)


@pytest.mark.parametrize("value", values_that_are_json(), ids=shown)
def test_an_unused_field_may_hold_any_json(value: str) -> None:
    more = f'"damage":{value},"bag":[{{"damage":{value}}}]'
    plain, with_more, looked_at_twice = fates([kill(), kill_with(more), kill_with(REPLACED + more)])
    assert isinstance(plain, Landed)
    assert with_more == looked_at_twice == plain


@pytest.mark.parametrize("number", ["1e999", "-1e999", "9" * 10_000, "1." + "0" * 10_000])
def test_a_number_of_any_size_is_legal_json_and_of_the_wrong_type_where_a_string_belongs(number: str) -> None:
    assert len(number) < 10 or len(number) > sys.get_int_max_str_digits()  # more than Python makes an integer of
    assert fate(number.encode()) == "not_an_object"
    assert fate(f'{{"event_type":{number}}}'.encode()) == "bad_event_type"
    assert fate(kill_with(f'"player_id":{number}')) == "bad_player_id"
    assert fate(kill_with(f'"ts":{number}')) == "bad_ts"


def test_white_space_may_stand_around_everything() -> None:
    space = " \t\r\n"
    tokens = [
        "",
        "{",
        '"event_type"',
        ":",
        '"KILL"',
        ",",
        '"player_id"',
        ":",
        '"p"',
        ",",
        '"bag"',
        ":",
        "[",
        "]",
        "}",
        "",
    ]
    assert fate(space.join(tokens).encode()) == "landed"


def test_a_message_of_a_megabyte_is_read_like_any_other() -> None:
    assert words([kill(note="x" * 1_000_000), kill(note="[" * 1_000_000), kill(note="\\" * 500_000)]) == ["landed"] * 3
    assert fate(b'"' + b"\\" * 1_000_001) == "not_json"


# Lone surrogates


@pytest.mark.parametrize("content", strings_with_a_lone_surrogate(), ids=shown)
def test_a_lone_surrogate_is_the_fault_of_the_field_that_holds_it_and_harmless_elsewhere(content: str) -> None:
    messages = {
        f'"{content}"': "not_an_object",
        f'{{"event_type":"{content}"}}': "bad_event_type",
        kill_with(f'"player_id":"{content}"').decode(): "bad_player_id",
        kill_with(f'"game_id":"{content}"').decode(): "bad_game_id",
        kill_with(f'"ts":"{content}"').decode(): "bad_ts",
        kill_with(f'"note":"{content}"').decode(): "landed",
        kill_with(f'"bag":[[{{"a":"{content}"}}]]').decode(): "landed",
        kill_with(f'"{content}":1').decode(): "landed",
        kill_with(f'"bag":{{"{content}":1}}').decode(): "landed",
        kill_with(f'"player_id":"{content}","player_id":"a"').decode(): "landed",  # another value replaces it
        f'{{"event_type":"ASSIST","player_id":"{content}"}}': "ignored",
        kill_with(f'{REPLACED}"note":"{content}"').decode(): "landed",
    }
    assert words([message.encode() for message in messages]) == list(messages.values())


def test_two_halves_in_two_strings_are_no_pair() -> None:
    assert fate(kill_with(r'"player_id":"\ud83d","game_id":"\ude00"')) == "bad_player_id"
    assert fate(kill_with(r'"bag":["\ud83d","\ude00"]')) == "landed"


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_a_constant_of_other_languages_is_the_fault_of_the_field_that_holds_it_and_harmless_elsewhere(
    constant: str,
) -> None:
    assert fate(kill_with(f'"damage":{constant},"bag":[{constant}]')) == "landed"
    assert fate(kill_with(f'"player_id":{constant}')) == "bad_player_id"
    assert fate(f'{{"event_type":{constant}}}'.encode()) == "bad_event_type"
    assert fate(f'{{"event_type":"ASSIST","player_id":{constant}}}'.encode()) == "ignored"


@pytest.mark.parametrize(
    ("escaped", "characters"),
    [
        (r"\ud83d\ude00", "😀"),
        (r"\uD83D\uDE00", "😀"),
        (r"\uD83d\uDe00", "😀"),
        (r"x\ud83d\ude00\ud83d\ude00", "x😀😀"),
        (r"\ud800\udc00\udbff\udfff", "\U00010000\U0010ffff"),  # the first and the last surrogate pair
    ],
)
def test_a_whole_surrogate_pair_is_a_character(escaped: str, characters: str) -> None:
    members = f'"player_id":"{escaped}","{escaped}":"{escaped}"'
    found, looked_at_twice = fates([kill_with(members), kill_with(REPLACED + members)])
    assert isinstance(found, Landed)
    assert found.player_id == characters
    assert looked_at_twice == found


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (r"\\ud83d", r"\ud83d"),
        (r"\\\\ud83d", r"\\ud83d"),
        (r"\\ude00\\ud83d", r"\ude00\ud83d"),
        (r"\\\ud83d\ude00", "\\😀"),
        (r"\u005cud83d", r"\ud83d"),  # an escaped backslash too
    ],
)
def test_an_escape_after_an_escaped_backslash_is_plain_text(content: str, name: str) -> None:
    members = f'"player_id":"{content}","note":"{content}","{content}":1'
    found, looked_at_twice = fates([kill_with(members), kill_with(REPLACED + members)])
    assert isinstance(found, Landed)
    assert found.player_id == name
    assert looked_at_twice == found


# Nesting


def arrays(levels: int, inside: str = "") -> str:
    return "[" * levels + inside + "]" * levels


def objects(levels: int, inside: str = "1") -> str:
    return '{"a":' * levels + inside + "}" * levels


def test_64_levels_are_the_most_and_the_message_itself_is_one_of_them() -> None:
    allowed = [f'"bag":{arrays(63)}', f'"bag":{objects(63)}', f'"bag":{arrays(31, objects(32))}']
    too_deep = [f'"bag":{arrays(64)}', f'"bag":{objects(64)}', f'"bag":{arrays(32, objects(32))}']
    assert words([kill_with(bag) for bag in allowed]) == ["landed"] * 3
    assert words([kill_with(bag) for bag in too_deep]) == ["not_json"] * 3


def test_nesting_is_looked_at_before_the_fields() -> None:
    values = [arrays(64), arrays(65), objects(64), objects(65)]
    expected = ["batch", "not_json", "missing_event_type", "not_json"]
    assert words([value.encode() for value in values]) == expected
    # Each alone as well: 64 levels fit into 128 bytes, 65 don't.
    assert [fate(value.encode()) for value in values] == expected


def test_depth_is_detected_anywhere() -> None:
    deep = arrays(64)
    values = [
        kill_with(f'"player_id":{deep}'),
        kill_with(f'"bag":{deep},"bag":1'),  # replaced by a later value
        kill_with(f'"bag":[1,[],"]]]]]]]]",{{"a":{arrays(62)}}}]'),
        b'{"bag":' + deep.encode() + b',"event_type":"KILL","player_id":"p"}',
        b'{"event_type":"ASSIST","bag":' + deep.encode() + b"}",
        b'{"event_type":7,"bag":' + deep.encode() + b"}",
    ]
    assert words(values) == ["not_json"] * len(values)


def test_closing_brackets_inside_strings_do_not_make_it_shallower() -> None:
    assert fate(kill_with('"bag":' + '["]",' * 63 + "[]" + "]" * 63)) == "not_json"
    assert fate(kill_with('"bag":' + '["\\"]",' * 63 + "[]" + "]" * 63)) == "not_json"
    assert fate(kill_with('"bag":' + '{"}":' * 63 + "[]" + "}" * 63)) == "not_json"


def test_brackets_inside_strings_are_no_levels() -> None:
    values = [
        kill(note="[" * 1_000),
        kill(note='"' + "{" * 1_000),  # behind an escaped quote
        kill(note='\\"' + "[" * 1_000),
        kill(note="\\" * 7 + '"' + "[{" * 1_000),
        kill(**{"[{" * 1_000: 1}),  # in a key
        kill(player_id="[" * 128),
        kill_with('"bag":' + arrays(63, '"' + "[" * 100 + '"')),
        kill_with('"bag":' + objects(62, '["' + "{" * 100 + '","\\\\",7]')),
    ]
    assert words(values) == ["landed"] * len(values)


def test_many_brackets_side_by_side_are_not_deep() -> None:
    assert (
        words([kill_with('"bag":[' + item * 1_000 + "1]") for item in ("[],", '{"a":[]},', '[{"a":{}}],')])
        == ["landed"] * 3
    )


def test_deep_and_short_messages_in_one_batch_are_distinguished() -> None:
    short, deep, too_deep = kill(), kill_with(f'"bag":{arrays(63)}'), kill_with(f'"bag":{arrays(64)}')
    assert words([short, deep, too_deep, short, None, too_deep, b"{", short]) == [
        "landed",
        "landed",
        "not_json",
        "landed",
        "tombstone",
        "not_json",
        "not_json",
        "landed",
    ]


@pytest.mark.parametrize(
    "value",
    [
        arrays(100_000),
        "[" * 100_000,  # never closed
        "]" * 100_000,
        objects(100_000),
        '{"a":' * 100_000,
        '{"event_type":"KILL","player_id":"p","bag":' + arrays(100_000) + "}",
        '{"event_type":"KILL","player_id":' + objects(100_000) + "}",
        '{"event_type":"ASSIST","bag":' + '[{"a":' * 50_000,
        '["' * 100_000,
        '[\\"' * 100_000,
    ],
    ids=shown,
)
def test_a_hundred_thousand_levels_are_quarantined_and_stop_nothing(value: str) -> None:
    assert words([kill(), value.encode(), kill()]) == ["landed", "not_json", "landed"]


# Objects


@pytest.mark.parametrize(
    "value",
    [
        b"123",
        b"-1.5",
        b"true",
        b"false",
        b"null",
        b'""',
        b'"KILL"',
        b" 7 ",
        b"NaN",
    ],
)
def test_json_that_is_not_an_object_is_quarantined_as_such(value: bytes) -> None:
    assert words([kill(), value, kill()]) == ["landed", "not_an_object", "landed"]
