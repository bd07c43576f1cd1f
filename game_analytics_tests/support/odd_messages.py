"""Hypothesis strategies for messages: valid ones, odd JSON, damaged and arbitrary bytes.

Values are valid about as often as not, so that each class and each reason occurs.
"""

from hypothesis import strategies as st

Texts = st.SearchStrategy[str]

DELIVERED_MS = st.sampled_from(
    [
        1_767_096_000_000,  # noon of the day
        1_767_052_800_000,  # its first millisecond
        1_767_052_799_999,  # the one before it
        1_767_139_199_999,  # its last
        1_767_139_200_000,  # the next day's first
        None,  # never set
        0,
        -1,
        253_402_300_799_999,  # the last of the year 9999
        253_402_300_800_000,
        18_446_744_073_709_552,  # a thousand times this is 384 in 64 bits
        2**63 - 1,
        -(2**63),
    ]
)


def _rarely(odd: Texts, usual: Texts, one_in: int = 10) -> Texts:
    return st.integers(1, one_in).flatmap(lambda throw: odd if throw == one_in else usual)


def _in_a_row(*parts: Texts) -> Texts:
    return st.tuples(*parts).map("".join)


def _quoted(*contents: str) -> Texts:
    return st.sampled_from(contents).map('"{}"'.format)


_SPACE = _rarely(st.sampled_from(["\f", "\u00a0", "\ufeff", "//"]), st.sampled_from(["", "", " ", "\n", "\t\r"]), 50)

_PIECES = st.one_of(
    st.characters(codec="utf-8", exclude_characters='"\\', exclude_categories=["Cc"]),
    st.sampled_from(["a", "é", "ﬀ", "😀", "\xa0", "\u2028", "{", "]", "[[[", "}", '\\"', "\\\\", "\\/", "\\u0041"]),
    st.sampled_from(["\\ud83d\\ude00", "\\uD83D\\uDE00", "\\uffff", "\\\\ud83d"]),
)
_CONTROLS = st.sampled_from(["\x7f", "\x80", "\x9f", "\\n", "\\u0000", "\\u001f", "\\u007F", "\\u009f"])
_BROKEN = st.sampled_from(
    ["\x00", "\n", "\x1f", "\\", '"', "\\x41", "\\u12", "\\u00g0", "\\ud83d", "\\uDE00", "\\ud83d\\u0041", "\\U0041"]
)
STRINGS = _in_a_row(
    st.just('"'),
    st.lists(_rarely(_rarely(_BROKEN, _CONTROLS, 3), _PIECES, 20), max_size=6).map("".join),
    st.just('"'),
)

_NUMBERS = _rarely(
    st.sampled_from(
        ["01", "+1", "1.", ".5", "1e", "0x10", "--1", "-", "1_000", "NaN", "Infinity", "-Infinity", "\uff11"]
    ),
    st.sampled_from(["0", "-0", "1e5", "-1.5E-7", "1e999", "-1e-999", "9" * 400, "18446744073709551616", "0.0"]),
)
_LITERALS = _rarely(
    st.sampled_from(["nul", "True", "None", "undefined", ""]), st.sampled_from(["null", "true", "false"])
)
_LEAVES = st.one_of(STRINGS, _NUMBERS, _LITERALS)


def _containers(inside: Texts) -> Texts:
    comma = _rarely(st.sampled_from([",,", ";", ""]), st.just(","), 30)
    items = st.lists(_in_a_row(_SPACE, inside), max_size=3)
    members = st.lists(_in_a_row(STRINGS, _SPACE, st.just(":"), inside), max_size=3)
    return st.one_of(
        st.tuples(comma, items).map(lambda parts: f"[{parts[0].join(parts[1])}]"),
        st.tuples(comma, members).map(lambda parts: f"{{{parts[0].join(parts[1])}}}"),
    )


def _deep(shape: tuple[int, str, str]) -> str:
    levels, opening, core = shape
    return opening * levels + core + {"[": "]", '{"a":': "}", '[{"]":': "}]"}[opening] * levels


