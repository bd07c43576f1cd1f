"""Aggregates a day's raw events to one row per player. A new metric is one more entry in `METRICS`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from game_analytics.errors import GameAnalyticsError
from game_analytics.rules.events import COUNTED_TYPES, RAW_EVENTS
from game_analytics.rules.repeats import REPEATED_BY, Repeats


@dataclass(frozen=True)
class Metric:
    """A column of the stats: a whole number per player and day."""

    description: str
    value: pl.Expr
    """An aggregation over one player's events of the day, without repeats. It may use all columns of the raw events."""
    counts: str | None = None
    """The event type whose events it counts; None for other metrics."""


def count_of(event_type: str) -> Metric:
    """The metric that counts a player's events of this type."""
    is_of_type = pl.col("event_type") == event_type
    return Metric(f"{event_type} events of the day, each once", is_of_type.sum(), event_type)


METRICS: Mapping[str, Metric] = {"kills": count_of("KILL"), "deaths": count_of("DEATH")}
"""By column. Each of `COUNTED_TYPES` needs a `count_of`: the day's account is balanced over these."""

STATS = pl.Schema({"player_id": pl.String(), **dict.fromkeys(METRICS, pl.Int64())})
"""One row per player with an event that day, sorted by ``player_id`` (UTF-8 bytes)."""

DESCRIPTIONS = {"player_id": "The player", **{name: metric.description for name, metric in METRICS.items()}}

FINGERPRINT = pl.when(pl.col("event_id").is_not_null()).then(pl.struct(REPEATED_BY).hash())
"""A 64-bit hash, equal for deliveries of the same event; null for events without an id."""

GROUPED_AT_ONCE = 12_500_000
"""Events that are grouped by player at a time, at some 40 bytes of memory each. Grouping in parts takes no longer than
grouping all at once."""

Collect = Callable[[pl.LazyFrame], pl.DataFrame]
"""Runs a lazy query over the events. The lake supplies it, so that its errors name the object."""


class Miscounted(GameAnalyticsError):
    """The stats do not add up to the events that were landed. Nothing was written."""


def count_columns(metrics: Mapping[str, Metric] = METRICS, types: Sequence[str] = COUNTED_TYPES) -> list[str]:
    """The columns whose sums add up to the day's events: one per counted event type, in the order of the types.

    Raises `ValueError` naming the type that no metric or more than one counts.
    """
    columns = []
    for event_type in types:
        counting = [name for name, metric in metrics.items() if metric.counts == event_type]
        if len(counting) != 1:
            raise ValueError(
                f"{event_type} is in COUNTED_TYPES (rules/events.py), and the metrics that count it are {counting}. "
                f'Exactly one is needed in METRICS (rules/player_stats.py): "column": count_of("{event_type}").'
            )
        columns += counting
    return columns


def columns_read(metrics: Mapping[str, Metric] = METRICS) -> list[str]:
    """The columns of the raw events that `player_stats` reads, in their order."""
    return [name for name in RAW_EVENTS.names() if name in {*_columns_counted(metrics), *REPEATED_BY, "event_time"}]


def _columns_counted(metrics: Mapping[str, Metric]) -> list[str]:
    """``player_id`` and the columns that the metrics read."""
    used = {name for metric in metrics.values() for name in metric.value.meta.root_names()}
    return [name for name in RAW_EVENTS.names() if name in {"player_id", *used}]


def _streamed(query: pl.LazyFrame) -> pl.DataFrame:
    return query.collect(engine="streaming")


def player_stats(
    events: pl.LazyFrame,
    collect: Collect = _streamed,
    metrics: Mapping[str, Metric] = METRICS,
    fingerprint: pl.Expr = FINGERPRINT,
    grouped_at_once: int = GROUPED_AT_ONCE,
) -> tuple[pl.DataFrame, Repeats]:
    """Aggregate one day's `RAW_EVENTS`. Returns one row per player, sorted by ``player_id``, with the metrics and
    ``events``, the number of the player's counted events (all int64); and the day's repeated events.

    The first delivery of an event counts. Events without an ``event_id`` count each.

    To save memory the events are not held but read several times, always in the same order: for their fingerprints,
    for those whose fingerprint repeats, which are compared in full, and for each part of the players.
    """
    events = events.select(columns_read(metrics))
    suspected = _suspected(collect(events.select(fingerprint=fingerprint)).to_series())
    marked = pl.concat([events, suspected.to_frame("suspected").lazy()], how="horizontal")
    counted = _columns_counted(metrics)
    suspects = collect(_each_once(marked.filter("suspected"), counted))
    once = pl.concat([marked.filter(~pl.col("suspected")).select(counted), suspects.lazy().select(counted)])
    values = [metric.value.cast(pl.Int64).alias(name) for name, metric in metrics.items()]
    values.append(pl.len().cast(pl.Int64).alias("events"))
    parts = max(1, -(-len(suspected) // grouped_at_once))
    part_of = pl.col("player_id").hash() % parts
    stats = pl.concat(collect(once.filter(part_of == part).group_by("player_id").agg(values)) for part in range(parts))
    return stats.sort("player_id"), Repeats.among(suspects)


def _each_once(events: pl.LazyFrame, counted: Sequence[str]) -> pl.LazyFrame:
    """The first delivery of each event, with the number of ``deliveries`` and their ``earliest`` and ``latest``
    time."""
    others = [name for name in counted if name not in REPEATED_BY]
    return events.group_by(REPEATED_BY).agg(
        pl.first(*others) if others else [],
        deliveries=pl.len(),
        earliest=pl.min("event_time"),
        latest=pl.max("event_time"),
    )


def _suspected(fingerprints: pl.Series) -> pl.Series:
    """For each event whether another one has the same fingerprint."""
    in_order = fingerprints.drop_nulls().sort()  # takes a quarter of the time of grouping
    repeated = in_order.filter(in_order == in_order.shift()).unique()
    del in_order
    return fingerprints.is_in(repeated.implode()).fill_null(value=False)


def ensure_all_counted(landed: int, counted: int, duplicates: int) -> None:
    """Raises `Miscounted` unless each landed event is either counted or a repeat of one that is."""
    if landed != counted + duplicates:
        raise Miscounted(
            f"{landed:,} events were landed, but {counted:,} are counted and {duplicates:,} are duplicates: "
            f"{counted + duplicates:,} in all. Nothing was written. Land the day again; if it stays so, report it."
        )
