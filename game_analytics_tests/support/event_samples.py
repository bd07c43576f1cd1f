"""Valid and invalid messages and parts of messages, by kind. Used by the tests of rules one by one, and by the corpus
of `faults/`."""

from datetime import UTC, datetime


def good_names() -> list[str]:
    return [
        "p",
        " ",  # a space is no control character
        "p" * 128,
        "é" * 128,  # 256 bytes
        "😀" * 128,  # 512 bytes, 256 UTF-16 units
        "e\u0301",  # two code points, however it looks
        "\u00a0",  # the first after the control characters
        "\u00ad\u200b\u2028\ufeff",  # invisible, but of other categories than Cc
        "\ufffd\uffff\U0010ffff",
        "null",
        '"\\/{}[]',
    ]


def messages_with_a_repeated_key() -> list[tuple[bytes, str]]:
    """Repeated keys: only the last value counts."""
    return [
        (b'{"event_type":"ASSIST","event_type":"KILL","player_id":"p"}', "landed"),
        (b'{"event_type":"KILL","event_type":"ASSIST","player_id":"p"}', "ignored"),
        (b'{"event_type":7,"event_type":"KILL","player_id":"p"}', "landed"),
        (b'{"event_type":{"event_type":7},"event_type":"KILL","player_id":"p"}', "landed"),
        (b'{"event_type":"KILL","event_type":7,"player_id":"p"}', "bad_event_type"),
        (b'{"event_type":"KILL","event_type":null,"player_id":"p"}', "missing_event_type"),
        (b'{"event_type":null,"event_type":"KILL","player_id":"p"}', "landed"),
        (b'{"event_type":"KILL","player_id":"p","player_id":""}', "bad_player_id"),
        (b'{"event_type":"KILL","player_id":[],"player_id":"p"}', "landed"),
        (b'{"event_type":"KILL","player_id":"p","player_id":null}', "missing_player_id"),
        (b'{"event_type":"KILL","player_id":"p","game_id":7,"game_id":"g"}', "landed"),
        (b'{"event_type":"KILL","player_id":"p","event_id":"e","event_id":7}', "bad_event_id"),
        (b'{"event_type":"KILL","player_id":"p","ts":1767117600,"ts":"2025-12-30T18:00:00Z"}', "landed"),
        (b'{"event_type":"KILL","player_id":"p","ts":"2025-12-30T18:00:00Z","ts":"2025-12-29T18:00:00Z"}', "other day"),
        (b'{"event_type":"KILL","player_id":"p","ts":"yesterday","ts":null}', "landed"),
        # An escaped key is the same key.
        (b'{"event_type":"KILL","player_id":"p","player\\u005fid":7}', "bad_player_id"),
        (b'{"event_type":7,"\\u0065vent_type":"KILL","player_id":"p"}', "landed"),
    ]


def bytes_that_are_no_utf8() -> list[bytes]:
    return [
        b"\xff",
        b"\x80",  # a continuation of nothing
        b"{}\xc3",  # cut off within a character
        b"\xc0\xaf",  # "/", overlong
        b"\xe0\x80\xaf",  # and longer
        b"\xed\xa0\xbd\xed\xb8\x80",  # a surrogate pair encoded one by one (CESU-8)
        b"\xf4\x90\x80\x80",  # beyond U+10FFFF
        b"\xf8\x88\x80\x80\x80",  # five bytes, as UTF-8 once was
        b"\xff\xfe{\x00}\x00",  # UTF-16 with its mark
        b'{"event_type":"KILL","player_id":"\xe9"}',  # Latin-1 in a field that counts
        b'{"event_type":"KILL\xe9","player_id":"p"}',
        b'{"event_type":"KILL","player_id":"p","note":"\xe9"}',  # in one that does not
        b'{"event_type":"KILL","player_id":"p","note":["a",{"b":"\xe9"}]}',  # and further down
        b'{"event_type":"KILL","player_id":"p","not\xe9":1}',  # in a key
        b'{"event_type":"KILL","player_id":"p","note":{"not\xe9":1}}',
        b'{"event_type":"KILL","player_id":"p"}\xe9',  # behind the document
        b'{"event_type":"ASSIST","note":"\xe9"}',
        b'{"event_type":"KILL","player_id":"p","note":"\xe9","note":"e"}',  # in a value that another one replaces
    ]


