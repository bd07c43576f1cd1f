"""Hostile messages by family, each a list of distinct messages, for decoders that must not crash, hang or violate the
contract."""

import json
from collections.abc import Callable, Iterator, Sequence

from game_analytics_tests.support.event_samples import (
    bad_timestamps,
    bytes_that_are_no_utf8,
    good_names,
    good_timestamps,
    messages_with_a_repeated_key,
    strings_with_a_lone_surrogate,
    texts_that_are_no_json,
    values_that_are_json,
    values_that_are_no_json,
)

FIELDS = ("event_type", "player_id", "game_id", "event_id", "ts")
NAMES = ("player_id", "game_id", "event_id")
A_MEGABYTE = 1_000_000


def valid_messages() -> list[bytes]:
    """Every form that lands: compact, with spaces, escaped, and with further fields."""
    return [
        b'{"event_type":"KILL","player_id":"p7","ts":"2025-12-30T18:07:12.5+01:00"}',
        b' {\n\t"player_id" : "Jos\xc3\xa9 \xf0\x9f\x98\x80" ,\r\n "event_type" : "DEATH" , "n" : [ 1e-3 , true ]}\n',
        b'{"event_type":"\\u004bILL","player_id":"\\ud83d\\ude00\\n\\"","player_id":"a\\/b","x":{"y":[null,{"z":-0}]}}',
        b'{"event_type":"ASSIST","player_id":7,"why":"\\u00e9 \xe2\x82\xac"}',
    ]


def of_field(field: str, literal: str | bytes) -> bytes:
    """A valid ``KILL`` with this JSON as the value of the field, which may be an unused one."""
    written = literal.encode() if isinstance(literal, str) else literal
    members = {"event_type": b'"KILL"', "player_id": b'"p"', field: written}
    return b"{" + b",".join(b'"%s":%s' % (name.encode(), value) for name, value in members.items()) + b"}"


def of_every_field(literal: str | bytes) -> Iterator[bytes]:
    yield from (of_field(field, literal) for field in (*FIELDS, "note"))


# Damage


def truncated() -> Iterator[bytes]:
    """Each message cut off at every byte, from both ends."""
    for message in valid_messages():
        yield from (message[:end] for end in range(len(message)))
        yield from (message[start:] for start in range(1, len(message)))


def flipped() -> Iterator[bytes]:
    """The first message with every byte replaced by every other one; the others with every bit flipped."""
    first, *others = valid_messages()
    for at, byte in enumerate(first):
        yield from (first[:at] + bytes([other]) + first[at + 1 :] for other in range(256) if other != byte)
    for message in others:
        for at, byte in enumerate(message):
            yield from (message[:at] + bytes([byte ^ 1 << bit]) + message[at + 1 :] for bit in range(8))


def spliced() -> Iterator[bytes]:
    """Bytes removed and bytes doubled at every position; concatenated documents."""
    for message in valid_messages():
        for at in range(len(message)):
            yield message[:at] + message[at + 1 :]
            yield message[:at] + message[at : at + 1] * 2 + message[at + 1 :]
    for between in (b"", b" ", b"\n", b",", b"\x1e", b"\x00", b"//", b"#"):
        for one in valid_messages():
            yield from (one + between + other for other in valid_messages())


# Depth, size, and slow parsing


def deep() -> Iterator[bytes]:
    """Arrays, objects and both alternating, around the limit and far beyond it, closed and not closed."""
    for levels in (*range(60, 68), 100, 127, 128, 129, 1_000, 100_000):
        for opening, closing in (("[", "]"), ('{"a":', "}"), ('[{"a":', "}]"), ('{"a":[', "]}")):
            times = levels // (len(closing))
            for core in ("1", '"]"'):
                nested = opening * times + core + closing * times
                yield nested.encode()
                yield of_field("note", nested)
                yield of_field("player_id", nested)
            yield of_field("note", opening * times)
            yield of_field("note", opening * times + closing * (times - 1))
            yield (opening * times).encode()
            yield (closing * times).encode()


