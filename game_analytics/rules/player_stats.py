"""A day's raw events become one row per player. A new metric is one more entry in `METRICS`."""

from collections.abc import Callable

import polars as pl

from game_analytics.errors import GameAnalyticsError
from game_analytics.rules.events import RAW_EVENTS
from game_analytics.rules.repeats import REPEATED_BY, Repeats

METRICS = {
    "kills": ("KILL events of the day, each once", (pl.col("event_type") == "KILL").sum()),
    "deaths": ("DEATH events of the day, each once", (pl.col("event_type") == "DEATH").sum()),
}
"""Column to its description and to an expression over one player's events of the day, each of them once. All columns
of the raw events can be used; the result is a whole number."""

STATS = pl.Schema({"player_id": pl.String(), **dict.fromkeys(METRICS, pl.Int64())})
"""One row per player with a kill or a death that day, sorted by ``player_id`` (UTF-8 bytes)."""

DESCRIPTIONS = {"player_id": "Who", **{name: description for name, (description, _) in METRICS.items()}}

_FINGERPRINT = pl.when(pl.col("event_id").is_not_null()).then(pl.struct(REPEATED_BY).hash())
"""Equal where events are one, and hardly ever elsewhere; null where an event can't be told from others."""

_COUNTED_AT_ONCE = 12_500_000
"""Events that are grouped by player at once: some 40 bytes of memory for each, in no more time than all together."""

Collect = Callable[[pl.LazyFrame], pl.DataFrame]
"""How a query over the events is answered: by whoever knows where they are."""


class Miscounted(GameAnalyticsError):
    """The stats do not add up to the events that were landed. Nothing was written."""


def _streamed(query: pl.LazyFrame) -> pl.DataFrame:
    return query.collect(engine="streaming")


def columns_read() -> list[str]:
    """Those of the raw events that are looked at, in their order."""
    return [name for name in RAW_EVENTS.names() if name in {*_columns_counted(), *REPEATED_BY, "event_time"}]


def _columns_counted() -> list[str]:
    """Whose event it is, and what the metrics look at."""
    used = {name for _, expression in METRICS.values() for name in expression.meta.root_names()}
    return [name for name in RAW_EVENTS.names() if name in {"player_id", *used}]


def player_stats(events: pl.LazyFrame, collect: Collect = _streamed) -> tuple[pl.DataFrame, Repeats]:
    """`STATS` of one day's raw events, and beside them ``events`` (int64): how many events of the player count; and how
    the day's events repeat themselves.

    Of repeated ones the first counts. Events without an ``event_id`` can't be told apart and count each.

    The events are read again and again, each time in the same order, instead of being held in memory: for their
    fingerprints; for the few that may be repetitions, which alone are compared in full; and to count, for each share of
    the players.
    """
    events = events.select(columns_read())
    suspected = _suspected(collect(events.select(fingerprint=_FINGERPRINT)).to_series())
    marked = pl.concat([events, suspected.to_frame("suspected").lazy()], how="horizontal")
    suspects = collect(_each_once(marked.filter("suspected")))
    counted = _columns_counted()
    once = pl.concat([marked.filter(~pl.col("suspected")).select(counted), suspects.lazy().select(counted)])
    metrics = [expression.cast(pl.Int64).alias(name) for name, (_, expression) in METRICS.items()]
    metrics.append(pl.len().cast(pl.Int64).alias("events"))
    shares = max(1, -(-len(suspected) // _COUNTED_AT_ONCE))
    share = pl.col("player_id").hash() % shares
    stats = pl.concat(
        collect(once.filter(share == number).group_by("player_id").agg(metrics)) for number in range(shares)
    )
    return stats.sort("player_id"), Repeats.among(suspects)


def _each_once(events: pl.LazyFrame) -> pl.LazyFrame:
    """The first delivery of each event, how many there are, and the first and the last time that they tell."""
    others = [name for name in _columns_counted() if name not in REPEATED_BY]
    return events.group_by(REPEATED_BY).agg(
        pl.first(*others) if others else [],
        deliveries=pl.len(),
        earliest=pl.min("event_time"),
        latest=pl.max("event_time"),
    )


def _suspected(fingerprints: pl.Series) -> pl.Series:
    """For each event whether another one has its fingerprint."""
    in_order = fingerprints.drop_nulls().sort()  # a quarter of the time that it takes to group them
    repeated = in_order.filter(in_order == in_order.shift()).unique()
    del in_order
    return fingerprints.is_in(repeated.implode()).fill_null(value=False)


def ensure_all_counted(landed: int, counted: int, duplicates: int) -> None:
    """Raises `Miscounted` unless each landed event is either counted or the repetition of one that is."""
    if landed != counted + duplicates:
        raise Miscounted(
            f"{landed:,} events were landed, but {counted:,} are counted and {duplicates:,} are duplicates: "
            f"{counted + duplicates:,} in all. Nothing was written. Land the day again; if it stays so, report it."
        )
