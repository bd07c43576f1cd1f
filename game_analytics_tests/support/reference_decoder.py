"""A reference implementation of the contract's section "An event", one message at a time in plain Python. Slow and
simple; the fast decoder must agree with it."""

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

MAX_DEPTH: Final = 64
MAX_CODE_POINTS: Final = 128
FIRST_YEAR: Final = 1970
LAST_YEAR: Final = 9999

US_PER_DAY: Final = 24 * 60 * 60 * 1_000_000


@dataclass(frozen=True)
class Quarantined:
    reason: str


@dataclass(frozen=True)
class Ignored:
    pass


@dataclass(frozen=True)
class OtherDay:
    days_since_1970: int


@dataclass(frozen=True)
class Landed:
    event_time_us: int
    player_id: str
    event_type: str
    game_id: str | None
    event_id: str | None


Fate = Quarantined | Ignored | OtherDay | Landed


@dataclass(frozen=True)
class Number:
    """A JSON number as it is written."""

    text: str


class NotJson(Exception):
    """The text is not an RFC 8259 document, even with `NaN` and the like allowed, or is nested too deeply."""


def fate_of(value: bytes | None, delivered_ms: int | None, year: int, month: int, day: int) -> Fate:
    """The class of a message for the landing of a day, or the first reason for quarantine."""
    fields = _fields(value)
    if isinstance(fields, Quarantined):
        return fields
    event_type = fields.get("event_type")
    if isinstance(event_type, str) and event_type not in ("KILL", "DEATH") and not _has_surrogates(event_type):
        return Ignored()
    happened_us = _moment(fields.get("ts"), delivered_ms)
    for reason, applies in _faults(fields, happened_us):
        if applies:
            return Quarantined(reason)
    assert happened_us is not None
    own_day = happened_us // US_PER_DAY
    if own_day != days_since_1970(year, month, day):
        return OtherDay(own_day)
    return Landed(
        happened_us,
        str(fields["player_id"]),
        str(event_type),
        _or_none(fields.get("game_id")),
        _or_none(fields.get("event_id")),
    )


def _faults(fields: dict[str, object], happened_us: int | None) -> list[tuple[str, bool]]:
    """The reasons in the contract's order, and whether each applies."""
    event_type, player_id = fields.get("event_type"), fields.get("player_id")
    game_id, event_id = fields.get("game_id"), fields.get("event_id")
    return [
        ("missing_event_type", event_type is None),
        ("bad_event_type", not isinstance(event_type, str) or _has_surrogates(event_type)),
        ("missing_player_id", player_id is None),
        ("bad_player_id", not _is_name(player_id)),
        ("bad_game_id", game_id is not None and not _is_name(game_id)),
        ("bad_event_id", event_id is not None and not _is_name(event_id)),
        ("bad_ts", happened_us is None),
    ]


def _or_none(name: object) -> str | None:
    return None if name is None else str(name)


def _fields(value: bytes | None) -> dict[str, object] | Quarantined:  # noqa: PLR0911 - one per reason
    if value is None:
        return Quarantined("tombstone")
    value = _without_frame(value)
    if any(value.startswith(magic) for magic in COMPRESSED):
        return Quarantined("compressed")
    if _is_binary(value):
        return Quarantined("avro_or_protobuf")
    try:
        text = value.decode("utf-8", errors="strict")
    except UnicodeDecodeError:
        return Quarantined("not_utf8")
    try:
        document = Reader(text).document()
    except NotJson:
        return Quarantined("not_json")
    if isinstance(document, list):
        return Quarantined("batch")
    if isinstance(document, dict) and sorted(document) == ["payload", "schema"]:
        payload = document["payload"]
        document = payload if isinstance(payload, dict) else document
    return document if isinstance(document, dict) else Quarantined("not_an_object")


COMPRESSED = [bytes.fromhex(magic) for magic in ("1f8b", "28b52ffd", "04224d18", "ff060000734e61507059")]
COMPRESSED += [bytes.fromhex(magic) for magic in ("82534e4150505900", "425a68", "fd377a585a00")]
COMPRESSED += [bytes.fromhex(magic) for magic in ("7801", "785e", "789c", "78da")]


