"""When the volume of a day is unusual: the rules of the checks `usual_volume` and `little_quarantined`. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import median

WEEKS = 4
"""A day is compared with the same weekday of this many weeks before it, if all of these are known."""
LOOKBACK_DAYS = 14
"""Otherwise with the known ones of this many days before it."""
MIN_DAYS = 5
"""If fewer of these are known, the volume is not judged."""

_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def compared_with(day: date) -> set[date]:
    """The earlier days whose volumes `unusual_volume` uses."""
    return {*_days_before(day), *_weekdays_before(day)}


def unusual_volume(day: date, volumes: Mapping[date, int], tolerance: float) -> str | None:
    """A sentence if the day's landed events differ from the usual number by more than ``tolerance``, a fraction of it,
    in either direction. ``volumes`` are landed events: of the day, and of earlier days where known."""
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
    """A sentence if more than the ``tolerated`` fraction of all messages could not be read."""
    if quarantined <= tolerated * read:
        return None
    return (
        f"{quarantined:,} of {read:,} messages could not be read ({quarantined / read:.1%}, {tolerated:.0%} tolerated)"
    )


@dataclass(frozen=True)
class _Usual:
    """The usual number of events per day, and from which days it was computed."""

    events: float
    basis: str


def _usual(day: date, volumes: Mapping[date, int]) -> _Usual | None:
    """None if too few days are known. Weekdays first: volumes differ between them more than between weeks."""
    weekdays = _known(_weekdays_before(day), volumes)
    if len(weekdays) == WEEKS:
        return _Usual(median(weekdays), f"the {WEEKS} {_WEEKDAYS[day.weekday()]}s")
    days = _known(_days_before(day), volumes)
    return _Usual(median(days), f"{len(days)} days") if len(days) >= MIN_DAYS else None


def _known(days: Sequence[date], volumes: Mapping[date, int]) -> list[int]:
    return [volumes[day] for day in days if day in volumes]


def _days_before(day: date) -> list[date]:
    return [day - timedelta(days=back) for back in range(1, LOOKBACK_DAYS + 1)]


def _weekdays_before(day: date) -> list[date]:
    return [day - timedelta(weeks=back) for back in range(1, WEEKS + 1)]
