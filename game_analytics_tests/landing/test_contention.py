"""Two landings of one day at once: no reader sees half a day, and no stale run overwrites a newer one."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest

from game_analytics.lake.bucket import Contested, Lake
from game_analytics.lake.manifest import Manifest
from game_analytics.lake.names import manifest_key
from game_analytics.landing.day import land_day
from game_analytics.landing.report import LandingOptions, LandingReport
from game_analytics_tests.support.faulty_logs import growing
from game_analytics_tests.support.listed_log import ListedLog
from game_analytics_tests.support.samples import (
    DAY,
    MORNING_AFTER,
    ONE_HOUR,
    at,
    ensure_whole,
    kill,
    land,
    manifest_bytes,
    read_of,
    standing,
    utc,
)

AT_SIX = utc("2025-12-30 18:00")
"""The day is not over yet, so that a landing reads to the high watermark."""


def test_a_run_that_was_overtaken_starts_over_and_sees_what_is_new(lake: Lake) -> None:
    log, deliver = growing([at(0, "2025-12-30 10:00")])
    overtakers: list[Manifest] = []

    def overtake(_line: str) -> None:
        """Once, when the first run has stored its slice and is about to commit."""
        if not overtakers:
            deliver(at(1, "2025-12-30 10:01", kill("ben")))
            overtakers.append(land(log, lake, now=AT_SIX).manifest)

    landing = land_day(log, lake, DAY, LandingOptions(ONE_HOUR), clock=lambda: AT_SIX, tell=overtake)
    assert read_of(overtakers[0]) == (0, 2)
    assert landing.manifest == overtakers[0] == standing(lake)
    assert landing.etag == lake.etag(manifest_key(DAY))
    ensure_whole(lake)


def test_a_run_that_starts_over_looks_at_the_clock_again(lake: Lake) -> None:
    """It began before the window closed and was overtaken by one that came after: the day is closed, and stays so."""
    log = ListedLog({0: [at(0, "2025-12-30 10:00"), at(1, "2025-12-31 01:10")]})
    clock = iter([utc("2025-12-31 00:59")])
    overtakers: list[Manifest] = []

    def overtake(_line: str) -> None:
        if not overtakers:
            overtakers.append(land(log, lake, now=utc("2025-12-31 01:16")).manifest)

    landing = land_day(
        log, lake, DAY, LandingOptions(ONE_HOUR), clock=lambda: next(clock, utc("2025-12-31 01:20")), tell=overtake
    )
    assert landing.manifest.window_closed
    assert landing.manifest == overtakers[0]
    assert landing.warnings == []


def test_a_run_that_was_overtaken_by_one_that_knew_less_is_not_lost(lake: Lake) -> None:
    """The other began earlier, committed a shorter day, and this one adds to it."""
    log = ListedLog({0: [at(0, "2025-12-30 10:00"), at(1, "2025-12-30 10:01")]})
    shorter = ListedLog({0: log.partitions[0][:1]})
    overtakers: list[Manifest] = []

    def overtake(_line: str) -> None:
        if not overtakers:
            overtakers.append(land(shorter, lake, now=AT_SIX).manifest)

    landing = land_day(log, lake, DAY, LandingOptions(ONE_HOUR), clock=lambda: AT_SIX, tell=overtake)
    assert (read_of(overtakers[0]), read_of(landing.manifest)) == ((0, 1), (0, 2))
    assert standing(lake) == landing.manifest
    ensure_whole(lake)


def test_a_run_that_is_overtaken_again_and_again_gives_up_and_says_so(lake: Lake) -> None:
    log, deliver = growing([at(0, "2025-12-30 10:00")])
    overtakers: list[Manifest] = []

    def overtake(_line: str) -> None:
        deliver(at(len(overtakers) + 1, f"2025-12-30 10:{len(overtakers) + 1:02}"))
        overtakers.append(land(log, lake, now=AT_SIX).manifest)

    with pytest.raises(Contested) as error:
        land_day(log, lake, DAY, LandingOptions(ONE_HOUR), clock=lambda: AT_SIX, tell=overtake)
    assert lake.uri(manifest_key(DAY)) in str(error.value)
    assert "run again" in str(error.value)
    assert 3 <= len(overtakers) <= 4  # it was tried again, and not for ever
    assert standing(lake) == overtakers[-1]
    ensure_whole(lake)


def together(lake: Lake, log: ListedLog, clocks: list[datetime]) -> list[LandingReport]:
    """Landings of the day in threads of their own, each of which has read its slices before any commits."""
    all_have_read = threading.Barrier(len(clocks), timeout=20)

    def land_once(now: datetime) -> LandingReport:
        waits = [all_have_read.wait]

        def wait(_line: str) -> None:
            if waits:
                waits.pop()()

        return land_day(log, lake, DAY, LandingOptions(ONE_HOUR), clock=lambda: now, tell=wait)

    with ThreadPoolExecutor(len(clocks)) as threads:
        return list(threads.map(land_once, clocks))


@pytest.mark.parametrize("is_landed_before", [False, True])
def test_two_that_read_the_same_at_once_both_succeed_with_the_same_day(lake: Lake, is_landed_before: bool) -> None:
    messages = [at(0, "2025-12-30 10:00"), at(1, "2025-12-30 10:01", b"bad"), at(2, "2025-12-30 10:02")]
    if is_landed_before:
        land(ListedLog({0: messages[:1]}), lake, now=AT_SIX)
    one, other = together(lake, ListedLog({0: messages}), [MORNING_AFTER, MORNING_AFTER])
    assert one.manifest == other.manifest == standing(lake)
    assert one.etag == other.etag == lake.etag(manifest_key(DAY))
    assert manifest_bytes(lake) == one.manifest.to_json()
    assert len(one.manifest.objects) == 2
    ensure_whole(lake)


def test_two_that_read_different_windows_at_once_end_with_one_whole_day(lake: Lake) -> None:
    # One clock is before the window's end and one after it, so that their manifests differ whatever they read.
    log = ListedLog({0: [at(0, "2025-12-30 10:00"), at(1, "2025-12-30 12:00"), at(2, "2025-12-31 02:00")]})
    landings = together(lake, log, [AT_SIX, MORNING_AFTER])
    end = standing(lake)
    assert end in [landing.manifest for landing in landings]
    # The one that came second united its window with the first one's; the early one read to the high watermark.
    assert read_of(end) == (0, 3)
    ensure_whole(lake)