def texts_that_are_no_json() -> list[bytes]:
    return [
        b"",
        b" ",
        b"\x00",
        b"{",
        b"}",
        b'"',
        b"nul",
        b"nulll",
        b"True",
        b"undefined",
        b"{}\x00",
        b"{}{}",
        b'{"event_type":"KILL","player_id":"a"}\n{"event_type":"KILL","player_id":"b"}',  # two messages in one
        b'{"event_type":"KILL","player_id":"p"} true',
        b'{"event_type":"KILL","player_id":"p"},',
        b'{"event_type":"KILL","player_id":"p",}',
        b'{"event_type":"KILL" "player_id":"p"}',
        b'{"event_type":"KILL",,"player_id":"p"}',
        b'{,"event_type":"KILL","player_id":"p"}',
        b'{"event_type"="KILL","player_id":"p"}',
        b'{event_type:"KILL",player_id:"p"}',
        b"{'event_type':'KILL','player_id':'p'}",
        b'{"event_type":"KILL","player_id":"p"} // comment',
        b'{"event_type":"KILL",/* comment */"player_id":"p"}',
        b'{"event_type":"KILL","player_id"}',
        b'{"event_type":"KILL","player_id":}',
        b'{7:"seven"}',
        b'{null:"nothing"}',
        b'\x0c{"event_type":"KILL","player_id":"p"}',  # a form feed is no white space here
        '\u00a0{"event_type":"KILL","player_id":"p"}'.encode(),  # nor is a no-break space
        '{"event_type":"KILL",\u2028"player_id":"p"}'.encode(),
        "“{}”".encode(),
    ]


def values_that_are_no_json() -> list[str]:
    return [
        *["-NaN", "nan", "+Infinity", "inf"],
        *["01", "-01", "00", "+1", "1.", ".5", "-.5", "1e", "1e+", "1.e5", "--1", "-", "0x10", "1_000", "1,000", "1 2"],
        *["\uff11", "1e\uff15", "\u0663", "½"],  # digits of other scripts
        *["[1,]", "[,1]", "[1 2]", "[1", "1]", "{]", "[}", '{"a":1,}', '{"a"}', '{"a":1 "b":2}', "{1:2}"],
        *[r'"\x41"', r'"\a"', r'"\'"', r'"\0"', r'"\U00000041"', '"\\', '"\\"'],  # escapes that JSON does not have
        *[
            r'"\u"',
            r'"\u12"',
            r'"\u12g4"',
            r'"\u 123"',
            r'"\u+123"',
            r'"\u-123"',
            '"\\u\uff11\uff12\uff13\uff14"',
            r'"\u{41}"',
        ],
        *['"\n"', '"\t"', '"\x00"', '"\x1f"', '"a\rb"'],  # control characters in the raw
        *["True", "None", "nul", "tru", "nullnull", "''", "`a`", ""],
    ]


def values_that_are_json() -> list[str]:
    return [
        *["0", "-0", "-0.0", "7", "1.5", "1E5", "1e+5", "1e-5", "0e0", "0.0e-0"],
        *["1e999", "-1e999", "1e-999", "1e99999999999999999999"],  # no float64, but legal
        *["18446744073709551616", "-9223372036854775809", "9" * 10_000, "-" + "9" * 10_000, "0." + "3" * 10_000],
        *["true", "false", "null", "[]", "{}", "[ ]", "{ }", "[[],[[]],{}]", '{"":""}', '{"a":1,"a":2}'],
        *['""', r'"\"\\\/\b\f\n\r\t"', r'"\u0000"', r'"\u00E9\u00e9"', '"\x7f\x80\x9f"', '"\u2028\u2029\ufeff\uffff"'],
    ]


