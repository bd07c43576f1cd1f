"""Shared by landing tests: a day with its clock, events and messages in short notation, its landing, and its objects in
the lake."""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta

from game_analytics.engines.local import LocalEngine
from game_analytics.lake.bucket import Lake
from game_analytics.lake.committed import read_landing
from game_analytics.lake.manifest import Account, Manifest
from game_analytics.lake.names import CONDITIONS_KEY, manifest_key
from game_analytics.landing.day import land_day
from game_analytics.landing.late import find_late_events
from game_analytics.landing.neighbours import Neighbours
from game_analytics.landing.plan import Plan, plan
from game_analytics.landing.report import LandingOptions, LandingReport
from game_analytics.landing.slices import AS_JSON, Shared, Slice, SliceReport, slice_landing
from game_analytics.landing.window import LogSnapshot
from game_analytics.sources.event_log import EventLog
from game_analytics_tests.support.listed_log import Message

DAY = date(2025, 12, 30)
DAY_BEFORE = date(2025, 12, 29)
NEXT_DAY = date(2025, 12, 31)

ONE_HOUR = timedelta(minutes=60)
"""The default lateness: the window of `DAY` ends at 2025-12-31 01:00."""


def utc(text: str) -> datetime:
    """``2025-12-30 12:00`` as a datetime in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


MORNING_AFTER = utc("2025-12-31 06:00")
"""A clock past the end of `DAY`'s window."""

FIRST_NIGHT = utc("2025-12-31 01:15")
SECOND_NIGHT = utc("2026-01-01 01:15")


def kill(player: str = "ann", **fields: object) -> bytes:
    return json.dumps({"event_type": "KILL", "player_id": player, **fields}).encode()


def death(player: str = "ann", **fields: object) -> bytes:
    return json.dumps({"event_type": "DEATH", "player_id": player, **fields}).encode()


def at(offset: int, delivered: str, value: bytes | None = None) -> Message:
    """A message, by default a kill without ``ts``, whose time is that of its delivery."""
    return Message(offset, utc(delivered), kill() if value is None else value)


def tombstone(offset: int, delivered: str) -> Message:
    return Message(offset, utc(delivered), None)


def planned(log: EventLog, *, day: date = DAY, now: datetime = MORNING_AFTER, lateness: timedelta = ONE_HOUR) -> Plan:
    """What a landing of a day that was never landed would read."""
    return plan(LogSnapshot(log, lateness, now), day, Neighbours(), allow_truncated=False)


def spans(to_read: Plan) -> dict[int, tuple[int, int]]:
    """The offsets to read, by partition: first and end."""
    return {span.partition: (span.first, span.end) for span in to_read.ranges}


def land(
    log: EventLog,
    lake: Lake,
    *,
    day: date = DAY,
    now: datetime = MORNING_AFTER,
    lateness: timedelta = ONE_HOUR,
    allow_truncated: bool = False,
) -> LandingReport:
    return land_day(log, lake, day, LandingOptions(lateness, allow_truncated), clock=lambda: now)


def account_of(manifest: Manifest, partition: int = 0) -> Account:
    account = manifest.account(partition)
    assert account is not None
    return account


def read_of(manifest: Manifest, partition: int = 0) -> tuple[int, int]:
    """The offsets that were read of a partition: first and end."""
    account = account_of(manifest, partition)
    return account.first, account.end


def standing(lake: Lake, day: date = DAY) -> Manifest:
    found = read_landing(lake, day)
    assert found is not None
    return found.manifest


def stored(lake: Lake, prefix: str = "") -> dict[str, str]:
    """The ETag of each object below a prefix, but for the marker of conditions."""
    return {found.key: found.etag for found in lake.listing(prefix) if found.key != CONDITIONS_KEY}


def body_of(lake: Lake, key: str) -> bytes:
    found = lake.get(key)
    assert found is not None, key
    return found.body


def manifest_bytes(lake: Lake, day: date = DAY) -> bytes:
    return body_of(lake, manifest_key(day))


def ensure_whole(lake: Lake, day: date = DAY) -> None:
    """Assert that every object of the committed manifest exists."""
    missing = [landed.key for landed in standing(lake, day).objects if lake.etag(landed.key) is None]
    assert missing == []


def heal_all(log: EventLog, lake: Lake, days: list[date], now: datetime) -> None:
    """Land days as the sensor late_events requests, until it requests none."""
    for _ in range(10):
        found = find_late_events(lake, days, _fail)
        if not found:
            return
        day = found[0].day
        finders = tuple(each.found_by for each in found if each.day == day)
        land_day(log, lake, day, LandingOptions(ONE_HOUR, found_by=finders), clock=lambda: now)
    raise AssertionError("healing does not come to an end")


def _fail(warning: str) -> None:
    raise AssertionError(warning)


def kills(lake: Lake, day: date = DAY) -> dict[str, int]:
    """The kills per player in the day's raw objects."""
    players: dict[str, int] = {}
    for key in standing(lake, day).keys("raw"):
        rows = lake.read_parquet(key)
        assert rows is not None
        for player in rows["player_id"]:
            players[player] = players.get(player, 0) + 1
    return players


def before_the_mirror_went_down() -> list[Message]:
    return [at(0, "2025-12-30 10:00", kill("ann")), at(1, "2025-12-30 23:40", kill("ann"))]


def caught_up() -> list[Message]:
    """A mirrored topic with creation times: 15 kills of bob from 23:45 to 23:59, then the next day's."""
    bobs = [at(2 + minute, f"2025-12-30 23:{45 + minute}", kill("bob")) for minute in range(15)]
    later = ["2025-12-31 00:30", "2025-12-31 01:20", "2025-12-31 12:00"]
    return [*before_the_mirror_went_down(), *bobs, *(at(17 + n, moment, kill("eve")) for n, moment in enumerate(later))]


def land_slices(
    log: EventLog, lake: Lake, slices: Sequence[Slice], workers: int, progress: Callable[[int], None]
) -> Iterator[SliceReport]:
    """The report of each slice, in no particular order."""
    return LocalEngine(workers).run(
        slice_landing, Shared(log, lake, slices[0].day, AS_JSON), slices, progress, workers_worth=workers
    )
