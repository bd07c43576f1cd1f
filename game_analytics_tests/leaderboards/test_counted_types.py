"""A third counted event type, from messages to the published stats file, by arguments only."""

from datetime import timedelta

import pytest

from game_analytics.lake.bucket import Lake, to_parquet
from game_analytics.lake.manifest import VERSION, Account, LandedObject, Manifest
from game_analytics.lake.names import manifest_key, slice_key, stats_key
from game_analytics.leaderboards.player_stats import publish_stats
from game_analytics.rules.days import window_of
from game_analytics.rules.events import TYPE_NAMES, classify
from game_analytics.rules.player_stats import METRICS, Miscounted, count_of
from game_analytics_tests.support.batches import DAY, JSON, PARTITION, batch, kill

ASSIST = "ASSIST"
MESSAGES = [
    kill(player_id="ann", event_id="e1"),
    kill(player_id="bob", event_id="e1", event_type=ASSIST),
    kill(player_id="bob", event_id="e1", event_type=ASSIST),
    kill(player_id="bob", event_id="e1", event_type="LOGIN"),
]


def land_with_assists(lake: Lake) -> None:
    """Write the day's raw object and manifest as a landing would that also counts assists."""
    classified = classify(batch(MESSAGES), PARTITION, DAY, JSON, names={**TYPE_NAMES, ASSIST: ASSIST})
    assert classified.ignored["event_type"].to_list() == ["LOGIN"]
    rows, body = classified.landed.height, to_parquet(classified.landed)
    key = slice_key("raw", DAY, PARTITION, 1_000, 1_004, "0" * 12)
    lake.put(key, body)
    manifest = Manifest(
        version=VERSION,
        day=DAY,
        topic="game-events",
        window=window_of(DAY, timedelta(hours=1)),
        window_closed=True,
        partitions=[Account(PARTITION, 1_000, 1_004, 1_004, 4, 0, rows, 1, 0, 0)],
        objects=[LandedObject(key, "raw", rows, len(body))],
        missed={},
    )
    lake.put(manifest_key(DAY), manifest.to_json())


def test_with_its_metric_it_is_counted_and_the_day_balances(lake: Lake) -> None:
    land_with_assists(lake)
    published = publish_stats(lake, DAY, metrics={**METRICS, "assists": count_of(ASSIST)})
    assert published.counted.by_column == {"kills": 1, "deaths": 0, "assists": 1}
    assert published.counted.duplicates == 1
    stats = lake.read_parquet(stats_key(DAY))
    assert stats is not None
    assert stats.rows(named=True) == [
        {"player_id": "ann", "kills": 1, "deaths": 0, "assists": 0},
        {"player_id": "bob", "kills": 0, "deaths": 0, "assists": 1},
    ]


def test_without_its_metric_nothing_is_published(lake: Lake) -> None:
    land_with_assists(lake)
    with pytest.raises(Miscounted, match="3 events were landed, but 1 are counted and 1 are duplicates"):
        publish_stats(lake, DAY)
    assert lake.etag(stats_key(DAY)) is None
