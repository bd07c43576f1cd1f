"""A day's raw events become one row per player. A new metric is one more expression in `METRICS`."""

import polars as pl

from game_analytics.errors import GameAnalyticsError

STATS = pl.Schema({"player_id": pl.String(), "kills": pl.Int64(), "deaths": pl.Int64()})
"""One row per player with a kill or a death that day, sorted by ``player_id`` (UTF-8 bytes)."""

METRICS = (
    (pl.col("event_type") == "KILL").sum().cast(pl.Int64).alias("kills"),
    (pl.col("event_type") == "DEATH").sum().cast(pl.Int64).alias("deaths"),
)

_REPEATED_BY = ("event_id", "player_id", "event_type")
"""At-least-once producers repeat themselves: events of a day that agree in these are one."""


class Miscounted(GameAnalyticsError):
    """The stats do not add up to the events that were landed. Nothing was written."""


def player_stats(events: pl.LazyFrame) -> pl.LazyFrame:
    """`STATS` of one day's raw events, and how many of each player's were ``duplicates`` (int64), by ``player_id``.

    Events without an ``event_id`` can't be told apart and count each.
    """
    identified = pl.col("event_id").is_not_null()
    columns = ["player_id", "event_type"]
    once = pl.concat(
        [
            events.filter(identified).group_by(_REPEATED_BY).agg(copies=pl.len()).select(*columns, "copies"),
            events.filter(~identified).select(*columns, copies=pl.lit(1, pl.UInt32)),
        ]
    )
    duplicates = (pl.col("copies") - 1).sum().cast(pl.Int64).alias("duplicates")
    return once.group_by("player_id").agg(*METRICS, duplicates).sort("player_id")


def ensure_all_counted(landed: int, counted: int, duplicates: int) -> None:
    """Raises `Miscounted` unless each landed event is either counted or the repetition of one that is."""
    if landed != counted + duplicates:
        raise Miscounted(
            f"{landed:,} events were landed, but {counted:,} are counted and {duplicates:,} are duplicates: "
            f"{counted + duplicates:,} in all. Nothing was written. Land the day again; if it stays so, report it."
        )
