"""Days: the first one, a day's window, and instants as Kafka's milliseconds and as text. Pure."""

from datetime import UTC, date, datetime, time, timedelta

import msgspec

FIRST_DAY = date(2024, 1, 1)
"""The first day that is a partition."""

ONE_DAY = timedelta(days=1)

LEAD = timedelta(minutes=5)
"""How long before its day a window starts, since producers' clocks differ."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Window(msgspec.Struct, frozen=True):
    """The delivery times that a landing reads: from ``start`` (inclusive) to ``end`` (exclusive), in UTC."""

    start: datetime
    end: datetime


def window_of(day: date, lateness: timedelta) -> Window:
    """The window of a UTC day: from `LEAD` before its first midnight to ``lateness`` after the next midnight."""
    midnight = datetime.combine(day, time(), UTC)
    return Window(start=midnight - LEAD, end=midnight + ONE_DAY + lateness)


def milliseconds_floor(instant: datetime) -> int:
    """Milliseconds since 1970, rounded down: a larger timestamp is later than the instant."""
    return (instant - _EPOCH) // timedelta(milliseconds=1)


def milliseconds_ceil(instant: datetime) -> int:
    """Milliseconds since 1970, rounded up: a smaller timestamp is before the instant, any other is not."""
    return -((_EPOCH - instant) // timedelta(milliseconds=1))


def time_text(timestamp_ms: int) -> str:
    """A Kafka timestamp (ms since 1970) as ``2025-12-30T18:07:12Z``; outside Python's calendar as a number of ms."""
    try:
        return f"{_EPOCH + timedelta(milliseconds=timestamp_ms):%Y-%m-%dT%H:%M:%SZ}"
    except OverflowError:
        return f"{timestamp_ms} ms"