_DEEP = st.tuples(st.sampled_from([31, 32, 62, 63, 64, 65, 200]), st.sampled_from(["[", '{"a":', '[{"]":']), STRINGS)
VALUES = st.one_of(_LEAVES, _DEEP.map(_deep), st.recursive(_LEAVES, _containers, max_leaves=6))


def _number(width: int, usual: list[int], most: int) -> Texts:
    return _rarely(st.integers(0, most).map(str), st.sampled_from(usual).map(str), 5).map(lambda n: n.zfill(width))


_CLOCKS = st.one_of(
    st.sampled_from(
        [
            "2025-12-30T00:00:00",
            "2025-12-29T23:59:59",
            "2025-12-30T23:59:59",
            "2025-12-31T00:00:00",
            "1970-01-01T00:00:00",
            "1969-12-31T23:59:59",
            "9999-12-31T23:59:59",
            "2024-02-29T12:00:00",
        ]
    ),
    _in_a_row(
        _number(4, [1970, 2025, 2024, 9999], 10_001),
        st.just("-"),
        _number(2, [1, 2, 12], 13),
        st.just("-"),
        _number(2, [1, 28, 29, 30, 31], 32),
        st.sampled_from(["T", "T", "t", " "]),
        _number(2, [0, 18, 23], 25),
        st.just(":"),
        _number(2, [0, 7, 59], 61),
        st.just(":"),
        _number(2, [0, 12, 59], 61),
    ),
    st.sampled_from(
        [
            "2025-12-30t18:07:12",
            "2025-12-30 18:07:12",
            "2025-12-30T18:07",
            "\uff12\uff10\uff12\uff15-12-30T18:07:12",
            "",
        ]
    ),
)
_FRACTIONS = _rarely(
    st.sampled_from([".", ".1234567890", ",5", ".5.5", ".\u0665"]),
    st.text("0123456789", max_size=9).map(lambda digits: digits and f".{digits}"),
)
_ODD_OFFSETS = ["z", "+0100", "-01", "+1:00", " Z", "Z\\n", "\u221201:00", "UTC", " UTC", "ZZ"]
_ODD_OFFSETS += ["Z[UTC]", "+01[E/B]", "[UTC]"]
_OFFSETS = st.one_of(
    st.sampled_from(["", "Z"]),
    _in_a_row(st.sampled_from("+-"), _number(2, [0, 1, 23], 25), st.just(":"), _number(2, [0, 30, 59], 61)),
    _rarely(st.sampled_from(_ODD_OFFSETS), st.just("Z"), 3),
)
TIMESTAMPS = _in_a_row(_CLOCKS, _FRACTIONS, _OFFSETS)

_EVENT_TYPES = _rarely(
    st.one_of(_quoted("kill", "KILL ", "ASSIST", "", "KILL\\u0000"), VALUES),
    _quoted("KILL", "DEATH", "KIL\\u004c", "\\u0044EATH"),
    4,
)
_GOOD_NAMES = st.one_of(_quoted("p00017", "p" * 128, "😀" * 128, "\\ud83d\\ude00" * 128), STRINGS)
_BAD_NAMES = st.one_of(_quoted("", "p" * 129, "😀" * 129, "\\ud83d\\ude00" * 129), VALUES)
_NAMES = _rarely(_BAD_NAMES, _GOOD_NAMES)
_OPTIONAL_NAMES = _rarely(st.one_of(st.just("null"), _BAD_NAMES), _GOOD_NAMES, 3)
_TS_NUMBERS = _in_a_row(
    st.sampled_from(["1767096000", "946684799", "4102444800"]),
    st.text("0123456789", max_size=12),
    st.sampled_from(["", "", ".0", ".5", "e1", "E-2", ".25e+3"]),
)
_TS = _rarely(st.one_of(st.just("null"), _TS_NUMBERS, VALUES), TIMESTAMPS.map('"{}"'.format), 5)
_OTHER_KEYS = st.one_of(STRINGS, _quoted("event_typ", "EVENT_TYPE", "damage", "", "ts ", "ts\\u0000"))


def _member(key: str, values: Texts) -> Texts:
    escaped = f"{key[:2]}\\u{ord(key[2]):04x}{key[3:]}" if len(key) > 2 else key
    return _in_a_row(_SPACE, _rarely(_quoted(escaped), _quoted(key), 20), st.just(":"), _SPACE, values)


