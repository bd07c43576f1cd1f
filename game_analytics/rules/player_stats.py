"""A day's raw events become one row per player. A new metric is one more entry in `METRICS`."""

import polars as pl

from game_analytics.errors import GameAnalyticsError

METRICS = {
    "kills": ("KILL events of the day, each once", (pl.col("event_type") == "KILL").sum()),
    "deaths": ("DEATH events of the day, each once", (pl.col("event_type") == "DEATH").sum()),
}
"""Column to its description and to an expression over one player's events of the day, each of them once. All columns
of the raw events can be used; the result is a whole number."""

STATS = pl.Schema({"player_id": pl.String(), **dict.fromkeys(METRICS, pl.Int64())})
"""One row per player with a kill or a death that day, sorted by ``player_id`` (UTF-8 bytes)."""

DESCRIPTIONS = {"player_id": "Who", **{name: description for name, (description, _) in METRICS.items()}}

_REPEATED_BY = ("event_id", "player_id", "event_type")
"""At-least-once producers repeat themselves: events of a day that agree in these are one."""


class Miscounted(GameAnalyticsError):
    """The stats do not add up to the events that were landed. Nothing was written."""


def player_stats(events: pl.LazyFrame) -> pl.LazyFrame:
    """`STATS` of one day's raw events, and beside them ``events`` (int64): how many events of the player count.

    Of repeated ones the first counts. Events without an ``event_id`` can't be told apart and count each.
    """
    identified = pl.col("event_id").is_not_null()
    once = pl.concat(
        [
            events.filter(identified).unique(subset=_REPEATED_BY, keep="first"),
            events.filter(~identified),
        ]
    )
    metrics = [expression.cast(pl.Int64).alias(name) for name, (_, expression) in METRICS.items()]
    return once.group_by("player_id").agg(*metrics, events=pl.len().cast(pl.Int64)).sort("player_id")


def ensure_all_counted(landed: int, counted: int, duplicates: int) -> None:
    """Raises `Miscounted` unless each landed event is either counted or the repetition of one that is."""
    if landed != counted + duplicates:
        raise Miscounted(
            f"{landed:,} events were landed, but {counted:,} are counted and {duplicates:,} are duplicates: "
            f"{counted + duplicates:,} in all. Nothing was written. Land the day again; if it stays so, report it."
        )
