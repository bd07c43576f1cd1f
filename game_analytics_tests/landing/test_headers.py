"""A format that decodes by a header: it gets what it asks for, and quarantined messages keep it for reading again."""

from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from game_analytics.lake.bucket import Lake
from game_analytics.landing.day import land_day
from game_analytics.landing.report import LandingOptions
from game_analytics.landing.reread import reread_day
from game_analytics.landing.slices import Reading
from game_analytics.rules.events import Decode
from game_analytics.sources.event_log import ON_REQUEST, Reader
from game_analytics.sources.formats.format import Format, KeptSchemas
from game_analytics.sources.formats.json import decode
from game_analytics_tests.support.listed_log import ListedLog, Message
from game_analytics_tests.support.samples import DAY, kill, standing, utc

NOW = utc("2026-01-02 06:00")
OPTIONS = timedelta(hours=1)


@dataclass(frozen=True)
class ReversedFormat(Format):
    """JSON that is reversed where the header ``order`` is ``backwards``. Others are unreadable unless ``lenient``."""

    lenient: bool = False
    on_request: Collection[str] = ("headers",)

    def opened(self, kept: KeptSchemas) -> AbstractContextManager[Decode]:  # noqa: ARG002 - it has no schemas
        return nullcontext(self._decode)

    def _decode(self, messages: pl.DataFrame) -> pl.DataFrame:
        values = [
            value[::-1] if headers == [{"name": "order", "value": b"backwards"}] else value if self.lenient else b""
            for value, headers in messages.select("value", "headers").iter_rows()
        ]
        return decode(messages.with_columns(value=pl.Series(values, dtype=pl.Binary)))


class LogWithHeaders(ListedLog):
    """Every message has the header, but those at odd offsets, which have none at all."""

    def reader(self, on_request: Collection[str] = ()) -> AbstractContextManager[Reader]:
        assert list(on_request) == ["headers"]
        return nullcontext(_WithHeaders(self))


@dataclass
class _WithHeaders(Reader):
    log: ListedLog

    def read(
        self, partition: int, first: int, end: int, *, max_messages: int, max_bytes: int
    ) -> Iterator[pl.DataFrame]:
        for messages in self.log.read(partition, first, end, max_messages=max_messages, max_bytes=max_bytes):
            backwards = [
                None if offset % 2 else [{"name": "order", "value": b"backwards"}]
                for offset in messages["kafka_offset"]
            ]
            yield messages.with_columns(headers=pl.Series(backwards, dtype=ON_REQUEST["headers"]))


def players(lake: Lake) -> list[str]:
    frames = (lake.read_parquet(key) for key in standing(lake).keys("raw"))
    return [player for frame in frames if frame is not None for player in frame["player_id"]]


def test_a_message_is_decoded_by_its_header_and_quarantined_with_it(lake: Lake) -> None:
    noon = utc("2025-12-30 12:00")
    log = LogWithHeaders({0: [Message(0, noon, kill("ann")[::-1]), Message(1, noon, kill("bob"))]})
    land_day(log, lake, DAY, LandingOptions(OPTIONS, reading=Reading(ReversedFormat())), clock=lambda: NOW)
    assert players(lake) == ["ann"]
    [key] = standing(lake).keys("quarantine")
    quarantined = lake.read_parquet(key)
    assert quarantined is not None
    assert quarantined.select("reason", "value", "headers").rows() == [("not_json", kill("bob"), None)]

    reread_day(lake, DAY, clock=lambda: NOW, reading=Reading(ReversedFormat(lenient=True)))
    assert sorted(players(lake)) == ["ann", "bob"]
    assert standing(lake).keys("quarantine") == []


def test_a_log_without_headers_gives_none_to_a_format_that_asks_for_them(lake: Lake) -> None:
    log = ListedLog({0: [Message(0, utc("2025-12-30 12:00"), kill("ann"))]})
    with log.reader(["key", "headers"]) as reader:
        [messages] = reader.read(0, 0, 1, max_messages=10, max_bytes=1_000)
    assert messages.select("key", "headers").rows() == [(None, None)]
    assert messages.select("key", "headers").schema == ON_REQUEST
    land_day(log, lake, DAY, LandingOptions(OPTIONS, reading=Reading(ReversedFormat(lenient=True))), clock=lambda: NOW)
    assert players(lake) == ["ann"]