def _without_frame(value: bytes) -> bytes:
    """Without the byte order mark, or a first byte 0 and a schema id before a brace."""
    if value[:3] == "\ufeff".encode():
        return value[3:]
    for end in (5, 9):
        if value[:1] == b"\0" and re.match(rb'\{[\t\n\r "}]', value[end : end + 2]):
            return value[end:]
    return value


def _is_binary(value: bytes) -> bool:
    """A byte 0 and a schema id, AWS Glue's frame of 18 bytes, or a file of Avro."""
    if value[:1] == b"\0" and len(value) > 4:
        return True
    return (value[:1] == b"\3" and value[1:2] in (b"\0", b"\5") and len(value) > 17) or value[:4] == b"Obj\1"


def _is_name(value: object) -> bool:
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_CODE_POINTS:
        return False
    # The category Cc is exactly the C0 controls, DEL and the C1 controls.
    return not _has_surrogates(value) and not any(ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 for char in value)


class Reader:
    """A recursive descent parser of RFC 8259. The last of repeated keys counts; numbers stay as they are written."""

    _NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
    _FOUR_HEX = re.compile(r"[0-9a-fA-F]{4}")
    _ESCAPES: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "/": "/"}
    _LITERALS: Final = {"true": True, "false": False, "null": None}
    _NO_NUMBERS: Final = ("NaN", "Infinity", "-Infinity")

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def document(self) -> object:
        value = self._value(depth=0)
        if self.at != len(self.text):
            raise NotJson
        return value

    def _value(self, depth: int) -> object:
        self._skip_space()
        start = self.text[self.at : self.at + 1]
        if start == "{":
            value: object = self._object(depth + 1)
        elif start == "[":
            value = self._array(depth + 1)
        elif start == '"':
            value = self._string()
        elif self.text.startswith(self._NO_NUMBERS, self.at):
            value = self._no_number()
        elif start and start in "-0123456789":
            value = self._number()
        else:
            value = self._literal()
        self._skip_space()
        return value

    def _object(self, depth: int) -> dict[str, object]:
        self._enter(depth)
        members: dict[str, object] = {}
        if self._takes("}"):
            return members
        while True:
            self._skip_space()
            key = self._string()
            self._skip_space()
            self._expect(":")
            members[key] = self._value(depth)
            if self._takes("}"):
                return members
            self._expect(",")

    def _array(self, depth: int) -> list[object]:
        self._enter(depth)
        items: list[object] = []
        if self._takes("]"):
            return items
        while True:
            items.append(self._value(depth))
            if self._takes("]"):
                return items
            self._expect(",")

    def _enter(self, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise NotJson
        self.at += 1
        self._skip_space()

    def _string(self) -> str:
        self._expect('"')
        units = ""
        while True:
            char = self._next()
            if char == '"':
                return _without_surrogates(units)
            if ord(char) < 0x20:
                raise NotJson
            units += self._escape() if char == "\\" else char

    def _escape(self) -> str:
        char = self._next()
        if char != "u":
            if char not in self._ESCAPES:
                raise NotJson
            return self._ESCAPES[char]
        digits = self._FOUR_HEX.match(self.text, self.at)
        if digits is None:
            raise NotJson
        self.at = digits.end()
        return chr(int(digits[0], 16))

    def _number(self) -> Number:
        number = self._NUMBER.match(self.text, self.at)
        if number is None:
            raise NotJson
        self.at = number.end()
        return Number(number[0])

    def _no_number(self) -> object:
        self.at += max(len(word) for word in self._NO_NUMBERS if self.text.startswith(word, self.at))
        return object()

    def _literal(self) -> bool | None:
        for word, value in self._LITERALS.items():
            if self.text.startswith(word, self.at):
                self.at += len(word)
                return value
        raise NotJson

    def _skip_space(self) -> None:
        while self.text[self.at : self.at + 1] in (" ", "\t", "\n", "\r"):
            self.at += 1

    def _next(self) -> str:
        if self.at == len(self.text):
            raise NotJson
        self.at += 1
        return self.text[self.at - 1]

    def _expect(self, char: str) -> None:
        if self._next() != char:
            raise NotJson

    def _takes(self, char: str) -> bool:
        taken = self.text.startswith(char, self.at)
        self.at += taken
        return taken


def _has_surrogates(text: str) -> bool:
    return any(0xD800 <= ord(char) <= 0xDFFF for char in text)


def _without_surrogates(units: str) -> str:
    """Joins pairs of escaped surrogates, high before low. A lone surrogate stays."""
    joined = ""
    at = 0
    while at < len(units):
        unit = ord(units[at])
        low = ord(units[at + 1]) if at + 1 < len(units) else 0
        if 0xD800 <= unit <= 0xDBFF and 0xDC00 <= low <= 0xDFFF:
            unit = 0x10000 + (unit - 0xD800) * 0x400 + (low - 0xDC00)
            at += 1
        joined += chr(unit)
        at += 1
    return joined


_TS = re.compile(
    r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})[Tt ](?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})"
    r"(?P<seconds>:(?P<second>[0-9]{2})(\.(?P<fraction>[0-9]{1,9}))?)?"
    r"(?P<end>( ?)(Z|z|UTC|(?P<sign>[+-])(?P<off_hour>[0-9]{2})(:?(?P<off_minute>[0-9]{2}))?)(\[[^][]{1,64}\])?)?",
    re.DOTALL,
)


