"""A day of Avro messages: landed, landed again when the registry has forgotten its schema, and read again when the
registry knows one that was unknown."""

import io
import json
from collections.abc import Iterator, Sequence
from datetime import timedelta

import fastavro
import pytest

from game_analytics.errors import Unavailable
from game_analytics.lake.bucket import Lake
from game_analytics.lake.names import manifest_key, schema_key
from game_analytics.landing.day import land_day
from game_analytics.landing.leftovers import clear_leftovers
from game_analytics.landing.report import LandingOptions, LandingReport
from game_analytics.landing.reread import reread_day
from game_analytics.landing.slices import Reading
from game_analytics.sources.formats.registry import RegistryFormat, RegistrySettings
from game_analytics_tests.support.listed_log import ListedLog, Message
from game_analytics_tests.support.samples import DAY, ensure_whole, kill, manifest_bytes, standing, utc
from game_analytics_tests.support.schema_registry import StubRegistry, schema_registry

NOW = utc("2026-01-02 06:00")
NOON = utc("2025-12-30 12:00")
SCHEMA = {
    "type": "record",
    "name": "Event",
    "fields": [{"name": "event_type", "type": "string"}, {"name": "player_id", "type": "string"}],
}
OTHER = {**SCHEMA, "name": "Other"}


@pytest.fixture
def registry() -> Iterator[StubRegistry]:
    with schema_registry() as running:
        yield running


def avro_kill(number: int, player: str) -> bytes:
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, SCHEMA, {"event_type": "KILL", "player_id": player})
    return b"\0" + number.to_bytes(4, "big") + stream.getvalue()


def log_of(*values: bytes) -> ListedLog:
    return ListedLog({0: [Message(offset, NOON, value) for offset, value in enumerate(values)]})


def reading(registry: StubRegistry) -> Reading:
    return Reading(RegistryFormat(RegistrySettings(registry.url)))


def land(registry: StubRegistry, lake: Lake, *values: bytes) -> LandingReport:
    options = LandingOptions(timedelta(hours=1), reading=reading(registry))
    return land_day(log_of(*values), lake, DAY, options, clock=lambda: NOW)


def players(lake: Lake) -> Sequence[str]:
    frames = [lake.read_parquet(key) for key in standing(lake).keys("raw")]
    return sorted(player for frame in frames if frame is not None for player in frame["player_id"])


def test_a_day_of_avro_and_json_is_landed_and_its_schema_kept(registry: StubRegistry, lake: Lake) -> None:
    number = registry.add(json.dumps(SCHEMA))
    land(registry, lake, avro_kill(number, "ann"), kill("bob"), avro_kill(number, "cy"))
    ensure_whole(lake, DAY)
    assert players(lake) == ["ann", "bob", "cy"]
    kept = lake.get(schema_key(DAY, "1"))
    assert kept is not None
    assert json.loads(kept.body) == {"type": "AVRO", "text": json.dumps(SCHEMA), "references": []}


def test_a_day_is_landed_again_with_the_same_bytes_when_the_registry_has_forgotten_its_schema(
    registry: StubRegistry, lake: Lake
) -> None:
    values = [avro_kill(registry.add(json.dumps(SCHEMA)), name) for name in ("ann", "bob")]
    land(registry, lake, *values)
    before = manifest_bytes(lake)
    registry.schemas.clear()
    # Also weeks later, when what no manifest lists has been removed.
    assert clear_leftovers(lake, DAY, NOW + timedelta(days=60)) == []
    land(registry, lake, *values)
    assert manifest_bytes(lake) == before


def test_a_registry_that_does_not_answer_commits_nothing(registry: StubRegistry, lake: Lake) -> None:
    registry.answer = (503, b"")
    with pytest.raises(Unavailable, match="fails: HTTP 503"):
        land(registry, lake, kill("bob"), avro_kill(1, "ann"))
    assert lake.get(manifest_key(DAY)) is None


def test_a_day_without_a_framed_message_asks_no_registry(registry: StubRegistry, lake: Lake) -> None:
    land(registry, lake, kill("bob"))
    assert registry.asked == []


def test_messages_of_an_unknown_schema_are_read_again_once_the_registry_knows_it(
    registry: StubRegistry, lake: Lake
) -> None:
    registry.add(json.dumps(OTHER))
    report = land(registry, lake, avro_kill(1, "ann"), avro_kill(2, "bob"))
    assert (players(lake), report.reasons) == (["ann"], {"unknown_schema": 1})
    assert lake.get(schema_key(DAY, "2")) is None
    assert registry.add(json.dumps(SCHEMA)) == 2
    again = reread_day(lake, DAY, clock=lambda: NOW, reading=reading(registry))
    assert (players(lake), again.reasons) == (["ann", "bob"], {})
    assert lake.get(schema_key(DAY, "2")) is not None


def test_a_day_that_was_landed_as_json_is_read_again_by_the_registry(registry: StubRegistry, lake: Lake) -> None:
    values = [avro_kill(registry.add(json.dumps(SCHEMA)), "ann"), kill("bob"), b"no JSON"]
    options = LandingOptions(timedelta(hours=1))
    before = land_day(log_of(*values), lake, DAY, options, clock=lambda: NOW)
    assert before.reasons == {"avro_or_protobuf": 1, "not_json": 1}
    for _ in range(2):
        again = reread_day(lake, DAY, clock=lambda: NOW, reading=reading(registry))
        assert (players(lake), again.reasons) == (["ann", "bob"], {"not_json": 1})
    ensure_whole(lake, DAY)
