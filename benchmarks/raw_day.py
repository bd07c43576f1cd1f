"""A day's raw events as landing writes them to the lake, generated directly from the simulation's columns, without
messages in between."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

import polars as pl

from game_analytics.lake.bucket import Lake
from game_analytics.lake.manifest import VERSION, Account, LandedObject, Manifest, ensure_balanced
from game_analytics.lake.names import manifest_key
from game_analytics.landing.slices import MAX_SLICE, Slice, store
from game_analytics.rules.days import window_of
from game_analytics.rules.events import COUNTED_TYPES, RAW_EVENTS
from game_analytics.simulation.messages import event_id, game_id, happened_at, player_id, timeline
from game_analytics.simulation.schedule import Simulation, hour_at

# About nine of ten messages are kills or deaths; a few more than needed.
_MESSAGES_PER_EVENT = 1.12


def store_raw_day(lake: Lake, day: date, events: int) -> Manifest:
    """Store a day of exactly ``events`` raw events, half a percent of them repeated. Returns its manifest."""
    messages = max(2_000, int(events * _MESSAGES_PER_EVENT))
    simulation = Simulation(events_per_day=messages, malformed_share=0, late_share=0)
    shares = [len(range(partition, events, simulation.partitions)) for partition in range(simulation.partitions)]
    objects: list[list[LandedObject]] = [[] for _ in shares]
    waiting = [RAW_EVENTS.to_frame() for _ in shares]
    stored = [0 for _ in shares]
    for hour in _hours(day):
        for partition, rows in enumerate(_events_of(simulation, hour)):
            waiting[partition] = pl.concat([waiting[partition], rows])
            while stored[partition] < shares[partition]:
                size = min(MAX_SLICE, shares[partition] - stored[partition])
                if waiting[partition].height < size:
                    break
                part = Slice(day, partition, stored[partition], stored[partition] + size)
                offsets = pl.int_range(part.first, part.end, dtype=pl.Int64, eager=True)
                slice_rows = waiting[partition].head(size).with_columns(kafka_offset=offsets)
                objects[partition].append(store(lake, "raw", part, slice_rows))
                waiting[partition] = waiting[partition].slice(size)
                stored[partition] += size
    manifest = _manifest(day, shares, objects)
    ensure_balanced(manifest)
    lake.put(manifest_key(day), manifest.to_json())
    return manifest


def _hours(day: date) -> Iterator[int]:
    first = hour_at(datetime.combine(day, time(), UTC))
    return iter(range(first, first + 24))


def _events_of(simulation: Simulation, hour: int) -> list[pl.DataFrame]:
    """The raw events of an hour by partition, in the order of delivery."""
    messages = timeline(simulation, hour).lazy().filter(pl.col("event_type").cast(pl.String).is_in(COUNTED_TYPES))
    rows = messages.select(
        event_time=happened_at(hour).dt.cast_time_unit("us"),
        player_id=player_id(),
        event_type=pl.col("event_type").cast(pl.String),
        game_id=game_id(hour),
        event_id=event_id(hour),
        kafka_partition=pl.col("partition").cast(pl.Int32),
        kafka_offset=pl.lit(0, pl.Int64),  # set per slice
    ).collect()
    return [rows.filter(pl.col("kafka_partition") == partition) for partition in range(simulation.partitions)]


def _manifest(day: date, shares: list[int], objects: list[list[LandedObject]]) -> Manifest:
    return Manifest(
        version=VERSION,
        day=day,
        topic="benchmark",
        window=window_of(day, timedelta(hours=1)),
        window_closed=True,
        partitions=[
            Account(
                partition=partition,
                first=0,
                end=share,
                next_day_first=share,
                read=share,
                gaps=0,
                landed=share,
                ignored=0,
                other_days=0,
                quarantined=0,
            )
            for partition, share in enumerate(shares)
        ],
        objects=[landed for of_partition in objects for landed in of_partition],
        missed={},
    )