def _moment(ts: object, delivered_ms: int | None) -> int | None:
    """µs since 1970, by ``ts`` or by the message's timestamp if there is none; None if it is bad."""
    if ts is None:
        moment = None if delivered_ms is None else delivered_ms * 1_000
    else:
        moment = _written_moment(ts) if isinstance(ts, str) else None
        if isinstance(ts, Number):
            moment = _counted_moment(ts.text)
    return moment if moment is not None and 0 <= moment < END_OF_TIME_US else None


def _written_moment(ts: str) -> int | None:
    match = _TS.fullmatch(ts)
    if match is None:
        return None
    year, month, day = int(match["year"]), int(match["month"]), int(match["day"])
    hour, minute, second = int(match["hour"]), int(match["minute"]), int(match["second"] or 0)
    off_hour, off_minute = int(match["off_hour"] or 0), int(match["off_minute"] or 0)
    if not FIRST_YEAR <= year <= LAST_YEAR or not 1 <= month <= 12 or not 1 <= day <= _days_in_month(year, month):
        return None
    if hour > 23 or minute > 59 or second > 59 or off_hour > 23 or off_minute > 59:
        return None
    nanoseconds = int((match["fraction"] or "").ljust(9, "0"))
    seconds = hour * 3600 + minute * 60 + second
    written = days_since_1970(year, month, day) * US_PER_DAY + seconds * 1_000_000 + nanoseconds // 1_000
    ahead = (off_hour * 3600 + off_minute * 60) * 1_000_000
    return written + ahead if match["sign"] == "-" else written - ahead


def _counted_moment(number: str) -> int | None:
    """By exact fractions. Digits that can't matter are left out, since Python refuses to read very many."""
    mantissa, _, exponent = number.lower().partition("e")
    whole, _, fraction = mantissa.partition(".")
    power = int(exponent or "0")
    if whole.startswith("-") or power > 3_000 or (power < 0 and len(whole) + power < 0):
        return None
    if len(whole) > 4_000:
        if power < -3_000:
            raise NotImplementedError(number)
        return None  # far too large
    mantissa = f"{whole}.{fraction[:3_100]}" if fraction else whole
    value = Fraction(mantissa) * Fraction(10) ** power
    first, end = days_since_1970(2000, 1, 1) * 86_400, days_since_1970(2100, 1, 1) * 86_400
    for a_second in (1, 1_000, 1_000_000, 1_000_000_000):
        if first * a_second <= value < end * a_second:
            return math.floor(value * 1_000_000 / a_second)
    return None


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _days_in_month(year: int, month: int) -> int:
    if month == 2:
        return 29 if _is_leap(year) else 28
    return 30 if month in (4, 6, 9, 11) else 31


def days_since_1970(year: int, month: int, day: int) -> int:
    """Adds up whole years, whole months and days."""
    years_before = year - 1
    days_before_year = years_before * 365 + years_before // 4 - years_before // 100 + years_before // 400
    days_before_month = sum(_days_in_month(year, earlier) for earlier in range(1, month))
    return days_before_year + days_before_month + day - 1 - 719_162  # from 0001-01-01 to 1970-01-01


END_OF_TIME_US: Final = days_since_1970(LAST_YEAR + 1, 1, 1) * US_PER_DAY