def large() -> Iterator[bytes]:
    """Up to a megabyte of one value in a used and in an unused field."""
    yield from (of_field("note", f'"{char * (A_MEGABYTE // len(char.encode()))}"') for char in "x😀")
    for filling in ("é", "{", "\\n", "\\u00e9", "\\ud83d\\ude00", "\\\\", '\\"', "\\ud83d", "\x01"):
        yield of_field("note", f'"{filling * (A_MEGABYTE // 10 // len(filling))}"')
    yield of_field("player_id", f'"{"x" * A_MEGABYTE}"')
    yield of_field("ts", f'"2025-12-30T18:07:12.{"1" * (A_MEGABYTE // 10)}Z"')
    yield of_field("event_type", f'"{"K" * (A_MEGABYTE // 10)}"')
    yield of_field("note", f"[{'[],' * (A_MEGABYTE // 10)}1]")
    yield of_field("note", f"[{'0,' * (A_MEGABYTE // 10)}0]")
    yield b'{"' + b"k" * (A_MEGABYTE // 10) + b'":1,"event_type":"KILL","player_id":"p"}'
    yield b" " * (A_MEGABYTE // 10) + of_field("note", "1")
    for unfinished in (b'"', b'\\"', b"\\", b'"\\', b"{", b'{"a":', b"[", b"[]", b"[{},", b"-", b"\xff", b"\x00"):
        yield unfinished * (A_MEGABYTE // 4 // len(unfinished))
    yield b'{"event_type":"KILL","player_id":"p"' + b',"player_id":"q"' * 5_000 + b"}"


def numbers() -> Iterator[bytes]:
    """Numbers of every size and notation, and invalid ones."""
    million = "9" * A_MEGABYTE
    yield from map(str.encode, (million, f"-{million}"))
    yield from (of_field("note", number) for number in (million, f"0.{million}", f"1e{million}", f"1{million}.5E+7"))
    yield from (of_field(field, million) for field in FIELDS)
    whole = [
        "0",
        "-0",
        "1",
        "-1",
        "9007199254740993",
        "18446744073709551616",
        "9" * 400,
        "00",
        "01",
        "-01",
        "+1",
        "0x1",
    ]
    parts = ["", ".", ".0", ".5", ".5.5", ".e1"]
    powers = ["", "e", "E5", "e+5", "e-5", "e05", "e999999", "E-999999", "e5.5", "e+", "ee5"]
    for text in (f"{first}{second}{third}" for first in whole for second in parts for third in powers):
        yield from of_every_field(text)
    for text in (
        "NaN",
        "-NaN",
        "nan",
        "Infinity",
        "-Infinity",
        "+Infinity",
        "inf",
        "-",
        ".",
        "\uff11",
        "1_000",
        "1n",
        "1 2",
    ):
        yield from of_every_field(text)
        yield text.encode()


# Encodings


def of_other_encodings() -> Iterator[bytes]:
    """With byte order marks, and as UTF-16 and UTF-32."""
    for message in valid_messages():
        text = message.decode()
        yield b"\xef\xbb\xbf" + message
        yield message + b"\xef\xbb\xbf"
        for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "utf-7"):
            yield text.encode(encoding)
        for mark in (b"\xff\xfe", b"\xfe\xff", b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff"):
            yield mark + message
        yield text.encode("latin-1", "ignore") + b"\xe9"


BROKEN_CHARACTERS = {
    "continuations of nothing": [b"\x80", b"\xbf", b"\x80\xbf", b"\x80\xbf\x80"],
    "cut off": [b"\xc3", b"\xe2", b"\xe2\x82", b"\xf0", b"\xf0\x9f", b"\xf0\x9f\x98"],
    "followed by another": [b"\xc3\xc3\xa9", b"\xe2\x82\xc3\xa9", b"\xf0\x9f\x98\xe2\x82\xac", b"\xe2\x28\xa1"],
    "overlong": [b"\xc0\x80", b"\xc0\xaf", b"\xc1\xbf", b"\xe0\x80\x80", b"\xe0\x9f\xbf", b"\xf0\x80\x80\x80"],
    "longer still": [b"\xf0\x8f\xbf\xbf", b"\xf8\x88\x80\x80\x80", b"\xfc\x84\x80\x80\x80\x80", b"\xfe", b"\xff"],
    "surrogates": [b"\xed\xa0\x80", b"\xed\xaf\xbf", b"\xed\xb0\x80", b"\xed\xbf\xbf", b"\xed\xa0\xbd\xed\xb8\x80"],
    "beyond the last": [b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xf7\xbf\xbf\xbf"],
    # And these are valid, the last before each limit.
    "good": [b"\xc2\x80", b"\xdf\xbf", b"\xe0\xa0\x80", b"\xed\x9f\xbf", b"\xee\x80\x80", b"\xf4\x8f\xbf\xbf"],
}


def of_broken_characters() -> Iterator[bytes]:
    """At the beginning, middle and end of each field, of an unused one, of keys and of messages."""
    for character in (each for kind in BROKEN_CHARACTERS.values() for each in kind):
        for content in (character, character + b"ab", b"a" + character + b"b", b"ab" + character):
            yield from of_every_field(b'"%s"' % content)
            yield b'{"event_type":"KILL","player_id":"p","%s":1}' % content
            yield b'{"event_type":"KILL","player_id":"p","note":[{"%s":1},2]}' % content
            yield b'{"event_type":"KILL","player_id":"%s","player_id":"p"}' % content
            yield b'{"event_type":"ASSIST","note":"%s"}' % content
            yield content
        yield character + valid_messages()[0]
        yield valid_messages()[0] + character


def of_surrogates_and_controls() -> Iterator[bytes]:
    """Escaped halves of pairs in any order, and control characters raw and escaped, in each field and in keys."""
    halves = [
        "\\ud83d",
        "\\uDE00",
        "\\uD83D\\ude00",
        "\\ude00\\ud83d",
        "\\ud83d\\ud83d\\ude00",
        "\\ud83d\\ude00\\ude00",
    ]
    halves += ["\\ud83d \\ude00", "\\ud83d\\n\\ude00", "\\\\ud83d", "\\\\\\ud83d", "\\ud83d\\\\ude00", "\\udbff\\udfff"]
    halves += ["\\ud800", "\\udfff", "\\ud7ff", "\\ue000", "\\uDBFF\\uE000", "\\ud83", "\\ud83g", "\\u 041", "\\U0041"]
    controls = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA1))]
    escapes = [f"\\u{ord(char):04x}" for char in controls] + [f"\\{char}" for char in "bfnrt\"\\/avxu0'N "]
    for content in halves + controls + escapes:
        for around in (content, f"a{content}", f"{content}a"):
            yield from of_every_field(f'"{around}"')
            yield f'{{"event_type":"KILL","player_id":"p","{around}":1}}'.encode()
    for char in controls:  # and outside of strings
        yield f'{{"event_type":{char}"KILL","player_id":"p"}}'.encode()
        yield f'{char}{{"event_type":"KILL","player_id":"p"}}'.encode()


def of_white_space() -> Iterator[bytes]:
    """White space of JSON, and characters that only look like it, at each position where it may be."""
    pieces = ["{", '"event_type"', ":", '"KILL"', ",", '"player_id"', ":", '"p"', "}"]
    spaces = [
        " ",
        "\t",
        "\n",
        "\r",
        "\r\n \t",
        "\v",
        "\f",
        "\x1c",
        "\x85",
        "\xa0",
        "\u1680",
        "\u2028",
        "\u3000",
        "\ufeff",
    ]
    spaces += ["/**/", "//\n", "#\n", "\\n", "\x00", ";", ","]
    for space in spaces:
        yield from ("".join([*pieces[:at], space, *pieces[at:]]).encode() for at in range(len(pieces) + 1))
        yield space.join(["", *pieces, ""]).encode()


# Fields


def of_every_type() -> Iterator[bytes]:
    """Every JSON type in every field, singly and in pairs, and every field absent."""
    literals = [
        "null",
        "true",
        "false",
        "0",
        "-1.5e3",
        '""',
        '"x"',
        '"KILL"',
        "[]",
        '["KILL"]',
        "{}",
        '{"event_type":1}',
    ]
    for literal in literals:
        yield literal.encode()
        yield from of_every_field(literal)
        for field in FIELDS[1:]:
            yield from (
                f'{{"event_type":{event_type},"player_id":"p","{field}":{literal}}}'.encode()
                for event_type in ('"KILL"', '"ASSIST"', "null", "7")
            )
        for first in FIELDS:
            for second in FIELDS:
                if first != second:
                    yield f'{{"{first}":{literal},"{second}":{literal}}}'.encode()
                    yield f'{{"event_type":"DEATH","{first}":{literal},"{second}":{literal}}}'.encode()


def of_repeated_keys() -> Iterator[bytes]:
    """Each field twice, with a valid and an odd value in either order, the key plain and escaped."""
    odd = ["null", "7", '""', '"x"', '"KILL"', '"ASSIST"', '"2025-12-30T00:00:00Z"', '"yesterday"', "[]", '"\\ud83d"']
    for field in FIELDS:
        spellings = [field, f"\\u{ord(field[0]):04x}{field[1:]}", "".join(f"\\u{ord(char):04X}" for char in field)]
        for spelling in spellings:
            yield f'{{"event_type":"KILL","{spelling}":"KILL"}}'.encode()
            for one in odd:
                for other in odd:
                    repeated = f'"{field}":{one},"{spelling}":{other}'
                    yield f'{{"event_type":"KILL","player_id":"p",{repeated}}}'.encode()
        # Keys that only look like it.
        for key in (field.upper(), f"{field} ", f"{field}\\u0000", field[:-1], f"\ufeff{field}", f"\\\\u0065{field}"):
            yield f'{{"event_type":"KILL","player_id":"p","{key}":7}}'.encode()


def of_names() -> Iterator[bytes]:
    """Of 0, 1, 128 and 129 code points of one to four bytes, written out and escaped."""
    for field in NAMES:
        for char in ("p", "é", "€", "😀"):
            for length in (0, 1, 2, 127, 128, 129, 130, 256, 512):
                yield from (
                    of_field(field, json.dumps(char * length, ensure_ascii=escaped)) for escaped in (True, False)
                )
        yield of_field(field, '"' + "e\u0301" * 64 + '"')
        yield of_field(field, '"' + "e\u0301" * 64 + 'e"')
        yield from (of_field(field, json.dumps(name)) for name in good_names())


def of_timestamps() -> Iterator[bytes]:
    """Every limit of calendar and clock, singly and combined."""
    days = [
        "2025-12-30",
        "2025-12-29",
        "2025-12-31",
        "2024-02-29",
        "2025-02-29",
        "2025-02-30",
        "2100-02-29",
        "2000-02-29",
    ]
    days += [
        "0000-01-01",
        "0001-01-01",
        "1969-12-31",
        "1970-01-01",
        "9999-12-31",
        "10000-01-01",
        "2025-00-01",
        "2025-13-01",
    ]
    days += [
        "2025-04-31",
        "2025-12-00",
        "2025-12-32",
        "-2025-12-30",
        "+2025-12-30",
        "20251230",
        "2025-364",
        "2025-W01-1",
    ]
    clocks = [
        "00:00:00",
        "23:59:59",
        "24:00:00",
        "24:00:01",
        "23:59:60",
        "23:60:00",
        "12:00:61",
        "12:00",
        "1:00:00",
        "-1:00:00",
    ]
    fractions = ["", ".", *(f".{'9' * digits}" for digits in range(1, 12)), ".000000", ".123 ", ",5"]
    offsets = [
        "",
        "Z",
        "z",
        "+00:00",
        "-00:00",
        "+23:59",
        "-23:59",
        "+24:00",
        "-24:00",
        "+14:00",
        "+01:60",
        "+0100",
        "+1:00",
        "-",
    ]
    for day in days:
        yield from (_stamped(f"{day}T{clock}{offset}") for clock in clocks for offset in offsets)
    for fraction in fractions:
        yield from (
            _stamped(f"2025-12-{day}{fraction}{offset}") for day in ("30T23:59:59", "29T23:59:59") for offset in offsets
        )
    for separator in ("T", "t", " ", "_", "", "TT"):
        yield from (
            _stamped(f"2025-12-30{separator}12:00:00{end}") for end in ("Z", "Z ", "Z\\n", "\\u0000", " Z", "\\u005a")
        )
    yield from (_stamped(json.dumps(ts)[1:-1]) for ts in (*bad_timestamps(), *(good for good, _ in good_timestamps())))


def _stamped(ts: str) -> bytes:
    return of_field("ts", f'"{ts}"')


def gathered() -> Iterator[bytes]:
    """The odd values of the rules' tests, in each field and in an unused one."""
    yield from bytes_that_are_no_utf8()
    yield from texts_that_are_no_json()
    yield from (value for value, _ in messages_with_a_repeated_key())
    for literal in (*values_that_are_no_json(), *values_that_are_json()):
        yield from of_every_field(literal)
    for content in strings_with_a_lone_surrogate():
        yield from of_every_field(f'"{content}"')


def nothing() -> Iterator[bytes | None]:
    yield from (None, b"", b" ", b"\x00", b"\x00" * 1_000, b"\n", b"null", b'"', b'""', b"{", b"{}", b"}{")


FAMILIES: Sequence[Callable[[], Iterator[bytes | None]]] = [
    truncated,
    flipped,
    spliced,
    deep,
    large,
    numbers,
    of_other_encodings,
    of_broken_characters,
    of_surrogates_and_controls,
    of_white_space,
    of_every_type,
    of_repeated_keys,
    of_names,
    of_timestamps,
    gathered,
    nothing,
]


def corpus(family: Callable[[], Iterator[bytes | None]]) -> list[bytes | None]:
    """The family's distinct messages, in order."""
    return list(dict.fromkeys(family()))
