"""What is unusual about how much a day holds: the rules behind two warnings. They stop nothing."""

from collections.abc import Sequence
from statistics import median

LOOKS_BACK = 14
"""Days before the one that is judged."""
FEWEST_DAYS = 5
"""With fewer to compare with, nothing is said."""


def unusual_volume(landed: int, earlier: Sequence[int], tolerance: float) -> str | None:
    """What a person should know if the day's landed events differ from the median of earlier days by more than
    ``tolerance`` (a share of that median), upwards or downwards."""
    if len(earlier) < FEWEST_DAYS:
        return None
    usual = median(earlier)
    if abs(landed - usual) <= tolerance * usual:
        return None
    return (
        f"{landed:,} events were landed, {'more' if landed > usual else 'fewer'} than usual by more than "
        f"{tolerance:.0%}: the median of {len(earlier)} days before is {usual:,.0f}"
    )


def much_quarantined(read: int, quarantined: int, tolerated: float) -> str | None:
    """What a person should know if more messages than the ``tolerated`` share of all could not be read."""
    if quarantined <= tolerated * read:
        return None
    return (
        f"{quarantined:,} of {read:,} messages could not be read ({quarantined / read:.1%}, {tolerated:.0%} tolerated)"
    )
