"""What a person sees while a day lands."""

from collections.abc import Iterator
from datetime import timedelta

from game_analytics.lake.bucket import Lake
from game_analytics.landing.day import land_day
from game_analytics.landing.progress import Progress
from game_analytics.landing.report import LandingOptions
from game_analytics_tests.support.listed_log import ListedLog
from game_analytics_tests.support.samples import DAY, MORNING_AFTER, at


def told(offsets: int, *steps: tuple[float, int], finish_at: float | None = None) -> list[str]:
    """The lines of a landing that begins at second 100 and is informed at these seconds of so many messages."""
    lines: list[str] = []
    seconds: Iterator[float] = iter([100.0, *(second for second, _ in steps), *([finish_at] if finish_at else [])])
    progress = Progress(offsets, lines.append, seconds=lambda: next(seconds))
    for _, messages in steps:
        progress.read(messages)
    if finish_at is not None:
        progress.finish()
    return lines


def test_a_line_tells_how_much_was_read_how_fast_and_how_long_it_takes() -> None:
    assert told(4_000_000, (102.0, 500_000), (110.0, 500_000)) == [
        "1,000,000 of 4,000,000 messages read (25%), 100,000 a second, about 0:00:30 left"
    ]


def test_the_rate_is_that_since_the_line_before_and_the_rest_is_guessed_by_all_so_far() -> None:
    lines = told(1_000, (105.0, 400), (110.0, 100))
    assert lines[1] == "500 of 1,000 messages read (50%), 20 a second, about 0:00:10 left"


def test_no_more_than_a_line_every_five_seconds_is_told() -> None:
    assert told(1_000, *((100 + tenth / 10, 1) for tenth in range(1, 150))) == [
        "50 of 1,000 messages read (5%), 10 a second, about 0:01:35 left",
        "100 of 1,000 messages read (10%), 10 a second, about 0:01:30 left",
    ]


def test_a_landing_that_waits_says_so() -> None:
    assert told(1_000, (106.0, 0), (112.0, 0)) == [
        "0 of 1,000 messages read (0%), 0 a second, waiting",
        "0 of 1,000 messages read (0%), 0 a second, waiting",
    ]


def test_the_end_tells_the_sum() -> None:
    assert told(1_000, (101.0, 900), finish_at=103.0) == ["900 messages read in 3.0 s (300 a second)"]


def test_a_landing_tells_its_end(lake: Lake) -> None:
    log = ListedLog({0: [at(0, "2025-12-30 12:00"), at(2, "2025-12-30 12:01")], 1: [at(0, "2025-12-30 13:00")]})
    lines: list[str] = []
    land_day(log, lake, DAY, LandingOptions(timedelta(hours=1)), clock=lambda: MORNING_AFTER, tell=lines.append)
    [line] = lines
    assert line.startswith("3 messages read in ")
