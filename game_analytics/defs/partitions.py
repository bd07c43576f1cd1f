"""The daily partitions of all assets: one per UTC day from `FIRST_DAY` on. A day is a partition once it is over."""

import dagster as dg

from game_analytics.errors import GameAnalyticsError
from game_analytics.rules.days import FIRST_DAY

daily = dg.DailyPartitionsDefinition(start_date=FIRST_DAY.isoformat(), timezone="UTC", end_offset=0)


def ensure_partitions(first: str, last: str) -> None:
    """Raises `GameAnalyticsError` unless both days are partitions, in this order.

    Dagster's command line refuses days that are no partitions, but not a reversed range. Tags of a run are not checked
    at all.
    """
    if first > last:
        raise GameAnalyticsError(
            f"The range begins on {first} and ends before that, on {last}, so it has no day. Name the earlier day "
            f"first: {last}...{first}."
        )
    if first < FIRST_DAY.isoformat():
        raise GameAnalyticsError(f"{first} lies before the first partition, {FIRST_DAY}. Begin there.")
    newest = daily.get_last_partition_key()
    if newest is None or last > newest:
        raise GameAnalyticsError(
            f"{last} is no partition yet: a day is one once it is over, in UTC. The newest is {newest}."
        )
