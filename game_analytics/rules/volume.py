"""What is unusual about how much a day holds: the rules behind two warnings. They stop nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import median

WEEKS = 4
"""A day is compared with the same weekday of so many weeks before it, if all of them are known."""
LOOKS_BACK = 14
"""Else with those of so many days before it that are known."""
FEWEST_DAYS = 5
"""With fewer of these to compare with, nothing is said."""

_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def compared_with(day: date) -> set[date]:
    """The earlier days whose volumes `unusual_volume` asks for."""
    return {*_days_before(day), *_weekdays_before(day)}


def unusual_volume(day: date, volumes: Mapping[date, int], tolerance: float) -> str | None:
    """What a person should know if the day's landed events differ from what is usual by more than ``tolerance`` (a
    share of that), upwards or downwards. ``volumes`` are landed events: of the day, and of earlier days as far as they
    are known."""
    usual = _usual(day, volumes)
    if usual is None:
        return None
    landed = volumes[day]
    if abs(landed - usual.events) <= tolerance * usual.events:
        return None
    return (
        f"{landed:,} events were landed, {'more' if landed > usual.events else 'fewer'} than usual by more than "
        f"{tolerance:.0%}: the median of {usual.basis} before is {usual.events:,.0f}"
    )


def much_quarantined(read: int, quarantined: int, tolerated: float) -> str | None:
    """What a person should know if more messages than the ``tolerated`` share of all could not be read."""
    if quarantined <= tolerated * read:
        return None
    return (
        f"{quarantined:,} of {read:,} messages could not be read ({quarantined / read:.1%}, {tolerated:.0%} tolerated)"
    )


@dataclass(frozen=True)
class _Usual:
    """How many events a day usually has, and which days say so."""

    events: float
    basis: str


def _usual(day: date, volumes: Mapping[date, int]) -> _Usual | None:
    """None where too few days are known. Players have more time on Saturdays than on Mondays, hence the weekdays."""
    weekdays = _known(_weekdays_before(day), volumes)
    if len(weekdays) == WEEKS:
        return _Usual(median(weekdays), f"the {WEEKS} {_WEEKDAYS[day.weekday()]}s")
    days = _known(_days_before(day), volumes)
    return _Usual(median(days), f"{len(days)} days") if len(days) >= FEWEST_DAYS else None


def _known(days: Sequence[date], volumes: Mapping[date, int]) -> list[int]:
    return [volumes[day] for day in days if day in volumes]


def _days_before(day: date) -> list[date]:
    return [day - timedelta(days=back) for back in range(1, LOOKS_BACK + 1)]


def _weekdays_before(day: date) -> list[date]:
    return [day - timedelta(weeks=back) for back in range(1, WEEKS + 1)]
