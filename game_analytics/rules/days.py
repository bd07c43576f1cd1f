"""What a day is: the first one, its window, and how instants become Kafka's milliseconds and readable text. Pure."""

from datetime import UTC, date, datetime, time, timedelta

import msgspec

FIRST_DAY = date(2024, 1, 1)
"""The first day that is a partition."""

ONE_DAY = timedelta(days=1)

LEAD = timedelta(minutes=5)
"""How long before its day a window starts: clocks of producers differ."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Window(msgspec.Struct, frozen=True):
    """The delivery times that a landing reads: from ``start`` up to but without ``end``, in UTC."""

    start: datetime
    end: datetime


def window_of(day: date, lateness: timedelta) -> Window:
    """The delivery times at which events of the UTC ``day`` are looked for: from `LEAD` before its midnight to
    ``lateness`` after the next one."""
    midnight = datetime.combine(day, time(), UTC)
    return Window(start=midnight - LEAD, end=midnight + ONE_DAY + lateness)


def milliseconds_floor(instant: datetime) -> int:
    """Milliseconds since 1970, rounded down: a timestamp above this is later than the instant."""
    return (instant - _EPOCH) // timedelta(milliseconds=1)


def milliseconds_ceil(instant: datetime) -> int:
    """Milliseconds since 1970, rounded up: a message has this timestamp or a later one if and only if it is not before
    the instant."""
    return -((_EPOCH - instant) // timedelta(milliseconds=1))


def time_text(timestamp_ms: int) -> str:
    """A Kafka timestamp (ms since 1970) as ``2025-12-30T18:07:12Z``; one outside Python's calendar as its number."""
    try:
        return f"{_EPOCH + timedelta(milliseconds=timestamp_ms):%Y-%m-%dT%H:%M:%SZ}"
    except OverflowError:
        return f"{timestamp_ms} ms"