def strings_with_a_lone_surrogate() -> list[str]:
    return [
        r"\ud83d",
        r"\ude00",
        r"\uD83D",  # in capitals
        r"\uDE00",
        r"\ud800",  # the borders of both ranges
        r"\udbff",
        r"\udc00",
        r"\udfff",
        r"\ude00\ud83d",  # in the wrong order
        r"\ud83d\ud83d",
        r"\ud83d\ud83d\ude00",  # a whole pair behind it
        r"\ud83d\ude00\ude00",  # or before it
        r"\ud83d \ude00",  # something between them
        r"\ud83d\n\ude00",
        r"\ud83d\\\ude00",
        r"\ud83d\u0041",
        r"\ud83dude00",
        r"\\\ud83d",  # behind an escaped backslash
        "\\ud83d\U0001f600",
        r"\ud83dx",
        r"x\ud83d",
    ]


def utc(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0, us: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, second, us, tzinfo=UTC)


def good_timestamps() -> list[tuple[str, datetime]]:
    return [
        ("2025-12-30T18:07:12", utc(2025, 12, 30, 18, 7, 12)),
        ("2025-12-30T18:07:12Z", utc(2025, 12, 30, 18, 7, 12)),
        ("2025-12-30T18:07:12+00:00", utc(2025, 12, 30, 18, 7, 12)),
        ("2025-12-30T18:07:12-00:00", utc(2025, 12, 30, 18, 7, 12)),
        ("2025-12-30T18:07:12.5", utc(2025, 12, 30, 18, 7, 12, 500_000)),
        ("2025-12-30T18:07:12.5Z", utc(2025, 12, 30, 18, 7, 12, 500_000)),
        ("2025-12-30T18:07:12.5+01:00", utc(2025, 12, 30, 17, 7, 12, 500_000)),
        # One to nine digits, truncated and not rounded.
        ("2025-12-30T18:07:12.1Z", utc(2025, 12, 30, 18, 7, 12, 100_000)),
        ("2025-12-30T18:07:12.12Z", utc(2025, 12, 30, 18, 7, 12, 120_000)),
        ("2025-12-30T18:07:12.123Z", utc(2025, 12, 30, 18, 7, 12, 123_000)),
        ("2025-12-30T18:07:12.1234Z", utc(2025, 12, 30, 18, 7, 12, 123_400)),
        ("2025-12-30T18:07:12.12345Z", utc(2025, 12, 30, 18, 7, 12, 123_450)),
        ("2025-12-30T18:07:12.123456Z", utc(2025, 12, 30, 18, 7, 12, 123_456)),
        ("2025-12-30T18:07:12.1234567Z", utc(2025, 12, 30, 18, 7, 12, 123_456)),
        ("2025-12-30T18:07:12.12345678Z", utc(2025, 12, 30, 18, 7, 12, 123_456)),
        ("2025-12-30T18:07:12.123456789Z", utc(2025, 12, 30, 18, 7, 12, 123_456)),
        ("2025-12-30T18:07:12.000000999Z", utc(2025, 12, 30, 18, 7, 12)),
        ("2025-12-30T18:07:12.000001Z", utc(2025, 12, 30, 18, 7, 12, 1)),
        ("2025-12-30T23:59:59.999999999Z", utc(2025, 12, 30, 23, 59, 59, 999_999)),
        ("2025-12-30T18:07:12.000000000", utc(2025, 12, 30, 18, 7, 12)),
        # Without seconds, as java.time writes a time whose seconds are 0.
        ("2025-12-30T18:07Z", utc(2025, 12, 30, 18, 7)),
        ("2025-12-30T18:07", utc(2025, 12, 30, 18, 7)),
        ("2025-12-30T18:07+01:00[Europe/Berlin]", utc(2025, 12, 30, 17, 7)),
        # Other letters and spaces.
        ("2025-12-30t18:07:12z", utc(2025, 12, 30, 18, 7, 12)),
        ("2025-12-30 18:07:12", utc(2025, 12, 30, 18, 7, 12)),
        ("2025-12-30 18:07:12.123Z", utc(2025, 12, 30, 18, 7, 12, 123_000)),
        ("2025-12-30 18:07:12.123456 UTC", utc(2025, 12, 30, 18, 7, 12, 123_456)),
        ("2025-12-30T18:07:12UTC", utc(2025, 12, 30, 18, 7, 12)),
        ("2025-12-30 18:07 Z", utc(2025, 12, 30, 18, 7)),
        # Other offsets, and zones behind them.
        ("2025-12-30 18:07:12 +01:00", utc(2025, 12, 30, 17, 7, 12)),
        ("2025-12-30T18:07:12+0130", utc(2025, 12, 30, 16, 37, 12)),
        ("2025-12-30T18:07:12-05", utc(2025, 12, 30, 23, 7, 12)),
        ("2025-12-30T18:07:12.5+00", utc(2025, 12, 30, 18, 7, 12, 500_000)),
        ("2025-12-30T18:07:12.5+01:00[Europe/Berlin]", utc(2025, 12, 30, 17, 7, 12, 500_000)),
        ("2025-12-30T18:07Z[UTC]", utc(2025, 12, 30, 18, 7)),
        ("2025-12-30T18:07:12-03:30[.5+02:00]", utc(2025, 12, 30, 21, 37, 12)),  # whatever stands in the brackets
        # Offsets, as far as a clock goes.
        ("2025-12-30T18:07:12+05:45", utc(2025, 12, 30, 12, 22, 12)),
        ("2025-12-30T18:07:12-03:30", utc(2025, 12, 30, 21, 37, 12)),
        ("2025-12-30T18:07:12+14:00", utc(2025, 12, 30, 4, 7, 12)),
        ("2025-12-30T23:59:00+23:59", utc(2025, 12, 30)),
        ("2025-12-30T00:00:00-23:59", utc(2025, 12, 30, 23, 59)),
        ("2025-12-31T00:00:00+00:01", utc(2025, 12, 30, 23, 59)),
        ("2026-01-01T01:00:00+01:30", utc(2025, 12, 31, 23, 30)),  # over the turn of the year
        # Leap days.
        ("2024-02-29T12:00:00Z", utc(2024, 2, 29, 12)),
        ("2000-02-29T12:00:00Z", utc(2000, 2, 29, 12)),
        ("2024-03-01T00:30:00+01:00", utc(2024, 2, 29, 23, 30)),
        # The first and the last moments.
        ("1970-01-01T00:00:00Z", utc(1970, 1, 1)),
        ("1970-01-01T00:00:00.000000999Z", utc(1970, 1, 1)),
        ("1970-01-01T00:00:00-01:00", utc(1970, 1, 1, 1)),
        ("1970-01-01T01:00:00+01:00", utc(1970, 1, 1)),
        ("9999-12-31T23:59:59.999999999Z", utc(9999, 12, 31, 23, 59, 59, 999_999)),
        ("9999-12-31T23:59:59+00:01", utc(9999, 12, 31, 23, 58, 59)),
        # Times that a summer time leaves out or a leap second made longer are times like any others.
        ("2025-03-30T02:30:00Z", utc(2025, 3, 30, 2, 30)),
        ("2016-12-31T23:59:59.9Z", utc(2016, 12, 31, 23, 59, 59, 900_000)),
    ]