_EVENT_TYPE = _member("event_type", _EVENT_TYPES)
_PLAYER = _member("player_id", _NAMES)
_MEMBERS = st.one_of(
    _EVENT_TYPE,
    _PLAYER,
    _member("game_id", _OPTIONAL_NAMES),
    _member("event_id", _OPTIONAL_NAMES),
    _member("ts", _TS),
    _in_a_row(_OTHER_KEYS, st.just(":"), VALUES),
)


@st.composite
def events(draw: st.DrawFn) -> str:
    """A message with most fields in any order, some of them twice, and unused fields."""
    needed = [draw(member) for member in (_EVENT_TYPE, _PLAYER) if draw(st.integers(0, 9)) < 9]
    members = draw(st.permutations(needed + draw(st.lists(_MEMBERS, max_size=4))))
    return draw(_SPACE) + "{" + ",".join(members) + "}" + draw(_SPACE)


@st.composite
def good_events(draw: st.DrawFn) -> str:
    """A valid message of the day or near it."""
    ts = draw(st.sampled_from(["2025-12-30T18:07:12.123456789Z", "2025-12-30T23:30:00-01:00", "2025-12-30T00:00:00"]))
    player = draw(st.sampled_from(["p00017", "José", "😀"]))
    more = draw(st.sampled_from(["", ',"damage":12.5', ',"bag":["a",{"b":null}]', ',"note":"\\ud83d\\ude00 \\" {"']))
    return f'{{"event_type":"KILL","player_id":"{player}","game_id":"g","event_id":"e-1","ts":"{ts}"{more}}}'


_STRAY_BYTES = st.sampled_from(
    [
        b'"',
        b"\\",
        b"{",
        b"]",
        b",",
        b"0",
        b"\n",
        b"\x00",
        b"\x7f",
        b"\xff",
        b"\xed\xa0\xbd",
        b"\xef\xbb\xbf",
        b"\xc0\xaf",
    ]
)


@st.composite
def damaged_events(draw: st.DrawFn) -> bytes:
    """A message with bytes changed, removed or added."""
    value = draw(st.one_of(good_events(), events())).encode()
    for _ in range(draw(st.integers(1, 2))):
        at = draw(st.integers(0, len(value)))
        before, here, after = value[:at], value[at : at + 1], value[at + 1 :]
        value = draw(
            st.sampled_from(
                [
                    before + bytes(byte ^ 1 << at % 8 for byte in here) + after,
                    before + draw(_STRAY_BYTES) + after,
                    before + draw(_STRAY_BYTES) + here + after,
                    before + after,
                    before,
                    value + after,
                ]
            )
        )
    return value


_FRAMES = st.sampled_from(
    [
        b"\x00\x00\x00\x00\x07",
        b"\x00" * 8 + b"\x07",
        b"\xef\xbb\xbf",
        b'{"schema":{},"payload":',
        b"\x1f\x8b",
        b"[",
        b"\x00",
    ]
)


@st.composite
def framed_events(draw: st.DrawFn) -> bytes:
    """A message with bytes before it, and now and then an end that fits."""
    return draw(_FRAMES) + draw(st.one_of(good_events(), events())).encode() + draw(st.sampled_from([b"", b"}", b"]"]))


_NEAR_JSON = st.text('{}[]":,\\u0eE+-.truefalsn d8D\n', max_size=24)

MESSAGES: st.SearchStrategy[bytes | None] = st.one_of(
    events().map(str.encode),
    good_events().map(str.encode),
    damaged_events(),
    framed_events(),
    _in_a_row(_SPACE, VALUES).map(str.encode),
    _NEAR_JSON.map(str.encode),
    st.binary(max_size=40),
    st.none(),
)
"""Any value that a message may have."""

TIMED_EVENTS = TIMESTAMPS.map(lambda ts: f'{{"event_type":"KILL","player_id":"p","ts":"{ts}"}}'.encode())
"""Events that are valid except for ``ts``, which may be anything near the limits of its grammar."""