def good_number_timestamps() -> list[tuple[str, datetime]]:
    """JSON numbers since 1970 in s, ms, µs and ns."""
    return [
        ("1767117632", utc(2025, 12, 30, 18, 0, 32)),
        ("1767117632123", utc(2025, 12, 30, 18, 0, 32, 123_000)),
        ("1767117632123456", utc(2025, 12, 30, 18, 0, 32, 123_456)),
        ("1767117632123456789", utc(2025, 12, 30, 18, 0, 32, 123_456)),
        # Any form of a number, truncated from its digits: as float64 these would be rounded.
        ("1767117632.000000000", utc(2025, 12, 30, 18, 0, 32)),
        ("1767117632.123456999", utc(2025, 12, 30, 18, 0, 32, 123_456)),
        ("1767117632.9999999999999999999999999999", utc(2025, 12, 30, 18, 0, 32, 999_999)),
        ("1767117632123.4567", utc(2025, 12, 30, 18, 0, 32, 123_456)),
        ("1767117632123456789.9", utc(2025, 12, 30, 18, 0, 32, 123_456)),
        ("1.767117632E9", utc(2025, 12, 30, 18, 0, 32)),
        ("1.767117632123456e+9", utc(2025, 12, 30, 18, 0, 32, 123_456)),
        ("17671176321e-1", utc(2025, 12, 30, 18, 0, 32, 100_000)),
        ("1767117632" + "0" * 400 + "e-400", utc(2025, 12, 30, 18, 0, 32)),
        # The first and the last moments of each unit.
        ("946684800", utc(2000, 1, 1)),
        ("4102444799.999999999", utc(2099, 12, 31, 23, 59, 59, 999_999)),
        ("946684800000", utc(2000, 1, 1)),
        ("4102444799999", utc(2099, 12, 31, 23, 59, 59, 999_000)),
        ("946684800000000", utc(2000, 1, 1)),
        ("4102444799999999", utc(2099, 12, 31, 23, 59, 59, 999_999)),
        ("946684800000000000", utc(2000, 1, 1)),
        ("4102444799999999999", utc(2099, 12, 31, 23, 59, 59, 999_999)),
    ]


def bad_number_timestamps() -> list[str]:
    """JSON numbers that lie in 2000 to 2099 by no unit."""
    return [
        *["0", "-0", "-1", "1", "0.5", "-1767117632", "946684799", "946684799.999999999", "4102444800", "4102444800.0"],
        *["946684799999", "4102444800000", "946684799999999", "4102444800000000", "946684799999999999"],
        *["4102444800000000000", "9223372036854775807", "9223372036854775808", "18446744073709551616"],
        *["1e999", "-1e999", "1e-999", "1e99999999999999999999", "1e-99999999999999999999", "9" * 5_000, "1.767e8"],
    ]


def bad_timestamps() -> list[str]:
    return [
        "",
        " ",
        "yesterday",
        "1767117600",
        "2025-12-30",
        "18:07:12",
        # No such day.
        "2025-02-30T12:00:00Z",
        "2025-02-29T12:00:00Z",
        "1900-02-29T12:00:00Z",
        "2100-02-29T12:00:00Z",  # no leap year
        "2025-04-31T12:00:00Z",
        "2025-12-32T12:00:00Z",
        "2025-12-00T12:00:00Z",
        "2025-13-01T12:00:00Z",
        "2025-00-01T12:00:00Z",
        # No such time.
        "2025-12-30T24:00:00Z",
        "2025-12-30T25:00:00Z",
        "2025-12-30T18:60:00Z",
        "2016-12-31T23:59:60Z",  # a leap second that existed, but a timestamp can't hold it
        "2025-12-30T18:07:61Z",
        # Years.
        "1969-12-31T23:59:59Z",
        "1969-12-31T23:59:59.999999999Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "+2025-12-30T18:07:12Z",
        "-2025-12-30T18:07:12Z",
        "25-12-30T18:07:12Z",
        "02025-12-30T18:07:12Z",
        # A year that is valid as written but not in UTC, and the reverse.
        "1970-01-01T00:30:00+01:00",
        "1970-01-01T00:59:59.999999999+01:00",
        "9999-12-31T23:30:00-01:00",
        "1969-12-31T23:30:00-01:00",
        # Digits too few or too many.
        "2025-12-30T18:07:12.Z",
        "2025-12-30T18:07:12.",
        "2025-12-30T18:07:12.1234567890Z",
        "2025-1-30T18:07:12Z",
        "2025-12-3T18:07:12Z",
        "2025-12-30T8:07:12Z",
        "2025-12-30T18:7:12Z",
        "2025-12-30T18:07:1Z",
        "2025-12-30T18Z",
        "20251230T180712Z",
        # Other signs.
        "2025-12-30  18:07:12Z",
        "2025-12-30T18:07.5Z",
        "2025-12-30_18:07:12Z",
        "2025-12-3018:07:12Z",
        "2025/12/30T18:07:12Z",
        "2025-12-30T18.07.12Z",
        "2025-12-30T18:07:12,5Z",
        "2025-12-30T18:07:12.5.5Z",
        "2025-12-30T18:07:12.-5Z",
        "2025-12-30T18:07:12.+5Z",
        "2025-12-30T18:07: 2Z",
        "2025-12-30T18:07:+2Z",
        "30.12.2025 18:07",
        "Tue, 30 Dec 2025 18:07:12 GMT",
        # Offsets.
        "2025-12-30T18:07:12+24:00",
        "2025-12-30T18:07:12-24:00",
        "2025-12-30T18:07:12+99:00",
        "2025-12-30T18:07:12+01:60",
        "2025-12-30T18:07:12+010",
        "2025-12-30T18:07:12+2400",
        "2025-12-30T18:07:12+0160",
        "2025-12-30T18:07:12 ",
        "2025-12-30T18:07:12  Z",
        "2025-12-30T18:07:12+1:00",
        "2025-12-30T18:07:12+01:00:00",
        "2025-12-30T18:07:12 +01:00 ",
        "2025-12-30T18:07:12+01:00Z",
        "2025-12-30T18:07:12Z+01:00",
        "2025-12-30T18:07:12ZZ",
        "2025-12-30T18:07:12\u221201:00",  # a minus sign, but no hyphen
        "2025-12-30T18:07:12±01:00",
        "2025-12-30T18:07:12utc",
        "2025-12-30T18:07:12 GMT",
        "2025-12-30T18:07:12[Europe/Berlin]",
        "2025-12-30T18:07:12+01:00[]",
        "2025-12-30T18:07:12+01:00[Europe/Berlin",
        "2025-12-30T18:07:12+01:00 [Europe/Berlin]",
        "2025-12-30T18:07:12+01:00[Europe/Berlin][Europe/Paris]",
        # Nearly the most common form.
        "2025-12-30T18:07:12.12  Z",
        "2025-12-30T18:07:12. 12Z",
        "2025-12-30T18:07:12.+12Z",
        "2025-12-30T18:07:12.1\uff12Z",
        "2025-12-30T18:07:12,123Z",
        "2025-12-30T18:07:12:123Z",
        "2025-12-30T18:07:12.123 ",
        "2025-12-30T18:07:12.123ZZ",
        "2025-12-30T18:07:12.123Z\n",
        "2025-12-30T18:07:12.123Z\x00",
        "2025-12-3018:07:12.1234Z",
        "2025-12-30T18:07:60.123Z",
        "2025-12-30T24:00:00.000Z",
        "2025-02-30T12:00:00.000Z",
        "2025-00-30T12:00:00.000Z",
        "2025-12-00T12:00:00.000Z",
        "1969-12-31T23:59:59.999Z",
        # Something around it.
        " 2025-12-30T18:07:12Z",
        "2025-12-30T18:07:12Z ",
        "2025-12-30T18:07:12Z\n",
        "2025-12-30T18:07:12\n",
        "\n2025-12-30T18:07:12Z",
        "2025-12-30T18:07:12Z\n2025-12-30T18:07:12Z",
        "2025-12-30T18:07:12Z\x00",
        "2025-12-30T18:07:12\u2028",
        "\ufeff2025-12-30T18:07:12Z",
        # Digits of other scripts.
        "\uff12\uff10\uff12\uff15-12-30T18:07:12Z",
        "2025-12-30T18:07:1\uff12Z",
        "2025-12-30T18:07:12.\uff15Z",
        "2025-12-30T18:07:12+\uff101:00",
        "\u0662\u0660\u0662\u0665-\u0661\u0662-\u0663\u0660T18:07:12Z",
        # Words that some parsers accept.
        "now",
        "today",
        "infinity",
        "2025-W53-2T18:07:12Z",
        "2025-364T18:07:12Z",
        "%Y-%m-%dT%H:%M:%S",
    ]
